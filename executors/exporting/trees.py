"""Boosted trees as ONNX: LightGBM, QuantileLightGBM, XGBoost, NGBoost.

Thresholds and sums are of double precision, so that a row never takes another way than in the library, and
a missing value goes where the node sends it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import xgboost
from numpy.typing import NDArray
from onnx import numpy_helper

from executors.bundle import Bundle
from executors.cpu.ngboost_model import Grown
from executors.errors import BadInput
from executors.exporting.graph import QUANTILES, TREES, Graph, Model, cleaned, say, say_number
from executors.preprocessing import LabelCode

_AT_MOST, _BELOW = "BRANCH_LEQ", "BRANCH_LT"
_LEAF = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node of a tree: a leaf when `feature` is -1. `left` is the way of rows that pass its test."""

    feature: int
    threshold: float = 0.0
    left: int = 0
    right: int = 0
    missing_left: bool = False
    value: float = 0.0


Tree = Sequence[Node]


def lightgbm_model(bundle: Bundle) -> Model:
    """Return the graph of a LightGBM bundle."""
    graph, labels = _begun(bundle)
    trees = _lightgbm_trees(bundle.files["model.txt"])
    targets = [place % labels.outputs for place in range(len(trees))]
    scores = _sums(graph, cleaned(graph), trees, targets, np.zeros(labels.outputs), _AT_MOST)
    say(graph, scores, labels)
    return graph.model()


def quantile_model(bundle: Bundle) -> Model:
    """Return the graph of a QuantileLightGBM bundle: its median, and all quantiles."""
    graph, labels = _begun(bundle)
    outline = bundle.outline
    levels = list(outline["quantiles"])
    trees: list[Tree] = []
    targets: list[int] = []
    for place, level in enumerate(levels):
        own = _lightgbm_trees(bundle.files[f"quantile_{level}.txt"])
        trees += own
        targets += [place] * len(own)
    raw = _sums(graph, cleaned(graph), trees, targets, np.zeros(len(levels)), _AT_MOST)
    shifts = graph.constant(np.array(outline["shifts"], dtype=np.float64))
    ordered = _ascending(graph, graph.add("Add", _ascending(graph, raw, len(levels)), shifts), len(levels))
    say_number(graph, graph.column(ordered, levels.index(0.5)), labels)
    say_number(graph, ordered, labels, QUANTILES, len(levels))
    return graph.model()


def xgboost_model(bundle: Bundle) -> Model:
    """Return the graph of an XGBoost bundle."""
    graph, labels = _begun(bundle)
    booster = xgboost.Booster(model_file=bytearray(bundle.files["model.ubj"]))
    learner = json.loads(booster.save_raw("json"))["learner"]
    told = learner["gradient_booster"]["model"]
    base = _xgboost_base(learner, labels)
    trees = [_xgboost_tree(tree) for tree in told["trees"]]
    scores = _sums(graph, cleaned(graph), trees, told["tree_info"], base, _BELOW)
    say(graph, scores, labels)
    return graph.model()


