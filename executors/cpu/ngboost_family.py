"""NGBoost: a distribution of the label for each row, by natural gradient boosting (Duan et al., ICML 2020).

The library ngboost grows it: a Normal distribution of numbers, Bernoulli of two classes, categorical of
more, by their likelihood. What is saved are its trees as arrays; the likelihood's natural gradient makes the
steps of mean and scale comparable, so that few, shallow trees do.

Labels are seldom normal in shape. Quantiles are therefore those of how far the validation rows lie off their
means, in their own scales (Lei et al., Distribution-free predictive inference for regression, JASA 2018,
section 5.2); mean and scale of each row are the library's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from executors.boosting import LOOP_PARAMETERS, boost
from executors.cpu.conformal import conformal_quantile
from executors.cpu.ngboost_growth import NaturalGradient, batch_share
from executors.cpu.ngboost_model import Grown
from executors.dataset import feature_matrix
from executors.estimating import cpu_device
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode
from executors.session import Session, Trained
from panel.aligned import Panel

MODEL = "model.safetensors"
LIBRARIES = ("ngboost", "scikit-learn", "scipy")
window_rows = one_row
QUANTILES: tuple[float, ...] = (0.05, 0.25, 0.5, 0.75, 0.95)

#: The trees of a round are fitted on row_share of the training rows, on at most batch_rows: the library sorts
#: them anew for every split. min_leaf_rows 0 means a fiftieth of them, within [20, 2000].
PARAMETERS: Mapping[str, Parameter] = {
    **LOOP_PARAMETERS,
    "rounds": Parameter(default=200, low=1, high=100_000),
    "patience": Parameter(default=20, low=1, high=100_000),
    "learning_rate": Parameter(default=0.05, low=1e-6, high=1.0),
    "depth": Parameter(default=3, low=1, high=32),
    "min_leaf_rows": Parameter(default=0, low=0, high=10_000_000),
    "row_share": Parameter(default=0.5, low=0.01, high=1.0),
    "batch_rows": Parameter(default=20_000, low=50, high=100_000_000),
    "feature_share": Parameter(default=0.8, low=0.01, high=1.0),
}

_CELL_WORK = 40.0  # sorting values and searching them costs that much more than searching a histogram


def train(session: Session) -> Trained:
    """Boost the distribution's parameters, keep the rounds up to the best validation likelihood.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
        BadInput: the library can fit no distribution to the labels.
    """
    data, params = session.data, session.params
    device = cpu_device("NGBoost")
    engine = NaturalGradient(session)
    cells = len(data.train) * batch_share(session) * max(1.0, len(data.features) * params["feature_share"])
    work = cells * params["depth"] * len(engine.model.initial) * _CELL_WORK
    boosted = boost(session, engine, device, round_work=work)
    model = engine.model.first(boosted.best_round)
    return Trained(
        files={MODEL: model.to_bytes()},
        steps=boosted.rounds,
        best_step=boosted.best_round,
        curve=boosted.curve,
        importances={},
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "learning_rate": params["learning_rate"],
            "deviations": _deviations(session, model) if data.code.task == "regression" else [],
        },
        importance_method="permutation",
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the mean or the probabilities at `rows`: (rows,) float32, of several classes (rows, classes)."""
    code = LabelCode.from_json(outline["labels"])
    found = _parameters(files, outline, panel, rows)
    if code.task == "regression":
        return code.decoded(found[:, 0])
    first = np.zeros((len(found), 1))  # the logit of the first class
    shares = softmax(np.concatenate([first, found], axis=1), axis=1)
    return code.decoded(shares[:, 1] if code.task == "binary" else shares)


def quantiles(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return the label's quantiles at `rows`, (rows, levels) float32, never falling along a row."""
    found = _parameters(files, outline, panel, rows)
    values = found[:, :1] + np.exp(found[:, 1:]) * np.array(outline["deviations"])
    return LabelCode.from_json(outline["labels"]).decoded(values)


def _deviations(session: Session, model: Grown) -> list[float]:
    """Return each level's quantile of how many scales the validation rows' labels lie off their means."""
    data = session.data
    found = model.parameters(data.features_at(data.valid), float(session.params["learning_rate"]))
    off = (data.encoded_at(data.valid) - found[:, 0]) / np.exp(found[:, 1])
    return [conformal_quantile(off, level) for level in QUANTILES]


def _parameters(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the distribution's parameters at `rows`, (rows, parameters)."""
    features = feature_matrix(panel, tuple(outline["features"]), rows)
    return Grown.from_bytes(files[MODEL]).parameters(features, float(outline["learning_rate"]))
