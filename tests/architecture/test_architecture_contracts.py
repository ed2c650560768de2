"""The import contracts hold, and each of them fails when it is broken on purpose."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("panel", "store", "executors", "planner", "daemon", "trainwright")

PLANTED = [
    ("panel/errors.py", "import store.errors", "floors"),
    ("store/errors.py", "import executors.families", "floors"),
    ("executors/errors.py", "import store.errors", "floors"),
    ("planner/errors.py", "import daemon.settings", "floors"),
    ("planner/errors.py", "import executors.child", "catalogue"),
    ("daemon/settings.py", "import sqlalchemy", "sql"),
    ("planner/errors.py", "import sqlite3", "sql"),
    ("store/errors.py", "import watchdog.events", "service"),
    ("executors/errors.py", "import click", "service"),
    ("daemon/settings.py", "import lightgbm", "training"),
    ("store/errors.py", "import torch", "training"),
    ("daemon/service.py", "import fastapi", "web"),
]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter over the packages of a folder."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [str(program), "--no-cache", "--config", "pyproject.toml"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the packages that may be spoiled."""
    folder = tmp_path_factory.mktemp("house")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_house_keeps_its_floors() -> None:
    """No package imports what stands above it, and each library is loaded only where it belongs."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("file", "line", "contract"), PLANTED)
def test_a_planted_violation_is_caught(file: str, line: str, contract: str, copied: Path) -> None:
    """An import that breaks a contract makes the check fail and names that contract."""
    path = copied / file
    clean = path.read_text(encoding="utf-8")
    path.write_text(f"{clean}\n{line}\n", encoding="utf-8")
    try:
        done = lint(copied)
    finally:
        path.write_text(clean, encoding="utf-8")
    names = {
        "floors": "daemon > planner > store | executors > panel BROKEN",
        "catalogue": "planner asks executors only for the family catalogue BROKEN",
        "sql": "only store knows SQL BROKEN",
        "service": "only daemon schedules, watches and draws screens BROKEN",
        "training": "training libraries load in children and in the planner only BROKEN",
        "web": "only daemon.web serves pages, in a process of its own BROKEN",
    }
    assert done.returncode == 1, done.stdout
    assert names[contract] in done.stdout
