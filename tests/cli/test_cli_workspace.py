"""Where commands work: the event log they find, with and without settings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import Call

from daemon.cli.configuration import settings_for
from daemon.cli.workspace import LogForbidden, NoLogHere, existing_log, log_url
from daemon.errors import SettingsInvalid
from store import PlanStore


@pytest.mark.parametrize("results", [None, Path("elsewhere"), Path("../up/results"), Path("/abs/results")])
def test_the_short_way_to_the_log_leads_where_the_settings_lead(folder: Path, results: Path | None) -> None:
    """Reading commands do not load the settings when nothing is set; the answer is the same."""
    assert log_url(None, results) == settings_for(None, results_dir=results).database_url


def test_the_environment_and_the_file_are_heard(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable names the database; a file, here or named, the results; the option stands over both."""
    (folder / "other.toml").write_text('[daemon]\nresults_dir = "/from/other"\n')
    assert log_url(Path("other.toml")) == "sqlite:////from/other/trainwright.db"
    (folder / "trainwright.toml").write_text('[daemon]\nresults_dir = "/from/file"\n')
    assert log_url() == "sqlite:////from/file/trainwright.db"
    assert log_url(None, Path("/given")) == "sqlite:////given/trainwright.db"
    monkeypatch.setenv("TRAINWRIGHT_DATABASE_URL", "postgresql://db/x")
    assert log_url() == "postgresql://db/x"


def test_a_log_that_is_not_there_is_said_before_anything_is_opened(folder: Path) -> None:
    """No empty database is left behind by asking."""
    with pytest.raises(NoLogHere):
        existing_log()
    assert list(folder.iterdir()) == []


def test_a_configuration_file_that_cannot_be_read_is_named(folder: Path) -> None:
    """A missing named file and one that is no TOML are faults; no file at all is none."""
    assert settings_for(None)
    with pytest.raises(SettingsInvalid, match=r"nowhere\.toml"):
        settings_for(Path("nowhere.toml"))
    (folder / "trainwright.toml").write_text("[daemon\n")
    with pytest.raises(SettingsInvalid, match=r"trainwright\.toml"):
        settings_for(None)


def test_faults_of_the_settings_exit_with_two(call: Call, folder: Path) -> None:
    """Where there is no log a misspelt place may be why: the fault is named as by any other command."""
    (folder / "trainwright.toml").write_text("[daemon]\nresult_dir = 'x'\n", encoding="utf-8")
    done = call("status")
    assert done.code == 2
    assert "results_dir" in done.err


@pytest.mark.parametrize(
    ("text", "warned"),
    [("[daemon]\ncpu_slot = 2\n", False), ("[daemon\n", True), ("daemon = 3\n", True), ("\u00e9", True)],
)
def test_a_fault_elsewhere_in_the_file_keeps_nobody_from_reading(
    call: Call, filled: PlanStore, folder: Path, text: str, *, warned: bool
) -> None:
    """The log is where it always was: how things stand is told, with a warning if nothing could be read."""
    (folder / "trainwright.toml").write_text(text, encoding="latin-1")
    done = call("status")
    assert done.code == 0
    assert "2 jobs, 5 fits" in done.out
    assert ("warning: trainwright.toml cannot be read and is passed over" in done.err) is warned
    assert call("daemon", "--drain").code == 2


@pytest.mark.parametrize("place", ["results_dir = 3", "database_url = ''", "database_url = 'memory:'"])
def test_a_place_that_is_no_place_is_a_fault(call: Call, filled: PlanStore, folder: Path, place: str) -> None:
    """Here reading cannot go on, and the file is named."""
    (folder / "trainwright.toml").write_text(f"[daemon]\n{place}\n", encoding="utf-8")
    done = call("status")
    assert done.code == 2
    assert "trainwright.toml" in done.err


def test_reading_commands_load_neither_settings_nor_writers(log_here: str, folder: Path) -> None:
    """Status over an existing log loads no settings, no planner, no event types and no writer."""
    unwanted = (
        "daemon.settings",
        "planner",
        "store.events",
        "store.plan_store",
        "store.leases",
        "sqlalchemy",
    )
    script = (
        "import sys; from daemon.cli.main import main\n"
        "try:\n    main(['status'])\n"
        "except SystemExit as ended:\n    assert ended.code == 0, ended.code\n"
        f"print('LOADED', [name for name in {unwanted!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=folder
    )
    assert done.stdout.rpartition("LOADED")[2].strip() == "[]"


def test_a_log_of_somebody_else_is_an_error_in_words(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not look into the folder of the host is told so, and how to ask; it is no defect of ours."""
    exists = Path.exists

    def forbidden(path: Path) -> bool:
        if path.suffix == ".db":
            raise PermissionError(13, "Permission denied", str(path))
        return exists(path)

    monkeypatch.setattr(Path, "exists", forbidden)
    with pytest.raises(LogForbidden, match="may not be read by this account") as refused:
        existing_log(None, folder / "results")
    assert refused.value.exit_code == 5
