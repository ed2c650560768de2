"""Ensemble: the job's other models stacked by what each says out of fold (Wolpert, 1992; Breiman, 1996).

Every member is trained again, with its own settings, on purged walk-forward folds of the training rows, and
predicts the rows of the fold it has not seen. The newest fold are the validation rows: the finished members
were not trained on them, only stopped by them, and there is no other fold on which members have learnt from
as much as the finished ones. From these out-of-fold predictions come the weights:

* regression: least squares with weights that are not negative and an intercept (Breiman, "Stacked
  Regressions", 1996);
* classes: the mixture of the members' probabilities with the lowest log loss, its weights adding up to 1
  (the super learner of van der Laan, Polley and Hubbard, 2007, found by EM as mixture weights are).

The members inside the bundle are the finished models of the plan, trained on all training rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays
from scipy.optimize import nnls

from executors.dataset import FEWEST_OTHER_ROWS, FEWEST_TRAINING_ROWS, FitData
from executors.errors import BadInput
from executors.estimating import cpu_device
from executors.losses import likelihood, mean_loss
from executors.nested import NestedSession, inner_state
from executors.parameters import Parameter, one_row, settings
from executors.preprocessing import LabelCode
from executors.session import Session, Trained
from executors.stacking import Member, added_up, inside_files, members_of, predicted, weighted_importances
from executors.trainers import library_versions
from executors.weights import SHARED_PARAMETERS, uniqueness, weighted
from executors.windows import with_full_window
from panel.aligned import Panel
from panel.errors import TooShort
from panel.folds import walk_forward

LIBRARIES = ("scipy", "safetensors")
window_rows = one_row
STATE = "ensemble.json"
PREDICTIONS = "ensemble.safetensors"

PARAMETERS: Mapping[str, Parameter] = {"folds": Parameter(default=3, low=1, high=20)}

FEWEST_MEMBERS = 2
_TAIL_SHARE = 0.2  # of a fold's training time, for the early stopping of the members
_EM_STEPS = 500
_EM_TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One fold: rows to train on and to stop early by, and the rows to predict, ascending panel rows."""

    train: NDArray[np.int64]
    valid: NDArray[np.int64]
    test: NDArray[np.int64]


