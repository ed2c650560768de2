"""The names that a line of the log of this process carries, whoever writes it."""

from __future__ import annotations

from types import TracebackType

import structlog

from store.records import Claim


class about:  # noqa: N801 - read as a word: with about(claim)
    """Bind plan, job, fit and attempt to every line of the log that is written inside, wherever it is.

    It is entered for every fit at every turn, so it is no generator: structlog's own takes twice the time.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim = claim

    def __enter__(self) -> None:
        claim = self._claim
        self._before = structlog.contextvars.bind_contextvars(
            plan=claim.plan_id, job=claim.job_id, fit=claim.fit_id, attempt=claim.attempt
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        structlog.contextvars.reset_contextvars(**self._before)
