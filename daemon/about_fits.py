"""The names that a line of the log of this process carries, whoever writes it."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from types import TracebackType
from typing import Any

from store.records import Claim

_CLAIM: ContextVar[Claim | None] = ContextVar("claim", default=None)


class about:  # noqa: N801 - read as a word: with about(claim)
    """Have every line of the log that is written inside, wherever it is, name plan, job, fit and attempt.

    It is entered for every fit at every turn, and most have nothing to say: only a line looks the names up.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def __enter__(self) -> None:
        self._before = _CLAIM.set(self._claim)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _CLAIM.reset(self._before)


def name_the_fit(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the names to a line, as structlog's processors do; a name that the line has stays."""
    claim = _CLAIM.get()
    if claim is None:
        return line
    names = {"plan": claim.plan_id, "job": claim.job_id, "fit": claim.fit_id, "attempt": claim.attempt}
    return names | {**line}
