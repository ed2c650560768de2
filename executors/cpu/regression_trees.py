"""Fitted regression trees of scikit-learn as plain arrays: saved without pickle, evaluated without it.

Array by array what `sklearn.tree._tree.Tree` documents: a row goes left where its feature, as float32, is at
most the threshold; where the feature is missing the node says which way. Answers are the library's bit for
bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LEAF = -1
_BLOCK_CELLS = 65_536  # (rows x trees) looked at together

FittedTree = Any  # a DecisionTreeRegressor; the library is not followed by the type checker


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeArrays:
    """The nodes of all trees one after another; `roots` says where each tree begins.

    Attributes:
        roots: (trees,) int64.
        feature: (nodes,) int32 column a node looks at, -1 in a leaf.
        threshold: (nodes,) float64, 0 in a leaf.
        left: (nodes,) int64 node to go on to at or below the threshold; a leaf goes on to itself.
        right: (nodes,) int64 likewise above it.
        missing_left: (nodes,) uint8, 1 where a missing value goes left.
        value: (nodes,) float64 what a leaf says.
    """

    roots: NDArray[np.int64]
    feature: NDArray[np.int32]
    threshold: NDArray[np.float64]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    missing_left: NDArray[np.uint8]
    value: NDArray[np.float64]

    @classmethod
    def fitted(cls, trees: Sequence[tuple[FittedTree, NDArray[np.int64]]]) -> TreeArrays:
        """Return the arrays of fitted trees, each given with the columns it was fitted on."""
        whole = cls.empty()
        for tree, columns in trees:
            whole = whole.followed_by(_one(tree.tree_, columns))
        return whole

    @classmethod
    def empty(cls) -> TreeArrays:
        """Return no tree."""
        kinds = {"feature": np.int32, "threshold": np.float64, "missing_left": np.uint8, "value": np.float64}
        names = ("roots", "feature", "threshold", "left", "right", "missing_left", "value")
        return cls(**{name: np.empty(0, dtype=kinds.get(name, np.int64)) for name in names})

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> TreeArrays:
        """Read what `to_arrays` wrote; further arrays are passed over."""
        return cls(**{name: arrays[name] for name in cls.__slots__})

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return name -> array."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def count(self) -> int:
        """How many trees there are."""
        return len(self.roots)

    def followed_by(self, other: TreeArrays) -> TreeArrays:
        """Return these trees with those of `other` after them."""
        moved = {"roots", "left", "right"}  # they hold places of nodes
        pairs = zip(self.to_arrays().items(), other.to_arrays().values(), strict=True)
        nodes = len(self.feature)
        return TreeArrays(
            **{
                name: np.concatenate([mine, theirs + nodes if name in moved else theirs])
                for (name, mine), theirs in pairs
            }
        )

    def first(self, trees: int) -> TreeArrays:
        """Return the first `trees` of these trees."""
        end = len(self.feature) if trees >= self.count else int(self.roots[trees])
        arrays = {name: array[:end].copy() for name, array in self.to_arrays().items()}
        return TreeArrays(**{**arrays, "roots": self.roots[:trees].copy()})

    def answers(self, features: NDArray[np.float32], trees: slice) -> NDArray[np.float64]:
        """Return what each of `trees` says of each row of `features` (rows, columns): (rows, trees)."""
        roots = self.roots[trees]
        said = np.empty((len(features), len(roots)))
        step = max(1, _BLOCK_CELLS // max(1, len(roots)))
        for start in range(0, len(features), step):
            block = features[start : start + step]
            said[start : start + step] = self.value[self._leaves(block, roots)]
        return said

    def _leaves(self, features: NDArray[np.float32], roots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the leaf of each row in each tree, (rows, trees)."""
        node = np.broadcast_to(roots, (len(features), len(roots)))
        row = np.arange(len(features))[:, None]
        while True:
            column = self.feature[node]
            if np.all(column == _LEAF):
                return np.asarray(node)
            seen = features[row, np.maximum(column, 0)]
            is_left = np.where(np.isnan(seen), self.missing_left[node] == 1, seen <= self.threshold[node])
            node = np.where(is_left, self.left[node], self.right[node])


def _one(tree: Any, columns: NDArray[np.int64]) -> TreeArrays:  # noqa: ANN401 -- the library is untyped
    """Return the arrays of one tree of the library."""
    own = np.arange(tree.node_count, dtype=np.int64)
    is_leaf = tree.children_left == _LEAF
    looked_at = np.where(is_leaf, 0, tree.feature)
    return TreeArrays(
        roots=np.zeros(1, dtype=np.int64),
        feature=np.where(is_leaf, _LEAF, columns[looked_at]).astype(np.int32),
        threshold=np.where(is_leaf, 0.0, tree.threshold),
        left=np.where(is_leaf, own, tree.children_left),
        right=np.where(is_leaf, own, tree.children_right),
        missing_left=np.asarray(tree.missing_go_to_left, dtype=np.uint8),
        value=tree.value[:, 0, 0].copy(),
    )
