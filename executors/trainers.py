"""From a family's name in the catalogue to the module that trains it; the one place that loads them."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from executors.errors import BadInput
from executors.families import availability, resolve
from executors.parameters import Number, Parameter
from executors.session import Session, Trained
from panel.aligned import Panel

_MODULES = {
    "LightGBM": "executors.cpu.lightgbm_family",
    "XGBoost": "executors.cpu.xgboost_family",
    "LSTM": "executors.gpu.lstm_family",
}


class Trainer(Protocol):
    """What the module of a family offers.

    Attributes:
        PARAMETERS: its settings.
        LIBRARIES: distributions whose versions determine the result.
    """

    PARAMETERS: Mapping[str, Parameter]
    LIBRARIES: tuple[str, ...]

    def window_rows(self, params: Mapping[str, Number]) -> int:
        """Return how many rows of a symbol one prediction looks at, itself included."""
        ...

    def train(self, session: Session) -> Trained:
        """Train to the end, resuming what the session has saved.

        Raises:
            StopAsked: SIGTERM came and the state is saved.
            BadInput: the data cannot be learnt.
            DeviceUnavailable: no such device, and no falling back.
        """
        ...

    def predict(
        self, files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
        ...


def trainer_of(family: str) -> Trainer:
    """Load the module that trains `family`.

    Raises:
        UnknownFamily: no such name.
        BadInput: it cannot be trained here; says why and what to do.
    """
    found = resolve(family)
    problem = availability(found)
    if problem is not None or found.name not in _MODULES:
        problem = problem or "not available yet in this version"
        raise BadInput(f"family {found.name}", problem, "leave it out of the plan until it is")
    return cast("Trainer", importlib.import_module(_MODULES[found.name]))


def library_versions(libraries: tuple[str, ...]) -> dict[str, str]:
    """Return distribution -> version of what determines a model's numbers, numpy included."""
    return {name: importlib.metadata.version(name) for name in sorted({*libraries, "numpy"})}
