"""Models that are a few arrays as ONNX: FTRLProximal, RewardBased, MetaLearning."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes

from executors.bundle import Bundle
from executors.cpu.bins import QuantileBins
from executors.cpu.coordinates import Coordinates
from executors.exporting.graph import Graph, Model, cleaned, say, say_number, standardised
from executors.preprocessing import LabelCode, Standardisation

_MODEL = "model.safetensors"


def ftrl_model(bundle: Bundle) -> Model:
    """Return the graph of an FTRLProximal bundle: a product, and the weight of each feature's bin."""
    outline, arrays = bundle.outline, arrays_from_bytes(bundle.files[_MODEL])
    labels, weights = LabelCode.from_json(outline["labels"]), arrays["weights"]
    coordinates = Coordinates.from_json(outline["coordinates"])
    graph = Graph(features=coordinates.features, window=1)
    values = cleaned(graph)
    linear = graph.cast(standardised(graph, values, coordinates.standardisation), np.float64)
    total = graph.add("MatMul", linear, graph.constant(weights[1 : 1 + coordinates.features]))
    if coordinates.bins:
        total = graph.add("Add", total, _of_bins(graph, values, coordinates.bins, weights))
    scores = graph.add("Add", total, graph.constant(arrays["constant"] + weights[0]))
    say(graph, scores, labels)
    return graph.model()


def reward_model(bundle: Bundle) -> Model:
    """Return the graph of a RewardBased bundle: the position, and the label its size stands for."""
    outline, weights = bundle.outline, arrays_from_bytes(bundle.files[_MODEL])
    calibration = outline["calibration"]
    graph = Graph(features=len(outline["features"]), window=1)
    standardisation = Standardisation.from_json(outline["standardisation"])
    seen = graph.cast(standardised(graph, cleaned(graph), standardisation), np.float64)
    for name in ("into", "out"):
        if name in weights:
            product = graph.add("MatMul", seen, graph.constant(weights[name].astype(np.float64)))
            bias = graph.constant(weights[f"{name}_bias"].astype(np.float64))
            seen = graph.add("Tanh", graph.add("Add", product, bias))  # of the last one: the position
    apart = graph.add("Sub", graph.column(seen, 0), graph.number(calibration["mean_position"], np.float64))
    value = graph.add("Mul", apart, graph.number(calibration["slope"], np.float64))
    say_number(graph, value, LabelCode.from_json(outline["labels"]))
    return graph.model()


def meta_model(bundle: Bundle) -> Model:
    """Return the graph of a MetaLearning bundle: the weights of the row's symbol, looked up for each row.

    Its further input `symbol` is the place of a row's symbol in the metadata `symbols`, -1 for one the model
    was not adapted to.
    """
    outline, arrays = bundle.outline, arrays_from_bytes(bundle.files[_MODEL])
    graph = Graph(features=len(outline["features"]), window=1)
    standardisation = Standardisation.from_json(outline["standardisation"])
    values = graph.cast(standardised(graph, cleaned(graph), standardisation), np.float64)
    seen = graph.add("Unsqueeze", values, graph.constant(np.array([1], dtype=np.int64)))
    symbols = graph.symbols()
    for name in ("into", "out"):  # each (rows, 1, its inputs) by (rows, its inputs, its outputs)
        if name not in arrays:
            continue
        # The initial weights stand last, where -1 finds them.
        weights, bias = (
            graph.constant(np.concatenate([arrays[f"adapted.{part}"], arrays[part][None]]).astype(np.float64))
            for part in (name, f"{name}_bias")
        )
        product = graph.add("MatMul", seen, graph.add("Gather", weights, symbols, axis=0))
        seen = graph.add("Add", product, graph.add("Gather", bias, symbols, axis=0))
        if name == "into":
            seen = graph.add("Tanh", seen)
    scores = graph.add("Squeeze", seen, graph.constant(np.array([1], dtype=np.int64)))
    say(graph, scores, LabelCode.from_json(outline["labels"]))
    return graph.model()


def _of_bins(graph: Graph, values: str, bins: QuantileBins, weights: NDArray[np.float64]) -> str:
    """Return the weights of each feature's bin, added up: (rows, outputs) double."""
    features = len(bins.edges)
    most = max((len(own) for own in bins.edges), default=0)
    edges = np.full((features, max(1, most)), np.inf, dtype=np.float32)
    for place, own in enumerate(bins.edges):
        edges[place, : len(own)] = own
    columns = graph.add("Unsqueeze", values, graph.constant(np.array([2], dtype=np.int64)))
    beyond = graph.cast(graph.add("GreaterOrEqual", columns, graph.constant(edges)), np.int64)
    inside = graph.add("ReduceSum", beyond, graph.constant(np.array([2], dtype=np.int64)), keepdims=0)
    missing = graph.constant(np.array(bins.bins, dtype=np.int64))
    own_place = graph.add("Where", graph.add("IsNaN", values), missing, inside)
    firsts = graph.constant(1 + features + np.arange(features, dtype=np.int64) * bins.places)
    table = graph.constant(weights * np.sqrt(bins.bins))
    found = graph.add("Gather", table, graph.add("Add", own_place, firsts), axis=0)
    return graph.add("ReduceSum", found, graph.constant(np.array([1], dtype=np.int64)), keepdims=0)
