"""A folder as a working directory with an event log in it: fixtures that several folders of tests import."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_samples import fill, write_data

from daemon.cli.main import main
from store import PlanStore, open_store

__all__ = ["filled", "folder", "log_here", "store", "trained"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory without settings in the environment."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("TRAINWRIGHT_")]:
        monkeypatch.delenv(name)
    return tmp_path


@pytest.fixture
def log_here(folder: Path, _migrated_sqlite: Path) -> str:
    """The URL of an empty event log where commands look by default."""
    (folder / "results").mkdir()
    shutil.copyfile(_migrated_sqlite, folder / "results" / "trainwright.db")
    return f"sqlite:///{folder}/results/trainwright.db"


@pytest.fixture
def store(log_here: str) -> Iterator[PlanStore]:
    """The store of the folder, still empty."""
    with open_store(log_here) as opened:
        yield opened


@pytest.fixture
def filled(store: PlanStore, folder: Path) -> PlanStore:
    """The store of the folder with the sample plan in it."""
    fill(store, folder)
    return store


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two targets were really trained, without a plan, by the command line itself."""
    place = tmp_path_factory.mktemp("trained")
    write_data(place / "data")
    words = ["train", "--data-dir", "data", "--no-training-plan", "--families", "lightgbm", "--json"]
    with (place / "out.json").open("w") as out, pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "excepthook", sys.excepthook)
        with pytest.raises(SystemExit) as ended:
            main(words)
    assert ended.value.code == 0
    return place
