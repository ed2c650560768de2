"""What is left to do of a plan, counted: open fits by kind, and what fits of that kind have taken so far.

A kind is a family in jobs of one training type: within a plan such fits are of about one size. Of a plan with
very many fits an even sample is counted, and stands for all of them: it is made for an estimate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from store.costs import megacells
from store.database import Row, Tx

SECONDS_MAX = 1e9  # of a fit, thirty years: a plan made elsewhere may expect anything
_KINDS = """
SELECT stage, family, training_type,
  SUM(CASE WHEN state IN ('ready', 'claimed', 'running') AND held IS NULL THEN 1 ELSE 0 END),
  SUM(CASE WHEN state IN ('ready', 'claimed', 'running') AND held IS NOT NULL THEN 1 ELSE 0 END),
  SUM(CASE WHEN state = 'running' AND steps_total > 0 THEN 1.0 * COALESCE(step, 0) / steps_total ELSE 0 END),
  SUM(CASE WHEN state = 'succeeded' AND attempt = 1 AND seconds IS NOT NULL THEN 1 ELSE 0 END),
  SUM(CASE WHEN state = 'succeeded' AND attempt = 1 THEN seconds ELSE 0 END),
  MIN(CASE WHEN state IN ('ready', 'claimed', 'running') THEN job_id END)
FROM fit WHERE plan_order = ? AND (ordinal * 7919) % 1009 < ?
GROUP BY stage, family, training_type ORDER BY stage, family, training_type
"""
_SAMPLED_FROM = 4000  # fits of a plan; of more so many are looked at, spread evenly over the plan
_RECORD = "SELECT record FROM job WHERE plan_id = ? AND job_id = ?"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestOfKind:
    """The open fits of one kind.

    Attributes:
        open: how many have not ended and are not held back.
        held: how many are held back.
        begun: how much of the running ones is done, in whole fits.
        ended: how many succeeded at their first attempt.
        seconds: what one of those took, their mean; None where none has ended.
        estimate: seconds of one by the plan's own estimate; None where the plan says nothing or `ended` does.
        megacells: millions of rows x features of one of them, where the plan says its size.
    """

    stage: str
    family: str
    training_type: str
    open: int
    held: int
    begun: float
    ended: int
    seconds: float | None
    estimate: float | None
    megacells: float | None


def rest_of(tx: Tx, plan_id: str) -> tuple[RestOfKind, ...]:
    """Return what a plan has left to do, by kind; nothing for a plan that ended or is not known."""
    plans = tx.query(
        "SELECT accepted_seq, fits, fits - succeeded - failed - unavailable - cancelled FROM plan "
        "WHERE plan_id = ?",
        (plan_id,),
    )
    if not plans or not plans[0][2]:
        return ()
    order, fits, still_open = plans[0]
    part = 1009 if fits <= _SAMPLED_FROM else max(1, 1009 * _SAMPLED_FROM // fits)
    rows = tx.query(_KINDS, (order, part))
    seen = sum(row[3] + row[4] for row in rows)
    return tuple(
        _kind(tx, plan_id, row, scale=still_open / seen if part < 1009 else 1.0)
        for row in rows
        if row[3] or row[4]
    )


def _kind(tx: Tx, plan_id: str, row: Row, *, scale: float) -> RestOfKind:
    stage, family, training, ready, held, begun, ended, seconds, job_id = row
    record = {} if ended else _record(tx, plan_id, job_id)
    return RestOfKind(
        stage=stage,
        family=family,
        training_type=training,
        open=round(int(ready) * scale),
        held=round(int(held) * scale),
        begun=float(begun) * scale,
        ended=round(int(ended) * scale),
        seconds=float(seconds) / int(ended) if ended else None,
        estimate=_estimate(record, family),
        megacells=megacells(record),
    )


def _record(tx: Tx, plan_id: str, job_id: str) -> Mapping[str, Any]:
    rows = tx.query(_RECORD, (plan_id, job_id))
    return dict(json.loads(rows[0][0])) if rows else {}


def _estimate(record: Mapping[str, Any], family: str) -> float | None:
    """The plan's own estimate of a fit in seconds; foreign plans may say anything there."""
    for fit in record.get("fits") or ():
        if isinstance(fit, dict) and fit.get("family") == family:
            estimate = fit.get("estimate")
            seconds = estimate.get("seconds") if isinstance(estimate, dict) else None
            if isinstance(seconds, int | float) and 0 < seconds <= SECONDS_MAX:
                return float(seconds)
            return None
    return None
