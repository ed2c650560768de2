"""What the log must say at the end of a simulation: every fit ended, and ended once."""

from __future__ import annotations

from benchmarks.scale.world import Outcome
from store.database import Database

_QUESTIONS = {
    "fits have not ended": "SELECT COUNT(*) FROM fit WHERE state NOT IN ('succeeded', 'failed')",
    "plans are open": "SELECT COUNT(*) FROM plan WHERE state <> 'completed'",
    "leases were left behind": "SELECT COUNT(*) FROM lease",
    "fits succeeded more than once": (
        "SELECT COUNT(*) FROM (SELECT stream FROM event WHERE kind = 'FitSucceeded' "
        "GROUP BY stream HAVING COUNT(*) > 1)"
    ),
    "successes are of fits that did not succeed": (
        "SELECT (SELECT COUNT(*) FROM event WHERE kind = 'FitSucceeded') "
        "- (SELECT COUNT(*) FROM fit WHERE state = 'succeeded')"
    ),
    "fits have a word behind their end": (
        "SELECT COUNT(*) FROM fit AS f JOIN event AS e ON e.stream = 'fit-' || f.fit_id "
        "AND e.version = f.version WHERE e.kind NOT IN ('FitSucceeded', 'FitFailed')"
    ),
}


def problems(log: Database, outcome: Outcome) -> list[str]:
    """Return what is wrong at the end, in words; nothing where every fit has ended once."""
    with log.snapshot() as tx:
        counts = {what: int(tx.query(sql)[0][0]) for what, sql in _QUESTIONS.items()}
        fits = int(tx.query("SELECT COUNT(*) FROM fit")[0][0])
    found = [f"{count:,} {what}" for what, count in counts.items() if count]
    if fits != outcome.scenario.fits:
        found.append(f"{fits:,} fits are in the log, and {outcome.scenario.fits:,} were sent")
    twice = sum(1 for told in outcome.successes.values() if told > 1)
    return [*found, *([f"{twice:,} fits were told to have succeeded more than once"] if twice else [])]
