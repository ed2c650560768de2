"""``hosts``: who works on this log, with what; what is paused there, who drains, who is gone for good."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cli_samples import Call, living_daemon, sample_plan

from daemon.identity import own_identity
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
    assert host["standing"] == "up"
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


HOST = own_identity().host


@pytest.fixture
def at_work(store: PlanStore) -> PlanStore:
    """A host at work with two fits."""
    store.daemon_started(replace(living_daemon(), cpu_slots=3, gpu_slots=0, labels=("bigmem",)))
    store.accept(sample_plan(), source="test", name="t")
    store.claim(own_identity().worker, stage="cpu", limit=2)
    store.beat(HOST, own_identity().worker, running=2)
    return store


def test_a_host_drains_until_it_is_told_otherwise(call: Call, at_work: PlanStore) -> None:
    """Each word says what it does and what is left there; said again it is nothing new."""
    told = call("hosts", "drain", HOST, "--reason", "a new disk")
    assert told.lines[0] == f"draining  {HOST}: it claims nothing more; 2 fits may end there"
    assert at_work.reading.host(HOST).draining == "a new disk"
    assert f"already  {HOST}: it drains already; 2 fits may end there" in call("hosts", "drain", HOST).out
    line = call("hosts", "ls").lines[1]
    assert line.split()[:2] == [HOST, "draining"]
    assert "bigmem" in line
    assert line.endswith("drains: a new disk")
    status = call("status").out
    assert f"daemon   draining on {HOST}, pid" in status
    assert ": a new disk; 2 fits to end" in status
    given = call("hosts", "drain", HOST, "--give-back", "--json").document
    assert (given["already"], given["give_back"], len(given["running"])) == (False, True, 2)
    assert f"returned  {HOST}: it claims again" in call("hosts", "drain", HOST, "--undo").out
    assert at_work.reading.host(HOST).draining is None
    assert f"already  {HOST}: it does not drain" in call("hosts", "drain", HOST, "--undo").out
    kinds = [event.kind for event in at_work.events(kinds=("HostDraining", "HostReturned"))]
    assert kinds == ["HostDraining", "HostDraining", "HostReturned"]


def test_what_a_host_lacks_is_told_while_it_works(call: Call, at_work: PlanStore) -> None:
    """A cluster that is away is no silence: status says it, and hosts ls; of a stopped host it is no news."""
    assert "trouble" not in call("status").out
    at_work.beat(HOST, own_identity().worker, running=2, trouble="no fit is given to Ray: it does not answer")
    expected = f"trouble  no fit is given to Ray: it does not answer; trainwright doctor, on {HOST}"
    assert expected in call("status").lines
    listed = " ".join(call("hosts", "ls").out.split())
    assert f"trouble {HOST}: no fit is given to Ray: it does not answer; trainwright doctor there" in listed
    assert call("hosts", "ls", "--json").document["hosts"][0]["trouble"].startswith("no fit is given to Ray")
    at_work.daemon_said(DaemonStopped(worker=own_identity().worker, host=HOST, cause="stopped by SIGTERM"))
    assert "Ray" not in call("status").out
    assert "Ray" not in call("hosts", "ls").out


def test_a_rehearsal_says_it_and_does_nothing(call: Call, at_work: PlanStore) -> None:
    """With --dry-run the log stays as it is, and a refusal comes as it would."""
    head = at_work.head_seq()
    told = call("hosts", "drain", HOST, "--give-back", "--dry-run").out
    assert f"would drain  {HOST}: it claims nothing more; 2 fits are given back, to go on elsewhere" in told
    forced = call("hosts", "remove", HOST, "--force", "--dry-run").out
    assert "would remove" in forced
    assert "2 fits are taken back" in forced
    assert call("hosts", "remove", HOST, "--dry-run").code == 75
    assert at_work.head_seq() == head


def test_a_host_that_may_be_at_work_is_not_removed(call: Call, at_work: PlanStore) -> None:
    """The sentence says when it was heard of and what to do; by force it goes, and its fits are others'."""
    refused = call("hosts", "remove", HOST)
    assert refused.code == 75
    assert f"host {HOST} may be at work, heard of" in refused.err
    assert "--force" in refused.err
    told = call("hosts", "remove", HOST, "--force")
    assert told.lines[0].startswith(f"removed  {HOST}: it is forgotten until its daemon starts again; 2 fits")
    assert len(told.lines) == 3
    assert {fit.state for fit in at_work.reading.fits()} == {"ready", "unavailable"}
    assert "1 host removed: trainwright hosts ls --all" in call("hosts", "ls").out
    assert call("hosts", "ls", "--all").lines[1].split()[:2] == [HOST, "removed"]
    assert "already" in call("hosts", "remove", HOST).out
    assert "daemon" not in call("status").lines[0]


