"""The daemon's duty to have the page served: a process of its own, started, heard, and started again."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from daemon_samples import FakeClock, await_that, settings_in

from daemon.handed import handed_sockets
from daemon.serving import EXTRA_MISSING, WAIT_SECONDS, WAIT_SECONDS_MAX, Serving
from daemon.settings import Settings
from store import open_store

NOTHING: frozenset[str] = frozenset()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """An installation that serves its page on a free port."""
    made = settings_in(tmp_path, web_listen="127.0.0.1:0")
    made.results_dir.mkdir()
    open_store(made.database_url).close()
    return made


class Scripted:
    """Starts processes that do what a script says, and remembers how they were asked for."""

    def __init__(self, *scripts: str) -> None:
        self.scripts, self.asked = list(scripts), 0

    def __call__(
        self, words: Sequence[str], descriptors: Sequence[int], environ: dict[str, str]
    ) -> subprocess.Popen[bytes]:
        self.asked += 1
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        return subprocess.Popen(
            [sys.executable, "-c", f"import signal, time\n{script}"],
            stdout=subprocess.PIPE,
            start_new_session=True,
        )


SERVES = 'print(\'{"address": "http://x/"}\', flush=True)\nsignal.pause()'
TAKEN = 'print(\'{"problem": "port taken", "code": 75}\', flush=True)\nraise SystemExit(1)'
DIES = "raise SystemExit(3)"


@pytest.fixture
def duty(settings: Settings) -> Iterator[type[Serving]]:
    """Makes duties that leave no process behind."""
    made: list[Serving] = []

    class Kept(Serving):
        def __init__(self, *words: object, **more: object) -> None:
            super().__init__(*words, **more)  # type: ignore[arg-type]
            made.append(self)

    yield Kept
    for one in made:
        one.close()


def answers(address: str) -> bool:
    """Whether somebody serves there."""
    host = address.removeprefix("http://").rstrip("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    finally:
        connection.close()


def turned(serving: Serving) -> Serving:
    """A duty after one more turn."""
    serving.turn(NOTHING)
    return serving


def test_the_page_is_served_and_ends_with_its_duty(settings: Settings, duty: type[Serving]) -> None:
    """A real process answers at the address that it says, comes behind the fits, and ends when told."""
    serving = duty(settings)
    serving.start()
    (address,) = await_that(lambda: turned(serving).addresses, "address")
    assert answers(address)
    pid = serving.pid
    assert pid is not None
    assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, 0)
    serving.stop()
    assert serving.pid is None
    assert not Path(f"/proc/{pid}").exists()


def test_a_process_that_dies_is_started_again_later_and_later(
    settings: Settings, duty: type[Serving]
) -> None:
    """Each end is told and waited for twice as long; a process that serves clears the trouble."""
    clock, scripted = FakeClock(), Scripted(DIES, DIES, SERVES)
    serving = duty(settings, clock=clock, start=scripted)
    serving.start()
    wait = WAIT_SECONDS
    for life in (1, 2):
        await_that(lambda: turned(serving).pid is None and serving.trouble, "end")
        assert "ended with 3" in (serving.trouble or "")
        clock.now += 0.9 * wait
        assert turned(serving).pid is None
        assert scripted.asked == life
        clock.now += 0.2 * wait
        wait *= 2
    await_that(lambda: turned(serving).addresses, "address")
    assert serving.trouble is None
    assert scripted.asked == 3


def test_a_taken_port_is_told_and_tried_again(settings: Settings, duty: type[Serving]) -> None:
    """What the process says of itself is the trouble, and the waiting has a limit."""
    clock, scripted = FakeClock(), Scripted(TAKEN)
    serving = duty(settings, clock=clock, start=scripted)
    serving.start()
    for life in range(1, 10):
        await_that(lambda life=life: turned(serving).pid is None and scripted.asked == life, "end")
        clock.now += WAIT_SECONDS_MAX
    assert serving.trouble == "port taken"


def test_no_process_is_started_for_a_port_that_somebody_has(settings: Settings, duty: type[Serving]) -> None:
    """The daemon looks by itself whether the port is free, and starts the process once it is."""
    clock, scripted = FakeClock(), Scripted(SERVES)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        serving = duty(replace(settings, web_listen=listen), clock=clock, start=scripted)
        serving.start()
        assert turned(serving).pid is None
        assert "another process listens there" in (serving.trouble or "")
        clock.now += 0.9 * WAIT_SECONDS
        assert turned(serving).pid is None
    clock.now += WAIT_SECONDS
    await_that(lambda: turned(serving).addresses, "address")
    assert (scripted.asked, serving.trouble) == (1, None)


def test_without_the_extra_or_switched_off_nothing_is_started(
    settings: Settings, duty: type[Serving]
) -> None:
    """A host without the libraries says so in one sentence; one whose page is off says nothing."""
    scripted = Scripted(DIES)
    lacking = duty(settings, start=scripted, is_installed=lambda: False)
    off = duty(replace(settings, web_listen=None), start=scripted)
    for serving in (lacking, off):
        serving.start()
        assert turned(serving).pid is None
        serving.stop()
    assert (lacking.trouble, off.trouble, scripted.asked) == (EXTRA_MISSING, None, 0)


def test_new_settings_of_the_page_take_a_new_process(settings: Settings, duty: type[Serving]) -> None:
    """A reload that changes the page's settings takes the next process; another reload does not."""
    scripted = Scripted(SERVES)
    serving = duty(settings, start=scripted)
    serving.start()
    await_that(lambda: turned(serving).addresses, "address")
    pid = serving.pid
    serving.reload(replace(settings, cpu_slots=7))
    assert turned(serving).pid == pid
    serving.reload(replace(settings, web_names=("trainer.example",)))
    await_that(lambda: turned(serving).pid not in (None, pid), "new process")
    assert (scripted.asked, serving.trouble) == (2, None)
    serving.reload(replace(settings, web_listen=None))
    await_that(lambda: turned(serving).pid is None, "end")
    assert turned(serving).pid is None


