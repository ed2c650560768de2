"""An ONNX graph under construction: nodes by their operator, values by their name.

The one input `features` is float32, (rows, features) or (rows, window, features) with the oldest bar first,
as the data has them: NaN or infinite where a value is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from executors.preprocessing import CLIP, LabelCode, Standardisation

INPUT = "features"
SYMBOL = "symbol"
PREDICTION = "prediction"
PROBABILITY = "probability"
PROBABILITIES = "probabilities"
QUANTILES = "quantiles"

OPSET = 18
TREES_OPSET = 3  # of ai.onnx.ml, the first with thresholds of double precision
TREES = "ai.onnx.ml"
_IR_VERSION = 9  # of the file format; runtimes read this one and older ones

Model = Any  # onnx is not followed by the type checker; the name says what is meant


class Graph:
    """Collects nodes and constants; every method returns the name of a value."""

    def __init__(self, *, features: int, window: int) -> None:
        """Begin a graph of rows of `features` numbers, or with `window` > 1 of windows of such rows."""
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.outputs: list[Any] = []
        self.further: list[Any] = []
        self.shape: tuple[int | str, ...] = ("rows", features) if window == 1 else ("rows", window, features)

    def constant(self, values: NDArray[Any]) -> str:
        """Add an array that is known beforehand."""
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.array(values, order="C"), name))
        return name

    def number(self, value: float, dtype: type[np.generic] = np.float32) -> str:
        """Add a single number."""
        return self.constant(np.array(value, dtype=dtype))

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """Add a node and return its first output."""
        name = f"value_{len(self.nodes)}"
        others = [f"{name}_second"] if operator == "TopK" else []
        found = helper.make_node(operator, list(inputs), [name, *others], domain=domain, **attributes)
        self.nodes.append(found)
        return name

    def cast(self, value: str, dtype: type[np.generic]) -> str:
        """Return `value` as another kind of number."""
        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def column(self, value: str, place: int) -> str:
        """Return one column of `value` (rows, columns), (rows,)."""
        return self.add("Gather", value, self.constant(np.array(place, dtype=np.int64)), axis=1)

    def symbols(self) -> str:
        """Add an input that says of each row which of the model's symbols it is, (rows,) int64; -1: none."""
        self.further.append(helper.make_tensor_value_info(SYMBOL, TensorProto.INT64, ["rows"]))
        return SYMBOL

    def answer(self, name: str, value: str, *width: int) -> None:
        """Make `value`, float32 of (rows,) or (rows, width), an output called `name`."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", *width]))

    def model(self) -> Model:
        """Return the finished model."""
        given = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, list(self.shape))
        graph = helper.make_graph(self.nodes, "model", [given, *self.further], self.outputs, self.constants)
        sets = [helper.make_opsetid("", OPSET), helper.make_opsetid(TREES, TREES_OPSET)]
        made = helper.make_model(graph, opset_imports=sets, producer_name="trainwright")
        made.ir_version = _IR_VERSION
        return made


def cleaned(graph: Graph) -> str:
    """Return the features with NaN for everything not finite, as the panel gives them to a model."""
    is_infinite = graph.add("IsInf", INPUT)
    return graph.add("Where", is_infinite, graph.number(np.nan), INPUT)


def standardised(graph: Graph, values: str, standardisation: Standardisation) -> str:
    """Return `values` filled, standardised and cut, float32, operation by operation as training had them."""
    median, mean, scale = (
        graph.constant(getattr(standardisation, name)) for name in ("median", "mean", "scale")
    )
    filled = graph.add("Where", graph.add("IsNaN", values), median, values)
    scaled = graph.add("Div", graph.add("Sub", filled, mean), scale)
    return graph.add("Clip", scaled, graph.number(-CLIP), graph.number(CLIP))


def say_number(graph: Graph, value: str, labels: LabelCode, name: str = PREDICTION, *width: int) -> None:
    """Make `value` (double, in units of the training labels) an output in the label's own unit."""
    scaled = graph.add("Mul", value, graph.number(labels.scale, np.float64))
    moved = graph.add("Add", scaled, graph.number(labels.mean, np.float64))
    graph.answer(name, graph.cast(moved, np.float32), *width)


def say_classes(graph: Graph, scores: str, labels: LabelCode) -> None:
    """Make `scores` (rows, outputs) double the probabilities of the classes, as the bundle predicts them."""
    if labels.task == "binary":
        likely = graph.add("Sigmoid", graph.column(scores, 0))
        if labels.class_weights:
            likely = _unweighted(graph, likely, labels.class_weights)
        graph.answer(PROBABILITY, graph.cast(likely, np.float32))
        return
    shares = graph.add("Softmax", scores, axis=1)
    if labels.class_weights:
        shares = graph.add("Div", shares, graph.constant(np.array(labels.class_weights)))
        total = graph.add("ReduceSum", shares, graph.constant(np.array([1])), keepdims=1)
        shares = graph.add("Div", shares, total)
    graph.answer(PROBABILITIES, graph.cast(shares, np.float32), len(labels.classes))


def say(graph: Graph, scores: str, labels: LabelCode) -> None:
    """Make `scores` (rows, outputs) double the model's answer, of whatever task."""
    if labels.task == "regression":
        say_number(graph, graph.column(scores, 0), labels)
    else:
        say_classes(graph, scores, labels)


def describe(model: Model, facts: Mapping[str, str]) -> None:
    """Write `facts` into the model's metadata."""
    helper.set_model_props(model, dict(facts))
    onnx.checker.check_model(model)


def _unweighted(graph: Graph, likely: str, weights: tuple[float, ...]) -> str:
    one = graph.number(1.0, np.float64)
    low = graph.add("Div", graph.add("Sub", one, likely), graph.number(weights[0], np.float64))
    high = graph.add("Div", likely, graph.number(weights[1], np.float64))
    return graph.add("Div", high, graph.add("Add", low, high))
