"""Moves happen in a process beside the host: nobody waits for them, and what fails for now is asked again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from artefact_samples import KEY, content, made, overwrite
from daemon_samples import await_that
from object_server import REFUSE, ObjectServer

from daemon.artefacts import opened, panel_key
from daemon.artefacts.liveness import ASK_SECONDS, FROZEN_SECONDS, TURN_SECONDS_MAX
from daemon.artefacts.mover import Mover
from daemon.artefacts.moves import ABSENT, DAMAGED, DONE, GET, PUT, PUT_FILE, REFUSED, RESUME, Move

Place = tuple[str, dict[str, Any]]


@pytest.fixture
def mover(shared: Place) -> Iterator[Mover]:
    """The mover of a shared directory."""
    running = Mover(*shared)
    yield running
    running.close()


def settled(mover: Mover, move: Move) -> Callable[[], bool]:
    """Whether a move has come to its end."""

    def look() -> bool:
        mover.hear()
        return move.outcome is not None

    return look


def test_what_is_asked_is_done_and_what_is_wrong_is_said(mover: Mover, shared: Place, tmp_path: Path) -> None:
    """Put, fetched, absent, damaged, not readable here: each move ends with its own outcome."""
    source = made(tmp_path / "a")
    put = mover.ask(PUT, KEY, source)
    await_that(settled(mover, put), "end of the put")
    overwrite(shared, f"{panel_key('d_1')}/manifest.json", b"{")
    moves = {
        DONE: mover.ask(GET, KEY, tmp_path / "b"),
        ABSENT: mover.ask(GET, panel_key("d_2"), tmp_path / "c"),
        DAMAGED: mover.ask(GET, panel_key("d_1"), tmp_path / "d"),
        REFUSED: mover.ask(PUT, KEY, tmp_path / "nothing"),
    }
    for outcome, move in moves.items():
        await_that(settled(mover, move), f"end with {outcome}")
        assert move.outcome == outcome, move.words
    assert content(tmp_path / "b") == content(source)
    assert mover.waiting == 0


def test_a_damaged_panel_is_put_there_anew_by_whoever_has_it(
    mover: Mover, shared: Place, tmp_path: Path
) -> None:
    """Whoever finds the damage takes its manifest away, so that it counts as absent."""
    key, source = panel_key("d_1"), made(tmp_path / "a")
    opened(*shared).put(key, source)
    overwrite(shared, f"{key}/files/model.txt", b"damaged")
    found = mover.ask(GET, key, tmp_path / "b")
    await_that(settled(mover, found), "find")
    assert found.outcome == DAMAGED
    for do, path in ((PUT, source), (GET, tmp_path / "b")):
        again = mover.ask(do, key, path)
        await_that(settled(mover, again), do)
        assert again.outcome == DONE
    assert content(tmp_path / "b") == content(source)


def test_a_damaged_state_is_passed_over_for_the_one_before(
    mover: Mover, shared: Place, tmp_path: Path
) -> None:
    """The furthest sound one of the leases up to ours comes here, and the damage is said."""
    artefacts, source = opened(*shared), made(tmp_path / "a")
    for fence, step in ((3, 10), (3, 20), (9, 30)):
        artefacts.put(f"checkpoints/p_1/f_1/{fence}/step-{step}", source)
    overwrite(shared, "checkpoints/p_1/f_1/3/step-20/files/model.txt", b"damaged")
    move = mover.ask(RESUME, "checkpoints/p_1/f_1", tmp_path / "states", fence=5)
    await_that(settled(mover, move), "resume")
    assert move.outcome == DONE
    assert "step-20" in move.words
    assert [str(path.relative_to(tmp_path / "states")) for path in (tmp_path / "states").rglob("step-*")] == [
        "3/step-10"
    ]


def test_a_place_that_is_away_is_asked_again_until_it_is_back(
    server: ObjectServer, storage: Place, tmp_path: Path
) -> None:
    """Nothing settles and nobody waits meanwhile; the trouble is told, and over when it is."""
    server.break_with(REFUSE)
    mover = Mover(*storage)
    try:
        move = mover.ask(PUT, KEY, made(tmp_path / "a"))
        await_that(lambda: (mover.hear(), mover.trouble)[1], "word of the trouble")
        assert move.outcome is None
        server.break_with("")
        await_that(settled(mover, move), "end once the server is back")
        assert (move.outcome, mover.trouble) == (DONE, None)
        opened(*storage).get(KEY, tmp_path / "b")
    finally:
        mover.close()


def test_a_process_that_is_killed_is_started_anew_and_asked_again(mover: Mover, tmp_path: Path) -> None:
    """What it had under way is done by the next one."""
    mover.start()
    first = await_that(lambda: mover.pid, "process")
    os.kill(first, signal.SIGSTOP)  # so that the move is surely under way
    move = mover.ask(PUT, KEY, made(tmp_path / "a"))
    os.kill(first, signal.SIGKILL)
    await_that(settled(mover, move), "end by another process")
    assert move.outcome == DONE
    assert mover.pid != first


def test_a_process_that_stands_still_is_ended_and_another_one_asked(shared: Place, tmp_path: Path) -> None:
    """It is asked whether it is there, once; a host that stood still itself counts little of that time."""
    seconds = [0.0]
    mover = Mover(*shared, clock=lambda: seconds[0])
    try:
        mover.start()
        first = await_that(lambda: mover.pid, "process")
        os.kill(first, signal.SIGSTOP)
        move = mover.ask(PUT, KEY, made(tmp_path / "a"))
        seconds[0] += 10 * FROZEN_SECONDS
        mover.hear()
        assert mover.pid == first

        def done() -> bool:
            seconds[0] += TURN_SECONDS_MAX
            return settled(mover, move)()

        await_that(done, "end by another process")
        assert (move.outcome, move.ends) == (DONE, 1)
        assert mover.pid != first
    finally:
        mover.close()


def test_a_process_that_is_slow_is_left_alone(shared: Place, tmp_path: Path) -> None:
    """Whoever is asked whether it is there and says so goes on, however long its move takes."""
    os.mkfifo(tmp_path / "slow")  # nobody writes there, so that reading it takes for ever
    seconds = [0.0]
    mover = Mover(*shared, clock=lambda: seconds[0])
    try:
        move = mover.ask(PUT_FILE, "logs/p_1/f_1/1.log", tmp_path / "slow")
        first = await_that(lambda: mover.pid, "process")
        while seconds[0] < 2 * (ASK_SECONDS + FROZEN_SECONDS):
            seconds[0] += TURN_SECONDS_MAX
            mover.hear()
            if mover.liveness.silent_seconds >= ASK_SECONDS:
                await_that(lambda: (mover.hear(), mover.liveness.silent_seconds == 0)[1], "answer")
        assert (mover.pid, move.outcome, move.ends) == (first, None, 0)
    finally:
        mover.close()


def test_nothing_that_nobody_wants_is_moved(mover: Mover, tmp_path: Path) -> None:
    """A move that was dropped before it was asked is not asked."""
    mover.start()
    os.kill(await_that(lambda: mover.pid, "process"), signal.SIGSTOP)
    moves = [mover.ask(PUT, panel_key(f"d_{one}"), made(tmp_path / f"a{one}")) for one in range(12)]
    assert not moves[-1].is_under_way
    for move in moves:
        mover.drop(move)
    os.kill(mover.pid or 0, signal.SIGCONT)
    last = mover.ask(PUT, KEY, tmp_path / "a1")
    await_that(settled(mover, last), "last one")
    assert not (tmp_path / "shared" / "panels" / "d_11").exists()


TALKATIVE = """
import sys
from daemon.artefacts import process
from daemon.artefacts.directory import DirectoryObjects

put = DirectoryObjects.put

def putting(*words):
    print("this will go in the next version", flush=True)
    put(*words)

DirectoryObjects.put = putting
process.carry(int(sys.argv[1]))
"""


def test_what_a_library_prints_is_no_answer(shared: Place, tmp_path: Path) -> None:
    """It goes where errors go: among the answers it would end the loop of the host."""

    def start(words: Sequence[str]) -> subprocess.Popen[bytes]:
        own = [sys.executable, "-P", "-c", TALKATIVE, words[-1]]
        pipe = subprocess.PIPE
        return subprocess.Popen(own, stdin=pipe, stdout=pipe, start_new_session=True)

    mover = Mover(*shared, start=start)
    move = mover.ask(PUT, KEY, made(tmp_path / "a"))
    await_that(lambda: (mover.hear(), move.outcome)[1], "answer")
    mover.close()
    assert move.outcome == DONE
