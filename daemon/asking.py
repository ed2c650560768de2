"""What an agent is asked to do, and what came of it: fits by name, by their claims, or what comes next."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from store.errors import NotFound
from store.reading import Reader
from store.records import FitRow

NEXT = "next"
FIT_FAILED, TRY_AGAIN, INTERRUPTED = 1, 75, 130
_CLAIM = re.compile(r"(?P<fit>[^\s/:]+):(?P<fence>[1-9][0-9]{0,17})")
_WELL = frozenset(("succeeded", "already"))
_FAILED = frozenset(("failed", "cancelled", "unavailable"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A claim that somebody else made for the agent: the fit, and the fence it was claimed under."""

    fit_id: str
    fence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What an agent is to do.

    Attributes:
        named: fits to claim, of these and no others.
        handed: claims to take over.
        plan: of which plan the next fits are to be, of all plans if it is None; only where nothing is named.
    """

    named: tuple[FitRow, ...] = ()
    handed: tuple[Handed, ...] = ()
    plan: str | None = None

    @property
    def is_next(self) -> bool:
        """Whether it is to take what comes next."""
        return not self.named and not self.handed


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How much an agent does.

    Attributes:
        fits: how many of the next fits it takes at most; None: all there are.
        at_once: how many fits run at the same time.
        stage: of which stage; None: of both.
        claim_seconds: after so long it claims nothing more; None: it goes on.
        wait_seconds: how long it waits where there is nothing it may do.
    """

    fits: int | None = 1
    at_once: int = 1
    stage: str | None = None
    claim_seconds: float | None = None
    wait_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentFit:
    """What came of one fit.

    Attributes:
        outcome: "succeeded", or "already" before; "failed", "cancelled" or "unavailable" for good; "retrying"
            later; "released" (given back), "lost" (its lease), "refused" (its claim is not to be had),
            "waiting" (it could not be claimed).
        sentence: why; empty after success.
        attempt: which one this was; 0 where it was not begun.
        seconds: since its attempt began.
    """

    fit: str
    name: str
    outcome: str
    sentence: str = ""
    attempt: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEnd:
    """How an agent ended: its fits in the order they ended, and why it was stopped, if it was."""

    fits: tuple[AgentFit, ...] = field(default_factory=tuple)
    stopped: str | None = None
    sentence: str = ""

    @property
    def exit_code(self) -> int:
        """0 all well, 1 a fit failed for good, 75 something is left to others or to later, 130 stopped."""
        outcomes = {one.outcome for one in self.fits}
        if self.stopped is not None:
            return INTERRUPTED
        if outcomes & _FAILED:
            return FIT_FAILED
        return 0 if outcomes and outcomes <= _WELL else TRY_AGAIN


def asked_of(words: Sequence[str], reader: Reader, *, plan: str | None = None) -> Asked:
    """Return what the words of ``--claim`` mean; the same word twice is one.

    Raises:
        NotFound: there is no such fit, or plan.
        ValueError: `next` stands beside other words.
    """
    if plan is not None:
        reader.plan_row(plan)
    if NEXT in words:
        if set(words) != {NEXT}:
            raise ValueError(f"{NEXT!r} is what is asked for, or fits are: not both")
        return Asked(plan=plan)
    named: dict[str, FitRow] = {}
    handed: dict[Handed, None] = {}
    for word in words:
        claim = _CLAIM.fullmatch(word)
        if claim is None:
            fit = _fit(reader, word, plan)
            named[fit.id] = fit
        else:
            reader.fit(claim["fit"])
            handed[Handed(fit_id=claim["fit"], fence=int(claim["fence"]))] = None
    return Asked(named=tuple(named.values()), handed=tuple(handed), plan=plan)


def _fit(reader: Reader, name: str, plan: str | None) -> FitRow:
    """Return the fit of a name, of the newest plan that has it or of one plan; raises NotFound."""
    found = reader.fit(name)
    if plan is None or found.plan_id == plan:
        return found
    rows = reader.fits(plan=plan, job=found.job_id, family=found.family)
    if name == found.id or not rows:
        raise NotFound(noun=f"fit of plan {plan}", name=name)
    return rows[0]
