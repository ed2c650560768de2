"""Starting a campaign in a process of its own: a warm parent that has loaded the store and nothing heavy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reporting import LONG, report, screen
from store_work import die_with_parent

HERE = Path(__file__).resolve().parent


def run(script: str, path: Path, *, wrapped: tuple[str, ...] = (), **options: Any) -> dict[str, Any]:
    """Run a campaign over a file or folder and return its counts; `wrapped` are words before the command.

    Raises CalledProcessError; what the campaign said about it is on its standard error.
    """
    known = os.environ.get("PYTHONPATH")
    places = [str(HERE), str(HERE.parent), str(HERE.parent / "daemon"), *([known] if known else [])]
    done = subprocess.run(
        [*wrapped, sys.executable, str(HERE / f"{script}.py"), str(path), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=screen() if LONG else None,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(places)},
    )
    counts: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return counts


def search_path() -> str:
    """Where programs are, also those for root."""
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])


def must_be_sound(name: str, counts: dict[str, Any]) -> None:
    """Report a campaign, and fail unless it found nothing: nothing lost, double or stale, and a sound log."""
    report(name, **counts)
    assert counts["problems"] == [], f"{counts['problem_count']} problems: {counts['problems']}"
    assert (counts["lost"], counts["doubles"], counts["stale"]) == (0, 0, 0)
    assert counts["faults"] > 0


def must_be_caught(name: str, mutant: str, counts: dict[str, Any], *, by: tuple[str, ...] = ()) -> None:
    """Report a mutant, and fail unless the campaign found it: by one of these counts, or by any problem."""
    found = any(counts[count] for count in by) if by else bool(counts["problems"])
    report(name, mutants=1, mutants_caught=int(found), mutant=mutant)
    assert found, f"{mutant} was not caught: {counts}"


def main(campaign: Callable[..., dict[str, Any]]) -> None:
    """Run a campaign with the words of the command line and print its counts as the last line."""
    die_with_parent()
    counts = campaign(Path(sys.argv[1]), **json.loads(sys.argv[2]))
    print(json.dumps(counts))
