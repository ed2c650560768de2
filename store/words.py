"""What a host says in one turn of its loop: words about several fits, and the leases it keeps.

Each word and each lease is answered by itself. One transaction for all of them is one wait for the disk and
one turn at the log, however many fits a host has; word by word, a log that many hosts share is the wall.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from store import leases, log
from store.database import Statement
from store.errors import LeaseLost
from store.events import FitEvent, FitFailed
from store.ids import fit_stream
from store.layout import SELECT_EVENT
from store.moments import moment_of
from store.ready import LOCK
from store.records import Claim, Failure
from store.retries import RetryPolicy
from store.state import LEASED_STATES
from store.turn import Said, Turn, prime_fit

_HOLDERS = "SELECT fit_id, fence, state, worker FROM fit"
Answer = int | FitFailed | LeaseLost  # the seq of a word, what became of a failure, or why it was refused


class Word(NamedTuple):
    """Something a worker says of a fit under the claim it has; again with its `event_id` it is one event."""

    claim: Claim
    said: FitEvent | Failure
    event_id: bytes

    @property
    def kind(self) -> str:
        """The kind of event that it becomes."""
        return FitFailed.kind if isinstance(self.said, Failure) else self.said.kind


class Answers(NamedTuple):
    """What was answered to each word, and to each claim that was to be renewed: the new end of its lease."""

    words: tuple[Answer, ...]
    renewed: tuple[datetime | LeaseLost, ...]


def questions(words: Sequence[Word], renewing: Sequence[Claim]) -> tuple[Statement, ...]:
    """Return the questions that `say_each` needs answered at the turn's opening.

    Of a fit whose lease is only renewed no more is read than who has it: a host says little and renews much.
    """
    asked: list[Statement] = []
    if words:
        ids = [word.event_id for word in words]
        asked += leases.fits_of([word.claim for word in words])
        asked.append((f"{SELECT_EVENT} WHERE event_id IN ({_marks(ids)})", ids))
    if renewing:
        fits = sorted(held.fit_id for held in renewing)
        asked.append((f"{_HOLDERS} WHERE fit_id IN ({_marks(fits)}) ORDER BY fit_id{LOCK}", fits))
    return tuple(asked)


def say_each(turn: Turn, words: Sequence[Word], renewing: Sequence[Claim], *, policy: RetryPolicy) -> Answers:
    """Append one worker's words, several of a fit in their order, and renew its other leases.

    The turn was opened with `questions`.
    """
    if words:
        prime_fit(turn)
    before = _recorded(turn, words)
    events: dict[str, list[FitEvent]] = {}  # of each fit, what is to be appended
    ids: dict[str, list[bytes]] = {}
    said: dict[str, Said] = {}
    refused: dict[bytes, LeaseLost] = {}
    for word in words:
        if word.event_id in before:
            continue
        fit_id = word.claim.fit_id
        try:
            fit = leases.require_held(turn, word.claim)
        except LeaseLost as lost:
            refused[word.event_id] = lost
            continue
        failure = word.said
        event = policy.verdict(fit, failure, now=turn.now) if isinstance(failure, Failure) else failure
        events.setdefault(fit_id, []).append(event)
        ids.setdefault(fit_id, []).append(word.event_id)
        said[fit_id] = Said(fit, events[fit_id], word.claim.worker, event_ids=ids[fit_id])
    told = turn.tell_all(list(said.values())) if said else ()
    known = {**before, **{one.event_id: one for one in told}}
    answers = [refused.get(word.event_id) or _answer(known[word.event_id]) for word in words]
    return Answers(tuple(answers), _renewed(turn, renewing))


def _recorded(turn: Turn, words: Sequence[Word]) -> Mapping[bytes, log.Recorded]:
    """Return the words that were recorded before; raises EventIdReused for an id of another event."""
    found = {bytes(row[1]): row for row in turn.answers[2]} if words else {}
    return {
        word.event_id: recorded
        for word in words
        if (row := found.get(word.event_id)) is not None
        and (recorded := log.same_event([row], fit_stream(word.claim.fit_id), word.kind)) is not None
    }


def _answer(recorded: log.Recorded) -> Answer:
    return recorded.event if isinstance(recorded.event, FitFailed) else recorded.seq


def _renewed(turn: Turn, renewing: Sequence[Claim]) -> tuple[datetime | LeaseLost, ...]:
    """Extend leases by their length from now, even past their end as long as nobody took them back."""
    holders = {row[0]: row[1:] for row in turn.answers[-1]} if renewing else {}
    answers: list[datetime | LeaseLost] = []
    alike: dict[int, list[str]] = {}  # leases of one length, by their new end
    for held in renewing:
        fence, state, worker = holders.get(held.fit_id, (0, "unknown", None))
        if fence != held.fence or worker != held.worker or state not in LEASED_STATES:
            lost = LeaseLost(fit=held.fit_id, fence=held.fence, current=fence, state=state, worker=worker)
            answers.append(lost)
            continue
        expires_at = turn.now + leases.micros(held.lease_seconds)
        alike.setdefault(expires_at, []).append(held.fit_id)
        answers.append(moment_of(expires_at))
    for expires_at, fit_ids in alike.items():
        sql = f"UPDATE lease SET renewed_at = ?, expires_at = ? WHERE fit_id IN ({_marks(fit_ids)})"
        turn.tx.later(sql, (turn.now, expires_at, *fit_ids))
    return tuple(answers)


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
