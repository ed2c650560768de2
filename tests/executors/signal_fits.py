"""Fits on the small panels of known truth, and the same panels with another future."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from generated.signals import Signal
from numpy.typing import NDArray

from executors.bundle import Bundle
from executors.contract import FitSpec
from panel.aligned import Panel

SpecMaker = Callable[..., FitSpec]

#: The last bar whose past stays as it was; within the part that is judged.
LAST_KEPT_BAR = 640


def with_other_future(made: Signal, folder: Path) -> tuple[Panel, NDArray[np.int64]]:
    """Return the panel with other features after LAST_KEPT_BAR, other labels from it on, and rows up to it.

    A label of one bar ends a bar after its row, so that of LAST_KEPT_BAR itself is not known there.
    """
    random = np.random.default_rng(5)
    features, labels = made.features.copy(), made.labels.copy()
    features[:, LAST_KEPT_BAR + 1 :] = 3.0 * random.standard_normal(features[:, LAST_KEPT_BAR + 1 :].shape)
    labels[:, LAST_KEPT_BAR:] = 0.05 * random.standard_normal(labels[:, LAST_KEPT_BAR:].shape)
    panel = replace(made, features=features, labels=labels).panel(folder)
    return panel, np.flatnonzero(panel.time_codes <= LAST_KEPT_BAR)


def asked_alone(bundle: Bundle, panel: Panel, rows: NDArray[np.int64]) -> bytes:
    """Return the predictions for `rows`, each asked for by itself, as bytes."""
    return b"".join(bundle.predict(panel, rows[place : place + 1]).tobytes() for place in range(len(rows)))
