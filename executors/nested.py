"""A fit inside a fit: trained with the same loops, its state kept inside the state of the one around it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from executors.checkpoint import Checkpoint
from executors.session import Device, Session, StateFiles

INNER = "inner."


@dataclass(slots=True, kw_only=True)
class NestedSession(Session):
    """The session of a training inside another: it reports and saves through the one around it.

    Attributes:
        outer: the session around it.
        key: which of the inner trainings it is; its seeds depend on it.
        steps_before: steps of the inner trainings before it, by which states are numbered through.
        outer_files: the state of what is around, as it was when this training began.
        found: the inner state to go on from, name -> content, None at the beginning.
        found_step: the step of that state.
    """

    outer: Session
    key: str
    steps_before: int
    outer_files: StateFiles
    found: Mapping[str, bytes] | None = None
    found_step: int = 0

    def seed(self, *parts: str | int) -> int:
        """Return a seed that is this inner training's own."""
        return self.outer.seed("inner", self.key, *parts)

    def begin(self, device: Device) -> Checkpoint | None:
        """Return the inner state to go on from; nothing is reported, the outer fit has begun already."""
        del device
        if self.found is None:
            return None
        return Checkpoint(
            step=self.found_step, fence=self.spec.fence, path=self.spec.checkpoint_dir, files=self.found
        )

    def progress(
        self, step: int, steps_total: int, train_loss: float | None, valid_loss: float | None
    ) -> None:
        """Report how far the whole has come; how far it will go is known only up to this training's end."""
        self.outer.progress(self.steps_before + step, self.steps_before + steps_total, train_loss, valid_loss)

    def save_if_due(self, step: int, files: StateFiles) -> None:
        """Save the inner state inside the outer one, when that is due."""
        self.outer.save_if_due(self.steps_before + step, self._around(step, files))

    def stop_if_asked(self, step: int, files: StateFiles) -> None:
        """Save the inner state inside the outer one and end the loop, if SIGTERM has come.

        Raises:
            StopAsked: it has.
        """
        self.outer.stop_if_asked(self.steps_before + step, self._around(step, files))

    def _around(self, step: int, files: StateFiles) -> StateFiles:
        """Return what gives the whole state; a training that has not made a step has none of its own."""

        def whole() -> dict[str, bytes]:
            inner = {f"{INNER}{name}": content for name, content in files().items()} if step else {}
            return {**self.outer_files(), **inner, **({f"{INNER}step": str(step).encode()} if step else {})}

        return whole


def inner_state(files: Mapping[str, bytes]) -> tuple[int, dict[str, bytes]] | None:
    """Return (step, files) of the inner training that a saved state holds, None when it holds none."""
    if f"{INNER}step" not in files:
        return None
    inner = {name.removeprefix(INNER): content for name, content in files.items() if name.startswith(INNER)}
    return int(inner.pop("step")), inner
