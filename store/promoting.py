"""Names that people give to models: each an event, the newest of a name holds; too few for a projection."""

from __future__ import annotations

import json
from collections.abc import Mapping

from store.errors import WrongState
from store.events import ModelPromoted
from store.ids import MODEL_STREAM
from store.naming import promotions
from store.turn import Turn

KEPT = "said again: the part of the log that said it was retired"

_LAST = "SELECT CAST(data AS TEXT) FROM event WHERE stream = ? ORDER BY version DESC"


def promote(turn: Turn, fit_id: str, alias: str, *, reason: str, actor: str) -> int | None:
    """Append the name of a model; None where it has it already. Raises NotFound, WrongState."""
    fit = turn.fit(fit_id)
    bundle, sha256 = turn.query("SELECT bundle, bundle_sha256 FROM fit WHERE fit_id = ?", (fit_id,))[0]
    if fit.state != "succeeded" or not bundle:
        raise WrongState(fit=fit_id, state=fit.state, wanted="succeeded, with a model")
    said = (json.loads(row[0]) for row in turn.query(_LAST, (MODEL_STREAM,)))
    last: Mapping[str, str] = next((one for one in said if one.get("alias") == alias), {})
    if (last.get("model"), last.get("sha256")) == (fit_id, sha256 or ""):
        return None
    word = ModelPromoted(
        alias=alias,
        model=fit_id,
        plan=fit.plan_id,
        name=f"{fit.job_id}/{fit.family}",
        bundle=bundle,
        sha256=sha256 or "",
        reason=reason,
    )
    return turn.append_next(MODEL_STREAM, [word], actor=actor)[0].seq


def say_again(turn: Turn, upto: int) -> int:
    """Append the names that hold by events up to a number, which are about to go; returns how many."""
    old = [event for event in promotions(turn.tx).values() if event.seq <= upto]
    for event in old:
        word = ModelPromoted(**{**event.data, "reason": event.data.get("reason") or KEPT})
        turn.append_next(MODEL_STREAM, [word], actor=event.actor)
    return len(old)
