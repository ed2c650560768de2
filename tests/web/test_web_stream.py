"""The stream over real processes: what a page hears, whatever becomes of who tells it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import reporting
from daemon_samples import await_that
from living_site import LivingSite
from stream_client import StreamClient

from store import PlanStore, open_store

LIVES = 12 if reporting.LONG else 2


@pytest.fixture
def site(log_folder: Path) -> Iterator[LivingSite]:
    """A page that is served, at an address that stays."""
    made = LivingSite(log_folder)
    yield made
    made.close()


@pytest.fixture
def listening(site: LivingSite) -> Iterator[Callable[..., StreamClient]]:
    """Returns a listener to the page's stream."""
    opened: list[StreamClient] = []

    def listen(query: str = "", last_id: int | None = None) -> StreamClient:
        opened.append(StreamClient(site.url, query).start(last_id))
        return opened[-1]

    yield listen
    for client in opened:
        client.close()


def happen(store: PlanStore, times: int) -> int:
    """Let something happen: pauses of a host that does not exist come and go. Returns the log's head."""
    for number in range(times):
        store.pause(host=f"nobody-{number}", actor="test", reason="for a test")
        store.resume(host=f"nobody-{number}", actor="test", reason="for a test")
    return store.head_seq()


@pytest.mark.slow
def test_every_event_comes_once_though_daemon_and_page_are_killed(
    site: LivingSite, listening: Callable[..., StreamClient]
) -> None:
    """After each kill -9 and restart of daemon and web process a page goes on exactly behind what it has."""
    chance = random.Random(7)  # noqa: S311 (how much happens when)
    with open_store(site.database_url) as store:
        first = store.head_seq()
        site.start_daemon()
        client = listening(last_id=first)
        for _ in range(LIVES):
            await_that(lambda: client.seq >= store.head_seq() - 3, "events")
            happen(store, chance.randrange(1, 12))
            site.kill()  # some of it may be under way
            happen(store, chance.randrange(1, 12))
            site.start_daemon()
            happen(store, chance.randrange(1, 12))
        head = happen(store, 1)
        await_that(lambda: client.seq >= head, "the last event")
        site.kill()
        assert client.seqs == list(range(first + 1, client.seqs[-1] + 1))
        assert client.seqs[-1] >= head
        assert client.resets == 0
        assert client.connections >= LIVES + 1
