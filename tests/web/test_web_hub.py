"""The hub: who is told what, in which order, how often, and what that may cost."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from daemon.web.hub import (
    HEARTBEAT_SECONDS,
    LOOK_SECONDS,
    ROUND_SECONDS,
    SAVED_SECONDS,
    SHARE,
    TICK_SECONDS,
    Hub,
    Listener,
)
from daemon.web.messages import EVENTS_MAX, HEARTBEAT, Message
from daemon.web.news import RESET_EVENTS, News
from daemon.web.view import View
from store import open_store
from store.database import connect
from store.reading import open_reader
from store.retention import retire


class FakeNews:
    """A log whose events are their numbers."""

    def __init__(self, head: int = 10) -> None:
        self.at, self.reads, self.is_silent = head, 0, False

    def head(self) -> int:
        if self.is_silent:
            raise OSError("the log does not answer")
        return self.at

    def behind(self, after: int, head: int) -> Message:
        self.reads += 1
        return Message(events=tuple(str(seq) for seq in range(after + 1, head + 1)) if after >= 0 else ())

    def close(self) -> None:
        """Nothing is held."""


class StillHub(Hub):
    """A hub that turns when it is told."""

    async def _repeat(self, work: Callable[[], Awaitable[None]]) -> None:
        await asyncio.Event().wait()


class Bench:
    """A hub with clocks that are moved by hand, and renderings that cost what they are told."""

    def __init__(self, kind: type[Hub] = StillHub) -> None:
        self.news, self.now, self.cost, self.spent = FakeNews(), 1000.0, 0.001, 0.0
        self.html: dict[str, str] = {"header": "h", "jobs": "j"}
        self.rendered: list[View] = []
        self.hub = kind(
            self.news,  # type: ignore[arg-type]
            self.render,
            clock=lambda: self.now,
            cpu_clock=lambda: self.spent,
        )

    def render(self, view: View) -> dict[str, str]:
        self.rendered.append(view)
        self.spent += self.cost
        return dict(self.html)

    async def turn(self, seconds: float = ROUND_SECONDS) -> None:
        self.now += seconds
        await self.hub.look()
        await self.hub.renew()


def told(listener: Listener) -> dict[str, Any] | None:
    """What a page would read of what waits for it."""
    text = listener.take()
    if text == HEARTBEAT:
        return None
    fields = dict(line.split(": ", 1) for line in text.decode().strip().split("\n"))
    found = json.loads(fields["data"])
    assert fields["id"] == str(found["seq"])
    return found


def run(story: Coroutine[Any, Any, None]) -> None:
    """Tell a story inside an event loop."""
    asyncio.run(story)


def test_a_page_hears_what_it_lacks_then_only_what_is_new() -> None:
    """First come the events behind those that it has and all parts, then each change once."""

    async def story() -> None:
        bench = Bench()
        page = bench.hub.join(View(), 7)
        await bench.turn()
        assert told(page) == {"seq": 10, "fragments": {"header": "h", "jobs": "j"}, "events": [8, 9, 10]}
        await bench.turn()
        assert told(page) is None, "nothing happened"
        bench.news.at, bench.html["jobs"] = 12, "j2"
        await bench.turn()
        assert told(page) == {"seq": 12, "fragments": {"jobs": "j2"}, "events": [11, 12]}
        await bench.hub.finish()

    run(story())


def test_a_page_that_names_no_place_hears_from_now_on() -> None:
    """Without a place the past is not told; the first message says where the log stands."""

    async def story() -> None:
        bench = Bench()
        page = bench.hub.join(View(), None)
        await bench.turn()
        first = told(page)
        assert first is not None
        assert (first["seq"], first["events"]) == (10, [])
        bench.news.at = 11
        await bench.turn()
        assert (told(page) or {})["events"] == [11]
        await bench.hub.finish()

    run(story())


def test_what_waits_is_put_together_in_order() -> None:
    """A page that takes its time gets all events once and of each part the newest."""

    async def story() -> None:
        bench = Bench()
        page = bench.hub.join(View(), 10)
        for head in range(11, 16):
            bench.news.at, bench.html["jobs"] = head, f"j{head}"
            await bench.turn()
        found = told(page)
        assert found == {
            "seq": 15,
            "fragments": {"header": "h", "jobs": "j15"},
            "events": [11, 12, 13, 14, 15],
        }
        await bench.hub.finish()

    run(story())


def test_pages_that_show_the_same_share_one_rendering_and_one_read() -> None:
    """Fifty pages of one view cost one rendering; another view costs its own."""

    async def story() -> None:
        bench = Bench()
        pages = [bench.hub.join(View(), 10) for _ in range(50)]
        other = bench.hub.join(View(q="state:failed"), 10)
        bench.news.at = 11
        await bench.turn()
        assert sorted(view.q for view in bench.rendered) == ["", "state:failed"]
        assert bench.news.reads == 1
        assert all((told(page) or {})["events"] == [11] for page in (*pages, other))
        assert bench.hub.count == 51
        for page in (*pages, other):
            bench.hub.leave(page)
        assert bench.hub.count == 0
        await bench.hub.finish()

    run(story())


def test_events_go_at_once_and_dear_renderings_keep_to_their_share() -> None:
    """On a busy log with a dear page the parts come later, within a share of a core; events do not wait."""

    async def story() -> None:
        bench = Bench()
        bench.cost = 0.2
        page = bench.hub.join(View(), 10)
        seconds, heard = 60.0, []
        for _ in range(int(seconds / ROUND_SECONDS)):
            bench.news.at, bench.html["jobs"] = bench.news.at + 1, f"j{bench.news.at}"
            await bench.turn()
            heard += (told(page) or {"events": []})["events"]
        assert heard == list(range(11, bench.news.at + 1))
        assert bench.spent <= SAVED_SECONDS + SHARE * seconds + bench.cost
        assert bench.spent >= SHARE * seconds / 2, "it is used, too"
        await bench.hub.finish()

    run(story())


def test_no_event_waits_for_a_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a dear view is still being made its page hears of what happens."""

    async def story() -> None:
        bench, begun, may_end = Bench(Hub), threading.Event(), threading.Event()

        def slow(_view: View) -> dict[str, str]:
            begun.set()
            may_end.wait(120)
            return dict(bench.html)

        monkeypatch.setattr(bench.hub, "_render", slow)
        page = bench.hub.join(View(), 10)
        try:
            assert await asyncio.to_thread(begun.wait, 60)
            bench.news.at = 11
            await asyncio.wait_for(page.woken.wait(), 60)
            assert told(page) == {"seq": 11, "fragments": {}, "events": [11]}
            assert not may_end.is_set()
        finally:
            may_end.set()
        await asyncio.wait_for(page.woken.wait(), 60)
        assert (told(page) or {})["fragments"] == {"header": "h", "jobs": "j"}
        bench.hub.leave(page)
        await bench.hub.finish()

    run(story())


