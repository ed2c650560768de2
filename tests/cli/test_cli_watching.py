"""``status --watch``: the overview again when the log has grown, on a terminal and in plain lines."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import BROKEN, STOPPED, Call, living_daemon, start
from rich.console import Console

from daemon.cli import watching
from daemon.cli.overview import lines_of
from daemon.views.overview import look
from store import DatabaseUnavailable, PlanStore
from store.reading import Reader


def test_the_screen_changes_when_the_log_does(
    filled: PlanStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing new is nothing to show; what happened meanwhile is shown at the next look."""
    monkeypatch.setattr(watching, "CLOCK_SECONDS", 1e9)
    waited = []

    def wait(_seconds: float) -> bool:
        waited.append(filled.head_seq())
        if len(waited) == 2:
            filled.cancel(filled.reading.fit(STOPPED).id)
        return len(waited) == 4

    shown = ["\n".join(told) for told in watching.looks(filled.reading, lines_of, wait)]
    assert len(shown) == 2
    assert "2 open" in shown[0]
    assert "1 cancelled, 1 open" in shown[1]


def test_off_a_terminal_each_open_plan_is_a_line(
    filled: PlanStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the moment, the counts and what runs; and when nothing is left that is said."""
    filled.daemon_started(living_daemon())
    start(filled, filled.claim(living_daemon().worker, stage="cpu")[0], folder)
    waits = iter((False, True))

    def wait(_seconds: float) -> bool:
        for fit in filled.reading.fits(states=("ready", "claimed", "running")):
            filled.cancel(fit.id)
        return next(waits)

    watching.watch_plainly(filled.reading, wait=wait)
    first, second = capsys.readouterr().out.splitlines()
    assert "1 done, 1 failed, 1 not available, 2 open" in first
    assert f"running {STOPPED} " in first
    assert first[10] == " "
    assert first[:4] == second[:4]
    assert second.endswith("nothing is left to do")


def test_a_log_that_does_not_answer_is_waited_for(filled: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is told in a line, and asked again."""

    class Deaf(Reader):
        def plans(self) -> tuple[()]:
            raise DatabaseUnavailable(url="postgresql://db/x", cause="connection refused\nand more")

    reader = Deaf(filled.reading._database)
    (told,) = watching.looks(reader, lines_of, lambda _seconds: True)
    assert len(told) == 1
    assert told[0].endswith("the event log does not answer: connection refused")


def test_what_does_not_fit_on_the_screen_is_counted(filled: PlanStore) -> None:
    """The last line says how to see it, and what ends the watch."""
    lines = list(lines_of(look(filled.reading)))
    text = watching._fitting(lines, Console(width=60, height=5)).plain.splitlines()
    assert len(text) == 4
    assert text[-2] == f"… {len(lines) - 2} more lines: trainwright status"
    assert text[-1] == "q ends"


@pytest.mark.parametrize("words", [("--json",), ("--at", "-1h")])
def test_a_watch_is_of_the_present_and_for_people(
    call: Call, filled: PlanStore, words: tuple[str, ...]
) -> None:
    """Programs follow the events."""
    assert call("status", "--watch", *words).code == 2


def test_on_a_terminal_q_ends_it_and_the_last_look_stays(filled: PlanStore, folder: Path) -> None:
    """In a terminal of its own: the overview appears, q is pressed, the screen is given back."""
    terminal, its_end = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli.main", "status", "--watch"],
        stdin=its_end,
        stdout=its_end,
        stderr=its_end,
        env=kept | {"TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40", "PYTHONUTF8": "1"},
    )
    os.close(its_end)
    seen = b""
    asked = False
    while True:
        ready, _, _ = select.select([terminal], [], [], 120)
        assert ready, seen
        try:
            more = os.read(terminal, 65536)
        except OSError:  # its end has gone
            break
        if not more:
            break
        seen += more
        if not asked and b"q ends" in seen:
            os.write(terminal, b"q")
            asked = True
    os.close(terminal)
    assert process.wait(timeout=120) == 0
    behind = seen.rpartition(b"\x1b[?1049l")[2].decode()
    assert f"failed\x1b[0m   {BROKEN}" in behind
    assert "\x1b[?1049h" in seen.decode()


def test_lines_of_a_watch_say_why_nothing_runs(filled: PlanStore) -> None:
    """Who reads only these lines does not wait for what a pause holds back."""
    filled.daemon_started(living_daemon())
    filled.pause(reason="the disk is being changed", actor="anna")

    (line,) = watching.plain_lines(look(filled.reading))

    assert line.endswith("  PlanPaused: all work is paused by anna: the disk is being changed")
