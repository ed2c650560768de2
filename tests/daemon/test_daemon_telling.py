"""Each channel is told what the log holds, in its order, at least once, and repeats itself word for word."""

from __future__ import annotations

import io
import itertools
import json
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from daemon_samples import FakeClock, accept, all_events, await_that, settings_in
from telling_samples import FakeChannel, Receiver, reject

from daemon import telling as telling_module
from daemon.channels import NotDelivered
from daemon.cursor import Cursor, open_cursor
from daemon.identity import own_identity
from daemon.logs import configure_logs
from daemon.settings import Settings
from daemon.telling import Courier, Telling, telling_dir
from store import DatabaseUnavailable, PlanStore, open_store
from store.records import Failure
from store.residence import NoResidence, Residence

NAME = "telling fake"
DOWN = NotDelivered("no answer", where="http://example.com")


class Crash(BaseException):
    """The process ends here."""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings that tell of everything."""
    return settings_in(tmp_path)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store."""
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling_module, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(telling_module, "LOOK_SECONDS", 0.01)


def courier(
    settings: Settings, store: PlanStore, channel: FakeChannel, *, cursor: Cursor | None = None, **given: Any
) -> Courier:
    """A courier that is turned by hand."""
    known = cursor or open_cursor(NAME, store)
    return Courier(channel, store, known, settings=settings, host="here", **given)


def test_what_happens_is_told_in_its_order_and_once(settings: Settings, store: PlanStore) -> None:
    """From the first start on, not what was before it; a turn without news says nothing."""
    reject(store, "before")
    channel = FakeChannel()
    mine = courier(settings, store, channel)
    for name in "abc":
        reject(store, name)
    mine.turn()
    mine.turn()
    assert [words.split()[1] for words in channel.sentences] == ["a", "b", "c"]


def test_a_restart_goes_on_where_it_was(settings: Settings, store: PlanStore) -> None:
    """What happened while no daemon was there is told by the next one, and nothing a second time."""
    channel = FakeChannel()
    first = courier(settings, store, channel)
    reject(store, "a")
    first.turn()
    reject(store, "b")
    courier(settings, store, channel).turn()
    assert [words.split()[1] for words in channel.sentences] == ["a", "b"]


class _Crashing:
    """Ends the process at the n-th point of all that a courier does: before, within and after a delivery."""

    def __init__(self, at: int) -> None:
        self._left = at

    def point(self) -> None:
        self._left -= 1
        if self._left == 0:
            raise Crash


def _told_with_a_crash(
    settings: Settings, store: PlanStore, at: int, monkeypatch: pytest.MonkeyPatch
) -> tuple[list[str], bool]:
    """The ids that people got of three notices when the process ends at a point and is started again."""
    channel, crashing = FakeChannel(), _Crashing(at)
    mine = courier(settings, store, channel, cursor=open_cursor(f"{NAME} {at}", store))
    for name in "abc":
        reject(store, f"{name}{at}")
    save, deliver = Cursor.save, channel.deliver

    def crashing_save(self: Cursor, *words: Any) -> None:
        crashing.point()
        save(self, *words)
        crashing.point()

    def crashing_delivery(*words: Any) -> None:
        crashing.point()
        deliver(*words)
        crashing.point()

    with monkeypatch.context() as patch:
        patch.setattr(Cursor, "save", crashing_save)
        patch.setattr(channel, "deliver", crashing_delivery)
        try:
            mine.turn()
            crashed = False
        except Crash:
            crashed = True
    courier(settings, store, channel, cursor=open_cursor(f"{NAME} {at}", store)).turn()
    return [notice.id for notice in channel.given], crashed


def _losses_and_repetitions(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, int, int]:
    """Over a crash at every point there is: the notices lost, those repeated, and the points."""
    lost = repeated = 0
    for at in itertools.count(1):
        ids, crashed = _told_with_a_crash(settings, store, at, monkeypatch)
        wanted = [event.event_id for event in all_events(store, "PlanRejected")[-3:]]
        assert set(ids) <= set(wanted)
        lost += len(set(wanted) - set(ids))
        repeated += len(ids) - len(set(ids))
        if not crashed:
            return lost, repeated, at - 1
    raise AssertionError


