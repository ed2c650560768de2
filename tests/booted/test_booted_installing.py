"""`trainwright service install` and `remove` on a real systemd: for the machine, and for one person alone."""

from __future__ import annotations

import json
from pathlib import Path

from booted_host import COMMAND, STATE, UNIT, TrainingHost
from booted_machine import Machine

_WATCHED = ("/etc", "/usr", "/var/lib/systemd/timers")


def files(machine: Machine) -> set[str]:
    """Every file where an installation may write, but for what accounts and timers keep of themselves."""
    found = machine.run("find", *_WATCHED, "-xdev", "(", "-type", "f", "-o", "-type", "l", ")").splitlines()
    own = ("passwd", "group", "shadow", "gshadow", ".pwd.lock", "ld.so.cache", "stamp-")
    return {path for path in found if not any(word in path for word in own)}


def test_install_starts_the_host_and_remove_leaves_nothing(machine: Machine) -> None:
    """One command makes account, folders and units and starts the host; another takes away what it wrote."""
    before = files(machine)
    dry = machine.run(COMMAND, "service", "install", "--dry-run")
    assert UNIT in dry
    assert files(machine) == before
    machine.run(COMMAND, "service", "install")
    host = TrainingHost(machine)
    assert (host.shown("ActiveState"), host.shown("UnitFileState")) == ("active", "enabled")
    told = json.loads(machine.run(COMMAND, "service", "status", "--json"))
    assert "active" in json.dumps(told)
    assert machine.call("systemctl", "is-active", "trainwright-backup.timer").stdout.strip() == "active"
    pid, written = host.pid, files(machine)
    machine.run(COMMAND, "service", "install")
    assert (host.pid, files(machine)) == (pid, written)
    assert "daemon started" in machine.run(COMMAND, "service", "logs")
    machine.run(COMMAND, "service", "remove")
    assert host.shown("LoadState") == "not-found"
    assert {path for path in files(machine) - before if not path.endswith("trainwright.toml")} == set()
    assert machine.path(STATE / "results/trainwright.db").exists()


def test_what_was_changed_by_hand_stays(machine: Machine) -> None:
    """A unit that an administrator changed is neither overwritten nor removed without being asked."""
    machine.run(COMMAND, "service", "install", "--no-start")
    unit = Path("/etc/systemd/system") / UNIT
    text = machine.path(unit).read_text(encoding="utf-8") + "# changed by hand\n"
    machine.write(unit, text)
    machine.call(COMMAND, "service", "install", "--no-start")
    assert machine.path(unit).read_text(encoding="utf-8") == text
    machine.call(COMMAND, "service", "remove")
    assert machine.path(unit).read_text(encoding="utf-8") == text
    machine.run("rm", unit)


def test_a_person_has_a_service_without_root(machine: Machine) -> None:
    """With --user the host runs under the person's own systemd, trains, and is removed again."""
    machine.run("useradd", "--create-home", "bob")
    machine.run("loginctl", "enable-linger", "bob")
    number = machine.run("id", "-u", "bob").strip()
    door = f"/run/user/{number}/systemd/private"
    machine.await_that(lambda: machine.path(door).exists(), "systemd of a person")
    given = {"user": "bob", "environment": {"HOME": "/home/bob", "XDG_RUNTIME_DIR": f"/run/user/{number}"}}
    machine.run("env", "-C", "/home/bob", COMMAND, "service", "install", "--user", **given)
    assert machine.run("systemctl", "--user", "is-active", UNIT, **given).strip() == "active"
    status = machine.run("env", "-C", "/home/bob", COMMAND, "service", "status", "--user", **given)
    assert "active" in status
    machine.run("env", "-C", "/home/bob", COMMAND, "service", "remove", "--user", **given)
    assert machine.call("systemctl", "--user", "is-active", UNIT, **given).stdout.strip() == "inactive"
