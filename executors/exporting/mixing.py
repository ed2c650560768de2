"""Models made of models as ONNX: each member's graph inside one, their answers added up by weight."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx

from executors.bundle import Bundle
from executors.errors import BadInput
from executors.exporting.graph import (
    INPUT,
    PREDICTION,
    PROBABILITIES,
    PROBABILITY,
    Graph,
    Model,
)
from executors.stacking import MEMBERS

_ANSWERS = {"regression": PREDICTION, "binary": PROBABILITY, "multiclass": PROBABILITIES}


def mixed_model(bundle: Bundle, model_of: Callable[[Bundle], Model]) -> Model:
    """Return the graph of an Ensemble or Blend; `model_of` makes that of a member.

    Members that look back fewer bars than the longest see the end of its window. The bundle lets the others
    speak where one lacks a full window; here every row has one.

    Raises:
        BadInput: a member cannot be written as ONNX.
    """
    features, answer = list(bundle.outline["features"]), _ANSWERS[bundle.card["task"]]
    members = [(told["weight"], _member(bundle, place, told)) for place, told in _speaking(bundle)]
    models = [model_of(member) for _, member in members]
    for model, (_, member) in zip(models, members, strict=True):
        if len(model.graph.input) > 1:
            problem = f"its member {member.path.name} wants to know the symbol of each row"
            raise BadInput(f"{bundle.card['family']} as ONNX", problem, "export its other members one by one")
    windows = [_window(model) for model in models]
    graph = Graph(features=len(features), window=max(windows))
    found = []
    for place, (model, (_, member)) in enumerate(zip(models, members, strict=True)):
        given = _columns(graph, _last_bars(graph, windows[place], max(windows)), features, member)
        found.append(_inside(graph, model, f"member{place}_", given, answer))
    total = None
    for (weight, _), value in zip(members, found, strict=True):
        part = graph.add("Mul", graph.cast(value, np.float64), graph.number(weight, np.float64))
        total = part if total is None else graph.add("Add", total, part)
    intercept = graph.number(float(bundle.outline.get("intercept", 0.0)), np.float64)
    said = graph.cast(graph.add("Add", str(total), intercept), np.float32)
    graph.answer(answer, said, *((len(bundle.card["classes"]),) if answer == PROBABILITIES else ()))
    return graph.model()


def _speaking(bundle: Bundle) -> list[tuple[int, dict[str, Any]]]:
    told = json.loads(bundle.files[MEMBERS])
    return [(place, member) for place, member in enumerate(told) if member["weight"] > 0.0]


def _member(bundle: Bundle, place: int, told: dict[str, Any]) -> Bundle:
    """Return a member as a bundle of its own, as far as its graph needs one."""
    files = {name: bundle.files[f"member{place}.{name}"] for name in told["files"]}
    card = {"family": told["family"], "quantile_levels": []}
    card |= {name: bundle.card[name] for name in ("task", "classes")}
    return Bundle(path=bundle.path / told["name"], card=card, files=files)


def _window(model: Model) -> int:
    shape = model.graph.input[0].type.tensor_type.shape.dim
    return int(shape[1].dim_value) if len(shape) == 3 else 1


def _last_bars(graph: Graph, window: int, longest: int) -> str:
    """Return the newest `window` bars of the input, (rows, features) where that is one."""
    if window == longest:
        return INPUT
    if window == 1:
        return graph.add("Gather", INPUT, graph.constant(np.array(longest - 1, dtype=np.int64)), axis=1)
    ends = (longest - window, longest, 1)
    places = [graph.constant(np.array([end], dtype=np.int64)) for end in ends]
    return graph.add("Slice", INPUT, places[0], places[1], graph.constant(np.array([1])), places[2])


def _columns(graph: Graph, values: str, features: Sequence[str], member: Bundle) -> str:
    own = list(member.outline["features"])
    if own == list(features):
        return values
    places = np.array([features.index(name) for name in own], dtype=np.int64)
    return graph.add("Gather", values, graph.constant(places), axis=-1)


def _inside(graph: Graph, model: Model, prefix: str, given: str, answer: str) -> str:
    """Put a member's nodes into the graph under names of its own; return its answer."""
    renamed = onnx.compose.add_prefix(model, prefix)
    graph.nodes.append(onnx.helper.make_node("Identity", [given], [f"{prefix}{INPUT}"]))
    graph.nodes.extend(renamed.graph.node)
    graph.constants.extend(renamed.graph.initializer)
    return f"{prefix}{answer}"
