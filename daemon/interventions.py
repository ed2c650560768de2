"""What people do to many fits at once: which would be done and why, which not, and then doing it.

The command line, the page, the API and the Python face all go this way, so a word means the same everywhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from store.errors import NotFound, WrongState
from store.filters import FitFilter
from store.interventions import RETRYABLE, Word
from store.plan_store import PlanStore
from store.reading import Reader
from store.records import FitRow
from store.state import FINAL_STATES, LEASED_STATES

WORDS: tuple[Word, ...] = ("cancel", "retry", "hold", "release")
DONE_WORDS: Mapping[Word, str] = {
    "cancel": "cancelled",
    "retry": "ready again",
    "hold": "held",
    "release": "released",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A fit that was meant: whether the word applies to it, and why or why not."""

    fit: FitRow
    applies: bool
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Carried:
    """What came of it: the fits it was done to, as they were before, and those passed over, with why."""

    done: tuple[FitRow, ...]
    passed: tuple[Choice, ...]


def chosen(
    reader: Reader,
    word: Word,
    *,
    names: Sequence[str] = (),
    plan: str | None = None,
    where: FitFilter | None = None,
) -> tuple[Choice, ...]:
    """Return the fits that are meant, each once, and for each whether the word applies.

    Names are ids of fits, ``JOB/Family`` or ids of jobs, of `plan` if one is given, else of the newest plan
    that has them. Without names and a filter the whole plan is meant. Names and a filter together mean both.

    Raises:
        NotFound: a plan, fit or job that nobody knows, with the nearest name.
        ValueError: nothing at all was named.
    """
    if not names and plan is None and where is None:
        raise ValueError("name fits, a plan or a filter")
    if plan is not None:
        reader.plan_row(plan)
    found: list[FitRow] = [fit for name in names for fit in _named(reader, name, plan)]
    if where is not None:
        found += reader.fits_where(where)
    if not names and where is None:
        found += reader.fits(plan=plan)
    return tuple(_choice(word, fit) for fit in {fit.id: fit for fit in found}.values())


def carry_out(
    store: PlanStore,
    word: Word,
    choices: Sequence[Choice],
    *,
    reason: str,
    actor: str,
    key: str | None = None,
) -> Carried:
    """Do it to every fit it applies to, however many; one that changed meanwhile is passed over.

    Under the same `key` it is done to each fit at most once, however often it is asked for. What was done
    before an error stands.

    Raises:
        StoreError: the log did not answer.
    """
    # With a key the log knows best: what was done under it looks like something that cannot be done.
    asked = [one for one in choices if one.applies or key is not None]
    ids = None if key is None else [event_id_of(key, word, one.fit.id) for one in asked]
    answers = store.intervene(word, [one.fit.id for one in asked], reason=reason, actor=actor, event_ids=ids)
    told = {one.fit.id: answer for one, answer in zip(asked, answers, strict=True)}
    return Carried(
        done=tuple(one.fit for one in asked if isinstance(told[one.fit.id], int)),
        passed=tuple(_passed(choices, told)),
    )


def event_id_of(key: str, word: str, fit_id: str) -> bytes:
    """Return the id of the event of one word about one fit under a key: always the same, a UUIDv8."""
    made = bytearray(hashlib.sha256("\0".join((key, word, fit_id)).encode()).digest()[:16])
    made[6] = 0x80 | made[6] & 0x0F
    made[8] = 0x80 | made[8] & 0x3F
    return bytes(made)


def _named(reader: Reader, name: str, plan: str | None) -> tuple[FitRow, ...]:
    """The fits of a job, or one fit; raises NotFound."""
    of_job = reader.fits(job=name, plan=plan)
    if of_job:
        newest = of_job[-1].plan_id
        return tuple(fit for fit in of_job if fit.plan_id == newest)
    job_id, _, family = name.rpartition("/")
    if plan is not None and job_id:
        of_family = reader.fits(job=job_id, family=family, plan=plan)
        if of_family:
            return of_family
    fit = reader.fit(name)
    if plan is not None and fit.plan_id != plan:
        raise NotFound(noun=f"fit of plan {plan}", name=name)
    return (fit,)


def _passed(choices: Sequence[Choice], told: Mapping[str, int | WrongState | NotFound]) -> Iterator[Choice]:
    for one in choices:
        answer = told.get(one.fit.id)
        if answer is None or (not isinstance(answer, int) and not one.applies):
            yield one
        elif isinstance(answer, WrongState):
            yield Choice(fit=one.fit, applies=False, because=f"it changed meanwhile: it is {answer.state}")
        elif isinstance(answer, NotFound):
            yield Choice(fit=one.fit, applies=False, because="it is gone meanwhile")


def _choice(word: Word, fit: FitRow) -> Choice:
    applies, because = _JUDGED[word](fit)
    return Choice(fit=fit, applies=applies, because=because)


def _cancelled(fit: FitRow) -> tuple[bool, str]:
    if fit.state in FINAL_STATES:
        return False, _ended(fit)
    if fit.state in LEASED_STATES:
        return True, "it is running: its process is ended"
    return True, "it waits: it will not be started"


def _retried(fit: FitRow) -> tuple[bool, str]:
    if fit.state in LEASED_STATES:
        return False, "it is running already"
    if fit.state not in RETRYABLE:
        return False, "it waits already" if fit.state == "ready" else _ended(fit)
    kept = fit.checkpoint_step
    begins = "begins anew" if kept is None else f"goes on from step {kept}"
    return True, f"{_ended(fit)}; it {begins}"


def _held(fit: FitRow) -> tuple[bool, str]:
    if fit.state in FINAL_STATES:
        return False, _ended(fit)
    if fit.held is not None:
        return False, "it is held already" + (f": {fit.held}" if fit.held else "")
    if fit.state in LEASED_STATES:
        return True, "it is running and goes on; it is not started another time"
    return True, "it waits: it will not be started until it is released"


def _released(fit: FitRow) -> tuple[bool, str]:
    if fit.held is None:
        return False, "it is not held"
    return True, "it is held" + (f": {fit.held}" if fit.held else "")


def _ended(fit: FitRow) -> str:
    if fit.state == "unavailable":
        return "it is not available" + (f": {fit.sentence}" if fit.sentence else "")
    word = {"succeeded": "has succeeded", "failed": "failed", "cancelled": "was cancelled"}[fit.state]
    return f"it {word}" + (f": {fit.sentence}" if fit.state == "failed" and fit.sentence else "")


_JUDGED: Mapping[Word, Callable[[FitRow], tuple[bool, str]]] = {
    "cancel": _cancelled,
    "retry": _retried,
    "hold": _held,
    "release": _released,
}
