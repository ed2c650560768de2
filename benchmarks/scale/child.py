"""A fit that is only said to run: it reports as a child process does, by virtual time."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from benchmarks.scale.agenda import Agenda
from benchmarks.scale.options import Scenario
from executors.contract import Failed, FitSpec, Outcome, Report, Started, Stopped, Succeeded

NOBODY = 2**22 + 1  # beyond every pid
_SPREAD = 0.6  # of the logarithm of a fit's seconds
_SPOILT = Failed(cause="bad_input", sentence="simulated: no rows", where="simulated", retryable=False)
_FAILED = Failed(cause="library", sentence="simulated: it failed", where="simulated", retryable=True)


class SimulatedChild:
    """One attempt: a first word, then an end; `moved` is called when there is something to hear."""

    pid = NOBODY

    def __init__(self, spec: FitSpec, agenda: Agenda, scenario: Scenario, moved: Callable[[], None]) -> None:
        self._spec, self._moved = spec, moved
        self._said: list[Report] = []
        self._end: Outcome | None = None
        self.returncode: int | None = None
        drawn = random.Random(f"{scenario.seed}/{spec.fit}/{spec.attempt}")  # noqa: S311 - no secret
        spoilt = random.Random(f"{scenario.seed}/{spec.fit}").random() < scenario.spoilt_share  # noqa: S311
        begins = scenario.start_seconds * (0.5 + drawn.random())
        lasts = scenario.fit_seconds * math.exp(drawn.gauss(0.0, _SPREAD))
        fails = drawn.random() < scenario.fail_share
        agenda.after(begins, self._begin)
        agenda.after(
            begins + lasts, lambda: self._ends(_SPOILT if spoilt else _FAILED if fails else self._done())
        )

    def fileno(self) -> int:
        """No descriptor."""
        return -1

    def reports(self) -> list[Report]:
        """What was said since the last call."""
        said, self._said = self._said, []
        return said

    def outcome(self) -> Outcome | None:
        """How it ended."""
        return self._end

    def stop(self) -> None:
        """Save its state and end."""
        self._ends(Stopped(step=1))

    def kill(self) -> None:
        """End without a word that anybody hears."""
        if self.returncode is None:
            self.returncode, self._end = -9, _FAILED
        self._moved = _nothing

    def wait(self, timeout_seconds: float | None = None) -> bool:  # noqa: ARG002 - it has ended
        """Whether it has ended."""
        return self.returncode is not None

    def close(self) -> None:
        """Nothing to let go of."""

    def _begin(self) -> None:
        if self.returncode is None:
            spec = self._spec
            self._said.append(
                Started(
                    device_requested=spec.device_requested, device_used="cpu", device_reason="simulated",
                    pid=self.pid, rows_train=1, rows_valid=1, rows_test=1,
                )
            )  # fmt: skip
            self._moved()

    def _ends(self, outcome: Outcome) -> None:
        if self.returncode is None:
            self.returncode, self._end = 0, outcome
            self._said.append(outcome)
            self._moved()

    def _done(self) -> Succeeded:
        return Succeeded(bundle=str(self._spec.bundle_path), bundle_sha256="0" * 64, metrics={"score": 0.1})


def _nothing() -> None:
    """Nobody listens any more."""
