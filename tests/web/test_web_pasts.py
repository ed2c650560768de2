"""Looks back: the log as it stood behind an event, for many who look at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from daemon_samples import await_that

from daemon.web.pasts import ASKED_MAX, KEPT_MAX, Pasts
from daemon.web.problems import Problem
from store import open_store
from store.errors import NotFound
from store.history import Past, past_at_seq


@pytest.fixture
def url(log_folder: Path) -> str:
    """A log."""
    return f"sqlite:///{log_folder / 'trainwright.db'}"


def test_the_past_is_what_the_log_says_up_to_an_event(url: str) -> None:
    """States are those behind that event, the moment is the event's; before the first there is nothing."""
    with open_store(url) as store:
        before = {fit.id: fit.state for fit in store.reading.fits()}
        seq = store.head_seq()
        at = store.events(after=seq - 1)[0].at
        ready = next(fit for fit in before if before[fit] == "ready")
        store.cancel(ready)
        found = past_at_seq(url, seq)
        assert (found.seq, found.at) == (seq, at)
        assert found.reader.now() == int(at.timestamp() * 1e6)
        assert {fit.id: fit.state for fit in found.reader.fits()} == before
        now = past_at_seq(url, seq + 1000)
        assert now.seq == store.head_seq()
        assert now.reader.fit(ready).state == "cancelled"
    assert past_at_seq(url, 1).reader.fits() == ()
    with pytest.raises(NotFound):
        past_at_seq(url, 0)


def test_a_look_back_is_made_once_and_a_few_are_kept(url: str) -> None:
    """The same moment is the same look; the one that nobody asked for longest is let go."""
    pasts = Pasts(url)
    first = pasts.at(1)
    for seq in range(1, KEPT_MAX + 1):
        pasts.at(seq)
    assert pasts.at(1) is first
    pasts.at(KEPT_MAX + 1)
    assert pasts.at(1) is first, "it was asked for last"
    for seq in range(2, KEPT_MAX + 3):
        pasts.at(seq)
    assert pasts.at(1) is not first


def test_many_threads_look_at_one_past(url: str) -> None:
    """All see the same, whoever folded it."""
    pasts, seen, begin = Pasts(url), [], threading.Barrier(8)

    def look() -> None:
        begin.wait(30)
        seen.extend([tuple(fit.state for fit in pasts.at(100).reader.fits()) for _ in range(20)])

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(seen) == 160
    assert len(set(seen)) == 1


def test_looks_back_leave_threads_to_others(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many moments the one that waits longest is refused at once; who has one that is kept never waits."""
    pasts, may_end = Pasts(url), threading.Event()
    kept = pasts.at(1)

    def slow(address: str, seq: int) -> Past:
        may_end.wait(120)
        return past_at_seq(address, seq)

    monkeypatch.setattr("daemon.web.pasts.past_at_seq", slow)
    with ThreadPoolExecutor(ASKED_MAX + 1) as people:
        asked = []
        try:
            for seq in range(2, 2 + ASKED_MAX + 1):
                asked.append(people.submit(pasts.at, seq))
                await_that(lambda seq=seq: seq in pasts._asked, "its place")
            with pytest.raises(Problem) as refused:
                asked[1].result(60)
            assert refused.value.status == 503
            assert pasts.at(1) is kept
        finally:
            may_end.set()
        assert [one.result(60).seq for one in (asked[0], *asked[2:])] == [2, 4, 5]


def test_a_moment_that_is_not_there_keeps_nobody_waiting(url: str) -> None:
    """One that cannot be folded is told so, again and again, and the next one is folded."""
    pasts = Pasts(url)
    for _ in range(2 * ASKED_MAX):
        with pytest.raises(NotFound):
            pasts.at(0)
    assert pasts.at(5).seq == 5
