"""The hardened service trains, keeps to its sandbox, takes plans of people, wakes up, and makes backups."""

from __future__ import annotations

import pytest
import reporting
from booted_host import EVERY_LIBRARY, STATE, TrainingHost
from daemon_samples import document, job, write_plan


def test_the_sandbox_holds(host: TrainingHost) -> None:
    """The daemon has no privilege, no network, and only its own folder to write to."""
    host.start()
    machine, pid = host.machine, host.pid
    told = dict(
        line.split(":\t", 1)
        for line in machine.run("cat", f"/proc/{pid}/status").splitlines()
        if ":\t" in line
    )
    assert (told["NoNewPrivs"], told["Seccomp"]) == ("1", "2")
    assert int(told["CapBnd"], 16) == int(told["CapEff"], 16) == 0
    assert len(machine.run("cat", f"/proc/{pid}/net/dev").splitlines()) == 3  # two lines of heading, lo
    for folder in ("/etc", "/usr", "/opt/trainwright", "/var"):
        refused = machine.call("nsenter", "-t", str(pid), "-m", "touch", f"{folder}/planted")
        assert "Read-only file system" in refused.stderr
    allowed = machine.call("nsenter", "-t", str(pid), "-m", "touch", STATE / "planted")
    assert allowed.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["sqlite", "gpu"])
def test_every_library_trains_in_the_sandbox(host: TrainingHost, variant: str) -> None:
    """LightGBM, XGBoost, scikit-learn and torch work under all that the service is forbidden."""
    if variant != "sqlite":
        host.stop()
        host.take_variant(variant)
    host.start()
    families = EVERY_LIBRARY if reporting.LONG or variant == "sqlite" else ("LightGBM",)
    plan = host.take(variant, families)
    host.await_completed(plan)
    assert not host.events("FitFailed")
    done = [event for event in host.events("FitSucceeded") if event["plan"] == plan]
    assert len(done) == len(families)


def test_a_person_of_the_group_drops_a_plan(host: TrainingHost) -> None:
    """Who is in the group `plans` copies a plan in or submits it; the log says who; others cannot."""
    host.start()
    machine = host.machine
    machine.run("useradd", "--create-home", "--groups", "plans", "alice")
    machine.run("useradd", "--create-home", "mallory")
    for name in ("copied", "submitted"):
        write_plan(machine.path(f"/srv/{name}"), document(job(reason=name)))
        machine.run("chmod", "-R", "a+rX", f"/srv/{name}")
    known = len(host.events("PlanAccepted"))
    assert machine.call("cp", "-r", "/srv/copied", STATE / "inbox", user="mallory").returncode != 0
    machine.run("cp", "-r", "/srv/copied", STATE / "inbox", user="alice")
    first = host.await_events("PlanAccepted", many=known + 1)[-1]
    assert f"owner {machine.run('id', '-u', 'alice').strip()}" in first["data"]["source"]
    submitted = host.command("submit", "/srv/submitted", user="alice")
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    forbidden = host.command("status", user="alice")
    assert (forbidden.returncode, "may not be read" in forbidden.stderr) == (5, True)
    second = host.await_events("PlanAccepted", many=known + 2)[-1]
    for event in (first, second):
        host.await_completed(event["plan"])
    assert set(machine.run("ls", STATE / "inbox").split()) <= {"accepted", "rejected"}


def test_the_backup_is_made_and_is_whole(host: TrainingHost) -> None:
    """The nightly unit writes a copy of the log that verifies while the daemon runs; the timer knows when."""
    host.start()
    machine = host.machine
    machine.run("systemctl", "start", "trainwright-backup.service")
    (made,) = machine.run("find", STATE / "results/backups", "-name", "*.db").split()
    verified = host.command("db", "verify", environment={"TRAINWRIGHT_DATABASE_URL": f"sqlite:///{made}"})
    assert verified.returncode == 0, verified.stdout + verified.stderr
    machine.run("systemctl", "enable", "--now", "trainwright-backup.timer")
    shown = machine.run(
        "systemctl", "show", "--value", "--property=NextElapseUSecRealtime", "trainwright-backup.timer"
    )
    assert "03:" in shown


@pytest.mark.slow
def test_a_plan_wakes_the_host_on_demand(host: TrainingHost) -> None:
    """In the on-demand variant a dropped plan starts the service, which ends when nothing is left."""
    host.stop()
    host.take_variant("on-demand")
    machine = host.machine
    machine.run("systemctl", "enable", "--now", "trainwright.path")
    for number in range(2):
        host.await_that(lambda: host.shown("ActiveState") == "inactive", "end of the service")
        host.await_completed(host.take(f"wake{number}"))
    host.await_that(lambda: host.shown("ActiveState") == "inactive", "end of the service")
    assert host.shown("Result") == "success"
    machine.run("systemctl", "disable", "--now", "trainwright.path")
