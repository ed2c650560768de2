"""Windows and labels on the device, gathered batch by batch; nothing crosses to the device in the loop.

The standardised matrix is the only copy of the features: windows are overlapping views of it, and on a GPU it
lies there with the labels, so that the input cannot starve the network.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from executors.dataset import FitData, feature_matrix
from executors.gpu.memory import is_out_of_memory
from executors.gpu.recipe import Batch, Further
from executors.preprocessing import Standardisation
from executors.session import Session

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowBatches:
    """Windows of one standardised matrix, gathered batch by batch for a device.

    The matrix (rows, features) float32 holds consecutive panel rows beginning with row `first_row`; `flat`
    views it as (rows - window + 1, window * features), overlapping, without a copy. It lies on the device, or
    on the host if the device has no room for it.
    """

    flat: Tensor
    window: int
    first_row: int
    device: str

    @classmethod
    def of(cls, matrix: NDArray[np.float32], *, window: int, first_row: int, device: str) -> WindowBatches:
        """Move `matrix` to `device` and view its windows."""
        values = _placed(torch.from_numpy(np.ascontiguousarray(matrix)), device)
        rows, features = values.shape
        flat = torch.as_strided(values, (max(0, rows - window + 1), window * features), (features, 1))
        return cls(flat=flat, window=window, first_row=first_row, device=device)

    def at(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the windows that end at the panel rows `rows`, (rows, window, features) on the device."""
        return self.ending_at(torch.from_numpy(np.asarray(rows - self.first_row)))

    def ending_at(self, places: Tensor) -> Tensor:
        """Return the windows that end at `places`, (batch,) int64 counted from the first row."""
        begins = (places - (self.window - 1)).to(self.flat.device)
        windows = self.flat.index_select(0, begins).view(len(places), self.window, -1)
        return windows.to(self.device)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledRows:
    """The windows of a fit with what is to be learnt from them, by row counted from the first one.

    Attributes:
        windows: of the fit's rows.
        labels: (rows,) float32 as a model learns them; 0 for rows that are not the fit's.
        weights: (rows,) float32; 0 for rows that are not the fit's.
        others: (rows, further targets) float32.
    """

    windows: WindowBatches
    labels: Tensor
    weights: Tensor
    others: Tensor

    def places_of(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the panel rows `rows` counted from the first one, (rows,) int64 on the device."""
        return torch.from_numpy(np.asarray(rows - self.windows.first_row)).to(self.labels.device)

    def batch(self, places: Tensor) -> Batch:
        """Return the batch of the rows at `places`, (batch,) int64 on the device."""
        return Batch(
            windows=self.windows.ending_at(places),
            labels=self.labels.index_select(0, places),
            weights=self.weights.index_select(0, places),
            others=self.others.index_select(0, places),
        )


def labelled_rows(
    session: Session, *, window: int, device: str, further: Further | None = None
) -> tuple[LabelledRows, Standardisation]:
    """Put the fit's rows on `device`, standardised by what the training rows alone say."""
    data, symbol = session.data, session.spec.symbol
    own = slice(0, data.panel.rows) if symbol is None else data.panel.rows_of(symbol)
    standardisation, matrix = _standardised(data, own)
    labels, weights = np.zeros((2, data.panel.rows), dtype=np.float32)
    for rows in (data.train, data.valid):
        labels[rows] = data.encoded_at(rows)
    weights[data.train] = session.weights()
    weights[data.valid] = valid_weights(data)
    others = np.zeros((data.panel.rows, 0), dtype=np.float32) if further is None else further.labels
    labelled = LabelledRows(
        windows=WindowBatches.of(matrix, window=window, first_row=own.start, device=device),
        labels=torch.from_numpy(labels[own]).to(device),
        weights=torch.from_numpy(weights[own]).to(device),
        others=torch.from_numpy(np.ascontiguousarray(others[own])).to(device),
    )
    return labelled, standardisation


def valid_weights(data: FitData) -> NDArray[np.float32]:
    """Return how much each validation row counts, (rows,) float32: by its class where those are balanced."""
    if not data.code.class_weights:
        return np.ones(len(data.valid), dtype=np.float32)
    places = data.encoded_at(data.valid).astype(np.int64)
    return np.array(data.code.class_weights, dtype=np.float32)[places]


def _standardised(data: FitData, own: slice) -> tuple[Standardisation, NDArray[np.float32]]:
    """Return (what was fitted on the training rows, the rows of `own` so standardised, (rows, features)).

    One feature at a time: beside the matrix itself only a column of it is ever in memory.
    """
    matrix = np.empty((own.stop - own.start, len(data.features)), dtype=np.float32)
    fitted: list[Standardisation] = []
    for place, name in enumerate(data.features):
        column = feature_matrix(data.panel, (name,), own)  # (rows, 1)
        fitted.append(Standardisation.fitted(column[data.train - own.start]))
        matrix[:, place] = fitted[-1].applied(column)[:, 0]
    return (
        Standardisation(
            median=np.concatenate([one.median for one in fitted]),
            mean=np.concatenate([one.mean for one in fitted]),
            scale=np.concatenate([one.scale for one in fitted]),
        ),
        matrix,
    )


def _placed(values: Tensor, device: str) -> Tensor:
    """Return `values` on `device`, or as they are where it has no room; batches are then sent one by one."""
    if device == "cpu":
        return values
    try:
        return values.to(device)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
    sys.stderr.write(f"WARNING: the features do not fit on {device}; each batch is sent there by itself\n")
    return values.pin_memory()
