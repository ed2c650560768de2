"""A machine that the tests boot, reboot and pull the plug of: systemd as process 1 in namespaces of its own.

Its disk is a folder over the image: what is written outlives a power cut, as a disk does. The product's
interpreter, its libraries and this checkout lie in it read-only. It has no network but its own loopback.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

import psutil
from booted_image import base_image, roomy_folder

CHECKOUT = Path(__file__).resolve().parents[2]
PREFIX = Path("/opt/trainwright")  # where the units expect the installation
PATIENCE_SECONDS = 120.0
_BINDS = {"/opt/checkout": CHECKOUT, "/opt/libraries": Path(sysconfig.get_path("purelib"))}
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_POWER_OFF = signal.SIGRTMIN + 4  # systemd(1), Signals
_CONTROLLERS = ("memory", "pids", "cpu", "systemd", "unified")  # version 1 has a tree for each
_GROUPS = Path("/sys/fs/cgroup")
_NUMBERS = count(1)


class MachineFailed(AssertionError):
    """The machine did not do what it must; says what it told."""


def layouts() -> tuple[str, ...]:
    """The layouts of control groups that this machine's kernel can give another one."""
    if (_GROUPS / "cgroup.controllers").exists():
        return ("unified",)
    return ("hybrid", "unified") if (_GROUPS / "unified").is_dir() else ("hybrid",)


def unreadable() -> str:
    """Return what another account than root could not read in a machine, or nothing."""
    for path in (*_BINDS.values(), CHECKOUT / "daemon/service.py", Path(sys.base_prefix)):
        needed = 0o5 if path.is_dir() else 0o4
        if path.stat().st_mode & needed != needed:
            return f"{path} can be read by its owner alone, and the service in the machine is another account"
    return ""