def test_a_page_that_comes_back_while_a_view_is_made_hears_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last page leaves and another comes during one rendering: both kinds of work go on."""

    async def story() -> None:
        bench, begun, may_end = Bench(Hub), threading.Event(), threading.Event()

        def slow(_view: View) -> dict[str, str]:
            begun.set()
            may_end.wait(120)
            return dict(bench.html)

        monkeypatch.setattr(bench.hub, "_render", slow)
        bench.hub.leave(bench.hub.join(View(), 10))
        first = bench.hub.join(View(), 10)
        try:
            assert await asyncio.to_thread(begun.wait, 60)
            bench.hub.leave(first)
            await asyncio.wait_for(bench.hub._tasks[bench.hub.look], 60)  # rendering has not ended yet
            page = bench.hub.join(View(), 10)
            bench.news.at = 11
            await asyncio.wait_for(page.woken.wait(), 60)
            assert (told(page) or {})["events"] == [11]
        finally:
            may_end.set()
        await bench.hub.finish()

    run(story())


def test_a_page_whose_place_is_not_known_yet_is_given_no_parts() -> None:
    """A message names the place up to which a page has all: there is none before the log was looked at."""

    async def story() -> None:
        bench = Bench()
        bench.hub.join(View(), 10)
        await bench.turn()
        late = bench.hub.join(View(), None)
        bench.now += ROUND_SECONDS
        bench.html["jobs"] = "j2"
        await bench.hub.renew()
        assert told(late) is None
        await bench.turn()
        assert told(late) == {"seq": 10, "fragments": {"header": "h", "jobs": "j2"}, "events": []}
        await bench.hub.finish()

    run(story())


def test_a_quiet_page_is_made_anew_now_and_then() -> None:
    """Who dies writes nothing into the log, so a page is rendered every few seconds all the same."""

    async def story() -> None:
        bench = Bench()
        page = bench.hub.join(View(), 10)
        await bench.turn()
        told(page)
        bench.html["header"] = "gone"
        await bench.turn(TICK_SECONDS / 2)
        assert told(page) is None
        await bench.turn(TICK_SECONDS / 2)
        assert (told(page) or {})["fragments"] == {"header": "gone"}
        await bench.hub.finish()

    run(story())


def test_a_page_that_has_nothing_to_hear_is_shown_a_sign_of_life() -> None:
    """So that neither it nor anything between takes the stream for dead; also while the log is silent."""

    async def story() -> None:
        bench = Bench()
        page = bench.hub.join(View(), 10)
        await bench.turn()
        told(page)
        bench.news.is_silent = True
        await bench.turn(HEARTBEAT_SECONDS / 2)
        assert not page.woken.is_set()
        await bench.turn(HEARTBEAT_SECONDS / 2)
        assert page.woken.is_set()
        assert page.take() == HEARTBEAT
        await bench.hub.finish()

    run(story())


def test_a_log_that_does_not_answer_is_asked_again() -> None:
    """Nothing is told meanwhile, nothing is lost, and nobody is sent away."""

    async def story() -> None:
        bench = Bench()
        page = bench.hub.join(View(), 10)
        bench.news.is_silent, bench.news.at = True, 12
        await bench.turn()
        assert told(page) is None
        bench.news.is_silent = False
        await bench.turn()
        assert (told(page) or {})["events"] == [11, 12]
        await bench.hub.finish()

    run(story())


def test_a_view_that_cannot_be_rendered_hurts_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its page hears the events without the parts, and is tried again only after a while."""

    async def story() -> None:
        bench = Bench()
        whole = bench.render

        def failing(view: View) -> dict[str, str]:
            found = whole(view)
            if view.q:
                raise ValueError("a defect")
            return found

        monkeypatch.setattr(bench.hub, "_render", failing)
        broken, sound = bench.hub.join(View(q="x"), 10), bench.hub.join(View(), 10)
        for _ in range(4):
            bench.news.at += 1
            await bench.turn()
        assert (told(broken) or {})["events"] == (told(sound) or {})["events"] == [11, 12, 13, 14]
        assert len([view for view in bench.rendered if view.q]) == 1
        await bench.hub.finish()

    run(story())


