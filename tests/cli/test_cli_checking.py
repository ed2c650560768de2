"""``doctor``: each finding with its fix beside it."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Call, living_daemon

from daemon.cli import checking, host_checks, machine_checks, place_checks
from daemon.cli.findings import Asked
from daemon.leftovers import Leftover
from daemon.settings import Settings
from store import PlanStore

UNIT = {
    "LoadState": "loaded",
    "ActiveState": "active",
    "SubState": "running",
    "UnitFileState": "enabled",
    "NRestarts": "0",
    "Result": "success",
    "PrivateNetwork": "no",
}


def states(document: Any) -> dict[str, str]:
    """The states of the findings by name; the last one of a name counts."""
    return {one["name"]: one["state"] for one in document["findings"]}


def finding(document: Any, name: str) -> dict[str, str]:
    """The first finding of a name."""
    return next(one for one in document["findings"] if one["name"] == name)


def configure(folder: Path, text: str, mode: int = 0o600) -> None:
    """Write the configuration file."""
    (folder / "trainwright.toml").write_text(f"[daemon]\n{text}\n", encoding="utf-8")
    (folder / "trainwright.toml").chmod(mode)


@pytest.fixture
def systemd(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A service manager that says of the unit what it is told to, of the system's or of the user's."""
    told = folder / "systemctl.json"
    program = folder / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable} -S\n"
        "import json, sys\n"
        f"told = json.load(open({str(told)!r}))\n"
        "facts = told['user' if '--user' in sys.argv else 'system']\n"
        "print(*(f'{name}={value}' for name, value in facts.items()), sep='\\n')\n",
        encoding="utf-8",
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(host_checks, "RUNNING_SYSTEMD", folder)

    def tell(*, system: dict[str, str] | None = None, user: dict[str, str] | None = None) -> None:
        absent = {"LoadState": "not-found"}
        told.write_text(json.dumps({"system": system or absent, "user": user or absent}))

    return tell


def test_a_machine_with_everything_is_well(call: Call, filled: PlanStore) -> None:
    """Every check has a line and the log is counted; looking changes nothing in it."""
    head = filled.head_seq()
    done = call("doctor", "--json")
    assert done.code == 0
    names = {"python", "lightgbm", "cores", "memory", "gpu", "open files", "inotify", "clock", "cgroups"}
    places = {"account", "disk", "results", "output", "inbox", "event log"}
    assert names | places | {"unit", "daemon", "processes", "telling"} <= set(states(done.document))
    assert f"{head:,} events" in finding(done.document, "event log")["words"]
    assert filled.head_seq() == head
    assert done.document["failed"] == 0


