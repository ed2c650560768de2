"""The files in systemd/ are taken by systemd without a word, and each variant is as hard as it says."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from reporting import figure
from unit_samples import analyze, installed, needs_systemd

from daemon.units import GPU, NETWORK, ON_DEMAND, POSTGRES

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNITS = sorted(path.name for path in SYSTEMD.iterdir() if path.is_file() and path.suffix != ".toml")
SANDBOX = ("Protect", "Private", "Restrict", "SystemCall", "IPAddress", "Device", "Memory", "Remove", "Lock")
# Variants, what is said of them, and the exposure that systemd may find at most, in tenths of its ten.
SURROUNDINGS = [
    ((), (), "SQLite only", 5),
    ((ON_DEMAND,), (), "on demand", 5),
    ((POSTGRES,), (), "Postgres here", 10),
    ((POSTGRES,), ("10.0.0.5", "fd00::/8"), "Postgres", 10),
    ((NETWORK,), ("any",), "network", 10),
    ((GPU,), (), "GPU", 20),
    ((GPU, POSTGRES), ("10.0.0.5",), "GPU and Postgres", 20),
]


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the units as they are, to be spoiled."""
    for name in UNITS:
        shutil.copyfile(SYSTEMD / name, tmp_path / name)
    return tmp_path


def settings_of(unit: Path, *prefixes: str) -> list[str]:
    """The settings of a unit whose names begin so, in order."""
    lines = unit.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("#") and line.startswith(prefixes)]


def without(lines: Iterable[str], *left_out: str) -> list[str]:
    """The lines without some."""
    return [line for line in lines if line not in left_out]


def test_the_unit_says_what_the_daemon_does() -> None:
    """Readiness and watchdog are announced, the daemon alone gets SIGTERM, and codes 2 and 75 are final."""
    lines = set((SYSTEMD / "trainwright.service").read_text(encoding="utf-8").splitlines())
    assert {
        "Type=notify",
        "KillMode=mixed",
        "ExecStart=/usr/bin/env /opt/trainwright/.venv/bin/trainwright daemon",
        'ExecReload=/bin/sh -c "kill -HUP ${MAINPID}"',
        "RestartPreventExitStatus=2 75",
        "OOMPolicy=continue",
        "Slice=trainwright.slice",
    } <= lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


@needs_systemd
@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_each_unit_without_a_word(copied: Path, unit: str) -> None:
    """`systemd-analyze verify` ends well and says nothing; an unknown key would be a line on stderr."""
    done = analyze("verify", str(copied / unit))
    assert (done.returncode, done.stderr) == (0, "")
    (copied / unit).write_text((copied / unit).read_text() + "NoSuchKey=1\n")
    assert "NoSuchKey" in analyze("verify", str(copied / unit)).stderr


@needs_systemd
@pytest.mark.parametrize("unit", ["trainwright.service", "trainwright-backup.service"])
def test_systemd_takes_the_units_of_a_person_without_a_word(copied: Path, unit: str) -> None:
    """The units of a person without root are verified as such."""
    shutil.copyfile(SYSTEMD / "user" / unit, copied / unit)
    done = analyze("--user", "verify", str(copied / unit), runtime=copied)
    assert (done.returncode, done.stderr) == (0, "")


@needs_systemd
@pytest.mark.parametrize(("variants", "addresses", "surrounding", "bar"), SURROUNDINGS)
def test_each_variant_is_as_hard_as_it_says(
    tmp_path: Path, variants: tuple[str, ...], addresses: tuple[str, ...], surrounding: str, bar: int
) -> None:
    """Installed with its drop-ins the service verifies silently, and its exposure keeps to its bar."""
    units = installed(tmp_path / "image", variants=frozenset(variants), addresses=addresses)
    for unit in ("trainwright.service", "trainwright-backup.service"):
        done = analyze("verify", str(units / unit))
        assert (done.returncode, done.stderr) == (0, "")
        held = analyze("security", "--offline=true", f"--threshold={bar}", str(units / unit))
        assert held.returncode == 0, held.stdout[-300:]
    found = exposure(units / "trainwright.service")
    figure(f"exposure, {surrounding}", f"{found}", bar=f"<= {bar / 10:.1f}", met=found <= bar / 10)
    assert found <= bar / 10


@needs_systemd
def test_a_softened_unit_is_found_out(tmp_path: Path) -> None:
    """Without any one of these settings the bar of the SQLite-only service is missed."""
    unit = installed(tmp_path / "image") / "trainwright.service"
    text = unit.read_text()
    for setting in (
        "PrivateNetwork=yes",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
        "PrivateDevices=yes",
    ):
        unit.write_text(text.replace(f"{setting}\n", ""))
        softer = analyze("security", "--offline=true", "--threshold=5", str(unit))
        assert softer.returncode != 0, setting


def test_what_a_backup_needs_less_it_does_not_get() -> None:
    """The backup has the daemon's sandbox, may not pin CPUs, and makes no code at run time."""
    daemon = settings_of(SYSTEMD / "trainwright.service", *SANDBOX)
    backup = settings_of(SYSTEMD / "trainwright-backup.service", *SANDBOX)
    assert without(backup, "MemoryDenyWriteExecute=yes") == without(
        daemon, "SystemCallFilter=sched_setaffinity"
    )


def test_the_service_of_a_person_lives_as_that_of_the_machine_does() -> None:
    """Both units start, restart, reload and stop the daemon in the same way."""
    life = ("Type", "Notify", "Exec", "Watchdog", "Restart", "Kill", "Timeout", "OOM", "Start", "Slice")
    assert settings_of(SYSTEMD / "user" / "trainwright.service", *life) == settings_of(
        SYSTEMD / "trainwright.service", *life
    )


@pytest.mark.skipif(shutil.which("systemd-sysusers") is None, reason="systemd-sysusers is not installed")
def test_account_and_folders_are_made_as_said(tmp_path: Path) -> None:
    """In an empty image: the account is in the group that may drop, and is nobody who can log in."""
    installed(tmp_path / "image")
    done = subprocess.run(
        ["systemd-sysusers", f"--root={tmp_path / 'image'}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    account = (tmp_path / "image/etc/passwd").read_text().split(":")
    assert (account[0], account[5], account[6].strip()) == (
        "trainwright", "/var/lib/trainwright", "/usr/sbin/nologin",
    )  # fmt: skip
    groups = (tmp_path / "image/etc/group").read_text().splitlines()
    assert [line.rpartition(":")[2] for line in groups if line.startswith("plans:")] == ["trainwright"]


def exposure(unit: Path) -> float:
    """What systemd finds, of ten."""
    last = analyze("security", "--offline=true", str(unit)).stdout.splitlines()[-1]
    return float(re.findall(r": (\d+\.\d+) ", last)[-1])  # a face follows, drawn in letters where LANG is C
