"""Splits in time that cannot look ahead: purged walk-forward folds and one holdout.

Every boundary is a time code, the same for all symbols. A row may train only when its label ends, embargo
included, before the first bar that is judged: label_end_code + embargo_bars < test_from. Purging follows
López de Prado, Advances in Financial Machine Learning (2018), chapter 7, in time instead of rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from panel.aligned import Int64s, Panel
from panel.errors import TooShort


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """One walk-forward step; `train` and `test` are row indices, the rest time codes.

    Labels of `train` end before `train_until`; `test` rows lie in [test_from, test_until).
    """

    train: Int64s
    test: Int64s
    train_until: int
    test_from: int
    test_until: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Holdout:
    """Rows to train, to validate (early stopping) and to judge on, purged between each two."""

    train: Int64s
    valid: Int64s
    test: Int64s
    valid_from: int
    test_from: int


def walk_forward(
    panel: Panel,
    *,
    horizon_bars: int,
    rows: npt.ArrayLike | None = None,
    folds: int = 4,
    embargo_bars: int | None = None,
    until: int | None = None,
) -> tuple[Fold, ...]:
    """Expanding-window folds over the timestamps of `rows`, in time order.

    The timestamps are cut into folds + 1 equal parts; the first only trains. `until` (a time code,
    exclusive) hides everything from there on: no label used here reaches it. `embargo_bars` defaults to
    `horizon_bars`. A fold whose training rows are all purged is left out.

    Raises:
        TooShort: not even one fold is left.
    """
    embargo = horizon_bars if embargo_bars is None else embargo_bars
    chosen = _chosen(panel, rows)
    codes = panel.time_codes[chosen].astype(np.int64)
    ends = panel.label_end_codes(horizon_bars)[chosen].astype(np.int64)
    limit = len(panel.timestamps) if until is None else until
    seen = np.unique(codes[codes < limit])
    if len(seen) < folds + 1:
        raise TooShort("training", len(chosen), horizon_bars, embargo)
    edges = [int(part[0]) for part in np.array_split(seen, folds + 1)] + [limit]
    made = []
    for test_from, test_until in pairwise(edges[1:]):
        train = chosen[ends + embargo < test_from]
        test = chosen[(codes >= test_from) & (codes < test_until) & (ends < limit)]
        if len(train) and len(test):
            made.append(
                Fold(
                    train=train,
                    test=test,
                    train_until=test_from - embargo,
                    test_from=test_from,
                    test_until=test_until,
                )
            )
    if not made:
        raise TooShort("training", len(chosen), horizon_bars, embargo)
    return tuple(made)


def holdout_from(panel: Panel, test_share: float = 0.2) -> int:
    """The first time code of the test part: the same for every target, symbol and family of a panel.

    Planning looks at nothing at or after it.
    """
    count = len(panel.timestamps)
    return max(1, min(count - 1, count - round(test_share * count)))


def holdout(
    panel: Panel,
    *,
    horizon_bars: int,
    rows: npt.ArrayLike | None = None,
    test_share: float = 0.2,
    valid_share: float = 0.15,
    embargo_bars: int | None = None,
) -> Holdout:
    """Train, validation and test rows in this order of time, purged between each two.

    The test part starts at holdout_from(panel, test_share). The validation part is the last
    valid_share / (1 - test_share) of the timestamps that `rows` have before it, so a symbol listed late
    still gets one. `embargo_bars` defaults to `horizon_bars`.

    Raises:
        TooShort: one of the three parts is empty.
    """
    embargo = horizon_bars if embargo_bars is None else embargo_bars
    chosen = _chosen(panel, rows)
    codes = panel.time_codes[chosen].astype(np.int64)
    ends = panel.label_end_codes(horizon_bars)[chosen].astype(np.int64)
    test_from = holdout_from(panel, test_share)
    before = np.unique(codes[codes < test_from])
    if len(before) < 2:
        raise TooShort("training", len(chosen), horizon_bars, embargo)
    keep = round(len(before) * valid_share / (1.0 - test_share))
    valid_from = int(before[-max(1, min(len(before) - 1, keep))])
    parts = {
        "training": chosen[ends + embargo < valid_from],
        "validation": chosen[(codes >= valid_from) & (ends + embargo < test_from)],
        "test": chosen[codes >= test_from],
    }
    for part, kept in parts.items():
        if not len(kept):
            raise TooShort(part, len(chosen), horizon_bars, embargo)
    return Holdout(
        train=parts["training"],
        valid=parts["validation"],
        test=parts["test"],
        valid_from=valid_from,
        test_from=test_from,
    )


def _chosen(panel: Panel, rows: npt.ArrayLike | slice | Sequence[int] | None) -> Int64s:
    if rows is None:
        return np.arange(panel.rows, dtype=np.int64)
    if isinstance(rows, slice):
        return np.arange(panel.rows, dtype=np.int64)[rows]
    return np.asarray(rows, dtype=np.int64).reshape(-1)
