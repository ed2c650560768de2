"""One line per fact, in the form its reader wants."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from daemon.logs import configure_logs, is_journal, log_to_file


@pytest.fixture(autouse=True)
def _configured_anew() -> Iterator[None]:
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


def test_under_the_journal_a_line_carries_its_priority(tmp_path: Path) -> None:
    """A line is JSON behind <N>, without a time, which the journal has itself."""
    with (tmp_path / "out").open("w+") as stream:
        status = os.fstat(stream.fileno())
        configure_logs(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        structlog.get_logger().warning("fit taken back", fit="f_1")
        structlog.get_logger().info("fit started")
        stream.seek(0)
        first, second = stream.read().splitlines()
    assert first.startswith("<4>{")
    assert json.loads(first[3:]) == {"fit": "f_1", "event": "fit taken back", "level": "warning"}
    assert second.startswith("<6>{")


def test_a_redirected_stream_is_not_the_journal(tmp_path: Path) -> None:
    """JOURNAL_STREAM inherited from elsewhere does not make a file the journal."""
    with (tmp_path / "out").open("w") as stream:
        assert not is_journal(stream, {"JOURNAL_STREAM": "1:2"})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:2"})


def test_elsewhere_a_line_is_json() -> None:
    """A pipe or a file gets plain JSON with the time in UTC; an error's traceback is one field."""
    stream = io.StringIO()
    configure_logs(stream, {})
    try:
        raise ValueError("no")
    except ValueError:
        structlog.get_logger().exception("turn failed")
    line = json.loads(stream.getvalue())
    assert line["at"].endswith("Z")
    assert "ValueError: no" in line["exception"]
    assert len(stream.getvalue().splitlines()) == 1


def test_a_terminal_gets_words() -> None:
    """On a terminal a line is words in columns, not JSON."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    configure_logs(stream, {"NO_COLOR": "1"})
    structlog.get_logger().info("fit started", fit="f_1")
    assert "fit started" in stream.getvalue()
    assert "fit=f_1" in stream.getvalue()
    assert "{" not in stream.getvalue()


def test_a_command_with_a_screen_logs_to_a_file(tmp_path: Path) -> None:
    """Lines go to the file, and a log that is set up already is left as it is."""
    log_to_file(tmp_path / "results" / "trainwright.log")
    log_to_file(tmp_path / "other.log")
    structlog.get_logger().info("plan accepted", plan="p_1")
    assert json.loads((tmp_path / "results" / "trainwright.log").read_text())["plan"] == "p_1"
    assert not (tmp_path / "other.log").exists()


def test_a_line_that_cannot_be_written_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk costs lines of the log and no more, also when the process ends."""
    endings: list[tuple[Any, ...]] = []
    monkeypatch.setattr("atexit.register", lambda *words: endings.append(words))
    log_to_file(Path("/dev/full"))
    structlog.get_logger().info("plan accepted", plan="p_1")
    structlog.get_logger().warning("still here")
    ((end, *words),) = endings
    end(*words)
