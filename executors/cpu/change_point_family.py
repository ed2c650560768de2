"""ChangePoint: breaks in what features say about labels, a model for each segment, on-line the one holding.

On the training part PELT (see `segments`) finds the bars at which the relation changes; each segment has a
linear model of its own, pulled to the one of all segments (see `experts`). Which of them speaks at a bar
is decided on-line by Bayes (Adams and MacKay, Bayesian Online Changepoint Detection, 2007, with a constant
hazard): after a break any of the known models may hold, so the run length drops out and what is left is the
share of each model, moved by the hazard and raised by how well it explained the labels that became complete
(Herbster and Warmuth, Tracking the Best Expert, 1998). The model of all segments takes part, for times like
none of them.

Labels and time. At a bar only labels are used that are complete: a label of `horizon` bars at row s ends at
the same symbol's bar s + horizon, and where that bar is missing the label never counts. So predictions at a
bar depend on its own features and on rows whose label ended by it, as persistence (`panel.metrics`) does,
and the panel to predict on should hold its past labels; without them the shares are even. No model is fitted
again: labels of later rows choose among those made in training and change none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays

from executors.cpu.expert_path import STEPS, ExpertPath, sample_of
from executors.cpu.experts import Floats, losses, mixed, predicted
from executors.cpu.filters import filtered, relative, sticky
from executors.cpu.market import rows_in
from executors.cpu.relation import Relation
from executors.cpu.segments import Pelt
from executors.dataset import feature_matrix
from executors.estimating import Arrays, cpu_device, learn, one_blas_thread
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode, Standardisation
from executors.session import Session, Trained
from panel.aligned import TARGET, Panel

MODEL = "model.safetensors"
SEGMENTS = "segments.json"
LIBRARIES = ("scipy", "safetensors")
window_rows = one_row

#: segment_bars_min 0 means a thirtieth of the training bars, at least 10.
PARAMETERS: Mapping[str, Parameter] = {
    "segment_bars_min": Parameter(default=0, low=0, high=1_000_000),
    "relations": Parameter(default=4, low=1, high=32),
    "price": Parameter(default=1.0, low=0.01, high=1000.0),
    "cells_max": Parameter(default=500, low=20, high=20_000),
}

_CELLS_PER_STEP = 50
_LABEL_LIMIT = 4.0  # standard deviations: one wild label must not decide which model speaks


def train(session: Session) -> Trained:
    """Find the breaks, then fit the models of the segments along a path of penalties.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
    """
    data = session.data
    device = cpu_device("ChangePoint")
    with one_blas_thread():
        learner = _Segments(session)
    learned = learn(session, learner, device, steps=learner.search_steps + STEPS)
    arrays = {name: np.ascontiguousarray(array) for name, array in learned.model.items()}
    breaks = data.panel.timestamps[arrays["breaks"]].tolist()
    sizes = np.abs(arrays["experts"][:, :-1]).mean(axis=(0, 2))
    return Trained(
        files={
            MODEL: bytes_from_arrays(arrays),
            SEGMENTS: json.dumps({"breaks_ns": breaks}, sort_keys=True).encode(),
        },
        steps=learned.steps,
        best_step=learned.best_step,
        curve=learned.curve,
        importances=dict(zip(data.features, (float(size) for size in sizes), strict=True)),
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "standardisation": learner.scaled.to_json(),
            "symbol": session.spec.symbol,
            "target": data.target.name,
            "horizon_bars": data.horizon_bars,
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    code = LabelCode.from_json(outline["labels"])
    arrays = arrays_from_bytes(files[MODEL])
    scaled = Standardisation.from_json(outline["standardisation"])
    values = scaled.applied(feature_matrix(panel, tuple(outline["features"]), rows))
    answers = mixed(predicted(values, arrays["experts"], code.task), shares_at(files, outline, panel, rows))
    return code.decoded(answers if code.task == "multiclass" else answers[:, 0])


def shares_at(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> Floats:
    """Return the share of each model at the bars of `rows`, (rows, models), the model of all rows last."""
    arrays = arrays_from_bytes(files[MODEL])
    own = rows_in(panel, outline["symbol"])
    scaled = Standardisation.from_json(outline["standardisation"])
    complete = Complete.of(panel, own, outline["target"], outline["horizon_bars"])
    values = scaled.applied(feature_matrix(panel, tuple(outline["features"]), complete.rows))
    code = LabelCode.from_json(outline["labels"])
    states = _states(complete, values, arrays["experts"], arrays["law"], code)
    return states[panel.time_codes[rows]]


class Complete:
    """The labels of a fit's rows that are known at some bar, and at which."""

    def __init__(self, rows: NDArray[np.int64], ends: NDArray[np.int64], labels: Floats, bars: int) -> None:
        self.rows, self.ends, self.labels, self.bars = rows, ends, labels, bars

    @classmethod
    def of(cls, panel: Panel, own: slice, target: str, horizon_bars: int) -> Complete:
        """Return the rows of `own` with a finite label whose last bar is there, and that bar's time code.

        A panel without the target has none.
        """
        rows = np.arange(own.start, own.stop, dtype=np.int64)
        if not any(column.name == target and column.role == TARGET for column in panel.columns):
            rows = rows[:0]
        ends = rows + horizon_bars
        inside = ends < panel.rows
        inside[inside] = panel.symbol_codes[ends[inside]] == panel.symbol_codes[rows[inside]]
        rows = rows[inside]
        labels = panel.values(target)[rows] if len(rows) else np.zeros(0, dtype=np.float32)
        known = np.isfinite(labels)
        codes = panel.time_codes[rows[known] + horizon_bars].astype(np.int64)
        return cls(rows[known], codes, labels[known].astype(np.float64), len(panel.timestamps))

    def until(self, code: int) -> Complete:
        """Return those that are known at the bar with this time code."""
        keep = self.ends <= code
        return Complete(self.rows[keep], self.ends[keep], self.labels[keep], self.bars)


