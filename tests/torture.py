"""Run every fault campaign and every search of the protocol, then show what they counted in one table.

``python tests/torture.py`` runs them at full length, with ``--short`` as every test run does.
The exit status is that of the tests; it is 1 as well when a campaign reported something lost.
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
# Minutes at full length on two busy cores, as measured; what is not named here has no estimate.
MINUTES = {
    "contract/test_contract_visibility.py": 7,
    "faults/test_faults_drop_flood.py": 7,
    "faults/test_faults_drop_fuzzing.py": 14,
    "faults/test_faults_killed_host.py": 5,
    "faults/test_faults_malformed_drops.py": 5,
    "faults/test_faults_postgres_crash.py": 8,
    "faults/test_faults_postgres_failover.py": 7,
    "faults/test_faults_postgres_network.py": 15,
    "faults/test_faults_postgres_workers.py": 8,
    "faults/test_faults_store_full_disk.py": 1,
    "faults/test_faults_store_kills.py": 14,
    "faults/test_faults_store_power.py": 26,
    "faults/test_faults_store_syscalls.py": 14,
    "faults/test_faults_store_zombies.py": 11,
}
PLACES = ("faults", "simulation", "contract")


def announcement(files: list[str]) -> str:
    """How long it will take, as far as that was measured."""
    known = [MINUTES[name] for name in files if name in MINUTES]
    unknown = [Path(name).name for name in files if name not in MINUTES]
    text = f"{len(files)} files of tests at full length: about {sum(known)} minutes for {len(known)} of them,"
    text += " less on idle cores"
    if unknown:
        text += f"; no estimate for {', '.join(unknown)}"
    return text + ". Each test is named when it ends, a long one says how far it is."


def main() -> int:
    """Run the tests and print the table; returns the exit status."""
    short = "--short" in sys.argv[1:]
    files = sorted(
        str(path.relative_to(TESTS)) for place in PLACES for path in (TESTS / place).glob("test_*.py")
    )
    with tempfile.TemporaryDirectory(prefix="tw-torture-") as folder:
        report = Path(folder) / "report.jsonl"
        given = {reporting.FILE_VARIABLE: str(report), **({} if short else {"TRAINWRIGHT_TORTURE": "1"})}
        if not short:
            print(announcement(files), flush=True)
        began = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "pytest",
            *([] if short else ["-vv"]),
            *(f"tests/{name}" for name in PLACES),
        ]
        status = subprocess.run(
            command, check=False, cwd=TESTS.parent, env={**os.environ, **given}
        ).returncode
        lines = reporting.read_reports(report)
    print(f"\n{reporting.table(lines)}\n")
    failures = reporting.failures(lines)
    for sentence in failures:
        print(f"FAILED  {sentence}")
    status = status or int(bool(failures) or not lines)
    print(f"{(time.monotonic() - began) / 60:.1f} minutes; exit status {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
