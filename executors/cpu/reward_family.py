"""RewardBased: positions learnt by what they earn, not by how well they forecast.

A position in [-1, 1] is the tanh of a small network of a row's features; training climbs the Sharpe ratio
after costs of the training rows' positions over time (`reward`, after Moody and Saffell, 2001) by Adam, with
all rows in each step because a ratio is of all bars. It begins without any position and ends where the ratio
of the validation rows is best; where none is above nothing, it stays out of the market.

Unit of the costs. A label is taken as what a position of 1 earns. `cost_bps` is in basis points of a
label's own unit: 1 means 0.0001, right where labels are returns (0.01 is one per cent); with labels in per
cent give 100 for one basis point. Labels in no money's unit (standardised, ranks, ranges) have no basis
points; for them there is `cost_share`, a share of the training labels' standard deviation. The default is
this one, since a plan has targets in all kinds of units: 0.01, about two basis points on daily returns of
stocks, and next to nothing on returns of a minute. Who knows what trading costs gives `cost_bps` and sets
`cost_share` to 0. The two are added; the outline of the bundle has the sum in both units.

Prediction, in the label's unit, is training mean + slope x (position - mean position). The slope is that of
the labels on the positions: the lower of the training rows' and the validation rows', since positions fit
the former better than they will fit anything else, shrunk by what chance may have done to the latter, and
never below nothing. `positions` gives the positions themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.cpu.adam import Adam
from executors.cpu.reward import Book, Line
from executors.cpu.tanh_net import backward, exact_scores, forward, fresh_weights
from executors.dataset import feature_matrix
from executors.estimating import Arrays, cpu_device, learn, one_blas_thread
from executors.parameters import Number, Parameter, one_row
from executors.preprocessing import LabelCode, Standardisation
from executors.session import Session, Trained
from executors.weights import uniqueness
from panel.aligned import Panel

MODEL = "model.safetensors"
LIBRARIES = ("safetensors",)
window_rows = one_row

#: hidden 0 makes positions linear within the tanh. excess 1 rewards the label less its training mean, so
#: that nothing is earned by standing still in a market that rose; 0 rewards the label as it is.
PARAMETERS: Mapping[str, Parameter] = {
    "steps": Parameter(default=400, low=1, high=100_000),
    "patience": Parameter(default=60, low=1, high=100_000),
    "learning_rate": Parameter(default=0.01, low=1e-6, high=1.0),
    "hidden": Parameter(default=8, low=0, high=4_096),
    "l2": Parameter(default=1e-2, low=0.0, high=1e3),
    "cost_bps": Parameter(default=0.0, low=0.0, high=1e6),
    "cost_share": Parameter(default=0.01, low=0.0, high=10.0),
    "excess": Parameter(default=1, low=0, high=1),
}

_PREDICT_ROWS = 8_192
_YEAR_NS = 365.25 * 86_400e9


def train(session: Session) -> Trained:
    """Climb the training rows' ratio, keep the positions of the best validation ratio, find their slope.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    data, device = session.data, cpu_device("RewardBased")
    standardisation = Standardisation.fitted(data.features_at(data.train))
    trader = _Trader(session, standardisation)
    learned = learn(
        session,
        trader,
        device,
        steps=int(session.params["steps"]),
        patience=int(session.params["patience"]),
        loss_before=0.0,  # no position, no ratio
    )
    with one_blas_thread():
        calibration, told = trader.judged(learned.model)
    ratios = {
        name.replace("loss", "sharpe"): [-value for value in values] for name, values in learned.curve.items()
    }
    return Trained(
        files={
            MODEL: bytes_from_arrays({name: np.ascontiguousarray(a) for name, a in learned.model.items()})
        },
        steps=learned.steps,
        best_step=learned.best_step,
        curve=learned.curve | ratios,
        importances={},
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "standardisation": standardisation.to_json(),
            "calibration": calibration,
            "reward": told,
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows` in the label's unit, (rows,) float32."""
    calibration = outline["calibration"]
    apart = positions(files, outline, panel, rows) - calibration["mean_position"]
    return LabelCode.from_json(outline["labels"]).decoded(calibration["slope"] * apart)


def positions(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the positions taken at `rows`, (rows,) float64 in [-1, 1]."""
    weights = arrays_from_bytes(files[MODEL])
    standardisation = Standardisation.from_json(outline["standardisation"])
    found = np.empty(len(rows))
    for begin in range(0, len(rows), _PREDICT_ROWS):
        block = slice(begin, begin + _PREDICT_ROWS)
        features = feature_matrix(panel, tuple(outline["features"]), rows[block])
        scores = exact_scores(weights, standardisation.applied(features).astype(np.float64))
        found[block] = np.tanh(scores[:, 0])
    return found


class _Trader:
    """The network that takes positions, and the books of the training and the validation rows."""

    def __init__(self, session: Session, standardisation: Standardisation) -> None:
        data, params = session.data, session.params
        self._session = session
        self._cost = _cost(params, data.code.scale)
        of_valid = uniqueness(data.panel, data.valid, data.horizon_bars)
        parts: tuple[tuple[NDArray[np.int64], NDArray[Any]], ...]
        parts = ((data.train, session.weights()), (data.valid, of_valid))
        self._books = [
            Book.of(
                data.panel,
                rows,
                horizon_bars=data.horizon_bars,
                returns=data.encoded_at(rows)
                + (0.0 if params["excess"] else data.code.mean / data.code.scale),
                weights=of_rows,
                cost=self._cost,
            )
            for rows, of_rows in parts
        ]
        self._features = [standardisation.applied(data.features_at(book.rows)) for book in self._books]
        seed = session.seed("weights")
        self._weights = fresh_weights(len(data.features), int(params["hidden"]), 1, seed)
        self._adam = Adam(self._weights)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the weights and the averages behind the next step."""
        return {**self._weights, **self._adam.state()}

    def restore(self, state: Arrays) -> None:
        """Take over what `state` returned."""
        self._weights = {name: state[name] for name in self._weights}
        self._adam.restore(state)

    def step(self, number: int) -> tuple[float, float]:
        """Go a step up the training ratio; return minus that before it, minus the validation ratio after."""
        book, features = self._books[0], self._features[0]
        scores, seen = forward(self._weights, features)
        taken = np.tanh(scores[:, 0])
        ratio, slopes = book.ratio_and_slopes(taken)
        down = (-slopes * (1.0 - taken * taken))[:, None].astype(features.dtype)
        found = backward(self._weights, features, seen, down)
        penalty = float(self._session.params["l2"])
        for name in ("into", "out"):
            if name in found:
                found[name] = found[name] + penalty * self._weights[name]
        rate = float(self._session.params["learning_rate"])
        self._weights = self._adam.stepped(self._weights, found, number=number, rate=rate)
        return -ratio, -self._books[1].ratio(self._taken(self._weights, 1))

    def model(self) -> dict[str, NDArray[Any]]:
        """Return the weights."""
        return dict(self._weights)

    def judged(self, weights: Arrays) -> tuple[dict[str, float], dict[str, float]]:
        """Return how positions become labels, and what they earned on the validation rows."""
        taken = [self._taken(weights, part) for part in range(2)]
        horizon_bars = self._session.data.horizon_bars
        train, valid = (book.line(own, horizon_bars) for book, own in zip(self._books, taken, strict=True))
        book, own = self._books[1], taken[1]
        per_year = np.sqrt(_bars_a_year(self._session.data.panel) / horizon_bars)
        after = book.ratio(own)
        told = {
            "cost": self._cost * self._session.data.code.scale,
            "cost_in_label_scales": self._cost,
            "valid_sharpe": after,
            "valid_sharpe_a_year": float(after * per_year),
            "valid_sharpe_before_costs": book.without_cost().ratio(own),
            "valid_turnover": float(np.abs(book.changes(own)).mean()),
            "valid_position_size": float(np.abs(own[book.now]).mean()),
        }
        return {"slope": _slope(train, valid), "mean_position": train.mean_position}, told

    def _taken(self, weights: Arrays, part: int) -> NDArray[Any]:
        """Return the positions of a book, (positions,)."""
        return np.asarray(np.tanh(forward(weights, self._features[part])[0][:, 0]))


def _cost(params: Mapping[str, Number], scale: float) -> float:
    """Return the cost of changing a position by 1, in scales of the label."""
    return float(params["cost_bps"]) * 1e-4 / scale + float(params["cost_share"])


def _slope(train: Line, valid: Line) -> float:
    """Return the slope to predict with, in scales of the label per position, never below nothing.

    The lower of the two, shrunk by what chance may have done to the validation rows': s becomes
    s^3 / (s^2 + (2 e)^2) with the error e, twice because the best of many steps was taken on these rows.
    """
    lower = max(0.0, min(train.slope, valid.slope))
    if lower == 0.0:
        return 0.0
    return lower * valid.slope**2 / (valid.slope**2 + (2.0 * valid.error) ** 2)


def _bars_a_year(panel: Panel) -> float:
    """Return how many bars the panel has in a year, nights and holidays left out as they are in the data."""
    span = float(panel.timestamps[-1] - panel.timestamps[0])
    return len(panel.timestamps) * _YEAR_NS / max(span, 1.0)
