"""Run everything that tries the host, then show one table: what was found, and the bar.

``python tests/torture_host.py`` runs it at full length (hours), with ``--short`` as every test run does. The
exit status is that of the tests; it is 1 as well when a figure misses its bar.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import reporting

TESTS = Path(__file__).resolve().parent
PLACES = (
    "booted",
    "hosts",
    "faults/test_faults_*drop*.py",
    "faults/test_faults_killed_host.py",
    "faults/test_faults_soak.py",
)


def files() -> list[str]:
    """The files of tests that try the host, as pytest takes them."""
    found: list[str] = []
    for place in PLACES:
        found += sorted(str(path.relative_to(TESTS.parent)) for path in TESTS.glob(place))
    return found


def measured(report: Path, *, short: bool) -> int:
    """Measure what is a ratio or a time: the benchmarks of the host, which report figures too."""
    words = [sys.executable, "-m", "benchmarks.host", *(["--quick"] if short else [])]
    environment = {**os.environ, reporting.FILE_VARIABLE: str(report), "PYTHONPATH": str(TESTS)}
    return subprocess.run(words, check=False, cwd=TESTS.parent, env=environment).returncode


def main() -> int:
    """Measure, run the tests and print the tables; returns the exit status."""
    short = "--short" in sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="tw-torture-") as folder:
        report = Path(folder) / "report.jsonl"
        given = {reporting.FILE_VARIABLE: str(report), **({} if short else {"TRAINWRIGHT_TORTURE": "1"})}
        began = time.monotonic()
        measured(report, short=short)
        command = [sys.executable, "-m", "pytest", *([] if short else ["-vv"]), *files()]
        status = subprocess.run(
            command, check=False, cwd=TESTS.parent, env={**os.environ, **given}
        ).returncode
        lines = reporting.read_reports(report)
    print(f"\n{reporting.table(lines)}\n\n{reporting.figures_table(lines)}\n")
    missed = [line for line in lines if "figure" in line and not line["met"]]
    status = status or int(bool(missed) or bool(reporting.failures(lines)))
    print(f"{(time.monotonic() - began) / 60:.1f} minutes; exit status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
