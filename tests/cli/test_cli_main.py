"""The tree of commands: what is loaded when, how calls fail, what the doors of the older commands do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.cli.main import COMMANDS, cli
from executors.families import FAMILIES

HEAVY = ("pandas", "sqlalchemy", "sqlmodel", "lightgbm", "xgboost", "torch", "sklearn", "pyarrow", "pydantic")


def trainwright(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Call the command line as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=cwd,
    )


def test_the_list_of_commands_imports_none_of_them() -> None:
    """``--help`` names every command of the table, in its order, and loads no command module."""
    script = (
        "import sys; from daemon.cli.main import main\n"
        "try:\n    main(['--help'])\n"
        "except SystemExit:\n    pass\n"
        "print('LOADED', sorted(name for name in sys.modules if name.startswith('daemon.cli.')))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert all(f"\n  {name} " in done.stdout for name in COMMANDS)
    loaded = done.stdout.rpartition("LOADED")[2]
    assert "planning" not in loaded
    assert "reading" not in loaded


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    """The help of each command (of a group: of each command in it) carries an example line."""
    import click

    found = cli.get_command(click.Context(cli), command)
    assert found is not None
    leaves = list(found.commands.values()) if isinstance(found, click.Group) else [found]
    for leaf in leaves:
        assert leaf.epilog is not None, leaf.name
        assert leaf.epilog.startswith("Example: trainwright ")


@pytest.mark.parametrize("command", ["status", "jobs", "job", "why", "logs", "events", "families"])
def test_reading_commands_load_nothing_heavy(command: str) -> None:
    """A reading command imports no training library, no pandas and no ORM."""
    script = (
        "import sys, importlib; from daemon.cli.main import COMMANDS\n"
        f"importlib.import_module(COMMANDS[{command!r}][0].partition(':')[0])\n"
        "import store.reading, store.reasons\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_command_names_the_nearest() -> None:
    """A slip of the keyboard costs one line and exit code 2."""
    done = trainwright("statsu")
    assert done.returncode == 2
    assert "status" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_option_points_to_the_help() -> None:
    """An option that does not exist is named with the command to read."""
    done = trainwright("run", "--data-dri", "x")
    assert done.returncode == 2
    assert "--data-dir" in done.stderr
    assert "trainwright run --help" in done.stderr


def test_without_a_log_the_first_command_is_named(tmp_path: Path) -> None:
    """Where nothing was recorded yet, status says so and how to begin; exit code 4."""
    done = trainwright("status", cwd=tmp_path)
    assert done.returncode == 4
    assert "trainwright demo" in done.stderr
    assert len(done.stderr.splitlines()) <= 6


def test_a_missing_data_directory_is_one_clear_error(tmp_path: Path) -> None:
    """Bad input exits with 3, names the place and the fix, and shows no traceback."""
    done = trainwright("run", "--data-dir", "nowhere", "--auto-targets", cwd=tmp_path)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-3].startswith("error: ") or "error: " in done.stderr
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_settings_with_faults_name_all_of_them(tmp_path: Path) -> None:
    """A configuration file with a misspelt key exits with 2 and names the nearest key."""
    (tmp_path / "trainwright.toml").write_text("[daemon]\ncpu_slot = 2\n", encoding="utf-8")
    done = trainwright("status", cwd=tmp_path)
    assert done.returncode == 2
    assert "cpu_slots" in done.stderr


def test_families_lists_all_twenty() -> None:
    """The catalogue is printed as a versioned document, the unbuilt ones with their reason."""
    document = json.loads(trainwright("families", "--json").stdout)
    assert document["v"] == 1
    assert [entry["name"] for entry in document["families"]] == [family.name for family in FAMILIES]
    reasons = {entry["name"]: entry["reason"] for entry in document["families"]}
    assert reasons["LightGBM"] is None
    assert "not available yet" in reasons["GAN"]


@pytest.mark.parametrize(
    ("module", "words", "option"),
    [("planner", "Rank targets", "--auto-targets"), ("executors", "Train the models", "--no-training-plan")],
)
def test_the_doors_of_the_older_commands_lead_here(module: str, words: str, option: str) -> None:
    """``python -m planner`` is ``trainwright run``, ``python -m executors`` is ``trainwright train``."""
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True
    )
    assert words in done.stdout
    assert option in done.stdout
