"""Further targets of the plan, learnt beside a fit's own: their labels, as far as they were known in time.

A further target may look further ahead than the fit's own, so that its label ends after the bar at which
validation begins although the row is one to train on. Such a label is unknown here: as in panel.folds, a
label counts only if it ends, embargo included, before the validation part.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from executors.dataset import FEWEST_TRAINING_ROWS, FitData
from executors.errors import BadInput
from executors.gpu.recipe import Further
from executors.preprocessing import LabelCode
from executors.session import Session
from panel.aligned import TARGET, Column
from panel.folds import holdout


def further_targets(session: Session) -> Further:
    """Return the labels of `session.spec.other_targets` on the training rows.

    One that has no horizon, or too few or all the same labels there, is left out with the reason.

    Raises:
        BadInput: no further target is given, or none is left.
        UnknownColumn: the panel has no column of that name.
    """
    data, spec = session.data, session.spec
    names = tuple(name for name in dict.fromkeys(spec.other_targets) if name != spec.target)
    if not names:
        problem = "MultiTask learns two or more targets at once, and no other target is given"
        raise BadInput(f"target {spec.target}", problem, "plan more targets or choose another family")
    valid_from = _valid_from(session)
    columns: list[NDArray[np.float32]] = []
    codes: dict[str, LabelCode] = {}
    left_out: dict[str, str] = {}
    for name in names:
        target = data.panel.column(name)
        known = _known_rows(data, target, valid_from, spec.embargo_bars)
        reason = _unfit(target, data.panel.values(name)[known] if len(known) else np.empty(0, np.float32))
        if reason is not None:
            left_out[name] = reason
            continue
        codes[name], column = _encoded(data, target, known)
        columns.append(column)
    if not columns:
        told = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        problem = f"MultiTask learns two or more targets at once, and no other one can be used ({told})"
        raise BadInput(f"target {spec.target}", problem, "plan other targets or choose another family")
    return Further(
        tasks=tuple((code.task, code.outputs) for code in codes.values()),
        labels=np.stack(columns, axis=1),
        outline={"codes": {name: code.to_json() for name, code in codes.items()}, "left_out": left_out},
    )


def _valid_from(session: Session) -> int:
    """Return the time code at which the fit's validation part begins."""
    data, spec = session.data, session.spec
    own = slice(0, data.panel.rows) if spec.symbol is None else data.panel.rows_of(spec.symbol)
    return holdout(
        data.panel,
        horizon_bars=data.horizon_bars,
        rows=np.arange(own.start, own.stop, dtype=np.int64),
        test_share=spec.test_share,
        valid_share=spec.valid_share,
        embargo_bars=spec.embargo_bars,
    ).valid_from


def _known_rows(
    data: FitData, target: Column, valid_from: int, embargo_bars: int | None
) -> NDArray[np.int64]:
    """Return the training rows whose label of `target` is finite and ends before validation begins."""
    if target.role != TARGET or target.horizon_bars is None:
        return np.empty(0, dtype=np.int64)
    embargo = target.horizon_bars if embargo_bars is None else embargo_bars
    ends = data.panel.label_end_codes(target.horizon_bars)[data.train].astype(np.int64)
    is_known = np.isfinite(data.panel.values(target.name)[data.train]) & (ends + embargo < valid_from)
    return data.train[is_known]


def _unfit(target: Column, labels: NDArray[np.float32]) -> str | None:
    """Return why `target` cannot be learnt from its `labels` on the training rows, None if it can."""
    if target.role != TARGET:
        return target.reason or f"it is a {target.role} column"
    if target.horizon_bars is None:
        return "how many bars ahead it looks is unknown"
    if len(labels) < FEWEST_TRAINING_ROWS:
        return f"only {len(labels)} training rows have a label in time, {FEWEST_TRAINING_ROWS} are needed"
    return f"all its training labels are {labels[0]:g}" if np.ptp(labels) == 0 else None


def _encoded(
    data: FitData, target: Column, known: NDArray[np.int64]
) -> tuple[LabelCode, NDArray[np.float32]]:
    """Return the code of `target` fitted on its known labels, and them encoded, (panel rows,) float32."""
    labels = data.panel.values(target.name)[known]
    code = LabelCode.fitted(target.task or "regression", target.classes, labels)
    column = np.full(data.panel.rows, np.nan, dtype=np.float32)
    column[known] = code.encoded(labels)
    return code, column
