"""The store with one fault planted in it, each of a kind that real queues have had; all must be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pytest

from store import PlanStore, adopting, choosing, fit_folding, folding, interventions, labels, leases, rescuing
from store import turn as turns
from store.database import Statement
from store.moments import moment_of
from store.ordering import ClaimOrder
from store.projections import LiveRows
from store.records import Claim
from store.state import FitState
from store.turn import Turn

OPEN = "c.state IN ('ready', 'claimed', 'running')"
Plant = Callable[[pytest.MonkeyPatch], type[PlanStore]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A planted fault: how it is planted, and what the one who finds it may say, as a regular expression.

    `people` says that it shows only where fits are held or wait for each other, `parts` only where one is
    made from others, `plans` only where there are two.
    """

    name: str
    plant: Plant
    found: str
    people: bool = False
    parts: bool = False
    plans: bool = False


class LateStore(PlanStore):
    """A store that writes its projections in a second transaction."""

    @contextmanager
    def _turn(self, *asked: Statement, shared: bool = False) -> Iterator[Turn]:
        with super()._turn(*asked, shared=shared) as turn:
            yield turn
            late, turn.rows = turn.rows, LiveRows(turn.tx)
        with super()._turn() as second:
            late._tx = second.tx
            late.flush()


class ForgetfulStore(PlanStore):
    """A store that takes no notice of event ids."""

    def checkpointed(self, claim: Claim, word: Any, *, event_id: bytes | None = None) -> int:
        return super().checkpointed(claim, word)

    def succeeded(self, claim: Claim, word: Any, *, event_id: bytes | None = None) -> int:
        return super().succeeded(claim, word)


