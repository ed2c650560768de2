"""The one loop that grows boosted trees: in chunks, each with a seed that is a function of the rounds done.

Row and column samplers of LightGBM and XGBoost keep a state that no saved model holds. A chunk starts its
sampler afresh from the seed of its first round and the model from its saved bytes, whether the process has
been there all along or has just been started: a resumed fit is the uninterrupted one by construction.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from executors.checkpoint import Checkpoint
from executors.session import Device, Session

AfterRound = Callable[[float, float], bool]


class Engine(Protocol):
    """A boosting library on the data of one fit."""

    def grow(self, model: bytes | None, *, rounds: int, seed: int, after_round: AfterRound) -> bytes:
        """Add up to `rounds` rounds to `model` (None: to nothing) and return it as bytes.

        `after_round(train_loss, valid_loss)` is called after each; once it returns True no more are added.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Boosted:
    """Trees grown so far and the losses after each round."""

    model: bytes | None
    train_losses: tuple[float, ...]
    valid_losses: tuple[float, ...]

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

    def to_files(self) -> dict[str, bytes]:
        """Return the state's files for a checkpoint."""
        losses = {"train_losses": self.train_losses, "valid_losses": self.valid_losses}
        return {"model": self.model or b"", "state.json": json.dumps(losses).encode()}

    @classmethod
    def from_checkpoint(cls, found: Checkpoint | None) -> Boosted:
        """Return the state a checkpoint holds, the empty one for None."""
        if found is None:
            return cls(model=None, train_losses=(), valid_losses=())
        losses = json.loads(found.files["state.json"])
        return cls(
            model=found.files["model"],
            train_losses=tuple(losses["train_losses"]),
            valid_losses=tuple(losses["valid_losses"]),
        )


def boost(session: Session, engine: Engine, device: Device) -> Boosted:
    """Grow trees until `rounds`, or until the validation loss has not improved for `patience` rounds.

    Reads the settings rounds, chunk_rounds and patience; saves and reports on the way.

    Raises:
        StopAsked: SIGTERM came; the state of the last chunk's end is saved.
    """
    state = Boosted.from_checkpoint(session.begin(device))
    rounds = int(session.params["rounds"])
    while not _is_finished(session, state):
        state = _grow_chunk(session, engine, state)
        if not _is_finished(session, state):
            session.save_if_due(state.rounds, state.to_files)
        session.progress(state.rounds, rounds, state.train_losses[-1], state.valid_losses[-1])
    return state


def _is_finished(session: Session, state: Boosted) -> bool:
    waited = state.rounds - state.best_round
    return state.rounds >= session.params["rounds"] or waited >= session.params["patience"]


def _grow_chunk(session: Session, engine: Engine, state: Boosted) -> Boosted:
    """Grow one chunk; when asked to stop inside it, save the state it began with and leave."""
    train: list[float] = list(state.train_losses)
    valid: list[float] = list(state.valid_losses)

    def after_round(train_loss: float, valid_loss: float) -> bool:
        train.append(train_loss)
        valid.append(valid_loss)
        session.stop_if_asked(state.rounds, state.to_files)
        session.progress(len(valid), int(session.params["rounds"]), train_loss, valid_loss)
        return len(valid) - (valid.index(min(valid)) + 1) >= session.params["patience"]

    session.stop_if_asked(state.rounds, state.to_files)
    model = engine.grow(
        state.model,
        rounds=min(int(session.params["chunk_rounds"]), int(session.params["rounds"]) - state.rounds),
        seed=session.seed("chunk", state.rounds),
        after_round=after_round,
    )
    return Boosted(model=model, train_losses=tuple(train), valid_losses=tuple(valid))
