"""Whoever pauses, resumes, starts and dies: the host's own pauses are right, people's are never touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from typing import cast

import pytest
import structlog

from daemon.holding import Hold, OwnPauses, actor_of
from store import PlanStore
from store.records import PauseRow

HOST, PERSON, STAGE = "box", "alice", "gpu"
STEPS = 5
OURS = actor_of(HOST)


class Log:
    """The pauses of a log, as the store keeps them: one for each stage of the host, none twice."""

    def __init__(self) -> None:
        self.found: dict[str, PauseRow] = {}

    @property
    def reading(self) -> Log:
        """The same, to be read."""
        return self

    def pauses(self) -> tuple[PauseRow, ...]:
        """All pauses."""
        return tuple(self.found.values())

    def pause(self, *, stage: str, host: str, actor: str, reason: str = "") -> int | None:
        """Pause a stage; None when it is so already."""
        if stage in self.found:
            return None
        at = datetime(2026, 1, 1, tzinfo=UTC)
        self.found[stage] = PauseRow(plan=None, stage=stage, host=host, reason=reason, at=at, actor=actor)
        return 1

    def resume(self, *, stage: str, host: str, actor: str, reason: str = "") -> None:
        """End the pause of a stage, if there is one."""
        self.found.pop(stage, None)


class World:
    """A daemon and a person at one stage of a host, with what should be so kept apart from the code."""

    def __init__(self, doer: type[OwnPauses]) -> None:
        self.doer, self.log = doer, Log()
        self.condition: str | None = None
        self.by_person = False
        self.overruled: str | None = None
        self.start()

    def start(self) -> None:
        """A daemon starts, after a kill or for the first time; it knows nothing of what was overruled."""
        self.pauses = self.doer(cast(PlanStore, self.log), HOST)
        self.overruled = None
        self.look()

    def look(self) -> None:
        """The daemon looks."""
        hold = None if self.condition is None else Hold(condition=self.condition, words=self.condition)
        self.pauses.keep({} if hold is None else {STAGE: hold})
        if self.overruled != self.condition:
            self.overruled = None

    def disk(self) -> None:
        """The disk gets low."""
        self.condition = "disk"
        self.look()

    def window(self) -> None:
        """The disk is well, a window is closed."""
        self.condition = "window"
        self.look()

    def well(self) -> None:
        """Nothing holds back any more."""
        self.condition = None
        self.look()

    def stop(self) -> None:
        """The daemon stops on purpose, and another one starts."""
        self.pauses.lift()
        assert OURS not in {pause.actor for pause in self.log.pauses()}
        self.start()

    def pause(self) -> None:
        """A person pauses; where it is paused already nothing happens."""
        self.by_person |= self.log.pause(stage=STAGE, host=HOST, actor=PERSON) is not None
        self.look()

    def resume(self) -> None:
        """A person ends the pause there is, an own one or the host's."""
        ended = self.log.found.get(STAGE)
        self.log.resume(stage=STAGE, host=HOST, actor=PERSON)
        self.by_person = False
        if ended is not None and ended.actor == OURS:
            self.overruled = self.condition
        self.look()

    def check(self) -> None:
        """It is paused by a person who asked, else by the host where a condition holds nobody overruled."""
        found = self.log.found.get(STAGE)
        if self.by_person:
            assert found is not None
            assert found.actor == PERSON
        elif self.condition is not None and self.overruled != self.condition:
            assert found is not None
            assert (found.actor, found.reason) == (OURS, self.condition)
        else:
            assert found is None


WAYS: tuple[Callable[[World], None], ...] = (
    *(World.start, World.look, World.disk, World.window, World.well, World.stop, World.pause, World.resume),
)


class LiftsForPeople(OwnPauses):
    """The defect: whatever is paused and not wanted is lifted, whoever paused it."""

    def _keep(self, stage: str, wanted: Hold | None, found: PauseRow | None) -> None:
        super()._keep(stage, wanted, found)
        if wanted is None and found is not None:
            self._resume(stage, "")


class ForgetsWhatWasOverruled(OwnPauses):
    """The defect: a person's word holds until the next look."""

    def _keep(self, stage: str, wanted: Hold | None, found: PauseRow | None) -> None:
        self._lifted.clear()
        super()._keep(stage, wanted, found)


class RemembersForEver(OwnPauses):
    """The defect: what was overruled once is never minded again."""

    def _keep(self, stage: str, wanted: Hold | None, found: PauseRow | None) -> None:
        kept = set(self._lifted)
        super()._keep(stage, wanted, found)
        self._lifted |= kept


class LeavesTheOldWords(OwnPauses):
    """The defect: a pause that is there already is taken for the right one."""

    def _keep(self, stage: str, wanted: Hold | None, found: PauseRow | None) -> None:
        if wanted is None or found is None:
            super()._keep(stage, wanted, found)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    with structlog.testing.capture_logs():
        yield


def walk_all(doer: type[OwnPauses]) -> int:
    """Go every way of so many steps, look after each step, and return how many ways there are."""
    ways = 0
    for way in product(WAYS, repeat=STEPS):
        world, ways = World(doer), ways + 1
        for step in way:
            step(world)
            world.check()
    return ways


def test_no_order_of_conditions_people_and_starts_confuses_the_pauses() -> None:
    """After every step of every way the stage is paused by whom it should be, or by nobody."""
    assert walk_all(OwnPauses) == len(WAYS) ** STEPS


@pytest.mark.parametrize(
    "defect", [LiftsForPeople, ForgetsWhatWasOverruled, RemembersForEver, LeavesTheOldWords]
)
def test_the_ways_find_a_planted_defect(defect: type[OwnPauses]) -> None:
    """A version that is wrong about one of the promises is found out."""
    with pytest.raises(AssertionError):
        walk_all(defect)