def without_fences(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    def trusting(turn: Turn, held: Claim) -> FitState:
        return turn.fit(held.fit_id)

    patch.setattr(leases, "require_held", trusting)
    return PlanStore


def renewing_without_the_number(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    def renew(turn: Turn, held: Claim) -> datetime:
        until = turn.now + round(held.lease_seconds * 1_000_000)
        sql = "UPDATE lease SET renewed_at = ?, expires_at = ? WHERE fit_id = ?"
        turn.tx.execute(sql, (turn.now, until, held.fit_id))
        return moment_of(until)

    patch.setattr(leases, "renew", renew)
    return PlanStore


def with_one_fence_for_all(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    claimed, held = fit_folding._claimed, leases.require_held

    def unfenced(*about: Any) -> dict[str, Any]:
        return {**claimed(*about), "fence": 1}

    def by_whomever(turn: Turn, claim: Claim) -> FitState:
        """Not asking whose the claim is either: the name of the worker would stand in for the fence."""
        fit = turn.rows.known(FitState, claim.fit_id)
        return held(turn, claim if fit is None or fit.worker is None else replace(claim, worker=fit.worker))

    patch.setattr(fit_folding, "_claimed", unfenced)
    patch.setattr(leases, "require_held", by_whomever)
    return PlanStore


def saying(where: Any, name: str, old: str, new: str) -> Plant:
    """A fault in the text of a statement, or of the statements of all stages: `old` is `new` in it."""

    def plant(patch: pytest.MonkeyPatch) -> type[PlanStore]:
        said = getattr(where, name)
        texts = dict(said) if isinstance(said, dict) else {"": said}
        changed = {key: text.replace(old, new) for key, text in texts.items()}
        assert changed != texts, f"{name} does not say {old!r} any more: the mutant has no teeth"
        patch.setattr(where, name, changed if isinstance(said, dict) else changed[""])
        return PlanStore

    return plant


def behind_a_forgetful_barrier(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    for name in ("READY", "OPEN_PLANS"):
        saying(choosing, name, OPEN, "c.state = 'ready'")(patch)
    return PlanStore


def rescuing_by(end: str) -> Plant:
    """Every lease ends then, for the rescue."""

    def plant(patch: pytest.MonkeyPatch) -> type[PlanStore]:
        saying(rescuing, "_OVERDUE", "l.expires_at <", f"{end} <")(patch)
        return saying(rescuing, "_LEASES", "l.expires_at", end)(patch)

    return plant


def keeping_leases(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    patch.setattr(Turn, "_end_leases", lambda turn, ended: None)
    return PlanStore


def retrying_what_succeeded(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    patch.setattr(interventions, "RETRYABLE", (*interventions.RETRYABLE, "succeeded"))
    return PlanStore


def counting_one_member(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    known = folding.awaited_ids
    patch.setattr(folding, "awaited_ids", lambda awaits: known(awaits)[:1])
    return PlanStore


def waiting_for_every_success(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    def more_open(before: str, after: str) -> int:
        return (before == "succeeded") - (after == "succeeded")

    patch.setattr(folding, "_more_open", more_open)
    return PlanStore


def never_giving_up(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    patch.setattr(Turn, "_give_up_followers", lambda turn, fit: None)
    return PlanStore


def giving_up_with_the_first(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    def short_group(awaits: Any, is_lost: Any) -> Any:
        return next((group for group in awaits if any(map(is_lost, group.fits))), None)

    patch.setattr(turns, "short_group", short_group)
    return PlanStore


def leaving_lost_members(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    patch.setattr(interventions, "awaited_of", lambda told: ())
    return PlanStore


def believing_the_fence(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    known = leases.require_held

    def trusting(turn: Turn, held: Claim) -> FitState:
        fit = turn.rows.known(FitState, held.fit_id)
        return known(turn, held if fit is None else replace(held, worker=str(fit.worker)))

    patch.setattr(leases, "require_held", trusting)
    return PlanStore


MUTANTS = (
    Mutant(name="no fences", plant=without_fences, found="under an old fence"),
    Mutant(
        name="renew without the number", plant=renewing_without_the_number,
        found="under an old fence|was left",
    ),
    Mutant(
        name="one fence for all", plant=with_one_fence_for_all,
        found="under an old fence|was not handed over|taken over twice",
    ),
    Mutant(
        name="a rescue that does not look at the time",
        plant=rescuing_by("0"), found="a living lease was taken back",
    ),
    Mutant(
        name="a rescue that never comes",
        plant=rescuing_by("9000000000000000"), found="was left|never ends",
    ),
    Mutant(
        name="projections outside the transaction", plant=lambda patch: LateStore,
        found="does not follow from the log|verify found|gapless",
    ),
    Mutant(
        name="a barrier that forgets running fits", plant=behind_a_forgetful_barrier,
        found="before its CPU stage|what is not ready",
    ),
    Mutant(
        name="answers recorded twice", plant=lambda patch: ForgetfulStore,
        found="recorded twice|said again",
    ),
    Mutant(
        name="a claim that does not look at the state",
        plant=saying(choosing, "READY", "f.state = 'ready' AND ", ""),
        found="two valid claims|what is not ready|a final fit|leases and states disagree",
    ),
    Mutant(
        name="a claim that does not wait",
        plant=saying(choosing, "READY", "f.not_before_at <=", "f.not_before_at <> "),
        found="what is not ready",
    ),
    Mutant(name="leases that stay", plant=keeping_leases, found="leases and states disagree"),
    Mutant(
        name="retrying what succeeded", plant=retrying_what_succeeded,
        found="is succeeded was changed|a final fit moved",
    ),
    Mutant(
        name="a claim that knows no holds",
        plant=saying(choosing, "READY", "f.held IS NULL AND ", ""), found="what is not ready", people=True,
    ),
    Mutant(
        name="a claim that knows no dependencies",
        plant=saying(choosing, "READY", "f.waits_for = 0 AND ", ""), found="what is not ready", people=True,
    ),
    Mutant(
        name="a claim that knows no pauses",
        plant=saying(choosing, "PAUSES", "FROM pause", "FROM pause WHERE 1 = 0"),
        found="what is not ready", people=True,
    ),
    Mutant(
        name="an ensemble that starts while a member runs", plant=counting_one_member,
        found="what is not ready", parts=True,
    ),
    Mutant(
        name="an ensemble that never starts because a member failed", plant=waiting_for_every_success,
        found="what is ready was not claimed|never ends", parts=True,
    ),
    Mutant(
        name="an ensemble without members", plant=never_giving_up,
        found="waits in vain|what is not ready|a final fit moved", parts=True,
    ),
    Mutant(
        name="an ensemble given up with its first member", plant=giving_up_with_the_first,
        found="enough of what it is made from|a final fit moved|what is ready was not claimed", parts=True,
    ),
    Mutant(
        name="a claim that does not look at what plans have at work",
        plant=saying(choosing, "AT_WORK", "w.state IN ('claimed', 'running')", "1 = 0"),
        found="what is less urgent|what is ready was not", plans=True,
    ),
)  # fmt: skip


def roomless(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    patch.setattr(choosing._Space, "take", lambda space, row: True)
    return PlanStore


def without_ageing(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    number = ClaimOrder.number
    patch.setattr(ClaimOrder, "number", lambda order, **about: number(order, **{**about, "queued_at": 0}))
    return PlanStore


def believing_batches(patch: pytest.MonkeyPatch) -> type[PlanStore]:
    say_all = leases.say_all

    def trusting(turn: Turn, words: Any) -> Any:
        with pytest.MonkeyPatch.context() as inner:
            without_fences(inner)
            return say_all(turn, words)

    patch.setattr(leases, "say_all", trusting)
    return PlanStore


MACHINE_MUTANTS = (
    *MUTANTS,
    Mutant(
        name="a takeover that does not ask who was first",
        plant=saying(adopting, "_HANDED_OVER", "version > ?", "version < 0 AND version > ?"),
        found="was taken over twice",
    ),
    Mutant(
        name="words by the fence alone",
        plant=believing_the_fence, found="under an old fence",
    ),
    Mutant(
        name="an ensemble retried without its members", plant=leaving_lost_members, found="a final fit moved"
    ),
    Mutant(name="a claim that overfills the room", plant=roomless, found="what is less urgent"),
    Mutant(
        name="a claim that does not look at how long plans wait", plant=without_ageing,
        found="what is less urgent|what is ready was not",
    ),
    Mutant(
        name="batches without fences", plant=believing_batches, found="under an old fence|WriteRefused",
    ),
)  # fmt: skip

FLEET_MUTANTS = (
    Mutant(
        name="a claim that forgets that its host drains",
        plant=saying(choosing, "PAUSES", "h.draining IS NOT NULL OR", ""), found="what is not ready",
    ),
    Mutant(
        name="a claim that does not look at labels",
        plant=saying(labels, "LACKS_NOTHING", " = ''", " <> '?'"), found="what is not ready",
    ),
)  # fmt: skip
