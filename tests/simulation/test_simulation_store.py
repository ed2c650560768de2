"""The store survives the machine, and stores with a planted fault do not: the machine has teeth."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis.stateful import run_state_machine_as_test
from store_machine import MACHINE_SETTINGS, MUTANT_SETTINGS, StoreMachine

from store import PlanStore, choosing, leases
from store.database import Statement
from store.projections import LiveRows
from store.records import Claim
from store.state import FitState
from store.turn import Turn


def caught(machine: type[StoreMachine]) -> BaseException:
    """Return the error the machine finds."""
    with pytest.raises(BaseException) as found:  # noqa: PT011 - whatever it finds, also a group of errors
        run_state_machine_as_test(machine, settings=MUTANT_SETTINGS)
    return found.value


def words_of(error: BaseException) -> str:
    """Return the texts of an error and of all inside it."""
    inside = getattr(error, "exceptions", ())
    return " ".join([str(error), *(words_of(one) for one in inside)])


@pytest.mark.slow
def test_the_store_survives_crashes_lost_leases_and_stale_words() -> None:
    """A hundred random weeks: one holder, no stale word, no lost event, projections equal to the log."""
    run_state_machine_as_test(StoreMachine, settings=MACHINE_SETTINGS)


def test_the_machine_catches_a_store_without_fences(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that lets anybody who once held a fit write about it is caught."""

    def trusting(turn: Turn, held: Claim) -> FitState:
        return turn.fit(held.fit_id)

    monkeypatch.setattr(leases, "_require_held", trusting)
    assert "a stale word was taken" in words_of(caught(StoreMachine))


def test_the_machine_catches_projections_outside_the_transaction() -> None:
    """A store that writes its projections in a second transaction loses them in a crash between the two."""

    class LateStore(PlanStore):
        """A store with the fault."""

        @contextmanager
        def _turn(self, *asked: Statement) -> Iterator[Turn]:
            with super()._turn(*asked) as turn:
                yield turn
                late, turn.rows = turn.rows, LiveRows(turn.tx)
            with super()._turn() as second:
                late._tx = second.tx
                late.flush()

    class LateMachine(StoreMachine):
        STORE = LateStore

    found = words_of(caught(LateMachine))
    assert "does not follow from the log" in found or "verify found problems" in found


def test_the_machine_catches_a_barrier_that_forgets_running_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ready query that counts only ready CPU fits lets GPU fits go too early."""
    unfinished = "c.state IN ('ready', 'claimed', 'running')"
    forgetful = {stage: sql.replace(unfinished, "c.state = 'ready'") for stage, sql in choosing.READY.items()}
    assert forgetful != choosing.READY
    monkeypatch.setattr(choosing, "READY", forgetful)
    assert "a GPU fit went before its CPU stage" in words_of(caught(StoreMachine))
