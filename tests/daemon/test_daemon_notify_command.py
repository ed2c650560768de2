"""A program of the user's gets the notice on its standard input, a limited time, and none of our secrets."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from pathlib import Path

import psutil
import pytest
from daemon_samples import PATIENCE_SECONDS, await_that
from telling_samples import NOTICE

from daemon.channels import NotDelivered
from daemon.notify_command import SAID_BYTES, NotifyCommand, environment


def script(directory: Path, text: str) -> list[str]:
    """The words that run a small program."""
    path = directory / "told.py"
    path.write_text(text, encoding="utf-8")
    return [sys.executable, "-S", str(path)]


def gone(pid_file: Path) -> bool:
    """Whether the process that wrote its number has ended."""
    stat = Path(f"/proc/{pid_file.read_text()}/stat")
    try:
        return stat.read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_the_notice_comes_on_standard_input(tmp_path: Path) -> None:
    """One JSON document, the same that a webhook posts; words of the list are arguments as they are."""
    words = script(
        tmp_path,
        "import json, sys\n"
        "json.dump([sys.argv[1:], json.load(sys.stdin)], open(sys.argv[1], 'w'))\n"
        "print('x' * 200_000)",
    )
    NotifyCommand([*words, str(tmp_path / "told"), "$HOME; `ls` *"]).deliver(NOTICE)
    arguments, document = json.loads((tmp_path / "told").read_text())
    assert arguments[1] == "$HOME; `ls` *"
    assert document == json.loads(json.dumps(NOTICE.document()))


def test_its_environment_holds_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither our settings nor anybody's passwords are handed on; what a program needs to run is."""
    for name in ("TRAINWRIGHT_DATABASE_URL", "PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "CREDENTIALS_DIRECTORY"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("LC_TIME", "C")
    words = script(tmp_path, "import json, os, sys\njson.dump(dict(os.environ), open(sys.argv[1], 'w'))")
    NotifyCommand([*words, str(tmp_path / "told")]).deliver(NOTICE)
    told = json.loads((tmp_path / "told").read_text())
    assert "secret" not in told.values()
    assert told["PATH"] == os.environ["PATH"]
    assert environment({"LC_TIME": "C", "NOTIFY_SOCKET": "/run/x"}) == {"LC_TIME": "C"}


def test_one_that_fails_has_not_delivered_and_its_last_words_are_kept(tmp_path: Path) -> None:
    """The end of what it said stands in the error, not all of it."""
    words = script(tmp_path, "import sys\nprint('x' * 100_000)\nsys.exit('no network')")
    with pytest.raises(NotDelivered, match=r"ended with 1, saying: x+ no network") as caught:
        NotifyCommand(words).deliver(NOTICE)
    assert len(str(caught.value)) < SAID_BYTES + 200


def test_one_that_is_not_there_has_not_delivered() -> None:
    """The error names it and the setting."""
    with pytest.raises(NotDelivered, match="notify_command"):
        NotifyCommand(["/no/such/program"]).deliver(NOTICE)


def test_one_that_takes_too_long_is_ended_with_all_it_started(tmp_path: Path) -> None:
    """Also a process of its own that holds on to its output, and that heeds no signal."""
    words = script(
        tmp_path,
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "path = sys.argv[1 if child else 2]\n"
        "open(path + '.new', 'w').write(str(os.getpid()))\n"
        "os.rename(path + '.new', path)\n"
        "print('sending', flush=True)\n"
        "signal.pause()",
    )
    files = [tmp_path / "one", tmp_path / "two"]
    command = NotifyCommand(
        [*words, *map(str, files)],
        limit_seconds=PATIENCE_SECONDS,
        clock=lambda: PATIENCE_SECONDS + 1 if all(map(Path.exists, files)) else 0.0,
    )
    with pytest.raises(NotDelivered, match=r"took longer than 120 s, saying: sending"):
        command.deliver(NOTICE)
    for pid_file in files:
        await_that(lambda pid_file=pid_file: gone(pid_file), "end of both")


def test_what_it_leaves_behind_is_ended_too(tmp_path: Path) -> None:
    """It ends well at once, though a process it started still holds its output; that one goes with it."""
    words = script(
        tmp_path,
        "import os, signal, sys\n"
        "ready, told = os.pipe()\n"
        "if not os.fork():\n"
        "    open(sys.argv[1], 'w').write(str(os.getpid()))\n"
        "    os.write(told, b'!')\n"
        "    signal.pause()\n"
        "os.read(ready, 1)",
    )
    NotifyCommand([*words, str(tmp_path / "pid")]).deliver(NOTICE)
    await_that(lambda: gone(tmp_path / "pid"), "end of what was left behind")


def children() -> set[int]:
    """The children of this process, those that wait to be taken leave of too."""
    return {child.pid for child in psutil.Process().children()}


def test_messages_leave_nothing_open() -> None:
    """Whether the program does well, fails or is not there: no more descriptors than before, no zombie."""
    before, known = psutil.Process().num_fds(), children()
    for words in (["/bin/true"], ["/bin/false"], ["/no/such/program"]):
        for _ in range(5):
            with contextlib.suppress(NotDelivered):
                NotifyCommand(words).deliver(NOTICE)
    await_that(lambda: psutil.Process().num_fds() <= before, "end of all pipes")
    assert children() <= known


def test_what_is_under_way_can_be_ended(tmp_path: Path) -> None:
    """A daemon that stops does not wait for the program."""
    words = script(
        tmp_path, "import os, signal, sys\nopen(sys.argv[1], 'w').write(str(os.getpid()))\nsignal.pause()"
    )
    command = NotifyCommand([*words, str(tmp_path / "pid")])
    caught: list[NotDelivered] = []

    def deliver() -> None:
        try:
            command.deliver(NOTICE)
        except NotDelivered as error:
            caught.append(error)

    thread = threading.Thread(target=deliver)
    thread.start()
    await_that(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), "start")
    command.close()
    thread.join(60)
    assert "ended with -9" in str(caught[0])