def test_each_line_has_its_fix(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing library fails and an optional one warns, both with the command that installs it."""
    there = importlib.util.find_spec
    monkeypatch.setattr(
        machine_checks.importlib.util,
        "find_spec",
        lambda name: None if name in ("xgboost", "torch") else there(name),
    )
    done = call("doctor")
    assert done.code == 1
    lines = {line.split()[1]: line for line in done.lines}
    assert lines["xgboost"].startswith("fail")
    assert lines["xgboost"].endswith("not installed; fix: pip install xgboost")
    assert lines["torch"].startswith("warn")
    assert lines["torch"].endswith("fix: pip install 'trainwright[torch]'")
    assert done.lines[-1].endswith("1 failed")


def test_what_a_library_needs_of_the_system_is_looked_for(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LightGBM without the system's OpenMP is installed and cannot be loaded."""
    monkeypatch.setattr(machine_checks, "_loads", lambda _name: False)
    found = finding(call("doctor", "--json").document, "lightgbm")
    assert (found["state"], found["fix"]) == ("fail", "apt-get install libgomp1")


def test_settings_beyond_the_machine_warn(call: Call, folder: Path) -> None:
    """More slots than cores, more memory than there is, more files than allowed leave the exit code at 0."""
    configure(folder, "cpu_slots = 4096\nmemory_bytes = 900_000_000_000_000")
    done = call("doctor", "--json")
    assert done.code == 0
    found = states(done.document)
    assert [found[name] for name in ("cores", "memory", "open files")] == ["warn"] * 3


def test_a_disk_below_its_floor_fails(call: Call, folder: Path) -> None:
    """The same floor at which the host starts no fit; near it is a warning."""
    configure(folder, "disk_floor_bytes = 1_000_000_000_000_000_000")
    done = call("doctor", "--json")
    assert (done.code, states(done.document)["disk"]) == (1, "fail")
    assert "no fit is started" in finding(done.document, "disk")["words"]
    room = os.statvfs(folder)
    configure(folder, f"disk_floor_bytes = {room.f_bavail * room.f_frsize * 2 // 3}")
    assert states(call("doctor", "--json").document)["disk"] == "warn"


def test_cards_that_cannot_be_used_fail(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A card whose device this account may not open, and slots without a card."""
    cards = folder / "cards"
    (cards / "0000:01:00.0").mkdir(parents=True)
    monkeypatch.setattr(machine_checks, "CARDS", cards)
    monkeypatch.setattr(machine_checks, "DEVICES", folder / "dev")
    configure(folder, "gpu_slots = 3")
    found = finding(call("doctor", "--json").document, "gpu")
    assert (found["state"], found["fix"]) == ("warn", "set gpu_slots to 1")
    (folder / "dev").mkdir()
    (folder / "dev" / "nvidia0").touch()
    monkeypatch.setattr(machine_checks.os, "access", lambda path, _mode: "nvidia" not in str(path))
    found = finding(call("doctor", "--json").document, "gpu")
    assert found["state"] == "fail"
    assert "nvidia0 cannot be opened" in found["words"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"database_url": "postgresql://me@db/x"}, True),
        ({"database_url": "postgresql://me@db/x", "gpu_slots": 0}, False),
        ({"database_url": "postgresql://me@db/x", "engine": "ray"}, False),
        ({}, False),
    ],
)
def test_a_host_of_several_without_a_card_is_told_of_its_label(
    settings: dict[str, object], said: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The label comes with the slots, whatever there is; a host that is alone has nobody to leave fits to."""
    monkeypatch.setattr(machine_checks, "CARDS", folder / "none")
    known = replace(Settings.from_sources({}, {}, {"results_dir": folder}), **settings)  # type: ignore[arg-type]
    (found,) = machine_checks.gpu(Asked(settings=known, config=None))
    assert (found.state, "label gpu all the same: gpu_slots = 0" in found.words) == ("ok", said)


@pytest.mark.parametrize(("number", "words"), [(24, "max_user_instances"), (28, "max_user_watches")])
def test_a_kernel_that_gives_no_watch_warns(
    number: int, words: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is really tried; the fix names the limit that was met."""
    monkeypatch.setattr(machine_checks, "_refused_watch", lambda _directory: number)
    found = finding(call("doctor", "--json").document, "inotify")
    assert found["state"] == "warn"
    assert words in found["fix"]


@pytest.mark.parametrize(("state", "told"), [(5, "warn"), (0, "ok"), (None, "ok")])
def test_a_clock_that_nobody_sets_warns(
    state: int | None, told: str, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the kernel sees it; where it may not be asked nothing is said."""
    monkeypatch.setattr(machine_checks, "_clock_state", lambda: state)
    assert finding(call("doctor", "--json").document, "clock")["state"] == told


def test_the_kernel_is_asked_of_its_clock() -> None:
    """The real question is answered with a state of adjtimex(2), or not at all."""
    assert machine_checks._clock_state() in (None, 0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (("cgroup.controllers",), "unified"),
        (("unified/cgroup.controllers",), "hybrid"),
        ((), "legacy"),
    ],
)
def test_the_layout_of_control_groups_is_said(
    files: tuple[str, ...], words: str, call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By it a person knows which limits of the unit hold."""
    groups = folder / "cgroup"
    groups.mkdir()
    for name in files:
        (groups / name).parent.mkdir(exist_ok=True)
        (groups / name).touch()
    monkeypatch.setattr(machine_checks, "GROUPS", groups)
    assert finding(call("doctor", "--json").document, "cgroups")["words"].startswith(words)


def test_a_log_that_cannot_be_read_fails(call: Call, folder: Path) -> None:
    """A file that is no database is named with what to do."""
    (folder / "results").mkdir()
    (folder / "results" / "trainwright.db").write_bytes(b"not a database" * 100)
    done = call("doctor", "--json")
    assert done.code == 1
    assert states(done.document)["event log"] == "fail"


def test_a_log_on_a_network_disk_fails(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks and shared memory do not hold there; memory is no place for results either."""
    device = folder.stat().st_dev
    mounts = folder / "mountinfo"
    monkeypatch.setattr(place_checks, "MOUNTS", mounts)
    numbers = f"{os.major(device)}:{os.minor(device)}"
    mounts.write_text(f"1 2 0:0 / / rw - ext4 a b\n3 4 {numbers} / /x rw shared:1 - nfs4 server:/ rw\n")
    found = finding(call("doctor", "--json").document, "event log")
    assert found["state"] == "fail"
    assert "nfs4" in found["words"]
    mounts.write_text(f"3 4 {numbers} / /x rw - tmpfs none rw\n")
    assert finding(call("doctor", "--json").document, "results")["state"] == "warn"


def test_a_drop_folder_that_everybody_may_write_into_fails(call: Call, folder: Path) -> None:
    """As at the daemon's start, with the command that closes it; a file in its place too."""
    (folder / "inbox").mkdir()
    (folder / "inbox").chmod(0o777)
    found = finding(call("doctor", "--json").document, "inbox")
    assert (found["state"], found["fix"]) == ("fail", f"chmod o-w {folder}/inbox")
    (folder / "inbox").rmdir()
    (folder / "inbox").touch()
    assert "is no directory" in finding(call("doctor", "--json").document, "inbox")["words"]


def test_folders_this_account_may_not_write_fail(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether they are there or must be made first."""
    monkeypatch.setattr(place_checks.os, "access", lambda _path, _mode: False)
    found = states(call("doctor", "--json").document)
    assert [found[name] for name in ("results", "output", "inbox")] == ["fail"] * 3


def test_the_wrong_account_is_told(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rights are those of whoever asks: the fix asks as the owner of the results."""
    owner = folder.stat().st_uid
    monkeypatch.setattr(place_checks.os, "geteuid", lambda: owner + 1)
    found = finding(call("doctor", "--json").document, "account")
    assert found["state"] == "warn"
    assert found["fix"].startswith("sudo -u ")


def test_secrets_that_others_may_read_fail(call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file with a password or the webhook's address, and the file with its key; none is ever shown."""
    key = folder / "key"
    key.write_text("short")
    key.chmod(0o644)
    hook = f'webhook_url = "https://example.com/T0PSECRET"\nwebhook_secret_file = "{key}"'
    configure(folder, hook, 0o644)
    done = call("doctor", "--json")
    found = states(done.document)
    assert (done.code, found["secrets"], found["webhook key"]) == (1, "fail", "fail")
    assert "T0PSECRET" not in done.out
    configure(folder, hook)
    key.chmod(0o600)
    found = states(call("doctor", "--json").document)
    assert (found.get("secrets"), found["webhook key"]) == (None, "warn")
    key.write_text("whsec_c2VjcmV0c2VjcmV0c2VjcmV0")
    assert states(call("doctor", "--json").document)["webhook key"] == "ok"
    monkeypatch.setenv("TRAINWRIGHT_DATABASE_URL", f"sqlite:///{folder}/x.db?password=T0PSECRET")
    done = call("doctor", "--json")
    assert states(done.document)["secrets"] == "warn"
    assert "T0PSECRET" not in done.out


def test_no_daemon_at_work_warns(call: Call, filled: PlanStore) -> None:
    """The log knows who is at work; a living one is named."""
    assert states(call("doctor", "--json").document)["daemon"] == "warn"
    filled.daemon_started(living_daemon())
    found = finding(call("doctor", "--json").document, "daemon")
    assert found["state"] == "ok"
    assert f"pid {os.getpid()}" in found["words"]


def test_what_a_dead_daemon_left_running_is_named(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers to end it by hand."""
    left = (Leftover(pid=4711, worker="w", words="python -m executors.warm_server"),)
    monkeypatch.setattr(host_checks, "leftovers", lambda _here: left)
    found = finding(call("doctor", "--json").document, "processes")
    assert found["state"] == "warn"
    assert "kill -9 4711" in found["fix"]


@pytest.mark.parametrize(
    ("changed", "state", "words"),
    [
        ({}, "ok", "is active (running)"),
        ({"NRestarts": "3"}, "ok", "restarted 3 times"),
        ({"LoadState": "not-found"}, "warn", "service install"),
        ({"ActiveState": "inactive", "SubState": "dead"}, "warn", "systemctl start"),
        ({"UnitFileState": "disabled"}, "warn", "systemctl enable"),
        ({"ActiveState": "failed", "Result": "watchdog"}, "fail", "it failed: watchdog"),
        ({"PrivateNetwork": "yes"}, "fail", "cannot reach the webhook"),
    ],
)
def test_the_unit_is_as_systemd_says(
    changed: dict[str, str], state: str, words: str, call: Call, folder: Path, systemd: Any
) -> None:
    """Installed, enabled, running, and able to reach what the settings name."""
    configure(folder, 'webhook_url = "https://example.com/x"')
    systemd(system=UNIT | changed)
    found = finding(call("doctor", "--json").document, "unit")
    assert found["state"] == state
    assert words in f"{found['words']} {found['fix']}"


def test_a_unit_of_the_user_is_one_too(call: Call, systemd: Any) -> None:
    """Where the system has none; its commands are the user's."""
    systemd(user=UNIT | {"ActiveState": "failed"})
    found = finding(call("doctor", "--json").document, "unit")
    assert found["fix"].startswith("journalctl --user -u trainwright.service")


def test_the_ways_to_people_are_looked_at_and_tried_when_asked(call: Call, folder: Path) -> None:
    """Nothing is sent unasked; a message that does not arrive fails."""
    told = folder / "told"
    script = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read())"
    words = json.dumps([sys.executable, "-S", "-c", script, str(told)])
    configure(folder, f'notify_command = {words}\nwebhook_url = "http://127.0.0.1:1/T0PSECRET"')
    done = call("doctor", "--json")
    assert (states(done.document)["webhook"], states(done.document)["command"]) == ("warn", "ok")
    assert not told.exists()
    done = call("doctor", "--json", "--send-test")
    found = states(done.document)
    assert (done.code, found["test webhook"], found["test command"]) == (1, "fail", "ok")
    assert json.loads(told.read_text())["kind"] == "test"
    assert "T0PSECRET" not in done.out


@pytest.mark.parametrize(
    ("text", "name", "state"),
    [
        ('webhook_url = "http://example.com/x"', "webhook", "warn"),
        ('webhook_url = "https://example.com/x"', "webhook", "warn"),
        ('notify_command = ["/no/such/program"]', "command", "fail"),
        ("", "telling", "ok"),
    ],
)
def test_a_way_that_leads_nowhere_is_told(text: str, name: str, state: str, call: Call, folder: Path) -> None:
    """In the open, without a signature, a program that is not there; none at all is no trouble."""
    configure(folder, text)
    assert states(call("doctor", "--json").document)[name] == state


def test_a_test_without_a_way_fails(call: Call) -> None:
    """Who asks for a message wants one."""
    done = call("doctor", "--send-test")
    assert done.code == 1
    assert "there is no way to people; fix: set webhook_url or notify_command" in done.out


def test_a_check_that_cannot_look_stops_no_other(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, by its name, and the others go on."""

    def broken(_asked: Any) -> Any:
        raise PermissionError(13, "Permission denied", "/secret/place")

    monkeypatch.setattr(checking, "CHECKS", (broken, *checking.CHECKS))
    done = call("doctor", "--json")
    assert done.code == 0
    assert "Permission denied" in finding(done.document, "broken")["words"]
    assert "processes" in states(done.document)
