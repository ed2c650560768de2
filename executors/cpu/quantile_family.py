"""QuantileLightGBM: several quantiles of the label, that never cross and come true as often as they say.

One LightGBM model a level with the pinball loss of that level (Koenker and Bassett, Econometrica 1978; Ke et
al., NeurIPS 2017), all grown together, round by round, and stopped by the mean of their losses. The levels
of a row are put into order (rearrangement: Chernozhukov, Fernández-Val and Galichon, Econometrica 2010), then
each is shifted by the quantile of its misses on the validation rows, which no tree has seen (conformalised
quantile regression: Romano, Patterson and Candès, NeurIPS 2019, one-sided and asymmetric). Shifted levels
cross where they lie closer than their shifts differ; they are put into order once more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from executors.boosting import LOOP_PARAMETERS, AfterRound, boost
from executors.cpu.conformal import conformal_quantile
from executors.cpu.lightgbm_growth import (
    TREE_PARAMETERS,
    GrowingModel,
    importances,
    round_work,
    tree_settings,
)
from executors.cpu.lightgbm_rows import BinnedRows
from executors.cpu.tree_shap import METHOD
from executors.dataset import feature_matrix
from executors.estimating import cpu_device
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode
from executors.session import Session, Trained
from panel.aligned import Panel

LIBRARIES = ("lightgbm",)
window_rows = one_row
QUANTILES: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)

PARAMETERS: Mapping[str, Parameter] = {
    **LOOP_PARAMETERS,
    **TREE_PARAMETERS,
    "rounds": Parameter(default=250, low=1, high=100_000),
    "patience": Parameter(default=30, low=1, high=100_000),
    "leaves": Parameter(default=15, low=2, high=131_072),
}

_MEDIAN = QUANTILES.index(0.5)


def train(session: Session) -> Trained:
    """Grow a model a level, keep the rounds up to the best mean pinball loss, shift each level.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    data = session.data
    device = cpu_device("QuantileLightGBM")
    engine = _Levels(session)
    work = round_work(session.params, rows=len(data.train), features=len(data.features), trees=len(QUANTILES))
    boosted = boost(session, engine, device, round_work=work)
    texts = [model.text(boosted.best_round) for model in engine.models]
    shap, gains = importances(texts, session, work)
    return Trained(
        files={_file_of(level): text.encode() for level, text in zip(QUANTILES, texts, strict=True)},
        steps=boosted.rounds,
        best_step=boosted.best_round,
        curve=boosted.curve,
        importances=shap,
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "quantiles": list(QUANTILES),
            "shifts": shifts(_in_order(texts, data.features_at(data.valid)), data.encoded_at(data.valid)),
        },
        importance_method=METHOD,
        gains=gains,
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the median of the label at `rows`, (rows,) float32."""
    return quantiles(files, outline, panel, rows)[:, _MEDIAN]


def quantiles(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the label's quantiles at `rows`, (rows, levels) float32, never falling along a row."""
    features = feature_matrix(panel, tuple(outline["features"]), rows)
    texts = [files[_file_of(level)].decode() for level in outline["quantiles"]]
    shifted = _in_order(texts, features) + np.array(outline["shifts"])
    return LabelCode.from_json(outline["labels"]).decoded(np.sort(shifted, axis=1))


def shifts(said: NDArray[np.float64], labels: NDArray[np.float32]) -> list[float]:
    """Return what to add to each level so that as many labels lie at or below it as it says.

    `said` (rows, levels) and `labels` (rows,) are of rows no tree has seen; each level is shifted by the
    conformal quantile of its misses, label less quantile.
    """
    misses = labels[:, None].astype(np.float64) - said
    return [conformal_quantile(misses[:, place], level) for place, level in enumerate(QUANTILES)]


class _Levels:
    """A model a level on the same binned rows; all of them sample the same rows and features."""

    def __init__(self, session: Session) -> None:
        settings = {**tree_settings(session), "objective": "quantile", "metric": "quantile"}
        rows = BinnedRows(session, settings)
        self.models = [GrowingModel(rows, {**settings, "alpha": level}) for level in QUANTILES]

    def grow(self, *, rounds: int, seed: int, after_round: AfterRound) -> None:
        """Add up to `rounds` rounds to every level, stopped by the mean of their pinball losses."""
        for model in self.models:
            model.begin(seed)
        for _ in range(rounds):
            losses = np.array([model.add_round() for model in self.models])  # (levels, 2)
            if after_round(*losses.mean(axis=0).tolist()):
                break
        for model in self.models:
            model.keep()

    def state(self) -> dict[str, bytes]:
        """Return the trees and scores of all levels."""
        named = zip(QUANTILES, self.models, strict=True)
        return {name: file for level, model in named for name, file in model.state(f"q{level}").items()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over what `state` returned."""
        for level, model in zip(QUANTILES, self.models, strict=True):
            model.restore(f"q{level}", state)


def _in_order(texts: list[str], features: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return what the models say, (rows, levels) ascending along a row, in the unit they learnt."""
    models = [lightgbm.Booster(model_str=text) for text in texts]
    said = np.column_stack([model.predict(features, num_threads=1) for model in models])
    return np.asarray(np.sort(said, axis=1), dtype=np.float64)


def _file_of(level: float) -> str:
    return f"quantile_{level}.txt"
