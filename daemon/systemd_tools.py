"""The tools of systemd, called by argument lists; what they complain of becomes an error of ours."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

from daemon.errors import DaemonError

_C_LOCALE = {"LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


class SystemdFailed(DaemonError):
    """A tool of systemd is absent, or refused."""

    exit_code = 5

    def __init__(self, command: Sequence[str], sentence: str, fix: str) -> None:
        super().__init__(f"{command[0]} failed: {sentence}", where=" ".join(command), fix=fix)


def run_tool(*command: str) -> str:
    """Run a tool to its end and return what it printed; raises SystemdFailed."""
    done = _run(command, check=True)
    return done.stdout


def try_tool(*command: str) -> str:
    """Run a tool that may refuse, and return what it printed; raises SystemdFailed when it is absent."""
    return _run(command, check=False).stdout


def show_tool(*command: str) -> int:
    """Run a tool that speaks to the person itself; returns its exit code."""
    try:
        return subprocess.run(command, check=False).returncode
    except FileNotFoundError:
        raise _absent(command) from None


def _run(command: Sequence[str], *, check: bool) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env={**os.environ, **_C_LOCALE}
        )
    except FileNotFoundError:
        raise _absent(command) from None
    if check and done.returncode != 0:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        raise SystemdFailed(command, said[0] if said else f"exit code {done.returncode}", _fix(said))
    return done


def _fix(said: Sequence[str]) -> str:
    """What to look at next, by what a tool said."""
    if any("Failed to connect to bus" in line or "not been booted" in line for line in said):
        return "systemd does not run here (or not for this person); an image is filled by --root DIR"
    return "trainwright service status; trainwright service logs"


def _absent(command: Sequence[str]) -> SystemdFailed:
    return SystemdFailed(command, "it is not installed", "without systemd: trainwright daemon")
