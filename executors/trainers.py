"""From a family's name in the catalogue to the module that trains it; the one place that loads them."""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from executors.distributions import Quantiles
from executors.errors import BadInput
from executors.families import availability, resolve
from executors.parameters import Number, Parameter
from executors.session import Session, Trained
from panel.aligned import Panel

_MODULES = {
    "LightGBM": "executors.cpu.lightgbm_family",
    "QuantileLightGBM": "executors.cpu.quantile_family",
    "XGBoost": "executors.cpu.xgboost_family",
    "RewardBased": "executors.cpu.reward_family",
    "NGBoost": "executors.cpu.ngboost_family",
    "GMMRegime": "executors.cpu.regime_family",
    "ChangePoint": "executors.cpu.change_point_family",
    "FTRLProximal": "executors.cpu.ftrl_family",
    "Ensemble": "executors.cpu.ensemble_family",
    "MetaLearning": "executors.cpu.meta_family",
    "MLP": "executors.gpu.mlp_family",
    "VAE": "executors.gpu.vae_family",
    "GAN": "executors.gpu.gan_family",
    "MultiTask": "executors.gpu.multi_task_family",
    "CNN1D": "executors.gpu.cnn_family",
    "LSTM": "executors.gpu.lstm_family",
    "Transformer": "executors.gpu.transformer_family",
    "TabCNN": "executors.gpu.tab_cnn_family",
    "TabLSTM": "executors.gpu.tab_lstm_family",
    "TabTransformer": "executors.gpu.tab_transformer_family",
    "Blend": "executors.cpu.blend_family",
}


class Trainer(Protocol):
    """What the module of a family offers, itself or as its object `TRAINER`.

    Attributes:
        PARAMETERS: its settings beside those that all share.
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
        """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes).

        NaN where it can say nothing, such as before the first full window.
        """
        ...


class DistributionTrainer(Trainer, Protocol):
    """A family that predicts a distribution of the label, not only its mean.

    Attributes:
        QUANTILES: the levels it gives, ascending, in (0, 1).
    """

    QUANTILES: tuple[float, ...]

    def quantiles(
        self, files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return the label's quantiles at `rows`, (rows, levels) float32, never falling along a row."""
        ...


def quantile_trainer(trainer: Trainer) -> DistributionTrainer | None:
    """Return `trainer` if it predicts a distribution, else None."""
    return cast("DistributionTrainer", trainer) if hasattr(trainer, "QUANTILES") else None


def predicted_quantiles(
    trainer: Trainer,
    files: Mapping[str, bytes],
    outline: Mapping[str, Any],
    panel: Panel,
    rows: NDArray[np.int64],
) -> Quantiles | None:
    """Return the label's quantiles at `rows`, None where the family predicts no distribution.

    Of classes the probabilities are the distribution; quantiles are of numbers.
    """
    speaker = quantile_trainer(trainer)
    if speaker is None or outline.get("labels", {}).get("task", "regression") != "regression":
        return None
    return Quantiles(levels=speaker.QUANTILES, values=speaker.quantiles(files, outline, panel, rows))


def trainer_of(family: str) -> Trainer:
    """Load the module that trains `family`.

    Raises:
        UnknownFamily: no such name.
        BadInput: it cannot be trained here; says why and what to do.
    """
    found = resolve(family)
    problem = availability(found)
    if problem is not None:
        raise BadInput(f"family {found.name}", problem, "or leave it out of the plan")
    module = importlib.import_module(_MODULES[found.name])
    return cast("Trainer", getattr(module, "TRAINER", module))


def library_versions(libraries: tuple[str, ...]) -> dict[str, str]:
    """Return distribution -> version of what determines a model's numbers, numpy included."""
    return {name: _version(name) for name in sorted({*libraries, "numpy"})}


@functools.cache
def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)
