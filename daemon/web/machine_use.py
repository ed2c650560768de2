"""How busy this machine is: CPU, memory, and the GPUs where NVIDIA's library can be asked."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

SAMPLE_SECONDS = 2.0  # between two samples, however many ask


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuUse:
    """One GPU; shares are from 0 to 1, None where it does not say."""

    name: str
    share: float | None
    memory_used_bytes: int
    memory_bytes: int

    @property
    def memory_share(self) -> float:
        """The part of its memory that is taken."""
        return self.memory_used_bytes / max(1, self.memory_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """The machine that serves the page, at one moment; shares are from 0 to 1.

    Attributes:
        cpus: how many it has.
        cpu_share: busy part of all of them since the sample before; None in the first.
        memory_used_bytes: what is not available to a new process.
        memory_bytes: all of it.
        disk_free_bytes: where the results lie; None where that cannot be asked.
        gpus: those that could be asked.
    """

    cpus: int
    cpu_share: float | None
    memory_used_bytes: int
    memory_bytes: int
    disk_free_bytes: int | None
    gpus: tuple[GpuUse, ...] = ()

    @property
    def memory_share(self) -> float:
        """The part of the memory that is taken."""
        return self.memory_used_bytes / max(1, self.memory_bytes)


class Machine:
    """Asks the machine now and then; shared by all threads."""

    def __init__(
        self, place: Path, *, clock: Callable[[], float] = time.monotonic, gpus: Gpus | None = None
    ) -> None:
        self._place, self._clock, self._gpus = place, clock, gpus or Gpus()
        self._lock = threading.Lock()
        self._busy: tuple[float, float] | None = None  # seconds busy and in all, of all CPUs
        self._sampled_at = float("-inf")
        self._use: MachineUse | None = None

    def use(self) -> MachineUse:
        """Return how busy it is, as of a moment ago at most."""
        with self._lock:
            now = self._clock()
            if self._use is None or now - self._sampled_at >= SAMPLE_SECONDS:
                self._use, self._sampled_at = self._sample(), now
            return self._use

    def _sample(self) -> MachineUse:
        memory = psutil.virtual_memory()
        return MachineUse(
            cpus=psutil.cpu_count() or 1,
            cpu_share=self._cpu_share(),
            memory_used_bytes=memory.total - memory.available,
            memory_bytes=memory.total,
            disk_free_bytes=_free_bytes(self._place),
            gpus=self._gpus.use(),
        )

    def _cpu_share(self) -> float | None:
        times = psutil.cpu_times()
        guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)  # counted in user as well
        whole = float(sum(times) - guests)
        idle = times.idle + getattr(times, "iowait", 0.0)
        before, self._busy = self._busy, (whole - idle, whole)
        if before is None or whole <= before[1]:
            return None
        return float(min(1.0, max(0.0, (self._busy[0] - before[0]) / (whole - before[1]))))


class Gpus:
    """NVIDIA's devices, asked by nvidia-ml-py (the extra `gpu`); none where it or the driver is missing."""

    def __init__(self, library: str = "pynvml") -> None:
        self._library = library
        self._nvml: Any = None
        self._devices: list[tuple[str, Any]] | None = None

    def use(self) -> tuple[GpuUse, ...]:
        """Return how busy each device is."""
        if self._devices is None:
            self._devices = self._found()
        return tuple(use for name, device in self._devices if (use := self._of(name, device)) is not None)

    def _found(self) -> list[tuple[str, Any]]:
        try:
            self._nvml = nvml = import_module(self._library)
        except ImportError:
            return []
        try:
            nvml.nvmlInit()
            devices = [nvml.nvmlDeviceGetHandleByIndex(place) for place in range(nvml.nvmlDeviceGetCount())]
            return [(_text(nvml.nvmlDeviceGetName(device)), device) for device in devices]
        except nvml.NVMLError:
            return []

    def _of(self, name: str, device: Any) -> GpuUse | None:  # noqa: ANN401 (the library has no types)
        nvml = self._nvml
        try:
            memory = nvml.nvmlDeviceGetMemoryInfo(device)
        except nvml.NVMLError:
            return None
        try:
            share = nvml.nvmlDeviceGetUtilizationRates(device).gpu / 100
        except nvml.NVMLError:  # a part of a device does not say
            share = None
        return GpuUse(
            name=name, share=share, memory_used_bytes=int(memory.used), memory_bytes=int(memory.total)
        )


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def _free_bytes(place: Path) -> int | None:
    try:
        return shutil.disk_usage(place).free
    except OSError:
        return None
