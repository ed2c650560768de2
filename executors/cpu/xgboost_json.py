"""XGBoost models grown in chunks, and their joining into the one model the library reads.

Going on from a whole model makes XGBoost predict all of it for all rows again at every chunk. Here each
chunk is a model of its own that begins with the margins of those before it; at the end their trees are put
one after another in the library's JSON format (docs, "Introduction to Model IO").
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import xgboost

Booster = Any  # the library is not followed by the type checker; the name says what is meant


def loaded(model: bytes) -> Booster:
    """Return the model in `model`, of either of the library's formats, to be used by one thread."""
    return xgboost.Booster({"nthread": 1}, model_file=bytearray(model))


def joined(chunks: Sequence[bytes], rounds: int) -> bytes:
    """Return one model with the trees of the first `rounds` rounds, in their order, as UBJSON.

    What all rows begin with is the first chunk's; those after it began with margins and have none.
    """
    whole: dict[str, Any] = {}
    for chunk in chunks:
        model = loaded(chunk)
        kept = min(rounds, model.num_boosted_rounds())
        if kept == 0:
            break
        _append(whole, json.loads(model[:kept].save_raw("json")))
        rounds -= kept
    return bytes(loaded(json.dumps(whole).encode()).save_raw("ubj"))


def _append(whole: dict[str, Any], chunk: dict[str, Any]) -> None:
    """Add the trees of `chunk` to `whole`, which becomes the chunk when it is empty."""
    if not whole:
        whole.update(chunk)
        return
    into, trees = (part["learner"]["gradient_booster"]["model"] for part in (whole, chunk))
    first = len(into["trees"])
    into["trees"] += [{**tree, "id": first + place} for place, tree in enumerate(trees["trees"])]
    into["tree_info"] += trees["tree_info"]
    into["iteration_indptr"] += [first + end for end in trees["iteration_indptr"][1:]]
    into["gbtree_model_param"]["num_trees"] = str(len(into["trees"]))