def test_the_hub_turns_by_itself_and_ends_the_streams() -> None:
    """Once a page listens the hub looks at the log until it is closed; every stream is woken to end."""

    async def story() -> None:
        bench = Bench(Hub)
        page = bench.hub.join(View(), 9)
        await asyncio.wait_for(page.woken.wait(), 60)
        assert (told(page) or {})["events"] == [10]
        bench.hub.close()
        assert page.woken.is_set()
        await bench.hub.finish()

    assert LOOK_SECONDS < ROUND_SECONDS
    run(story())


def test_of_too_many_events_the_newest_are_a_new_beginning(log_folder: Path) -> None:
    """A page far behind, or of another log, is told so and given the newest; else exactly what it lacks."""
    url = f"sqlite:///{log_folder / 'trainwright.db'}"
    with open_store(url) as store:
        for number in range(EVENTS_MAX):
            store.pause(host=f"h{number}")
        head = store.head_seq()
    news = News(open_reader(url))
    for after in (0, head + 1):
        found = news.behind(after, head)
        assert found.reset
        assert [json.loads(text)["seq"] for text in found.events] == list(
            range(head - RESET_EVENTS + 1, head + 1)
        )
    exact = news.behind(head - EVENTS_MAX, head)
    assert not exact.reset
    assert [json.loads(text)["seq"] for text in exact.events] == list(range(head - EVENTS_MAX + 1, head + 1))
    assert [json.loads(text)["seq"] for text in news.behind(5, 8).events] == [6, 7, 8]
    news.close()


def test_a_page_from_before_the_log_begins_is_told_to_begin_anew(tmp_path: Path) -> None:
    """Events that were retired cannot be told: what is left does not follow those that the page has."""
    url = f"sqlite:///{tmp_path / 'trainwright.db'}"
    with open_store(url) as store:
        for number in range(6):
            store.pause(host=f"h{number}")
            store.resume(host=f"h{number}")
        gone = retire(connect(url), before=4 * 10**15, seals=tmp_path / "seals.jsonl")
        head = store.head_seq()
    assert 0 < gone.last_seq < head
    news = News(open_reader(url))
    cut, whole = news.behind(gone.last_seq - 1, head), news.behind(gone.last_seq, head)
    news.close()
    assert (cut.reset, whole.reset) == (True, False)
    assert cut.events == whole.events
    assert [json.loads(text)["seq"] for text in whole.events] == list(range(gone.last_seq + 1, head + 1))


def test_messages_that_wait_too_long_become_a_new_beginning() -> None:
    """A page that reads nothing for long holds so many events, no more, and is told that some are missing."""
    waiting = Message(events=("1",))
    for number in range(2, EVENTS_MAX + 3):
        waiting = waiting.then(Message(events=(str(number),)))
    assert waiting.reset
    assert len(waiting.events) == EVENTS_MAX
    assert waiting.events[-1] == str(EVENTS_MAX + 2)


def test_text_of_a_stream_stays_on_its_line() -> None:
    """Line breaks in what is told cannot end a message or begin another."""
    html = "a\nid: 99\n\ndata: x\r\u2028"
    page = Listener(view=View(), queued=3)
    page.give(Message(parts={"jobs": json.dumps(html, ensure_ascii=False)}), now=0.0)
    found = told(page)
    assert found is not None
    assert found["fragments"]["jobs"] == html
