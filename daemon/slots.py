"""What a host has for fits: places of the CPU stage and their CPUs, one device for each GPU, main memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from store.records import Room


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """What one running fit has: numbered places of the CPU stage, numbered devices, bytes of memory.

    `cpus` are the numbers of the CPUs that belong to its places, none where CPUs are not shared out.
    """

    places: tuple[int, ...] = ()
    cpus: tuple[int, ...] = ()
    devices: tuple[int, ...] = ()
    memory_bytes: int = 0

    @property
    def device(self) -> str:
        """The device the fit asks for: "cpu" or "cuda:<number>"."""
        return f"cuda:{self.devices[0]}" if self.devices else "cpu"


class Slots:
    """What is free; taking and giving back are exact. Memory is not counted where nobody said how much.

    `cpus` are shared out evenly among the places of the CPU stage, where each place gets one at least.
    """

    def __init__(
        self, *, cpu: int, gpu: int, memory_bytes: int | None = None, cpus: Sequence[int] = ()
    ) -> None:
        each = len(cpus) // cpu if cpu else 0
        self._cpus = [tuple(cpus[place * each : (place + 1) * each]) for place in range(cpu)]
        self._places, self._devices = set(range(cpu)), set(range(gpu))
        self._places_beyond, self._devices_beyond = set[int](), set[int]()  # taken, of more than there are
        self._memory = memory_bytes
        self._whole = Room(cores=cpu, gpus=gpu, memory_bytes=memory_bytes)

    def keep_taken(self, slots: Iterable[Slot]) -> None:
        """Take what fits that already run have; of what there is no more of, others have less for so long."""
        for slot in slots:
            self._places_beyond |= set(slot.places) - self._places
            self._devices_beyond |= set(slot.devices) - self._devices
            self._places -= set(slot.places)
            self._devices -= set(slot.devices)
            if self._memory is not None:
                self._memory -= slot.memory_bytes

    @property
    def room(self) -> Room:
        """What is free now, and what there is when nothing runs."""
        cores = max(0, len(self._places) - len(self._places_beyond))
        gpus = max(0, len(self._devices) - len(self._devices_beyond))
        memory_bytes = None if self._memory is None else max(0, self._memory)
        return Room(cores=cores, gpus=gpus, memory_bytes=memory_bytes, whole=self._whole)

    def free(self, stage: str) -> int:
        """How many fits of a stage could start, if each needs as little as it can.

        A blend of the GPU stage needs a place and no device.
        """
        room = self.room
        return room.cores + (room.gpus if stage == "gpu" else 0)

    def take(self, *, cores: int, gpus: int, memory_bytes: int = 0) -> Slot:
        """Take what a fit needs, the lowest numbers first; raises ValueError when it is not free."""
        places = _lowest(self._places, cores)
        slot = Slot(
            places=places,
            cpus=tuple(number for place in places for number in self._cpus[place]),
            devices=_lowest(self._devices, gpus),
            memory_bytes=memory_bytes,
        )
        self._places -= set(slot.places)
        self._devices -= set(slot.devices)
        if self._memory is not None:
            self._memory -= slot.memory_bytes
        return slot

    def give_back(self, slot: Slot) -> None:
        """Make all of a slot free again; raises ValueError when it is free already."""
        if self._places & set(slot.places) or self._devices & set(slot.devices):
            raise ValueError(f"{slot} was not taken")
        self._places |= set(slot.places) - self._places_beyond
        self._devices |= set(slot.devices) - self._devices_beyond
        self._places_beyond -= set(slot.places)
        self._devices_beyond -= set(slot.devices)
        if self._memory is not None:
            self._memory += slot.memory_bytes


def _lowest(free: set[int], count: int) -> tuple[int, ...]:
    if count > len(free):
        raise ValueError(f"{count} were asked for and {len(free)} are free")
    return tuple(sorted(free)[:count])
