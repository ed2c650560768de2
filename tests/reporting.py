"""What the fault campaigns counted: one line per campaign in a file, one table at the end of a run.

``report`` appends to the file named by TRAINWRIGHT_FAULTS_REPORT and does nothing when there is none. A test
run makes such a file and shows the table when it ends; ``make faults`` and ``make torture`` do so themselves.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

FILE_VARIABLE = "TRAINWRIGHT_FAULTS_REPORT"
LONG = bool(os.environ.get("TRAINWRIGHT_TORTURE"))
# Counts of what must never happen; each must be 0. The names are the columns of the table.
FORBIDDEN = ("lost", "doubles", "stale")
PROGRESS_SECONDS = 20.0
_COLUMNS = ("faults", "acknowledged", *FORBIDDEN, "mutants", "seconds")


def report(campaign: str, **counts: Any) -> None:
    """Append one campaign's counts to the report of this run.

    Of use to the table: `faults` brought about, `acknowledged` events told to a worker, of these `lost`,
    `doubles` (fits completed twice), `stale` (late words taken), `mutants` tried, of these `mutants_caught`,
    `seconds`. Counts of the same campaign add up, so a mutant may report by itself. Anything else is kept
    in the file.
    """
    target = os.environ.get(FILE_VARIABLE)
    if not target:
        return
    line = json.dumps({"campaign": campaign, **counts}, sort_keys=True, default=str)
    with Path(target).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def figure(what: str, found: str, *, bar: str, met: bool) -> None:
    """Append a measured figure of the host and whether it meets its bar; the last one of a name counts."""
    target = os.environ.get(FILE_VARIABLE)
    if target:
        line = json.dumps({"figure": what, "found": found, "bar": bar, "met": met})
        with Path(target).open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def figures_table(lines: Iterable[Mapping[str, Any]]) -> str:
    """The figures as text, one row each: what, found, bar, whether it is met."""
    rows = {
        str(line["figure"]): (str(line["found"]), str(line["bar"]), "yes" if line["met"] else "NO")
        for line in lines
        if "figure" in line
    }
    shown = [("figure", "found", "bar", "met"), *((what, *cells) for what, cells in rows.items())]
    widths = [max(len(row[place]) for row in shown) for place in range(4)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    )


class Progress:
    """Says from time to time how far a long campaign is; silent in the short form."""

    def __init__(self, campaign: str, total: int) -> None:
        self._campaign, self._total = campaign, total
        self._began = self._said = time.monotonic()

    @property
    def seconds(self) -> float:
        """The seconds since the campaign began."""
        return time.monotonic() - self._began

    def at(self, done: int) -> None:
        """Say how many faults are done, if the last time is long ago, and for how long it goes on."""
        now = time.monotonic()
        if not LONG or now - self._said < PROGRESS_SECONDS or not done:
            return
        self._said = now
        left = self.seconds / done * (self._total - done)
        text = f"\n  {self._campaign}: {done:,} of {self._total:,}, {left / 60:.0f} more minutes"
        os.write(_SCREEN[-1], text.encode())


_SCREEN = [2]  # the last one is where a person reads; pytest takes descriptor 2 away while a test runs


def screen() -> int:
    """The descriptor of the screen."""
    return _SCREEN[-1]


def keep_screen() -> None:
    """Remember the screen before pytest captures it; called once, from the top conftest."""
    _SCREEN.append(os.dup(2))


def read_reports(path: Path) -> list[dict[str, Any]]:
    """The lines of a report, in order; none when there is no file."""
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def summed(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """The counts of each campaign, added up, in the order of their first line."""
    campaigns: dict[str, dict[str, float]] = {}
    for line in lines:
        if "campaign" not in line:
            continue
        counts = campaigns.setdefault(str(line["campaign"]), {})
        for name, value in line.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                counts[name] = counts.get(name, 0) + value
    return campaigns


def table(lines: Iterable[Mapping[str, Any]]) -> str:
    """The summary as text: one row per campaign, a last row with the sums."""
    campaigns = summed(lines)
    if not campaigns:
        return "no campaign has reported"
    total: dict[str, float] = {}
    for counts in campaigns.values():
        for name, value in counts.items():
            total[name] = total.get(name, 0) + value
    rows = [["campaign", *_COLUMNS[:-2], "mutants caught", "seconds"]]
    rows += [_cells(name, counts) for name, counts in [*campaigns.items(), ("all", total)]]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    shown = [
        "  ".join(
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return "\n".join([shown[0], rule, *shown[1:-1], rule, shown[-1]])


def failures(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """What must not stand in a report: anything lost, double or stale, and a mutant that was not caught."""
    found = []
    for name, counts in summed(lines).items():
        found += [f"{name}: {_number(counts[column])} {column}" for column in FORBIDDEN if counts.get(column)]
        escaped = counts.get("mutants", 0) - counts.get("mutants_caught", 0)
        if escaped:
            found.append(f"{name}: {_number(escaped)} mutants not caught")
    return found


def _cells(name: str, counts: Mapping[str, float]) -> list[str]:
    cells = [_number(counts[column]) if column in counts else "-" for column in _COLUMNS[:-2]]
    mutants = "-"
    if "mutants" in counts:
        mutants = f"{_number(counts.get('mutants_caught', 0))} of {_number(counts['mutants'])}"
    seconds = f"{counts['seconds']:,.0f}" if "seconds" in counts else "-"
    return [name, *cells, mutants, seconds]


def _number(value: float) -> str:
    return f"{value:,.0f}"