def test_a_crash_at_any_point_loses_no_notice(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most the one that was under way comes a second time, with the id it had."""
    lost, repeated, points = _losses_and_repetitions(settings, store, monkeypatch)
    assert lost == 0
    assert points == 12  # three notices: before and after each delivery, before and after each note of it
    assert repeated == 6  # of the crashes between a delivery and its note


def test_the_crashes_catch_a_courier_that_notes_before_it_delivers(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The defect planted: how far it came is noted first, as if saying it were the same as being heard."""
    real = Courier.carry

    def noting_first(self: Courier, notice: Any, *words: Any) -> bool:
        cursor = self.cursor
        assert cursor is not None
        cursor.seq = notice.seq
        cursor.save(self._store)
        return real(self, notice, *words)

    monkeypatch.setattr(Courier, "carry", noting_first)
    lost, _, _ = _losses_and_repetitions(settings, store, monkeypatch)
    assert lost > 0


def test_what_is_not_heard_is_said_again_until_it_is(settings: Settings, store: PlanStore) -> None:
    """With the same id, and nothing overtakes it."""
    channel = FakeChannel()
    mine = courier(settings, store, channel)
    reject(store, "a")
    reject(store, "b")
    channel.fails = [DOWN] * 20
    with structlog.testing.capture_logs() as lines:
        mine.turn()
    assert [words.split()[1] for words in channel.sentences] == ["a", "b"]
    failed = [line for line in lines if line["event"] == "people were not told"]
    assert len(failed) == 20
    assert {line["id"] for line in failed} == {channel.given[0].id}


def test_waits_double_up_to_a_limit(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One second, two, four … five minutes: a receiver that is down is not hammered."""
    monkeypatch.setattr(telling_module, "WAIT_SECONDS", 1.0)
    channel = FakeChannel()
    mine = courier(settings, store, channel)
    waits: list[float] = []
    monkeypatch.setattr(mine._ending, "wait", waits.append)
    reject(store, "a")
    channel.fails = [DOWN] * 11
    mine.turn()
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]


def test_a_notice_the_receiver_takes_offence_at_holds_up_no_other(
    settings: Settings, store: PlanStore
) -> None:
    """After a few tries it is given up, loudly; one that is only not reached is kept for a day."""
    channel = FakeChannel()
    mine = courier(settings, store, channel)
    reject(store, "a")
    reject(store, "b")
    channel.fails = [NotDelivered("answered 400", refused=True)] * 5
    with structlog.testing.capture_logs() as lines:
        mine.turn()
    assert [words.split()[1] for words in channel.sentences] == ["b"]
    assert [line["log_level"] for line in lines if line["event"] == "a notice is given up"] == ["error"]


def test_a_notice_of_yesterday_is_given_up_after_some_tries(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A day and twelve tries: not before both."""
    channel = FakeChannel()
    mine = courier(settings, store, channel)
    reject(store, "a")
    monkeypatch.setattr(telling_module, "GIVE_UP_SECONDS", 0.0)
    channel.fails = [DOWN] * 11
    mine.turn()
    assert len(channel.given) == 1
    reject(store, "b")
    channel.fails = [DOWN] * 12
    mine.turn()
    assert len(channel.given) == 1


def test_only_what_was_asked_for_is_told(tmp_path: Path, store: PlanStore) -> None:
    """Kinds that the settings leave out are passed over, also after a restart with other settings."""
    channel = FakeChannel()
    mine = courier(settings_in(tmp_path, notify_on=["fit_failed"]), store, channel)
    plan = accept(store)
    reject(store, "a")
    store.pause(plan=plan)
    store.resume(plan=plan)
    (claim,) = store.claim("w", stage="cpu")
    store.failed(claim, Failure(cause="bad_input", sentence="no"))
    mine.turn()
    assert [notice.kind for notice in channel.given] == ["fit_failed"]


def test_what_comes_in_swarms_is_told_once_an_hour(settings: Settings, store: PlanStore) -> None:
    """A disk that fills up stops every fit: one message, also over a restart."""
    channel = FakeChannel()
    mine = courier(settings, store, channel)
    for stage in ("cpu", "gpu"):
        store.pause(stage=stage, host="h1", reason="disk low: nothing left", actor="daemon@h1")
    mine.turn()
    store.pause(host="h1", reason="disk low: nothing left", actor="daemon@h1")
    store.pause(host="h2", reason="disk low: nothing left", actor="daemon@h2")
    courier(settings, store, channel).turn()
    assert [(notice.kind, notice.data["host"]) for notice in channel.given] == [
        *(("disk_low", "h1"), ("disk_low", "h2")),
    ]


def test_a_long_log_without_news_is_passed_over_once(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How far it was looked through is noted now and then, not at every look."""
    clock, channel = FakeClock(), FakeChannel()
    mine = courier(settings, store, channel, clock=clock)
    accept(store)
    before = store.reading.bookmark(NAME)
    mine.turn()
    assert store.reading.bookmark(NAME) == before
    clock.now += 61
    mine.turn()
    noted = store.reading.bookmark(NAME)
    assert noted is not None
    assert noted.seq == store.head_seq()
    assert noted.data["event"] == all_events(store)[-1].event_id


def note(path: Path, store: PlanStore) -> None:
    """Write down that a channel has told all of a log, as earlier versions did."""
    path.parent.mkdir(parents=True, exist_ok=True)
    last = all_events(store)[-1]
    told_at = {"disk_low": "2026-01-02T03:04:05Z"}
    path.write_text(json.dumps({"v": 1, "seq": last.seq, "event": last.event_id, "told_at": told_at}))


def test_another_log_is_told_from_here_on(settings: Settings, store: PlanStore, tmp_path: Path) -> None:
    """A log that was put in the place of the old one, longer or shorter, is known by its events."""
    path = telling_dir(settings.results_dir) / "fake.json"
    with open_store(f"sqlite:///{tmp_path}/other.db") as other:
        for name in "abc":
            reject(other, name)
        note(path, other)
        reject(store, "of this one")
        with structlog.testing.capture_logs() as lines:
            assert open_cursor(NAME, store, file=path).seq == 1
        for name in "defg":
            reject(store, name)
        note(path, other)
        assert open_cursor(f"{NAME} too", store, file=path).seq == 5
    assert lines[0]["event"].startswith("the event log is another one")


def test_a_note_of_an_earlier_version_is_taken_in_once(settings: Settings, store: PlanStore) -> None:
    """What happened since it was written is told; the file goes, and how far it came is with the log."""
    path = telling_dir(settings.results_dir) / "fake.json"
    reject(store, "told before")
    note(path, store)
    reject(store, "since")
    cursor = open_cursor(NAME, store, file=path)
    assert (cursor.seq, list(cursor.told_at)) == (1, ["disk_low"])
    assert not path.exists()
    reject(store, "later")
    note(path, store)  # of another host, which has told all of it
    assert open_cursor(NAME, store, file=path) == cursor


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"v": 1}', b'{"seq": "x", "event": 1, "told_at": 3}']
)
def test_a_note_that_cannot_be_read_is_begun_anew(
    content: bytes, settings: Settings, store: PlanStore
) -> None:
    """Whatever became of the file, people are told from here on, and the log says so."""
    path = telling_dir(settings.results_dir) / "fake.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    reject(store, "a")
    with structlog.testing.capture_logs() as lines:
        assert open_cursor(NAME, store, file=path).seq == store.head_seq()
    assert "cannot be read" in lines[0]["event"]


def test_a_log_that_takes_no_word_costs_the_note_only(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk people are told all the same, once in this life of the daemon."""

    def full(*_words: object, **_more: object) -> None:
        raise DatabaseUnavailable(url="sqlite:///x", cause="database or disk is full")

    channel = FakeChannel()
    mine = courier(settings, store, channel)
    monkeypatch.setattr(store, "bookmark", full)
    reject(store, "a")
    mine.turn()
    mine.turn()
    assert len(channel.given) == 1


def test_a_log_that_does_not_answer_is_asked_again(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs a turn; when it lasts, people are told of that."""
    clock, channel = FakeClock(), FakeChannel()
    mine = courier(settings, store, channel, clock=clock)
    reject(store, "a")

    def silent() -> int:
        raise DatabaseUnavailable(url="postgresql://db/x", cause="connection refused")

    with monkeypatch.context() as patch:
        patch.setattr(store, "head_seq", silent)
        mine.turn()
        clock.now += settings.stuck_seconds + 1
        mine.turn()
    mine.turn()
    assert [notice.kind for notice in channel.given] == ["host_stuck", "plan_rejected"]


def test_a_host_that_is_stuck_is_told_once(settings: Settings, store: PlanStore) -> None:
    """Behind what happened before, in order; and not again while it lasts, whatever else happens."""
    clock, channel = FakeClock(), FakeChannel()
    mine = courier(settings, store, channel, clock=clock)
    accept(store)
    for name in "abc":
        mine.turn()
        clock.now += settings.stuck_seconds
        reject(store, name)
    mine.turn()
    kinds = [notice.kind for notice in channel.given]
    assert kinds == ["plan_rejected", "host_stuck", "plan_rejected", "plan_rejected"]
    assert "no daemon is at work" in channel.sentences[1]


def telling(settings: Settings, store: PlanStore, **given: Any) -> Telling:
    """The duty over a store."""
    return Telling(settings, store, own_identity(), **given)


def test_the_daemon_tells_by_all_its_channels(tmp_path: Path, database_url: str) -> None:
    """Each follows the log for itself, so one that is down keeps no other waiting; the end tells the rest."""
    store, receiver, told = open_store(database_url), Receiver(), tmp_path / "told"
    receiver.answers = [503] * 3
    words = [sys.executable, "-S", "-c", "import sys; open(sys.argv[1], 'a').write(sys.stdin.read())"]
    mine = telling(settings_in(tmp_path, webhook_url=receiver.url, notify_command=[*words, str(told)]), store)
    log = io.StringIO()
    configure_logs(log, {})
    try:
        mine.start()
        reject(store, "a")
        await_that(told.exists, "word by the command")
        await_that(lambda: len(receiver.posts) == 4, "word by the webhook")
        reject(store, "b")
        mine.stop()
    finally:
        structlog.reset_defaults()
        mine.close()
        receiver.close()
        store.close()
    by_command = [json.loads(line) for line in told.read_text().splitlines()]
    assert [one["sentence"].split()[1] for one in by_command] == ["a", "b"]
    assert [post.document["sentence"].split()[1] for post in receiver.posts] == ["a", "a", "a", "a", "b"]
    assert {one["id"] for one in by_command} == {post.headers["webhook-id"] for post in receiver.posts}
    assert "T0PSECRET" not in log.getvalue()
    assert log.getvalue().count('"people were told"') == 4


def test_what_is_no_event_can_be_told_too(tmp_path: Path, store: PlanStore) -> None:
    """It waits in memory for its channel, behind what happened before; kinds nobody asked for do not."""
    receiver = Receiver()
    receiver.answers = [503]
    mine = telling(settings_in(tmp_path, webhook_url=receiver.url, notify_on=["schedule_failed"]), store)
    mine.start()
    mine.say("schedule_failed", "backup\nfailed", then="look", data={"name": "nightly"})
    mine.say("host_stuck", "not asked for")
    await_that(lambda: len(receiver.posts) == 2, "word by the webhook")
    mine.stop()
    receiver.close()
    first, second = (post.document for post in receiver.posts)
    assert first == second
    assert (first["sentence"], first["next"], first["data"]) == ("backup failed", "look", {"name": "nightly"})


def test_without_a_channel_nothing_runs(tmp_path: Path, store: PlanStore) -> None:
    """No thread, no file."""
    before = threading.active_count()
    mine = telling(settings_in(tmp_path), store)
    mine.start()
    mine.turn(frozenset())
    assert threading.active_count() == before
    assert not telling_dir(tmp_path / "results").exists()
    mine.stop()


def test_other_settings_hold_from_a_reload_on(tmp_path: Path, store: PlanStore) -> None:
    """A receiver set up while the daemon runs is told from then on; the same settings change nothing."""
    receiver = Receiver()
    mine = telling(settings_in(tmp_path), store)
    mine.start()
    reject(store, "a")
    other = settings_in(tmp_path, webhook_url=receiver.url)
    mine.reload(other)
    threads = set(threading.enumerate())
    mine.reload(settings_in(tmp_path, webhook_url=receiver.url, lease_seconds=9.0))
    assert {thread for thread in threads if "telling" in thread.name} <= set(threading.enumerate())
    reject(store, "b")
    mine.stop()
    receiver.close()
    assert [post.document["sentence"].split()[1] for post in receiver.posts] == ["b"]


def test_a_courier_that_got_lost_is_sent_out_anew(
    tmp_path: Path, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A defect of ours ends a thread, not the telling: the next one goes on behind what was told."""
    clock, receiver = FakeClock(), Receiver()
    monkeypatch.setattr(threading, "excepthook", lambda _ended: None)
    mine = telling(settings_in(tmp_path, webhook_url=receiver.url), store, clock=clock)
    with monkeypatch.context() as patch:
        patch.setattr(telling_module, "notice_of", lambda *_words, **_more: 1 // 0)
        mine.start()
        reject(store, "a")
        await_that(lambda: mine._couriers["webhook"].is_lost, "end of the thread")
        mine.turn(frozenset())
        assert mine._couriers["webhook"].is_lost
    clock.now += 61
    mine.turn(frozenset())
    await_that(lambda: receiver.posts, "word by the next one")
    mine.stop()
    receiver.close()
    assert [post.document["sentence"].split()[1] for post in receiver.posts] == ["a"]


class Places:
    """The places of some hosts, one of which has each duty."""

    def __init__(self) -> None:
        self.holder = "a"

    def of(self, host: str) -> Residence:
        """The place of one host."""
        return Place(self, host)


class Place(NoResidence):
    """A place whose duties go where a test says."""

    def __init__(self, places: Places, host: str) -> None:
        self._places, self._host = places, host

    def has(self, duty: str) -> bool:
        """Whether the duty is here now."""
        return self._places.holder == self._host


def _told_seq(store: PlanStore) -> int:
    """How far the webhook's channel has come, as it is noted with the log."""
    found = store.reading.bookmark("telling webhook")
    return -1 if found is None else found.seq


def test_of_several_hosts_one_tells_and_the_next_goes_on_where_it_was(
    tmp_path: Path, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each event is told once, by whoever has the duty; what is no event by the host that says it."""
    receiver, places = Receiver(), Places()
    settings = settings_in(tmp_path, webhook_url=receiver.url)
    hosts = {name: telling(settings, store, residence=places.of(name)) for name in "ab"}
    for one in hosts.values():
        one.start()
    reject(store, "first")
    await_that(lambda: _told_seq(store) == store.head_seq(), "note of the first word")
    places.holder = "b"
    for one in hosts.values():
        one.turn(frozenset())
    reject(store, "second")
    hosts["a"].say("schedule_failed", "of a itself")
    await_that(lambda: len(receiver.posts) == 3, "words by both")
    for one in hosts.values():
        one.stop()
    receiver.close()
    said = [post.document["sentence"] for post in receiver.posts]
    assert sorted(words.partition(" rejected")[0] for words in said) == [
        "of a itself",
        "plan first",
        "plan second",
    ]


def test_a_host_that_lost_the_duty_gives_up_what_it_could_not_bring(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its receiver may be out of its reach alone; the next host brings it, from the bookmark on."""
    unreachable, channel = FakeChannel(), FakeChannel()
    first = courier(settings, store, unreachable)
    reject(store, "a")
    tries = []

    def lost_after_three(seconds: float) -> bool:
        tries.append(seconds)
        first.cursor = None if len(tries) == 3 else first.cursor
        return False

    monkeypatch.setattr(first._ending, "wait", lost_after_three)
    unreachable.fails = [DOWN] * 100
    first.turn()
    assert len(tries) == 3
    courier(settings, store, channel).turn()
    first.turn()
    assert (unreachable.sentences, [words.split()[1] for words in channel.sentences]) == ([], ["a"])
