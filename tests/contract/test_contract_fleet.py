"""Several hosts: what they offer, how they drain, come back, go for good, and when they were heard of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from store_samples import STARTED, SUCCEEDED, Clock, cs_job, plan_of, projected_rows

from store import LeaseLost, NotFound, PlanStore
from store.database import connect
from store.errors import HostAlive
from store.events import DaemonReloaded, DaemonStarted, DaemonStopped
from store.host_reading import FRESH_SECONDS

HELLO = DaemonStarted(worker="alpha/b/n/1/2/m", host="alpha", version="0.6.0", boot_id="b", pid=1)
ALPHA, BETA = HELLO.worker, "beta/b/n/1/2/m"


@pytest.fixture
def fleet(plan_store: PlanStore) -> PlanStore:
    """Two hosts, and a plan of six CPU fits and a GPU fit that waits for none of them."""
    plan_store.daemon_started(HELLO)
    plan_store.daemon_started(replace(HELLO, worker=BETA, host="beta"))
    plan_store.accept(
        plan_of(*[cs_job(target, families=("LightGBM",)) for target in "abcdef"]), source="s", name="n"
    )
    plan_store.accept(plan_of(cs_job("g", families=("LSTM",)), seed=2), source="s", name="g")
    return plan_store


def events_of(plan_store: PlanStore, kind: str) -> int:
    return len(plan_store.events(kinds=(kind,)))


def test_a_start_tells_what_a_host_offers(plan_store: PlanStore) -> None:
    """Labels, machine and engine are those of the last start; a reload may change the labels."""
    plan_store.daemon_started(replace(HELLO, labels=("gpu", "bigmem"), machine="0123", engine="ray"))
    row = plan_store.reading.host("alpha")
    assert (row.labels, row.machine, row.engine) == (("bigmem", "gpu"), "0123", "ray")
    plan_store.daemon_said(DaemonReloaded(worker=ALPHA, host="alpha", changed=("cpu_slots",)))
    assert plan_store.reading.host("alpha").labels == ("bigmem", "gpu")
    plan_store.daemon_said(DaemonReloaded(worker=ALPHA, host="alpha", labels=()))
    assert plan_store.reading.host("alpha").labels == ()
    plan_store.daemon_started(HELLO)
    row = plan_store.reading.host("alpha")
    assert (row.labels, row.machine, row.engine) == ((), "", "own")


def test_a_host_that_drains_claims_nothing_however_it_asks(fleet: PlanStore) -> None:
    """With its name or without, of either stage, by id, or with an end: nothing until it is returned."""
    (running,) = fleet.claim(ALPHA, stage="cpu")
    fit_ids = [fit.id for fit in fleet.reading.fits()]
    assert fleet.drain_host("alpha", reason="a disk is changed") is not None
    assert fleet.claim(ALPHA, stage="cpu", limit=9) == ()
    assert fleet.claim(ALPHA, stage="gpu", limit=9, host="alpha") == ()
    assert fleet.claim(ALPHA, stage="cpu", limit=9, fits=fit_ids) == ()
    assert fleet.claim("alpha/b/n/7/8/m", stage="cpu", limit=9) == (), "nor does an agent there"
    said, claims = fleet.end_and_claim([(running, SUCCEEDED)], ALPHA, stage="cpu", limit=9)
    assert isinstance(said[0], int), "what runs there goes on"
    assert claims == ()
    assert len(fleet.claim(BETA, stage="cpu")) == len(fleet.claim(BETA, stage="gpu")) == 1
    assert fleet.return_host("alpha", reason="done") is not None
    assert len(fleet.claim(ALPHA, stage="cpu", limit=9)) == 4
    assert fleet.verify().ok


def test_draining_is_said_once_and_giving_back_is_another_word(fleet: PlanStore) -> None:
    """The same again is no event; a reason is kept, and whether work is given back."""
    assert fleet.return_host("alpha") is None, "it does not drain"
    assert fleet.drain_host("alpha", reason="night") is not None
    assert fleet.drain_host("alpha", reason="again") is None
    assert fleet.reading.host("alpha").draining == "night"
    assert fleet.drain_host("alpha", give_back=True) is not None
    row = fleet.reading.host("alpha")
    assert (row.draining, row.give_back) == ("", True)
    assert fleet.return_host("alpha") is not None
    row = fleet.reading.host("alpha")
    assert (row.draining, row.give_back) == (None, False)
    assert (events_of(fleet, "HostDraining"), events_of(fleet, "HostReturned")) == (2, 1)


def test_draining_survives_a_stop_and_a_start(fleet: PlanStore) -> None:
    """Only a return ends it: a daemon that is started again goes on draining."""
    fleet.drain_host("alpha", reason="night")
    fleet.daemon_said(DaemonStopped(worker=ALPHA, host="alpha", cause="SIGTERM"))
    again = replace(HELLO, worker="alpha/b/n/5/6/m", labels=("bigmem",))
    fleet.daemon_started(again)
    assert fleet.reading.host("alpha").draining == "night"
    assert fleet.claim(again.worker, stage="cpu", labels=("bigmem",)) == ()


def test_an_unknown_host_is_named_with_the_nearest(fleet: PlanStore) -> None:
    """Nothing is recorded of a host nobody heard of, and the one that was meant is named."""
    head = fleet.head_seq()
    for word in (fleet.drain_host, fleet.return_host, fleet.remove_host, fleet.reading.host):
        with pytest.raises(NotFound, match="Did you mean alpha") as caught:
            word("alhpa")
        assert caught.value.noun == "host"
    assert fleet.head_seq() == head


def test_removing_takes_back_all_a_host_holds_at_once(fleet: PlanStore) -> None:
    """Fits of its daemon and of its agents are ready again, and what they say late is refused."""
    held = fleet.claim(ALPHA, stage="cpu", limit=2)
    fleet.started(held[0], STARTED)
    (agents,) = fleet.claim("alpha/b/n/7/8/m", stage="cpu")
    (others,) = fleet.claim(BETA, stage="cpu")
    taken = fleet.remove_host("alpha", reason="sold", is_dead=lambda worker: worker == ALPHA)
    assert {one.fit_id for one in taken} == {claim.fit_id for claim in (*held, agents)}
    assert {one.cause for one in taken} == {"host removed"}
    for claim in (*held, agents):
        with pytest.raises(LeaseLost):
            fleet.succeeded(claim, SUCCEEDED)
    fleet.succeeded(others, SUCCEEDED)
    assert fleet.claim(ALPHA, stage="cpu", limit=9) == (), "a daemon that was forgotten there gets nothing"
    assert len(fleet.claim(BETA, stage="cpu", limit=9)) == 5
    assert fleet.remove_host("alpha") == ()
    assert events_of(fleet, "HostRemoved") == 1
    assert fleet.verify().ok


def test_a_start_brings_a_removed_host_back(fleet: PlanStore) -> None:
    """Its next daemon claims as any other."""
    fleet.remove_host("alpha", force=True)
    assert fleet.reading.host("alpha").removed_at is not None
    fleet.daemon_started(HELLO)
    assert fleet.reading.host("alpha").removed_at is None
    assert len(fleet.claim(ALPHA, stage="cpu")) == 1


def test_a_host_that_may_be_at_work_is_removed_by_force_only(fleet: PlanStore, clock: Clock) -> None:
    """Seen alive, or heard of lately where nobody can see: it is refused, with what is known of it."""
    fleet.beat("alpha", ALPHA, running=2)
    with pytest.raises(HostAlive, match=r"alpha may be at work.*heard of 0 s ago"):
        fleet.remove_host("alpha")
    clock.move(FRESH_SECONDS + 1)
    with pytest.raises(HostAlive, match="heard of 91 s ago"):
        fleet.remove_host("alpha", is_dead=lambda _: False)
    assert events_of(fleet, "HostRemoved") == 0
    fleet.remove_host("alpha")
    fleet.remove_host("beta", is_dead=lambda _: False, force=True)
    assert events_of(fleet, "HostRemoved") == 2


def test_a_host_whose_daemon_is_started_anew_meanwhile_is_not_removed(fleet: PlanStore) -> None:
    """The one that was judged dead is not the one that works there by then."""
    again = replace(HELLO, worker="alpha/b/n/5/6/m")

    def judged(worker: str) -> bool:
        fleet.daemon_started(again)
        return worker == ALPHA

    with pytest.raises(HostAlive):
        fleet.remove_host("alpha", is_dead=judged)
    assert events_of(fleet, "HostRemoved") == 0


def test_a_host_that_said_goodbye_is_removed_without_ado(fleet: PlanStore) -> None:
    """Its beat may be fresh: it has ended on purpose."""
    fleet.beat("alpha", ALPHA)
    fleet.daemon_said(DaemonStopped(worker=ALPHA, host="alpha", cause="SIGTERM"))
    fleet.remove_host("alpha", is_dead=lambda _: False)
    assert fleet.reading.host("alpha").removed_at is not None


def test_a_beat_is_no_event(fleet: PlanStore, clock: Clock) -> None:
    """The last one of each host is shown, the log does not move, and a removed host has none."""
    head = fleet.head_seq()
    assert [row.beat_at for row in fleet.reading.hosts()] == [None, None]
    fleet.beat("alpha", ALPHA, running=3)
    clock.move(5)
    fleet.beat("alpha", ALPHA, running=1, trouble="its cluster is away")
    row = fleet.reading.host("alpha")
    assert (row.beat_at, row.running, row.trouble) == (clock.now, 1, "its cluster is away")
    fleet.beat("alpha", ALPHA, running=1)
    assert fleet.reading.host("alpha").trouble is None
    assert fleet.head_seq() == head
    fleet.remove_host("alpha", force=True)
    assert fleet.reading.host("alpha").beat_at is None


def test_hosts_fold_to_the_same_rows_again(fleet: PlanStore, database_url: str) -> None:
    """What is drained, returned and removed is what a rebuild makes of the log."""
    fleet.drain_host("alpha", reason="night", give_back=True)
    fleet.drain_host("beta")
    fleet.return_host("beta")
    fleet.remove_host("beta", force=True)
    database = connect(database_url)
    before = projected_rows(database)
    fleet.rebuild()
    assert projected_rows(database) == before
    database.close()
