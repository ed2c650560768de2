"""The unit file is one that systemd takes without a word."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "systemd" / "trainwright.service"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the unit as it is, to be spoiled."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text())
    return path


def test_the_unit_says_what_the_daemon_does() -> None:
    """Readiness and watchdog are announced, the daemon alone gets SIGTERM, and codes 2 and 75 are final."""
    lines = set(UNIT.read_text().splitlines())
    assert {
        "Type=notify",
        "KillMode=mixed",
        "ExecStart=/usr/bin/env /opt/trainwright/.venv/bin/trainwright daemon",
        "RestartPreventExitStatus=2 75",
    } <= lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_unit_without_a_word(copied: Path) -> None:
    """`systemd-analyze verify` ends well and says nothing; an unknown key would be a line on stderr."""
    done = subprocess.run(
        ["systemd-analyze", "verify", str(copied)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    copied.write_text(copied.read_text() + "NoSuchKey=1\n")
    spoiled = subprocess.run(
        ["systemd-analyze", "verify", str(copied)], capture_output=True, text=True, check=False
    )
    assert "NoSuchKey" in spoiled.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_the_unit_is_hardened(copied: Path) -> None:
    """The exposure that systemd measures stays at or below 2.0 of 10."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(copied)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:]
