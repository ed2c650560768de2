"""The service under a really booted systemd: readiness, journal, watchdog, restarts and their limit."""

from __future__ import annotations

import json

import pytest
import reporting
from booted_host import UNIT, USER, TrainingHost
from booted_machine import Machine

SLACK_SECONDS = 30.0  # of a loaded machine; the figure says whether the published bar is met


def test_start_returns_when_the_daemon_is_ready(host: TrainingHost) -> None:
    """`systemctl start` blocks until the daemon works, and `systemctl status` shows what it is at."""
    host.start()
    assert host.shown("ActiveState") == "active"
    assert host.events("DaemonStarted")
    assert host.shown("StatusText") == "waiting for plans in /var/lib/trainwright/inbox"
    assert host.machine.run("stat", "--format=%U", f"/proc/{host.pid}").strip() == USER
    assert not [entry for entry in host.journal() if int(entry["PRIORITY"]) < 6]


def test_a_dropped_plan_is_trained(host: TrainingHost) -> None:
    """A plan that is renamed into the drop folder is trained to its end, inside the unit's control group."""
    host.start()
    host.drop("first", ("LightGBM", "XGBoost"))
    (accepted,) = host.await_events("PlanAccepted")
    host.await_events("FitClaimed")
    group = host.shown("ControlGroup")
    assert group == f"/trainwright.slice/{UNIT}"
    host.await_events("PlanCompleted", where=lambda event: event["plan"] == accepted["plan"])
    assert len(host.events("FitSucceeded")) == 2


def test_the_journal_has_each_fact_as_fields(host: TrainingHost) -> None:
    """Lines carry plan, job, fit and attempt as fields to search by, and the priority of what they say."""
    (fit,) = {event["fit"] for event in host.events("FitSucceeded") if "LightGBM" in json.dumps(event)}
    lines = host.journal(f"FIT={fit}")
    assert {"fit claimed", "fit started", "fit succeeded"} <= {line["EVENT"] for line in lines}
    assert {line["PRIORITY"] for line in lines} == {"6"}
    assert {line["_SYSTEMD_UNIT"] for line in lines} == {UNIT}
    assert {line["ATTEMPT"] for line in lines} == {"1"}
    assert all(line["PLAN"].startswith("p_") and line["JOB"] == "cs_fwd_ret_1d" for line in lines)
    host.drop("broken", ())
    host.await_events("PlanRejected")
    warned = host.await_that(lambda: host.journal(f"--unit={UNIT}", "--priority=warning"), "warning")
    assert any("broken" in line["MESSAGE"] for line in warned)


def test_a_killed_daemon_is_started_anew_and_goes_on(host: TrainingHost) -> None:
    """Killed with `kill -9` in the middle of a fit, the daemon is back by itself and finishes the fit."""
    host.configure(params={"LightGBM": {"rounds": 1000, "patience": 1000, "chunk_rounds": 20}})
    host.systemctl("restart")
    host.drop("killed", target="y_up_1d")
    (saved, *_) = host.await_events("CheckpointSaved")
    host.signal("KILL")
    (lost,) = host.await_events("LeaseExpired")
    assert lost["fit"] == saved["fit"]
    assert lost["data"]["cause"] == "daemon gone"
    host.await_events("FitSucceeded", where=lambda event: event["fit"] == saved["fit"])
    started = [event["data"] for event in host.events("FitStarted") if event["fit"] == saved["fit"]]
    assert [one["resumed_from_attempt"] for one in started] == [None, 1]
    assert started[-1]["resumed_from_step"] >= lost["data"]["last_checkpoint_step"]
    assert int(host.shown("NRestarts")) == 1
    assert "kill" in host.events("DaemonStarted")[-1]["data"]["previous_stop"]


def test_a_reload_takes_new_settings_and_leaves_the_fit_alone(host: TrainingHost) -> None:
    """`systemctl reload` reads the configuration again; a wrong one changes nothing, and both are told."""
    host.configure(cpu_slots=1)
    host.start()
    before = host.pid
    host.configure(cpu_slots=2)
    host.systemctl("reload")
    (taken,) = host.await_events("DaemonReloaded")
    assert (taken["data"]["problem"], taken["data"]["cpu_slots"]) == ("", 2)
    host.configure(cpu_slots=-1)
    host.systemctl("reload")
    host.await_that(lambda: host.journal(f"--unit={UNIT}", "--priority=err"), "refusal")
    host.configure()  # commands read the file as well
    refused = host.await_events("DaemonReloaded", many=2)[-1]
    assert "cpu_slots" in refused["data"]["problem"]
    assert host.pid == before


@pytest.mark.slow
def test_a_frozen_daemon_is_ended_and_started_anew(host: TrainingHost) -> None:
    """A frozen daemon pings no more: systemd ends it, and the next is ready WatchdogSec + 2 s later."""
    watchdog_seconds = 5.0
    host.change_unit("watchdog", f"WatchdogSec={watchdog_seconds}")
    host.systemctl("restart")
    seconds = []
    for _ in range(10 if reporting.LONG else 1):
        host.machine.call("systemctl", "reset-failed", UNIT)  # no crash loop
        before, frozen = host.pid, host.machine.seconds()
        host.signal("STOP")
        host.await_that(lambda old=before: host.pid not in (0, old), "new daemon")
        host.await_that(lambda: host.shown("ActiveState") == "active", "readiness")
        seconds.append(int(host.shown("ActiveEnterTimestampMonotonic")) / 1e6 - frozen)
    assert any("Watchdog timeout" in entry["MESSAGE"] for entry in host.journal())
    most = max(seconds)
    found = f"{most:.1f} s with WatchdogSec={watchdog_seconds:.0f}, the slowest of {len(seconds)}"
    met = most <= watchdog_seconds + 2.0
    reporting.figure("frozen daemon back to READY", found, bar="<= WatchdogSec + 2 s", met=met)
    assert most <= watchdog_seconds + SLACK_SECONDS


def test_wrong_settings_end_the_start_for_good(host: TrainingHost) -> None:
    """A configuration that is wrong is not tried again and again: exit code 2, and the journal says why."""
    host.stop()
    host.configure(cpu_slots=-1)
    started = host.machine.call("systemctl", "start", UNIT)
    assert started.returncode != 0
    assert (host.shown("ExecMainStatus"), host.shown("NRestarts")) == ("2", "0")
    assert any("cpu_slots" in str(entry["MESSAGE"]) for entry in host.journal())
    host.configure()


def test_a_daemon_that_dies_again_and_again_stays_down(host: TrainingHost, machine: Machine) -> None:
    """The limit on starts ends a crash loop; the unit is then failed, for its last cause, and quiet."""
    host.stop()
    machine.call("systemctl", "reset-failed", UNIT)
    host.change_unit("crash", "ExecStart=", "ExecStart=/bin/false")
    machine.call("systemctl", "start", UNIT)
    host.await_that(lambda: host.shown("ActiveState") == "failed", "end of the crash loop")
    assert int(host.shown("NRestarts")) == int(host.shown("StartLimitBurst"))
    assert any("Start request repeated too quickly" in entry["MESSAGE"] for entry in host.journal())
