"""The small parts of the host: slots, the bell, the timetable, the lock, the workplace."""

from __future__ import annotations

import select
import subprocess
import sys
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import pytest
from daemon_samples import FakeClock, await_that, document, job, settings_in
from hypothesis import given
from hypothesis import strategies as st

from daemon import workplace
from daemon.admission import admit, family_entry
from daemon.bell import Bell
from daemon.dispatcher import own_cpus
from daemon.errors import AlreadyServing
from daemon.lock import held_lock
from daemon.slots import Slot, Slots
from daemon.timetable import Timetable
from daemon.workplace import Workplace
from store import complete_plan, open_store
from store.records import Room


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 2), st.integers(0, 5))))
def test_no_place_is_given_twice(moves: list[tuple[bool, int, int, int]]) -> None:
    """Whatever is taken and given back, no place, device or byte is held twice and none is lost."""
    slots, held = Slots(cpu=4, gpu=3, memory_bytes=10), []
    for take, cores, gpus, memory in moves:
        room = slots.room
        fits = cores <= room.cores and gpus <= room.gpus and memory <= (room.memory_bytes or 0)
        if take and fits:
            held.append(slots.take(cores=cores, gpus=gpus, memory_bytes=memory))
        elif held:
            slots.give_back(held.pop(0))
        places = [place for slot in held for place in slot.places]
        devices = [device for slot in held for device in slot.devices]
        assert len(set(places)) == len(places)
        assert len(set(devices)) == len(devices)
        taken = sum(slot.memory_bytes for slot in held)
        whole = Room(cores=4, gpus=3, memory_bytes=10)
        left = Room(cores=4 - len(places), gpus=3 - len(devices), memory_bytes=10 - taken, whole=whole)
        assert slots.room == left


def test_a_slot_names_its_device() -> None:
    """A device is asked for by its number, the lowest first; without one it is the CPU."""
    slots = Slots(cpu=1, gpu=2)
    assert [slots.take(cores=0, gpus=1).device for _ in range(2)] == ["cuda:0", "cuda:1"]
    assert slots.take(cores=1, gpus=0).device == "cpu"
    with pytest.raises(ValueError, match="1 were asked for and 0 are free"):
        slots.take(cores=1, gpus=0)


def test_places_have_cpus_of_their_own() -> None:
    """CPUs are shared out evenly, whatever is taken; where there are fewer than places nobody has any."""
    slots = Slots(cpu=2, gpu=1, cpus=(4, 5, 8, 9, 11))
    first = slots.take(cores=1, gpus=0)
    assert (first.cpus, slots.take(cores=1, gpus=0).cpus) == ((4, 5), (8, 9))
    assert slots.take(cores=0, gpus=1).cpus == ()
    slots.give_back(first)
    assert slots.take(cores=1, gpus=0) == first
    assert Slots(cpu=2, gpu=0, cpus=(0, 1)).take(cores=2, gpus=0).cpus == (0, 1)
    assert Slots(cpu=3, gpu=0, cpus=(0, 1)).take(cores=1, gpus=0).cpus == ()