def ngboost_model(bundle: Bundle) -> Model:
    """Return the graph of an NGBoost bundle: mean and quantiles, or probabilities."""
    graph, labels = _begun(bundle)
    grown = Grown.from_bytes(bundle.files["model.safetensors"])
    count, rate = len(grown.initial), float(bundle.outline["learning_rate"])
    trees = [
        _of_arrays(grown, number, -rate * float(grown.scalings[number // count]))
        for number in range(grown.trees.count)
    ]
    targets = [number % count for number in range(len(trees))]
    found = _sums(graph, cleaned(graph), trees, targets, grown.initial, _AT_MOST)
    if labels.task != "regression":
        if labels.task == "multiclass":  # the first class has the logit 0
            first = graph.add("Unsqueeze", graph.column(found, 0), _axis(graph))
            none = graph.add("Mul", first, graph.number(0.0, np.float64))
            found = graph.add("Concat", none, found, axis=1)
        say(graph, found, labels)
        return graph.model()
    say_number(graph, graph.column(found, 0), labels)
    levels = bundle.card["quantile_levels"]
    if not levels:  # a member of another model, which is asked for its mean alone
        return graph.model()
    mean, spread = (graph.add("Unsqueeze", graph.column(found, place), _axis(graph)) for place in range(2))
    away = graph.add("Mul", graph.add("Exp", spread), graph.constant(np.array(bundle.outline["deviations"])))
    say_number(graph, graph.add("Add", mean, away), labels, QUANTILES, len(levels))
    return graph.model()


def _begun(bundle: Bundle) -> tuple[Graph, LabelCode]:
    outline = bundle.outline
    return Graph(features=len(outline["features"]), window=1), LabelCode.from_json(outline["labels"])


def _ascending(graph: Graph, values: str, count: int) -> str:
    """Return each row of `values` (rows, count) in order."""
    all_of_them = graph.constant(np.array([count], dtype=np.int64))
    return graph.add("TopK", values, all_of_them, axis=1, largest=0, sorted=1)


def _axis(graph: Graph) -> str:
    return graph.constant(np.array([1], dtype=np.int64))


def _sums(
    graph: Graph,
    features: str,
    trees: Sequence[Tree],
    targets: Sequence[int],
    base: NDArray[np.float64],
    test: str,
) -> str:
    """Return `base` plus what the trees say, each to its target: (rows, targets) double."""
    base = np.array(base, dtype=np.float64)
    grown: list[tuple[Tree, int]] = []
    for tree, target in zip(trees, targets, strict=True):
        if tree[0].feature == _LEAF:
            base[target] += tree[0].value
        else:
            grown.append((tree, target))
    # At least one tree, that the operator has rows to answer.
    grown = grown or [((Node(feature=0, left=1, right=2), Node(feature=_LEAF), Node(feature=_LEAF)), 0)]
    attributes = _attributes(grown, test)
    raw = graph.add(
        "TreeEnsembleRegressor",
        graph.cast(features, np.float64),
        domain=TREES,
        n_targets=len(base),
        aggregate_function="SUM",
        post_transform="NONE",
        **attributes,
    )
    return graph.add("Add", graph.cast(raw, np.float64), graph.constant(base))


def _attributes(grown: Sequence[tuple[Tree, int]], test: str) -> dict[str, Any]:
    """Return the operator's lists: an entry a node, and one more a leaf."""
    nodes = [
        (number, place, node) for number, (tree, _) in enumerate(grown) for place, node in enumerate(tree)
    ]
    leaves = [(number, place, node) for number, place, node in nodes if node.feature == _LEAF]
    values = np.array([node.threshold for *_, node in nodes], dtype=np.float64)
    weights = np.array([node.value for *_, node in leaves], dtype=np.float64)
    return {
        "nodes_treeids": [number for number, *_ in nodes],
        "nodes_nodeids": [place for _, place, _ in nodes],
        "nodes_featureids": [max(0, node.feature) for *_, node in nodes],
        "nodes_modes": ["LEAF" if node.feature == _LEAF else test for *_, node in nodes],
        "nodes_values_as_tensor": numpy_helper.from_array(values, "thresholds"),
        "nodes_truenodeids": [node.left for *_, node in nodes],
        "nodes_falsenodeids": [node.right for *_, node in nodes],
        "nodes_missing_value_tracks_true": [int(node.missing_left) for *_, node in nodes],
        "target_treeids": [number for number, *_ in leaves],
        "target_nodeids": [place for _, place, _ in leaves],
        "target_ids": [grown[number][1] for number, *_ in leaves],
        "target_weights_as_tensor": numpy_helper.from_array(weights, "weights"),
    }


def _lightgbm_trees(text: bytes) -> list[Tree]:
    """Return the trees of a model, in the order in which they are added."""
    told = lightgbm.Booster(model_str=text.decode()).dump_model()
    return [_lightgbm_tree(tree["tree_structure"]) for tree in told["tree_info"]]


def _lightgbm_tree(structure: dict[str, Any]) -> Tree:
    nodes: list[Node] = []

    def place(told: dict[str, Any]) -> int:
        own = len(nodes)
        nodes.append(Node(feature=_LEAF, value=float(told.get("leaf_value", 0.0))))
        if "split_feature" in told:
            if told["decision_type"] != "<=" or told["missing_type"] == "Zero":
                problem = "it has splits of a kind that is not written as ONNX"
                raise BadInput("LightGBM model", problem, "train it with the family's own settings")
            threshold = float(told["threshold"])
            # Without missing values in training the library takes one for 0.
            left = bool(told["default_left"]) if told["missing_type"] == "NaN" else threshold >= 0.0
            nodes[own] = Node(
                feature=int(told["split_feature"]),
                threshold=threshold,
                left=place(told["left_child"]),
                right=place(told["right_child"]),
                missing_left=left,
            )
        return own

    place(structure)
    return nodes


def _xgboost_tree(told: dict[str, Any]) -> Tree:
    columns = (
        told[name]
        for name in ("left_children", "right_children", "split_indices", "split_conditions", "default_left")
    )
    # What is a threshold in a node is the value in a leaf.
    return [
        Node(feature=_LEAF, value=float(np.float32(condition)))
        if left == _LEAF
        else Node(
            feature=feature,
            threshold=float(np.float32(condition)),
            left=left,
            right=right,
            missing_left=bool(default),
        )
        for left, right, feature, condition, default in zip(*columns, strict=True)
    ]


def _xgboost_base(learner: dict[str, Any], labels: LabelCode) -> NDArray[np.float64]:
    """Return what all rows begin with, by output, as scores."""
    told = json.loads(str(learner["learner_model_param"]["base_score"]))
    base = np.broadcast_to(np.array(told, dtype=np.float32).reshape(-1), (labels.outputs,)).astype(np.float64)
    return np.log(base / (1.0 - base)) if labels.task == "binary" else base


def _of_arrays(grown: Grown, number: int, factor: float) -> Tree:
    """Return one tree of arrays, its leaves' values times `factor`."""
    trees = grown.trees
    first = int(trees.roots[number])
    last = int(trees.roots[number + 1]) if number + 1 < trees.count else len(trees.feature)
    return [
        Node(
            feature=int(trees.feature[place]),
            threshold=float(trees.threshold[place]),
            left=int(trees.left[place]) - first,
            right=int(trees.right[place]) - first,
            missing_left=bool(trees.missing_left[place]),
            value=factor * float(trees.value[place]),
        )
        for place in range(first, last)
    ]