def train(session: Session) -> Trained:
    """Train every member on every fold, weigh them by what they say out of fold, keep the finished ones.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
        BadInput: fewer than two members, or too few rows for a fold.
    """
    members = members_of(session.spec)
    if len(members) < FEWEST_MEMBERS:
        problem = f"{len(members)} of its members have a model, {FEWEST_MEMBERS} are needed"
        raise BadInput(f"Ensemble of {session.spec.job}", problem, "train more families in the job")
    parts = fold_parts(session.data, folds=int(session.params["folds"]), embargo=session.spec.embargo_bars)
    stack = _Stack(session, members, parts)
    stack.run()
    weights, intercept = stack.weights()
    data = session.data
    return Trained(
        files=inside_files(members, weights),
        steps=stack.steps,
        best_step=stack.steps,
        curve={"train_loss": stack.losses(weights, intercept), "valid_loss": []},
        importances=weighted_importances(members, weights),
        device=cpu_device("Ensemble"),
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "intercept": intercept,
            "weights": {member.name: weight for member, weight in zip(members, weights, strict=True)},
            "rows_out_of_fold": stack.rows_out_of_fold,
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    together = predicted(files, panel, rows).astype(np.float64) + float(outline["intercept"])
    return np.asarray(together, dtype=np.float32)


def fold_parts(data: FitData, *, folds: int, embargo: int | None) -> tuple[Part, ...]:
    """Return the purged walk-forward folds of the training rows, each with a purged tail to stop early by.

    Raises:
        BadInput: not one fold has enough rows.
    """
    made: list[Part] = []
    try:
        found = walk_forward(
            data.panel, horizon_bars=data.horizon_bars, rows=data.train, folds=folds, embargo_bars=embargo
        )
    except TooShort:
        found = ()
    gap = data.horizon_bars if embargo is None else embargo
    ends = data.panel.label_end_codes(data.horizon_bars)
    for fold in found:
        codes = data.panel.time_codes[fold.train]
        seen = np.unique(codes)
        valid_from = int(seen[-max(1, round(_TAIL_SHARE * len(seen)))])
        part = Part(
            train=fold.train[ends[fold.train] + gap < valid_from],
            valid=fold.train[codes >= valid_from],
            test=fold.test,
        )
        if len(part.train) >= FEWEST_TRAINING_ROWS and len(part.valid) >= FEWEST_OTHER_ROWS:
            made.append(part)
    if not made:
        problem = f"{len(data.train)} training rows are too few for a fold of {FEWEST_TRAINING_ROWS}"
        raise BadInput(f"Ensemble of target {data.target.name}", problem, "give more history")
    return tuple(made)


def regression_weights(
    answers: Sequence[NDArray[Any]], labels: NDArray[Any], row_weights: NDArray[Any]
) -> tuple[list[float], float]:
    """Return (a weight of at least 0 for each member, the intercept) with the least weighted squares.

    `answers` and `labels`, (rows,) each, are in one unit; members that say the same share no more than one.
    """
    root = np.sqrt(row_weights / row_weights.sum())
    table = np.stack([np.asarray(answer, dtype=np.float64) for answer in answers], axis=1)  # (rows, members)
    means = (root**2) @ table
    mean = float((root**2) @ labels)
    found, _ = nnls((table - means) * root[:, None], (labels - mean) * root)
    return [float(weight) for weight in found], mean - float(found @ means)


def mixture_weights(likelihoods: NDArray[np.float64], row_weights: NDArray[Any]) -> list[float]:
    """Return the weights, adding up to 1, of the mixture under which the labels are likeliest.

    `likelihoods` (rows, members) is the probability each member gave to what came true. EM from equal
    weights; the log likelihood is concave in them, so the end does not depend on the beginning.
    """
    share = np.asarray(row_weights, dtype=np.float64) / row_weights.sum()
    likely = np.clip(likelihoods, 1e-12, 1.0)
    weights = np.full(likely.shape[1], 1.0 / likely.shape[1])
    for _ in range(_EM_STEPS):
        blamed = likely * weights
        moved = share @ (blamed / blamed.sum(axis=1, keepdims=True))
        settled = np.abs(moved - weights).max() < _EM_TOLERANCE
        weights = moved
        if settled:
            break
    return [float(weight) for weight in weights]


class _Stack:
    """Out-of-fold predictions gathered training by training; all of it is the state."""

    def __init__(self, session: Session, members: Sequence[Member], parts: Sequence[Part]) -> None:
        self._session, self._members, self._parts = session, members, parts
        self._units = [(member, part) for part in range(len(parts)) for member in range(len(members))]
        self._answers: list[NDArray[np.float32]] = []
        self._best_losses: list[float] = []
        self._newest: list[NDArray[np.float32]] = []
        self.steps = 0

    @property
    def rows_out_of_fold(self) -> int:
        """Rows that some fold predicts."""
        return sum(len(part.test) for part in self._parts) + len(self._session.data.valid)

    def run(self) -> None:
        found = self._session.begin(cpu_device("Ensemble"))
        inner = None
        if found is not None:
            state = json.loads(found.files[STATE])
            self.steps, self._best_losses = state["steps"], state["losses"]
            saved = arrays_from_bytes(found.files[PREDICTIONS])
            self._answers = [saved[str(place)] for place in range(len(self._best_losses))]
            inner = inner_state(found.files)
        while len(self._answers) < len(self._units):
            member, part = self._units[len(self._answers)]
            self._train(self._members[member], part, inner)
            inner = None
        data = self._session.data
        self._newest = [member.predict(data.panel, data.valid) for member in self._members]

    def weights(self) -> tuple[list[float], float]:
        """Return the weight of each member, and the intercept, 0 for classes."""
        data = self._session.data
        rows, answers = self._gathered()
        counted = uniqueness(data.panel, rows, data.horizon_bars)
        labels = data.labels_at(rows)
        if data.code.task == "regression":
            scale = data.code.scale
            weights, intercept = regression_weights(
                [answer / scale for answer in answers], labels / scale, counted
            )
            return weights, intercept * scale
        places = data.code.encoded(labels).astype(np.int64)
        likely = np.stack([likelihood(answer, places) for answer in answers], axis=1)
        return mixture_weights(likely, counted), 0.0

    def losses(self, weights: Sequence[float], intercept: float) -> list[float]:
        """Return the out-of-fold loss of each member, and at the end that of all together."""
        data = self._session.data
        rows, answers = self._gathered()
        everybody: list[NDArray[Any]] = [*answers, added_up(answers, weights) + intercept]
        return [mean_loss(data, answer, rows) for answer in everybody]

    def _gathered(self) -> tuple[NDArray[np.int64], list[NDArray[np.float32]]]:
        """Return (rows that all members predicted, ascending; their predictions by member)."""
        count, data = len(self._members), self._session.data
        rows = np.concatenate([*(part.test for part in self._parts), data.valid])
        by_member = [
            np.concatenate([*self._answers[place::count], newest])
            for place, newest in enumerate(self._newest)
        ]
        known = np.all(
            [np.isfinite(answer.reshape(len(rows), -1)).all(axis=1) for answer in by_member], axis=0
        )
        order = np.argsort(rows, kind="stable")
        order = order[known[order]]
        return rows[order], [answer[order] for answer in by_member]

    def _train(self, member: Member, place: int, inner: tuple[int, dict[str, bytes]] | None) -> None:
        session, trainer, part = self._session, member.trainer, self._parts[place]
        params = settings(member.family, {**trainer.PARAMETERS, **SHARED_PARAMETERS}, member.params)
        nested = NestedSession(
            spec=replace(session.spec, family=member.family),
            data=weighted(_data_of(session.data, part, trainer.window_rows(params)), params),
            params=params,
            versions=library_versions(trainer.LIBRARIES),
            tell=session.tell,
            should_stop=session.should_stop,
            clock=session.clock,
            outer=session,
            key=f"{member.name} {place}",
            steps_before=self.steps,
            outer_files=self._files,
            found=inner[1] if inner else None,
            found_step=inner[0] if inner else 0,
        )
        trained = trainer.train(nested)
        answers = trainer.predict(trained.files, trained.outline, session.data.panel, part.test)
        self._answers.append(np.ascontiguousarray(answers, dtype=np.float32))
        valid = trained.curve.get("valid_loss") or [0.0]
        self._best_losses.append(float(min(valid)))
        self.steps += max(1, trained.steps)

    def _files(self) -> dict[str, bytes]:
        state = {"steps": self.steps, "losses": self._best_losses}
        answers = {str(place): answer for place, answer in enumerate(self._answers)}
        return {STATE: json.dumps(state).encode(), PREDICTIONS: bytes_from_arrays(answers)}


def _data_of(data: FitData, part: Part, window: int) -> FitData:
    """Return the data of one fold, the label code fitted on its training rows alone."""
    train, valid, test = (
        rows[with_full_window(data.panel, rows, window)] if window > 1 else rows
        for rows in (part.train, part.valid, part.test)
    )
    code = LabelCode.fitted(data.code.task, data.code.classes, data.labels_at(train))
    return replace(data, code=code, train=train, valid=valid, test=test)
