"""Writers that are killed at any moment lose nothing they were told is written."""

from __future__ import annotations

import os
import random
import signal

import pytest
from store_samples import checkpoint, cs_job, plan_of

from store import PlanStore, open_store
from store.database import connect
from store.events import FitReleased

# Nobody outside this process can see its memory.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
KILLS = 50
WRITERS = 3


def write_for_ever(url: str, worker: str, pipe: int) -> None:
    """Claim, checkpoint and release fits; tell each seq through the pipe once the store has returned it."""
    plan_store = PlanStore(connect(url))
    while True:
        for claim in plan_store.claim(worker, stage="cpu", limit=2):
            os.write(pipe, b"%d\n" % plan_store.checkpointed(claim, checkpoint(claim.attempt)))
            os.write(pipe, b"%d\n" % plan_store.released(claim, FitReleased(cause="again")))


def forked_writer(url: str, worker: str, pipe: int) -> int:
    """Return the process id of a new writer."""
    pid = os.fork()
    if pid == 0:
        try:
            write_for_ever(url, worker, pipe)
        finally:
            os._exit(1)
    return pid


def killed(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL, "a writer ended by itself"


def test_kill_nine_loses_no_acknowledged_event(plan_store: PlanStore, database_url: str) -> None:
    """Through fifty kills per engine, every seq that was acknowledged is in the log, and the log is sound."""
    plan_store.accept(plan_of(*(cs_job(f"y{number}") for number in range(8))), source="s", name="n")
    chance = random.Random(7)  # noqa: S311 - the same kills every time
    reading_end, writing_end = os.pipe()
    running = [
        (f"w{number}", forked_writer(database_url, f"w{number}", writing_end)) for number in range(WRITERS)
    ]
    acknowledged: list[int] = []
    with os.fdopen(reading_end, "rb") as told:
        for number in range(KILLS):
            acknowledged += [int(told.readline()) for _ in range(chance.randrange(1, 12))]
            victim, pid = running.pop(0)
            killed(pid)
            plan_store.rescue(is_dead=lambda worker, dead=victim: worker == dead)
            worker = f"w{number + WRITERS}"
            running.append((worker, forked_writer(database_url, worker, writing_end)))
        for _, pid in running:
            killed(pid)
        os.close(writing_end)
        acknowledged += [int(line) for line in told]
    present = {event.seq: event.kind for event in plan_store.events(limit=1_000_000)}
    assert len(set(acknowledged)) == len(acknowledged) >= KILLS
    assert {present.get(seq) for seq in acknowledged} == {"CheckpointSaved", "FitReleased"}
    with open_store(database_url) as reopened:
        assert reopened.verify().problems == ()


@pytest.mark.parametrize("moment", ["before the commit", "after the commit"])
def test_an_interrupted_word_is_whole_or_absent(
    plan_store: PlanStore, database_url: str, moment: str
) -> None:
    """A process killed around the commit leaves both the event and its projection, or neither."""
    plan_store.accept(plan_of(cs_job("y", families=("LightGBM",))), source="s", name="n")
    claim, head = plan_store.claim("w", stage="cpu")[0], plan_store.head_seq()
    pid = os.fork()
    if pid == 0:
        other = PlanStore(connect(database_url))
        with other._turn() as turn:
            turn.tell(turn.fit(claim.fit_id), [checkpoint(3)], actor="w")
            turn.flush()
            if moment == "before the commit":
                os.kill(os.getpid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    written = moment == "after the commit"
    assert plan_store.head_seq() == head + written
    assert plan_store.reading.fits()[0].checkpoint_step == (3 if written else None)
    assert plan_store.verify().ok
