"""The one loop that grows boosted trees: in chunks, each with a seed that is a function of the rounds done.

Row and column samplers of LightGBM, XGBoost and NGBoost keep a state that no saved model holds. A chunk
starts its sampler afresh from the seed of its first round and goes on from the scores that the rows have
after the chunk before, whether the process has been there all along or has just been started: a resumed fit
is the uninterrupted one by construction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from executors.checkpoint import Checkpoint
from executors.parameters import Parameter
from executors.session import Device, Session

AfterRound = Callable[[float, float], bool]

#: Settings of the loop; chunk_rounds 0 lets the size of the data choose (`chunk_rounds`).
LOOP_PARAMETERS: Mapping[str, Parameter] = {
    "rounds": Parameter(default=400, low=1, high=100_000),
    "patience": Parameter(default=40, low=1, high=100_000),
    "chunk_rounds": Parameter(default=0, low=0, high=10_000),
}

_LOSSES = "losses.json"
_MOST_CHUNK_ROUNDS = 50
_CHUNK_SECONDS = 10.0
_SECONDS_OF_WORK = 5e-9  # of one cell on one level of a tree, on a slow core
_WATCHED_ROWS = 1024


class Engine(Protocol):
    """A boosting library on the data of one fit, with the trees it has grown."""

    def grow(self, *, rounds: int, seed: int, after_round: AfterRound) -> None:
        """Add up to `rounds` rounds, all samplers started from `seed`.

        `after_round(train_loss, valid_loss)` is called after each; once it returns True no more are added. A
        library that can add no more stops on its own. A chunk that an exception ends has not happened.
        """
        ...

    def state(self) -> dict[str, bytes]:
        """Return all there is to remember after the last whole chunk, name -> content."""
        ...

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over what `state` returned."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """How far a fit has come: the losses after each round.

    The training loss is that of the rows watched (`watched_rows`), the validation loss that of all.
    """

    train_losses: tuple[float, ...]
    valid_losses: tuple[float, ...]
    is_exhausted: bool = False

    @property
    def rounds(self) -> int:
        """Rounds done."""
        return len(self.valid_losses)

    @property
    def best_round(self) -> int:
        """Rounds after which the validation loss was lowest, the first of equals; 0 before any."""
        if not self.valid_losses:
            return 0
        return self.valid_losses.index(min(self.valid_losses)) + 1

    @property
    def curve(self) -> dict[str, list[float]]:
        """The losses as a bundle's card has them."""
        return {"train_loss": list(self.train_losses), "valid_loss": list(self.valid_losses)}

    def to_bytes(self) -> bytes:
        """Return the losses for a checkpoint."""
        return json.dumps({"train_losses": self.train_losses, "valid_losses": self.valid_losses}).encode()

    @classmethod
    def from_checkpoint(cls, found: Checkpoint | None) -> Boosted:
        """Return what a checkpoint says, the beginning for None."""
        if found is None:
            return cls(train_losses=(), valid_losses=())
        losses = json.loads(found.files[_LOSSES])
        return cls(train_losses=tuple(losses["train_losses"]), valid_losses=tuple(losses["valid_losses"]))


def boost(session: Session, engine: Engine, device: Device, *, round_work: float = 1.0) -> Boosted:
    """Grow trees until `rounds`, or until the validation loss has not improved for `patience` rounds.

    Reads the settings of LOOP_PARAMETERS; saves and reports on the way. `round_work` says what a round costs
    in cells (rows times features) times levels of a tree.

    Raises:
        StopAsked: SIGTERM came; the state of the last chunk's end is saved.
    """
    loop = _Loop(session, engine, chunk_rounds(int(session.params["chunk_rounds"]), round_work))
    loop.resume(session.begin(device))
    while not loop.is_finished:
        loop.grow_chunk()
        if not loop.is_finished:
            session.save_if_due(loop.state.rounds, loop.files)
        loop.report(loop.state)
    return loop.state


def chunk_rounds(asked: int, round_work: float) -> int:
    """Return the rounds of a chunk: what was asked, for 0 what a slow core does in about ten seconds.

    States exist at the ends of chunks only, so a chunk has to be short in seconds too; and its length must
    depend on nothing that another machine or another hour would answer differently. It is a function of the
    size of the data, 50 rounds at most.
    """
    if asked:
        return asked
    return max(1, min(_MOST_CHUNK_ROUNDS, int(_CHUNK_SECONDS / (_SECONDS_OF_WORK * round_work))))


def watched_rows(rows: int) -> NDArray[np.int64]:
    """Return places of training rows on which the training loss is measured: at most 1,024, evenly spread.

    Measured on all of them, the loss of each round costs up to a seventh of the training itself.
    """
    step = -(-rows // _WATCHED_ROWS)
    return np.arange(0, rows, step, dtype=np.int64)


class _Loop:
    """The loop's own state beside the engine's."""

    def __init__(self, session: Session, engine: Engine, chunk: int) -> None:
        self._session, self._engine, self._chunk = session, engine, chunk
        self._rounds = int(session.params["rounds"])
        self._patience = int(session.params["patience"])
        self.state = Boosted.from_checkpoint(None)

    def resume(self, found: Checkpoint | None) -> None:
        self.state = Boosted.from_checkpoint(found)
        if found is not None:
            self._engine.restore(found.files)

    @property
    def is_finished(self) -> bool:
        state = self.state
        waited = state.rounds - state.best_round
        return state.is_exhausted or state.rounds >= self._rounds or waited >= self._patience

    def files(self) -> dict[str, bytes]:
        return {**self._engine.state(), _LOSSES: self.state.to_bytes()}

    def report(self, state: Boosted) -> None:
        if state.rounds:
            last = state.train_losses[-1], state.valid_losses[-1]
            self._session.progress(state.rounds, self._rounds, *last)

    def grow_chunk(self) -> None:
        """Grow one chunk; when asked to stop inside it, save the state it began with and leave."""
        before = self.state
        train, valid = list(before.train_losses), list(before.valid_losses)

        def after_round(train_loss: float, valid_loss: float) -> bool:
            train.append(train_loss)
            valid.append(valid_loss)
            self._session.stop_if_asked(before.rounds, self.files)
            self._session.progress(len(valid), self._rounds, train_loss, valid_loss)
            return len(valid) - (valid.index(min(valid)) + 1) >= self._patience

        self._session.stop_if_asked(before.rounds, self.files)
        asked = min(self._chunk, self._rounds - before.rounds)
        seed = self._session.seed("chunk", before.rounds)
        self._engine.grow(rounds=asked, seed=seed, after_round=after_round)
        grown = len(valid) - before.rounds
        self.state = Boosted(train_losses=tuple(train), valid_losses=tuple(valid), is_exhausted=grown < asked)