def test_a_host_whose_process_has_ended_is_removed_without_force(call: Call, store: PlanStore) -> None:
    """Of a process of this machine nobody has to wait until it is not heard of any more."""
    start = living_daemon()
    host, boot_id, namespace, *_ = start.worker.split("/")
    worker = "/".join((host, boot_id, namespace, "4194305", "1"))
    store.daemon_started(replace(start, worker=worker, pid=4194305))
    store.beat(host, worker)
    told = call("hosts", "remove", host)
    assert (told.code, told.lines) == (
        0, [f"removed  {host}: it is forgotten until its daemon starts again; it has no fit at work"],
    )  # fmt: skip


def test_a_fit_names_the_host_of_each_attempt_where_there_are_several(call: Call, at_work: PlanStore) -> None:
    """Its paths are those of that host; of a host that is alone nothing is said."""
    (fit, *_) = at_work.reading.fits(states=("claimed",))
    assert f"on {HOST}" not in call("job", fit.name).out
    other = replace(living_daemon(), host="elsewhere", worker=f"elsewhere/{own_identity().worker}")
    at_work.daemon_started(other)
    at_work.remove_host("elsewhere", reason="", actor="me", force=True)  # what it made still lies there
    assert f"Z  on {HOST}, from the beginning, under way" in call("job", fit.name).out


def test_a_name_that_nobody_has_is_told_the_nearest(call: Call, at_work: PlanStore) -> None:
    """Nothing is done by guess."""
    for words in (("drain",), ("drain", "--undo"), ("remove",), ("drain", "--dry-run")):
        told = call("hosts", words[0], f"{HOST}x", *words[1:])
        assert told.code == 4
        assert f"near  {HOST}" in told.err or f"did you mean {HOST}?" in told.err
    assert call("hosts", "drain", HOST, "--undo", "--give-back").code == 2
    assert at_work.events(kinds=("HostDraining", "HostRemoved")) == ()


def test_of_many_hosts_the_status_shows_those_to_look_at(call: Call, store: PlanStore) -> None:
    """A screenful of them; the rest is counted, with the command that lists them."""
    here = own_identity()
    for number in range(12):
        start = replace(
            living_daemon(), host=f"h{number:02}", worker=f"h{number:02}/far/1/2/3/{here.machine}"
        )
        store.daemon_started(start)
    store.drain_host("h11", reason="sold")
    lines = call("status").lines
    assert lines[0].startswith("daemon   draining on h11")
    assert sum(line.startswith("daemon ") for line in lines) == 8
    assert "host     4 more: trainwright hosts ls" in lines


def test_of_several_hosts_the_one_that_is_at_it_is_named(call: Call, at_work: PlanStore) -> None:
    """With one host that would say nothing."""
    assert f"on {HOST}" not in call("jobs").out
    assert f"starting on {HOST}" not in call("status").out
    at_work.daemon_started(replace(living_daemon(), host="other", worker=f"other/b/1/2/3/{'0' * 16}"))
    assert call("jobs").out.count(f"on {HOST}") == 2
    assert f"starting on {HOST}, attempt 1" in call("status").out