@pytest.mark.parametrize(
    ("given", "shared_out"),
    [
        ({"cpu_slots": 3}, True),
        ({"cpu_slots": 4}, True),
        ({"cpu_slots": 5}, False),
        ({"cpu_slots": 2, "threads_per_fit": 2}, True),
        ({"cpu_slots": 3, "threads_per_fit": 2}, False),
        ({"cpu_slots": 0}, False),
        ({"cpu_slots": 2, "pin_cpus": False}, False),
    ],
)
def test_cpus_are_shared_out_where_every_thread_has_one(
    given: dict[str, object], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, shared_out: bool
) -> None:
    """With more threads than CPUs the system places them better; what the host may use is shared out."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {2, 3, 6, 7})
    cpus = own_cpus(settings_in(tmp_path, **given))
    assert sorted(cpus) == ([2, 3, 6, 7] if shared_out else [])


def test_hosts_beside_each_other_begin_at_different_cpus(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two commands with one fit each do not meet on the first CPU."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _pid: {0, 1})
    firsts = set()
    for pid in (1000, 1001):
        monkeypatch.setattr("os.getpid", lambda pid=pid: pid)
        firsts.add(own_cpus(settings_in(tmp_path, cpu_slots=2))[0])
    assert firsts == {0, 1}


def test_a_free_place_cannot_be_given_back() -> None:
    """Giving back what was not taken is a mistake, not a new place."""
    with pytest.raises(ValueError, match="was not taken"):
        Slots(cpu=1, gpu=0).give_back(Slot(places=(0,)))


def test_the_bell_is_heard_once() -> None:
    """Two rings of one name before a listen are one; the descriptor is readable until then."""
    bell = Bell()
    poll = select.poll()
    poll.register(bell.fileno(), select.POLLIN)
    assert bell.heard() == frozenset()
    bell.ring("a")
    bell.ring("a")
    bell.ring("b")
    assert poll.poll(0)
    assert bell.heard() == {"a", "b"}
    assert not poll.poll(0)
    bell.close()


def test_a_bell_nobody_hears_does_not_block() -> None:
    """Ringing goes on when the pipe is full."""
    bell = Bell()
    for _ in range(70_000):
        bell.ring("x")
    assert bell.heard() == {"x"}
    bell.close()


def test_the_timetable_rings() -> None:
    """What is due at regular times is rung, again and again, until the timetable is stopped."""
    bell = Bell()
    timetable = Timetable(bell)
    timetable.every(0.01, "tick")
    timetable.start()
    for _ in range(3):
        await_that(lambda: "tick" in bell.heard(), "ring")
    timetable.stop()
    timetable.stop()
    bell.close()


def test_the_timetable_rings_once_for_what_was_missed() -> None:
    """After a long stand-still each name is rung once, then again in its own time."""
    bell, clock = Bell(), FakeClock()
    timetable = Timetable(bell, clock=clock)
    timetable.every(10.0, "slow")
    timetable.every(3.0, "quick")
    assert timetable.ring_due() == 3.0
    assert bell.heard() == frozenset()
    clock.now += 3.5
    assert timetable.ring_due() == pytest.approx(2.5)
    assert bell.heard() == {"quick"}
    clock.now += 100.0
    assert timetable.ring_due() == pytest.approx(3.0)
    assert bell.heard() == {"quick", "slow"}
    timetable.ring_due()
    assert bell.heard() == frozenset()
    bell.close()


def test_a_span_can_be_changed_while_the_timetable_rings() -> None:
    """What is said again of a name holds from then on, also in the middle of a long wait."""
    bell = Bell()
    timetable = Timetable(bell)
    timetable.every(10_000.0, "tick")
    timetable.start()
    timetable.every(0.01, "tick")
    await_that(lambda: "tick" in bell.heard(), "ring in the new time")
    timetable.stop()
    bell.close()


def test_only_one_holds_the_lock(tmp_path: Path) -> None:
    """A second holder is refused with the name of the first; afterwards the lock is free."""
    path = tmp_path / "results" / "daemon.lock"
    with held_lock(path, "pid 1 on alpha"):
        with pytest.raises(AlreadyServing, match="pid 1 on alpha") as caught, held_lock(path, "pid 2"):
            raise AssertionError
        assert caught.value.exit_code == 75
    with held_lock(path, "pid 3"):
        assert path.read_text() == "pid 3\n"


def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    """The lock ends with its process, however that ended."""
    path = tmp_path / "daemon.lock"
    words = (
        "import sys; from pathlib import Path; from daemon.lock import held_lock\n"
        "with held_lock(Path(sys.argv[1]), 'child'): print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-P", "-c", words, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(AlreadyServing, match="child"), held_lock(path, "me"):
        raise AssertionError
    holder.kill()
    holder.communicate()
    with held_lock(path, "me"):
        pass


def test_outputs_of_one_second_are_apart(tmp_path: Path) -> None:
    """Two plans accepted in the same second get directories of their own, each with its three parts."""
    place = Workplace.of(settings_in(tmp_path))
    at = datetime(2026, 11, 22, 4, 51, 53, tzinfo=UTC)
    names = [place.open_output(at), place.open_output(at)]
    assert names == ["20261122_045153", "20261122_045153_2"]
    assert {path.name for path in (place.output_dir / names[1]).iterdir()} == {"models", "metrics", "logs"}
    place.close_output(names[1])
    assert not (place.output_dir / names[1]).exists()


def test_outputs_of_two_hosts_are_apart(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts of one log that take plans in the same second name different outputs: a third has both."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:
            return datetime(2026, 11, 22, 4, 51, 53, tzinfo=tz)

    monkeypatch.setattr(workplace, "datetime", Stopped)
    with open_store(postgres_url) as store:
        for host, target in (("alpha", "y_1"), ("beta", "y_2")):
            plan = complete_plan(document(job(target=target)), family_of=family_entry, training={}, data={})
            place = Workplace.of(settings_in(tmp_path / host))
            admit(store, place, plan, source="test", name=host)
        outputs = {plan.data["output"] for plan in store.reading.plans()}
    assert len(outputs) == 2


def test_a_job_is_never_a_path(tmp_path: Path) -> None:
    """Whatever a job is called, its files lie inside the output directory."""
    place = Workplace.of(settings_in(tmp_path))
    places = place.fit_places(
        output="o", plan_id="p_1", fit_id="f_1", job_id="../../etc/x y", family="LightGBM", attempt=3
    )
    for path in (places.bundle, places.metrics, places.log):
        assert path.resolve().is_relative_to(place.output_dir.resolve() / "o")
        assert " " not in str(path.relative_to(place.output_dir))
    assert places.log.name == "LightGBM.3.log"
    assert places.spec.parent == places.checkpoints.parent == place.results_dir / "work" / "p_1" / "f_1"
