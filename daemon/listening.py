"""Hears all fits of a host and tells the log for them: what they said and the leases they keep, in one go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from itertools import islice

import structlog

from daemon.about_fits import about
from daemon.errors import ChildStopped
from daemon.runner import Runner
from store.errors import DatabaseUnavailable, LeaseLost, StoreError
from store.plan_store import PlanStore
from store.words import Answer

log = structlog.get_logger("listening")
TOLD_TOGETHER = 32  # fits at most: beyond that all would wait for long behind one transaction
Over = Callable[[Runner], None]


def listen_to(
    runners: Sequence[Runner], store: PlanStore, *, over: Over, beat: Callable[[], None] = lambda: None
) -> None:
    """Record what the children said and keep their leases; `over` is called with whose attempt has ended.

    What cannot be told is kept for the next call. A lease that was lost ends its child at once. A word the
    log does not take, other than for its lease, costs the others nothing.

    Raises:
        StoreError: the log did not take a word; all others were told.
    """
    for runner in runners:
        beat()
        _hear(runner)
    for first in range(0, len(runners), TOLD_TOGETHER):
        beat()
        try:
            _tell(runners[first : first + TOLD_TOGETHER], store, over)
        except DatabaseUnavailable as error:
            _be_patient(error)


def _hear(runner: Runner) -> None:
    with about(runner.claim):
        try:
            runner.hear()
        except DatabaseUnavailable as error:
            _be_patient(error)


def _be_patient(error: DatabaseUnavailable) -> None:
    """Go on where the event log does not answer: what was to be told is still there the next time."""
    log.warning("the event log does not answer; the words are kept", cause=str(error))


def _tell(runners: Sequence[Runner], store: PlanStore, over: Over) -> None:
    """Tell the log in one transaction; where it does not take that, of each fit by itself."""
    try:
        _tell_together(runners, store, over)
    except DatabaseUnavailable:
        raise
    except StoreError:
        if len(runners) == 1:
            raise
        _tell_apart([runner for runner in runners if not runner.is_over], store, over)


def _tell_apart(runners: Sequence[Runner], store: PlanStore, over: Over) -> None:
    """Tell the log of each fit by itself, also behind one whose word it refuses."""
    if runners:
        try:
            _tell_together(runners[:1], store, over)
        finally:
            _tell_apart(runners[1:], store, over)


def _tell_together(runners: Sequence[Runner], store: PlanStore, over: Over) -> None:
    renewing = [runner for runner in runners if _wants_renewal(runner, over)]
    counts = [(runner, len(runner.unsaid)) for runner in runners if not runner.is_over]
    answers = store.say_each(
        [one.word for runner, _ in counts for one in runner.unsaid],
        renewing=[runner.claim for runner in renewing],
    )
    said, renewed = iter(answers.words), dict(zip(renewing, answers.renewed, strict=True))
    for runner, count in counts:
        mine = list(islice(said, count))
        with about(runner.claim):
            _settle(runner, mine, renewed.get(runner))
        _let_go(runner, over)


def _settle(runner: Runner, told: Sequence[Answer], renewed: datetime | LeaseLost | None) -> None:
    """Give a runner its answers; one that was refused ends its child."""
    try:
        runner.told(told)
        if renewed is not None:
            runner.renewed(renewed)
    except LeaseLost as lost:
        runner.give_up(lost)


def _wants_renewal(runner: Runner, over: Over) -> bool:
    """Return whether a lease is to be renewed; one that nobody can work under any more ends its child."""
    try:
        return runner.wants_renewal()
    except ChildStopped as stopped:
        with about(runner.claim):
            runner.give_up(stopped)
        _let_go(runner, over)
    return False


def _let_go(runner: Runner, over: Over) -> None:
    if runner.is_over:
        runner.child.close()
        over(runner)
