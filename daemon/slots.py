"""Places for fits: so many in the CPU stage, one per device in the GPU stage."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place; `number` counts from 0 within its stage and is the index of the device in the GPU stage."""

    stage: str
    number: int

    @property
    def device(self) -> str:
        """The device a fit in this place asks for: "cpu" or "cuda:<number>"."""
        return "cpu" if self.stage == "cpu" else f"cuda:{self.number}"


class Slots:
    """Which places are free; taking and giving back are exact."""

    def __init__(self, *, cpu: int, gpu: int) -> None:
        self._free = {
            stage: [Slot(stage=stage, number=number) for number in reversed(range(count))]
            for stage, count in (("cpu", cpu), ("gpu", gpu))
        }

    def free(self, stage: str) -> int:
        """How many places of a stage are free."""
        return len(self._free[stage])

    def take(self, stage: str) -> Slot:
        """Take the free place with the lowest number; raises IndexError when there is none."""
        return self._free[stage].pop()

    def give_back(self, slot: Slot) -> None:
        """Make a place free again; raises ValueError when it is free already."""
        places = self._free[slot.stage]
        if slot in places:
            raise ValueError(f"{slot} was not taken")
        places.append(slot)
        places.sort(key=lambda place: -place.number)
