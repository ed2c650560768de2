"""What a fit needs before it can start, brought here: panel, newest state, the models it is made from."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from daemon.artefacts.keys import bundle_key, states_prefix
from daemon.artefacts.mover import Mover
from daemon.artefacts.moves import DONE, FULL, GET, RESUME, Move
from executors.cards import read_card
from executors.contract import FitSpec, Part
from executors.errors import BundleDamaged
from store.ids import fit_id_of

PATIENCE_SECONDS = 10.0  # with a panel that is not there yet

log = structlog.get_logger("artefacts")


class Fetching:
    """The moves that one fit waits for; most fits wait for none.

    Attributes:
        spec: of the fit, with the places here.
        has_waited: whether anything had to be fetched.
    """

    def __init__(
        self, spec: FitSpec, mover: Mover, fetched: Path, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.spec, self._mover, self._fetched = spec, mover, fetched
        self._clock, self._until = clock, clock() + PATIENCE_SECONDS
        self._ask_panel: Callable[[], Move] | None = None
        self._state: Move | None = None
        self._parts: list[Move] = []
        self._place_parts()
        self.has_waited = bool(self._parts)

    def await_panel(self, ask: Callable[[], Move]) -> None:
        """Wait for a panel, which other fits may wait for as well; `ask` returns the move that brings it."""
        self._ask_panel, self.has_waited = ask, True
        self.spec = dataclasses.replace(self.spec, panel_path=ask().path)

    def fetch_state(self) -> None:
        """Fetch the newest state of an earlier attempt; a fit without one begins anew."""
        spec = self.spec
        prefix = states_prefix(spec.plan, spec.fit)
        self._state = self._mover.ask(RESUME, prefix, spec.checkpoint_dir, is_urgent=True, fence=spec.fence)
        self.has_waited = True

    @property
    def is_over(self) -> bool:
        """Whether nothing is on its way any more, or something can not be had."""
        if self.lacks is not None or self.lacks_part is not None or self.full is not None:
            return True
        panel = self._panel()
        others = (self._state, *self._parts)
        return (panel is None or panel.outcome == DONE) and all(
            move is None or move.outcome is not None for move in others
        )

    @property
    def lacks(self) -> str | None:
        """Why its panel cannot be had for now, in words; None when nothing is known to be wrong with it.

        The host that has a panel may be putting it there just now: a while is waited for it.
        """
        return None if self._clock() < self._until else _problem(self._panel())

    @property
    def lacks_part(self) -> str | None:
        """Why a model it is made from cannot be had; such a model was put there before this fit was ready."""
        return next((words for words in map(_problem, self._parts) if words is not None), None)

    @property
    def full(self) -> str | None:
        """Why what it needs does not fit on the disk, None when it does."""
        moves = (self._panel(), self._state, *self._parts)
        found = next((move for move in moves if move is not None and move.outcome == FULL), None)
        return None if found is None else f"the disk is full: {found.words}"

    def drop(self) -> None:
        """Want none of it any more; the panel is others' too."""
        for move in (self._state, *self._parts):
            if move is not None:
                self._mover.drop(move)

    def note_states(self) -> None:
        """Say what was wrong with states that were passed over."""
        if self._state is not None and self._state.words:
            log.warning("states of a fit were passed over", fit=self.spec.fit, cause=self._state.words)

    def _panel(self) -> Move | None:
        return None if self._ask_panel is None else self._ask_panel()

    def _place_parts(self) -> None:
        parts = tuple(self._part(part) for part in self.spec.parts)
        self.spec = dataclasses.replace(self.spec, parts=parts)

    def _part(self, part: Part) -> Part:
        """Return a part with its place here; where it is not here it is fetched."""
        if is_bundle(part.bundle_path, part.bundle_sha256):
            return part
        job, _, family = part.name.rpartition("/")
        fit = fit_id_of(self.spec.plan, job, family)
        here = fetched_bundle(self._fetched, fit, part.bundle_sha256)
        with contextlib.suppress(OSError):
            os.utime(here.parent)  # it is needed: whoever sweeps goes by the time
        if not here.is_dir():
            key = bundle_key(self.spec.plan, fit, part.bundle_sha256)
            self._parts.append(self._mover.ask(GET, key, here, is_urgent=True))
        return dataclasses.replace(part, bundle_path=here)


def _problem(move: Move | None) -> str | None:
    if move is None or move.outcome in (None, DONE, FULL):
        return None
    return f"what it needs cannot be fetched: {move.words}"


def is_bundle(path: Path, sha256: str | None) -> bool:
    """Whether the model of that identity lies in a directory; its files are not hashed."""
    try:
        return bool(read_card(path)["sha256"] == sha256)
    except BundleDamaged:
        return False


def fetched_bundle(fetched: Path, fit: str, sha256: str) -> Path:
    """Return where a fetched model lies on this host."""
    return fetched / fit / sha256
