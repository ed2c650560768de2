"""``hosts ls``: who works on this log, with what, and what is paused there."""

from __future__ import annotations

from dataclasses import replace

from cli_samples import Call, living_daemon, sample_plan

from store import PlanStore
from store.events import DaemonStopped


def test_a_host_shows_its_places_and_what_runs(call: Call, store: PlanStore) -> None:
    """Up with its places; gone or stopped with the reason and the next command."""
    assert "no host has worked on this log yet" in call("hosts", "ls").out
    start = replace(living_daemon(), cpu_slots=3, gpu_slots=1)
    store.daemon_started(start)
    store.accept(sample_plan(), source="test", name="t")
    store.claim(start.worker, stage="cpu", limit=2)
    store.pause(plan=None, stage=None, host=start.host, reason="for a backup", actor="me")
    (host,) = call("hosts", "ls", "--json").document["hosts"]
    assert (host["alive"], host["cpu_slots"], host["gpu_slots"]) == (True, 3, 1)
    assert host["running"] == {"cpu": 2, "gpu": 0}
    line = call("hosts", "ls").lines[1].split()
    assert line[:2] == [start.host, "up"]
    assert " ".join(line).endswith("3 1 2 0.1.0 paused: for a backup")
    store.daemon_said(DaemonStopped(worker=start.worker, host=start.host, cause="stopped by SIGTERM"))
    assert "stopped by SIGTERM" in call("hosts", "ls").out


def test_a_host_that_said_nothing_is_gone(call: Call, store: PlanStore) -> None:
    """The process is looked for where it ran here."""
    start = living_daemon()
    host, boot_id, namespace, *_ = start.worker.split("/")
    worker = "/".join((host, boot_id, namespace, "4194305", "1"))
    store.daemon_started(type(start)(worker=worker, host=host, version="0", boot_id=boot_id, pid=4194305))
    told = call("hosts", "ls")
    assert "gone without a word; start it: trainwright daemon" in told.out
    assert call("hosts", "lss").code == 2
    assert "Did you mean ls?" in call("hosts", "lss").err
