"""``completion``: live names in the shell, from the log that the line means."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import BROKEN, GPU, STOPPED, TRAINED, Call
from click.shell_completion import BashComplete

from daemon.cli.completion import SHELLS, VARIABLE
from daemon.cli.main import COMMANDS, cli
from store import PlanStore


def completed(*words: str) -> list[str]:
    """What completes the last of these words behind ``trainwright``."""
    found = BashComplete(cli, {}, "trainwright", VARIABLE).get_completions(list(words[:-1]), words[-1])
    return [item.value for item in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("stat",), ["status"]),
        (("plan", "e"), ["explain", "export"]),
        (("job", "cs_"), ["cs_y_range_5d", "cs_y_up_1d"]),
        (("job", "cs_y_up"), ["cs_y_up_1d", STOPPED]),
        (("logs", "cs_y_range_5d/L"), [GPU, TRAINED]),
        (("why", "y_n"), ["y_noise_5d"]),
        (("why", "y_up"), ["y_up_1d"]),
        (("jobs", "--target", "y_r"), ["y_range_5d"]),
        (("jobs", "--family", "X"), ["XGBoost"]),
        (("retry", "--state", "fai"), ["failed"]),
        (("cancel", BROKEN[:-2]), [BROKEN]),
        (("events", "--kind", "FitF"), ["FitFailed"]),
        (("status", "--wat"), ["--watch"]),
        (("job", "nothing_"), []),
    ],
)
def test_names_of_the_log_are_completed(
    filled: PlanStore, words: tuple[str, ...], expected: list[str]
) -> None:
    """Commands, options, and whatever the log knows; a job first, and its fits once it is meant."""
    assert completed(*words) == expected


def test_plans_are_completed_newest_first(filled: PlanStore) -> None:
    """And the place of the log is that of the line."""
    (plan,) = filled.reading.plans()
    assert completed("jobs", "--plan", "p_") == [plan.id]
    assert completed("cancel", "--results-dir", "elsewhere", "--plan", "p_") == []


def test_another_folder_is_asked_where_the_line_names_it(
    filled: PlanStore, folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """``-C`` holds for completion too."""
    monkeypatch.chdir(tmp_path_factory.mktemp("away"))
    assert completed("job", "cs_y_up") == []
    assert completed("-C", str(folder), "job", "cs_y_up") == ["cs_y_up_1d", STOPPED]


def test_where_there_is_no_log_nothing_is_completed(folder: Path) -> None:
    """No log, no settings that can be read: no words, and no error either."""
    assert completed("why", "y") == []
    (folder / "trainwright.toml").write_text("= broken", encoding="utf-8")
    assert completed("why", "y") == []


def test_commands_are_completed_without_importing_them() -> None:
    """All of them are listed in the order of the work."""
    assert completed("") == list(COMMANDS)


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_gets_its_script_and_the_line_that_installs_it(call: Call, shell: str) -> None:
    """The script on stdout, how to keep it on stderr."""
    done = call("completion", shell)
    assert done.code == 0
    assert VARIABLE in done.out
    assert f"trainwright completion {shell} >" in done.err


def test_without_a_name_it_is_the_shell_that_is_used(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown one is asked for."""
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert "fish" in call("completion").out
    monkeypatch.setenv("SHELL", "/usr/bin/tcsh")
    assert call("completion").code == 2


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_a_real_bash_completes_a_live_name(filled: PlanStore, folder: Path) -> None:
    """The script as bash runs it, with the words of a line."""
    program = folder / "trainwright"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m daemon.cli.main "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        "source <(trainwright completion bash 2>/dev/null); "
        "COMP_WORDS=(trainwright job cs_y_up); COMP_CWORD=2; "
        '_trainwright_completion trainwright; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    told = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=120,
        env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
    )
    assert told.stdout.split() == ["cs_y_up_1d", STOPPED], told.stderr
