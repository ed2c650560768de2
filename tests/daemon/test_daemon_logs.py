"""One line per fact, in the form its reader wants."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import structlog

from daemon import journal as journal_module
from daemon.cli import hosting
from daemon.journal import Journal, encoded, field_name
from daemon.logs import configure_logs, is_journal, log_to_file, take_in_other_logs


@pytest.fixture(autouse=True)
def _configured_anew() -> Iterator[None]:
    before = structlog.get_config() if structlog.is_configured() else None
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()
    if before is not None:
        structlog.configure(**before)


class FakeJournal:
    """The other end of the journal's socket, which takes datagrams apart."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "journal")
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(self.address)
        self.channel.settimeout(30)

    def line(self) -> dict[str, str]:
        """The fields of the next line."""
        rest, fields = self.channel.recv(1 << 20), {}
        while rest:
            head, _, rest = rest.partition(b"\n")
            name, equals, value = head.partition(b"=")
            if not equals:
                length = int.from_bytes(rest[:8], "little")
                value, rest = rest[8 : 8 + length], rest[9 + length :]
            fields[name.decode()] = value.decode()
        return fields


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[FakeJournal]:
    """A journal."""
    made = FakeJournal(tmp_path)
    yield made
    made.channel.close()


def behind_the_journal(stream: TextIO, address: str) -> None:
    """Configure the logs as in a service whose error stream is the journal's."""
    status = os.fstat(stream.fileno())
    configure_logs(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, journal=Journal(address))


def test_under_the_journal_each_key_is_a_field(tmp_path: Path, journal: FakeJournal) -> None:
    """A line is the same JSON as elsewhere, its priority, and its plan, fit and attempt by themselves."""
    with (tmp_path / "out").open("w+") as stream:
        behind_the_journal(stream, journal.address)
        structlog.get_logger().warning("fit taken back", fit="f_1", plan="p_1", attempt=2, lost=None)
        structlog.get_logger().info("fit started", priority="of the plan")
        first, second = journal.line(), journal.line()
        assert (tmp_path / "out").read_text() == ""
    assert {name: first[name] for name in ("PRIORITY", "SYSLOG_IDENTIFIER", "FIT", "PLAN", "ATTEMPT")} == {
        "PRIORITY": "4",
        "SYSLOG_IDENTIFIER": "trainwright",
        "FIT": "f_1",
        "PLAN": "p_1",
        "ATTEMPT": "2",
    }
    assert "LOST" not in first
    said = json.loads(first["MESSAGE"])
    assert said.pop("lost") is None
    assert said == {
        "event": "fit taken back",
        "level": "warning",
        "fit": "f_1",
        "plan": "p_1",
        "attempt": 2,
    }
    assert list(json.loads(first["MESSAGE"]))[:5] == ["level", "event", "plan", "fit", "attempt"]
    assert (second["PRIORITY"], second["PRIORITY_"]) == ("6", "of the plan")


def test_what_a_thing_is_called_forges_no_field(tmp_path: Path, journal: FakeJournal) -> None:
    """A name with line breaks is one field, whatever it looks like, and one line of the message."""
    with (tmp_path / "out").open("w+") as stream:
        behind_the_journal(stream, journal.address)
        structlog.get_logger().error("plan rejected", name="p\nPRIORITY=0\nPLAN=p_2\x1b[2J")
        line = journal.line()
    assert line["NAME"] == "p\nPRIORITY=0\nPLAN=p_2\x1b[2J"
    assert (line["PRIORITY"], "PLAN" in line) == ("3", False)
    assert line["MESSAGE"].isprintable()


def test_without_the_journal_s_socket_a_line_carries_its_priority(tmp_path: Path) -> None:
    """Where the socket is closed to us a line is JSON behind <N> on the stream; none is lost."""
    with (tmp_path / "out").open("w+") as stream:
        behind_the_journal(stream, str(tmp_path / "nowhere"))
        structlog.get_logger().warning("fit taken back", fit="f_1")
        structlog.get_logger().info("fit started")
        stream.seek(0)
        first, second = stream.read().splitlines()
    assert first.startswith("<4>{")
    assert json.loads(first[3:]) == {"fit": "f_1", "event": "fit taken back", "level": "warning"}
    assert second.startswith("<6>{")


def test_a_journal_started_anew_gets_the_next_line(tmp_path: Path) -> None:
    """A connection that broke is made again for the very line that found it broken."""
    first = FakeJournal(tmp_path)
    journal = Journal(first.address)
    assert journal.write({"MESSAGE": "one"})
    first.channel.close()
    Path(first.address).unlink()
    assert not journal.write({"MESSAGE": "two"})
    again = FakeJournal(tmp_path)
    assert journal.write({"MESSAGE": "three"})
    assert again.line() == {"MESSAGE": "three"}
    journal.close()
    again.channel.close()


def test_a_journal_that_hangs_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind a full queue that nobody reads one line waits; those of the next seconds do not."""
    waits: list[float] = []
    hung = FakeJournal(tmp_path)
    journal = Journal(hung.address)
    monkeypatch.setattr(journal_module, "SEND_SECONDS", 0.01)
    while journal.write({"MESSAGE": "x" * 1000}):
        pass  # the kernel's queue fills up
    monkeypatch.setattr(Journal, "_send", lambda _self, _datagram: waits.append(1.0) or False)
    assert not journal.write({"MESSAGE": "another"})
    assert waits == []
    monkeypatch.setattr(journal_module, "SPARED_SECONDS", 0.0)
    journal._spared_until = float("-inf")
    assert not journal.write({"MESSAGE": "later"})
    assert waits == [1.0, 1.0]
    journal.close()
    hung.channel.close()


def test_names_of_fields_are_those_the_journal_takes() -> None:
    """Capitals, digits and underscores, at most 64, a letter first: it drops every other field."""
    keys = ("plan", "lost-seconds", "_pid", "9th", "message", "Ä", "x" * 99)
    named = ["PLAN", "LOST_SECONDS", "PID", "TH", "MESSAGE_", "FIELD", "X" * 64]
    assert [field_name(key) for key in keys] == named
    assert encoded("A", "lone \udce9") == b"A=lone \\udce9\n"


def test_a_library_s_warning_is_a_line_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers of the standard library, warnings and dying threads speak through the same log."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    stream = io.StringIO()
    configure_logs(stream, {})
    take_in_other_logs()
    take_in_other_logs()
    try:
        logging.getLogger("some.library").warning("low on %s", "space")
        logging.getLogger("some.library").info("not told")
        logging.getLogger("some.library").log(35, "%d of %d", 1)
        warnings.warn("old", stacklevel=1)
        thread = threading.Thread(target=lambda: 1 // 0, name="telling")
        thread.start()
        thread.join()
    finally:
        logging.captureWarnings(capture=False)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["level"] for line in lines] == ["warning", "warning", "warning", "critical"]
    assert (lines[0]["event"], lines[0]["library"]) == ("low on space", "some.library")
    assert lines[1]["event"] == "%d of %d"
    assert "old" in lines[2]["event"]
    assert lines[3]["thread"] == "telling"
    assert "ZeroDivisionError" in lines[3]["exception"]


def test_the_daemon_takes_in_what_others_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the daemon's command that sets the log up, for libraries and threads too."""
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    hosting.configure_logs()
    logging.captureWarnings(capture=False)
    assert threading.excepthook.__module__ == "daemon.logs"
    assert [type(one).__module__ for one in logging.root.handlers] == ["daemon.logs"]


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
