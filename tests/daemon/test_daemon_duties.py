"""Each duty of the daemon has its turn, whatever becomes of the others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from daemon.duty import Duty
from daemon.notify import Pulse
from daemon.service import Service


class Noting:
    """A duty that notes its turns, and perhaps fails in each."""

    def __init__(self, error: Exception | None = None) -> None:
        self.turns: list[frozenset[str]] = []
        self._error = error

    def turn(self, rang: frozenset[str]) -> None:
        """Note it."""
        self.turns.append(rang)
        if self._error is not None:
            raise self._error


def test_a_duty_that_fails_takes_no_turn_from_those_behind_it() -> None:
    """All have had their turn when the errors are told; before each the loop gives a sign of life."""
    beats: list[int] = []
    duties = (Noting(), Noting(OSError("first")), Noting(), Noting(ValueError("second")), Noting())
    service = object.__new__(Service)
    service.duties = cast("tuple[Duty, ...]", duties)
    service.pulse = cast("Pulse", SimpleNamespace(beat=lambda: beats.append(1)))
    with pytest.raises(ValueError, match="second") as caught:
        service._do_duties(frozenset({"seal"}))
    assert isinstance(caught.value.__context__, OSError)
    assert [duty.turns for duty in duties] == [[frozenset({"seal"})]] * 5
    assert len(beats) == 5