class Machine:
    """One machine; what runs in it ends with it."""

    def __init__(self, *, layout: str | None = None) -> None:
        self.layout = layout or layouts()[0]
        self._name = f"tw{os.getpid()}m{next(_NUMBERS)}"
        self._folder = roomy_folder("tw-booted-")
        self._supervisor: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._groups: list[Path] = []
        for part in ("upper", "work", "root"):
            (self._folder / part).mkdir()
        _install(self._folder / "upper")

    def boot(self) -> None:
        """Switch it on and wait until systemd has started everything that is enabled."""
        self._groups = list(_own_groups(self._name))
        given = {
            "parent": os.getpid(),
            "groups": [str(group) for group in self._groups],
            "lower": str(base_image()),
            **{part: str(self._folder / part) for part in ("upper", "work", "root")},
            "command": self._nspawn(),
            "environment": {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"} if self.layout == "unified" else {},
        }
        words = [sys.executable, "-P", str(Path(__file__).with_name("booted_start.py")), json.dumps(given)]
        with (self._folder / "console").open("wb") as console:
            self._supervisor = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=console, stderr=console, cwd="/"
            )
        self._leader = self.await_that(self._first_process, "first process")
        self.await_that(self._is_up, "end of the boot")
        if self.layout == "hybrid":
            self._open_groups()

    def call(
        self,
        *words: str | Path,
        user: str | None = None,
        seconds: float = PATIENCE_SECONDS,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root or another user, and return how it ended."""
        given = {"PATH": _PATH, "HOME": "/root", "LANG": "C.UTF-8", "TERM": "dumb", **(environment or {})}
        change = ["runuser", "-u", user, "--"] if user else []
        return subprocess.run(
            [
                *("nsenter", "-t", str(self._leader), "-a", "env", "-i", "-C", "/"),
                *(f"{name}={value}" for name, value in given.items()),
                *change,
                *(str(word) for word in words),
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def run(self, *words: str | Path, **given: Any) -> str:
        """Run a command inside that must end well, and return what it printed.

        Raises:
            MachineFailed: it did not.
        """
        done = self.call(*words, **given)
        if done.returncode != 0:
            said = f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
            raise MachineFailed(f"{' '.join(map(str, words))}: exit status {done.returncode}\n{said}")
        return done.stdout

    def path(self, inside: str | Path) -> Path:
        """Return a path of the machine as seen from here: of its disk, also while it is off."""
        if self._leader:
            return Path(f"/proc/{self._leader}/root/{inside}")
        return self._folder / "upper" / str(inside).lstrip("/")

    def write(self, inside: str | Path, text: str, *, mode: int = 0o644) -> Path:
        """Write a file on its disk, with the folders it needs."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def seconds(self) -> float:
        """Its monotonic clock, which is that of the kernel, as systemd's timestamps tell it."""
        return time.clock_gettime(time.CLOCK_MONOTONIC)

    def await_that(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true answer of a condition; fail when there is none in time, or no machine."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if found := condition():
                return found
            if self._supervisor is None or self._supervisor.poll() is not None:
                raise MachineFailed(f"no {what}: the machine is off\n{self._told()}")
            time.sleep(0.02)  # between two looks at a real condition
        raise MachineFailed(f"in {PATIENCE_SECONDS} s there was no {what}\n{self._told()}")

    def await_off(self) -> None:
        """Wait until the machine has switched itself off, and tidy up after it.

        Raises:
            MachineFailed: it stays on.
        """
        if self._supervisor is not None:
            try:
                self._supervisor.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired as error:
                raise MachineFailed(f"the machine stays on\n{self._told()}") from error
        self._supervisor, self._leader = None, 0
        for group in self._groups:
            _remove_group(group)
        self._groups = []

    def shut_down(self) -> None:
        """Press the power button: systemd stops every service, then the machine is off."""
        os.kill(self._leader, _POWER_OFF)
        self.await_off()

    def pull_the_plug(self) -> None:
        """Take the power away: every process is gone at once, none is told."""
        os.kill(self._leader, signal.SIGKILL)
        self.await_off()

    def close(self) -> None:
        """Take the power away and throw the disk away."""
        if self._supervisor is not None:
            with suppress(ProcessLookupError):
                os.kill(self._leader or self._supervisor.pid, signal.SIGKILL)
            self.await_off()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _nspawn(self) -> list[str]:
        binds = {**_BINDS, **({} if sys.base_prefix == "/usr" else {"/opt/python": Path(sys.base_prefix)})}
        return [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self._folder / 'root'}"),
            *("--register=no", "--keep-unit", "--private-network", "--console=pipe", "--link-journal=no"),
            *(f"--machine={self._name}", "--timezone=off", "--resolv-conf=off"),
            "--system-call-filter=bpf",  # a unit's devices and addresses are watched in the kernel
            *(f"--bind-ro={outside}:{inside}" for inside, outside in binds.items()),
        ]

    def _first_process(self) -> int:
        """The process that is number 1 inside, once it has become systemd."""
        supervisor = self._supervisor
        with suppress(psutil.Error, OSError):
            for child in psutil.Process(supervisor.pid if supervisor else 0).children():
                if child.exe().endswith("/systemd"):
                    return child.pid
        return 0

    def _is_up(self) -> bool:
        return self.call("systemctl", "is-system-running").stdout.strip() in ("running", "degraded")

    def _open_groups(self) -> None:
        """Let the machine write its own controllers of version 1, which systemd-nspawn leaves read-only."""
        names = {group.relative_to(_GROUPS).parts[0] for group in self._groups} - {"systemd", "unified"}
        for name in sorted(names):
            self.run("mount", "-o", "remount,bind,rw", f"/sys/fs/cgroup/{name}")
        self.run("systemctl", "daemon-reexec")

    def _told(self) -> str:
        """The last words of the console."""
        console = self._folder / "console"
        return console.read_text(errors="replace")[-2000:] if console.exists() else ""


@contextmanager
def booted(**given: Any) -> Iterator[Machine]:
    """A machine that is on; thrown away at the end."""
    machine = Machine(**given)
    try:
        machine.boot()
        yield machine
    finally:
        machine.close()


def _install(disk: Path) -> None:
    """Put an environment where the units expect it: the interpreter and the libraries of these tests."""
    folder = disk / PREFIX.relative_to("/")
    home = Path("/usr/bin" if sys.base_prefix == "/usr" else "/opt/python/bin")
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = folder / ".venv/lib" / version / "site-packages"
    site.mkdir(parents=True)
    (site / "libraries.pth").write_text("/opt/checkout\nimport site; site.addsitedir('/opt/libraries')\n")
    (folder / ".venv/pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    programs = folder / ".venv/bin"
    programs.mkdir()
    for name in ("python", "python3"):
        (programs / name).symlink_to(home / version)
    command = programs / "trainwright"
    command.write_text(
        f"#!{PREFIX}/.venv/bin/python\nimport sys\nfrom daemon.cli.main import main\nsys.exit(main())\n"
    )
    command.chmod(0o755)
    (folder / "README.md").symlink_to("/opt/checkout/README.md")
    shared = sysconfig.get_config_var("INSTSONAME")
    if sys.base_prefix != "/usr" and sysconfig.get_config_var("Py_ENABLE_SHARED"):
        libraries = disk / "usr/lib" / str(sysconfig.get_config_var("MULTIARCH"))
        libraries.mkdir(parents=True)
        (libraries / str(shared)).symlink_to(f"/opt/python/lib/{shared}")


def _own_groups(name: str) -> Iterator[Path]:
    """Make a control group below this process's own in every tree: limits inside are for it alone."""
    trees = {"": _GROUPS} if layouts() == ("unified",) else {tree: _GROUPS / tree for tree in _CONTROLLERS}
    for line in Path("/proc/self/cgroup").read_text(encoding="ascii").splitlines():
        _, controllers, own = line.split(":", 2)
        for controller in controllers.removeprefix("name=").split(",") if controllers else ("unified", ""):
            if controller in trees and trees[controller].is_dir():
                group = trees[controller] / own.lstrip("/") / name
                group.mkdir(exist_ok=True)
                yield group


def _remove_group(group: Path) -> None:
    """Remove a control group and what is below it, now that nothing runs in it."""
    for path in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        with suppress(OSError):
            path.rmdir()
    with suppress(OSError):
        group.rmdir()