def test_the_page_dies_with_its_daemon(settings: Settings, tmp_path: Path) -> None:
    """A daemon that is killed leaves no process that serves the page."""
    code = (
        "import sys, time; from pathlib import Path; from daemon.serving import Serving\n"
        "from daemon.settings import Settings\n"
        "given = {'results_dir': sys.argv[1], 'web_listen': '127.0.0.1:0'}\n"
        "serving = Serving(Settings.from_sources({}, {}, given))\n"
        "serving.start()\n"
        "while not serving.addresses: serving.turn(frozenset()); time.sleep(0.01)\n"
        "print('pid', serving.pid, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-P", "-c", code, str(settings.results_dir)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as host:
        assert host.stdout is not None
        said = next(line for line in host.stdout if line.startswith(b"pid "))
        pid = int(said.split()[1])
        assert Path(f"/proc/{pid}").exists()
        host.send_signal(signal.SIGKILL)
    await_that(lambda: _is_gone(pid), "end of the page")


def test_sockets_of_the_service_manager_are_served(
    settings: Settings, duty: type[Serving], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket that was handed over is where the page is, though the settings name another place."""
    with socket.create_server(("127.0.0.1", 0)) as handed:
        port = handed.getsockname()[1]
        monkeypatch.setattr("daemon.serving.handed_sockets", lambda _environ: (handed.fileno(),))
        serving = duty(settings)
        serving.start()
        assert await_that(lambda: turned(serving).addresses, "address") == (f"http://127.0.0.1:{port}/",)
        assert answers(f"http://127.0.0.1:{port}/")


def test_only_sockets_that_were_meant_for_this_process_are_taken() -> None:
    """The words about them name a process; they are taken away, and no child inherits what they name."""
    told = {"LISTEN_PID": "7", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "page", "HOME": "/"}
    assert handed_sockets(dict(told), pid=8) == ()
    assert handed_sockets({"LISTEN_PID": "8", "LISTEN_FDS": "many"}, pid=8) == ()
    assert handed_sockets({}, pid=8) == ()
    reading, writing = os.pipe()
    code = (
        "import os; from daemon.handed import handed_sockets\n"
        "environ = {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1', 'HOME': '/'}\n"
        f"os.dup2({reading}, 3)\n"
        "print(handed_sockets(environ), sorted(environ), os.get_inheritable(3))"
    )
    try:
        said = subprocess.run(
            [sys.executable, "-P", "-c", code],
            capture_output=True,
            text=True,
            check=True,
            pass_fds=(reading,),
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert said.stdout.strip() == "(3,) ['HOME'] False"


def _is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
