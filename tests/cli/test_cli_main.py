"""The tree of commands: what is loaded when, how calls fail, what the doors of the older commands do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_samples import Call

from daemon.cli.main import COMMANDS, _last_word, _without_verbose, cli
from executors.families import FAMILIES
from store import PlanStore

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
    context = click.Context(found)
    leaves = [found]
    if isinstance(found, click.Group):
        leaves = [leaf for name in found.list_commands(context) if (leaf := found.get_command(context, name))]
    assert leaves
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


@pytest.mark.parametrize(
    "module", ["plans", "plan_explaining", "plan_comparing", "plan_exporting", "configuring"]
)
def test_commands_that_read_plans_and_settings_load_no_library_that_trains(module: str) -> None:
    """Nor pandas, nor the ORM; a table of a plan needs pyarrow and no more."""
    heavy = [name for name in HEAVY if name != "pyarrow"]
    script = (
        f"import sys; import daemon.cli.{module}\nprint([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("words", "near"),
    [(("statsu",), "Did you mean status?"), (("plan", "shwo"), "show"), (("zzzz",), "no command 'zzzz'.")],
)
def test_an_unknown_command_names_the_nearest(call: Call, words: tuple[str, ...], near: str) -> None:
    """A slip of the keyboard costs two lines and exit code 2; what is like nothing gets no guess."""
    done = call(*words)
    assert (done.code, done.out) == (2, "")
    assert near in done.err
    assert len(done.err.splitlines()) == 2


def test_verbose_may_stand_anywhere_but_behind_the_end_of_options() -> None:
    """Both spellings are taken out of the words; what follows `--` belongs to the command."""
    assert _without_verbose(["status", "-v", "--json"]) == (["status", "--json"], True)
    assert _without_verbose(["--verbose", "jobs"]) == (["jobs"], True)
    assert _without_verbose(["job", "--", "-v"]) == (["job", "--", "-v"], False)


def test_a_defect_is_told_in_few_lines_and_kept_whole(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No traceback on the screen without -v; the file that holds it is named, as is the next command."""
    for verbose in (False, True):
        monkeypatch.setattr(sys, "argv", ["trainwright", "status", *(["-v"] if verbose else [])])
        try:
            raise ZeroDivisionError("a number\nof lines")
        except ZeroDivisionError as error:
            _last_word(type(error), error, error.__traceback__)
        printed = capsys.readouterr().err
        lines = printed.splitlines()
        assert lines[0] == "error: Trainwright itself failed (ZeroDivisionError: a number"
        kept = Path(lines[1].split()[-1])
        assert "Traceback" in kept.read_text()
        kept.unlink()
        assert ("Traceback" in printed) is verbose
        assert "trainwright doctor" in printed


def test_an_interrupted_command_exits_with_130(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in any command: one line, no traceback."""
    monkeypatch.setattr("daemon.cli.catalogue.FAMILIES", Interrupting())
    done = call("families")
    assert done.code == 130
    assert done.err.strip() == "interrupted; what was acknowledged is kept"


class Interrupting:
    """Something during which Ctrl-C is pressed."""

    def __iter__(self) -> Iterator[object]:
        raise KeyboardInterrupt


def test_a_folder_to_act_in_is_entered(call: Call, folder: Path) -> None:
    """`-C DIR` comes before everything; one that does not exist is a usage error."""
    (folder / "there").mkdir()
    (folder / "there" / "trainwright.toml").write_text("[daemon]\nwrong_key = 1\n", encoding="utf-8")
    assert "wrong_key" in call("-C", "there", "status").err
    assert call("-C", "nowhere", "status").code == 2


def test_a_terminal_that_is_not_utf8_gets_ascii(folder: Path, filled: PlanStore) -> None:
    """Tables stay aligned where signs are spelt out, and nothing fails to encode."""
    environment = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", "models", "ls"],
        capture_output=True,
        check=True,
        cwd=folder,
        env=environment,
    )
    header, line = done.stdout.decode("ascii").splitlines()
    assert "+0.200 +/- 0.020" in line
    assert header.index("naive") + len("naive") == line.index("+0.100") + len("+0.100")


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


def test_families_lists_all_twenty(ngboost_missing: None) -> None:
    """The catalogue is printed as a versioned document, what is missing with the line that installs it."""
    document = json.loads(trainwright("families", "--json").stdout)
    assert document["v"] == 1
    assert [entry["name"] for entry in document["families"]] == [family.name for family in FAMILIES]
    reasons = {entry["name"]: entry["reason"] for entry in document["families"]}
    assert reasons["LightGBM"] is None
    assert "pip install 'trainwright[ngboost]'" in reasons["NGBoost"]


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