def _states(
    complete: Complete, values: NDArray[np.float32], experts: Floats, law: Floats, code: LabelCode
) -> Floats:
    """Return the share of each model at every bar of the panel, (bars, models).

    `values` (complete rows, features) standardised; `law` holds the hazard, the variance of labels around a
    model and the rows that are worth one independent row.
    """
    hazard, variance, shared = law.tolist()
    labels = code.encoded(complete.labels.astype(np.float32)).astype(np.float64)
    said = predicted(values, experts, code.task)
    if code.task == "regression":
        labels = np.clip(labels, -_LABEL_LIMIT, _LABEL_LIMIT)
        evidence = -0.5 * losses(said, labels, code.task) / variance
    else:
        evidence = -losses(said, labels, code.task)
    by_bar = np.empty((complete.bars, len(experts)))
    for number in range(len(experts)):
        by_bar[:, number] = np.bincount(complete.ends, weights=evidence[:, number], minlength=complete.bars)
    likelihoods, _ = relative(by_bar / shared)
    start = np.full(len(experts), 1.0 / len(experts))
    move = sticky(len(experts), hazard)
    known = filtered(likelihoods, move, start)
    return _moved(known, move)


def _moved(states: Floats, transition: Floats) -> Floats:
    """Return the states one bar on, when the labels begin that are to be predicted; (bars, models)."""
    total = states[:, 0, None] * transition[0]
    for number in range(1, states.shape[1]):
        total += states[:, number, None] * transition[number]
    return np.asarray(total)


class _Segments:
    """Steps: some ends of segments each; then the penalties of the segments' models."""

    def __init__(self, session: Session) -> None:
        data, params = session.data, session.params
        self._data = data
        self.scaled = Standardisation.fitted(data.features_at(data.train))
        train, valid = (sample_of(data, rows, self.scaled) for rows in (data.train, data.valid))
        weights = session.weights()
        self._relation = Relation.of(
            data.panel.time_codes[data.train].astype(np.int64),
            train,
            weights.astype(np.float64),
            relations=int(params["relations"]),
            span=data.horizon_bars,
            most=int(params["cells_max"]),
        )
        fewest = self._relation.fewest(int(params["segment_bars_min"]))
        self._pelt = Pelt(
            self._relation.cells, price=params["price"] * self._relation.cells.price(), fewest=fewest
        )
        self.search_steps = -(-self._relation.cells.count // _CELLS_PER_STEP)
        self._path = ExpertPath(train, valid, weights, data.code)
        own = rows_in(data.panel, session.spec.symbol)
        complete = Complete.of(data.panel, own, data.target.name, data.horizon_bars)
        self._complete = complete.until(int(data.panel.time_codes[data.valid].max()))
        self._seen = self.scaled.applied(data.features_at(self._complete.rows))

    def state(self) -> dict[str, NDArray[Any]]:
        search = {name: getattr(self._pelt, name).copy() for name in ("best", "last", "doomed", "done")}
        return {**search, **{f"path.{name}": array for name, array in self._path.state().items()}}

    def restore(self, state: Arrays) -> None:
        for name in ("best", "last", "doomed", "done"):
            setattr(self._pelt, name, state[name].copy())
        self._path.restore({name: state[f"path.{name}"] for name in self._path.state()})

    def step(self, number: int) -> tuple[float, float | None]:
        if number <= self.search_steps:
            self._pelt.advance(_CELLS_PER_STEP)
            done = int(self._pelt.done[0])
            return float(self._pelt.best[done] / max(1.0, self._relation.cells.weight[done])), None
        segments = np.searchsorted(
            self._breaks(), self._data.panel.time_codes[self._data.train], side="right"
        )
        responsibilities = np.eye(len(self._breaks()) + 1)[segments]
        return self._path.step(number - self.search_steps - 1, responsibilities, self._shares)

    def model(self) -> dict[str, NDArray[Any]]:
        experts, common = self._path.experts()
        return {
            "experts": np.concatenate([experts, common[None]]),
            "breaks": self._breaks(),
            "law": self._law(),
        }

    def _breaks(self) -> NDArray[np.int64]:
        """Return the time codes of the bars at which a new segment begins, as far as the search has come."""
        if int(self._pelt.done[0]) < self._relation.cells.count:
            return np.zeros(0, dtype=np.int64)
        return self._relation.codes_of(self._pelt.breaks())

    def _law(self) -> Floats:
        hazard = (len(self._breaks()) + 1) / self._relation.bars
        variance = self._relation.variance(self._pelt.breaks() if len(self._breaks()) else ())
        return np.array([min(0.5, hazard), variance, self._relation.shared])

    def _shares(self, experts: Floats, common: Floats) -> Floats:
        """Return the shares of the models at the validation rows, from labels complete by then."""
        speakers = np.concatenate([experts, common[None]])
        states = _states(self._complete, self._seen, speakers, self._law(), self._data.code)
        return states[self._data.panel.time_codes[self._data.valid]]
