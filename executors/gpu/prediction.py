"""Predictions of a saved network: on the CPU, one thread, in full batches, for the same bits everywhere."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as tensors_from_bytes

from executors.dataset import feature_matrix
from executors.gpu.batches import WindowBatches
from executors.gpu.recipe import Network, Recipe, Shape
from executors.preprocessing import LabelCode, Standardisation
from executors.windows import with_full_window
from panel.aligned import Panel

MODEL = "model.safetensors"
SHAPE = "model.json"

_BATCH_ROWS = 256  # always full batches: the kernels, and with them the last bits, depend on the shape
_ROWS_AT_ONCE = 65_536  # of a large set, so that its features need not be in memory all at once

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

Outputs = Callable[[Network, Tensor, Shape], Tensor]
"""(network, windows (batch, window, features), shape) -> (batch, numbers)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedNetwork:
    """A saved network in memory, with the preprocessing that belongs to it."""

    recipe: Recipe
    network: Network
    shape: Shape
    labels: LabelCode
    features: tuple[str, ...]
    standardisation: Standardisation

    @classmethod
    def of(cls, recipe: Recipe, files: Mapping[str, bytes], outline: Mapping[str, Any]) -> LoadedNetwork:
        """Make the network of a bundle's files and give it its weights."""
        shape = Shape.from_json(files[SHAPE])
        network = recipe.network(shape)
        network.load_state_dict(tensors_from_bytes(files[MODEL]))
        network.eval()
        return cls(
            recipe=recipe,
            network=network,
            shape=shape,
            labels=LabelCode.from_json(outline["labels"]),
            features=tuple(outline["features"]),
            standardisation=Standardisation.from_json(outline["standardisation"]),
        )

    def predictions_at(self, panel: Panel, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return predictions for the panel rows `rows`, (rows,) or (rows, classes); NaN without a window."""
        return self._decoded(self.outputs_at(panel, rows, self.recipe.answers))

    def outputs_at(self, panel: Panel, rows: NDArray[np.int64], outputs: Outputs) -> NDArray[np.float32]:
        """Return what `outputs` says of each row's window, (rows, numbers) float32; NaN without a window."""
        known = np.flatnonzero(with_full_window(panel, rows, self.shape.window))
        ascending = known[np.argsort(rows[known], kind="stable")]
        found = np.full((len(rows), self._width(outputs)), np.nan, dtype=np.float32)
        for begin in range(0, len(ascending), _ROWS_AT_ONCE):
            part = ascending[begin : begin + _ROWS_AT_ONCE]
            batches, places = self._gathered(panel, rows[part])
            found[part] = self._in_full_batches(batches.ending_at, places, outputs)
        return found

    def _gathered(self, panel: Panel, rows: NDArray[np.int64]) -> tuple[WindowBatches, NDArray[np.int64]]:
        """Return the windows of `rows` over just the panel rows they need, and where each one ends there."""
        window, first = self.shape.window, int(rows.min()) - self.shape.window + 1
        edges = np.zeros(int(rows.max()) - first + 2, dtype=np.int64)
        np.add.at(edges, rows - first - window + 1, 1)
        np.add.at(edges, rows - first + 1, -1)
        is_needed = np.cumsum(edges[:-1]) > 0
        features = feature_matrix(panel, self.features, first + np.flatnonzero(is_needed))
        matrix = self.standardisation.applied(features)
        places = np.cumsum(is_needed)[rows - first] - 1
        return WindowBatches.of(matrix, window=window, first_row=0, device="cpu"), places

    def _width(self, outputs: Outputs) -> int:
        """Return how many numbers `outputs` gives of a row."""
        with torch.no_grad():
            nothing = torch.zeros((1, self.shape.window, self.shape.features))
            return int(outputs(self.network, nothing, self.shape).shape[1])

    def _in_full_batches(
        self, windows_at: Callable[[Tensor], Tensor], places: NDArray[np.int64], outputs: Outputs
    ) -> NDArray[np.float32]:
        """Return `outputs` of the windows at `places`, (places, numbers) float32."""
        parts: list[NDArray[np.float32]] = []
        with torch.no_grad(), _one_thread():
            for begin in range(0, len(places), _BATCH_ROWS):
                batch = places[begin : begin + _BATCH_ROWS]
                filled = np.concatenate([batch, np.repeat(batch[:1], _BATCH_ROWS - len(batch))])
                answers = outputs(self.network, windows_at(torch.from_numpy(filled)), self.shape)
                parts.append(answers[: len(batch)].float().numpy())
        return np.concatenate(parts)

    def _decoded(self, answers: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return values in the label's unit or probabilities for `answers`, (rows, outputs)."""
        if self.labels.task == "multiclass":
            return self.labels.decoded(torch.softmax(torch.from_numpy(answers), dim=1).numpy())
        if self.labels.task == "binary":
            answers = torch.sigmoid(torch.from_numpy(answers)).numpy()
        return self.labels.decoded(answers[:, 0])


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
