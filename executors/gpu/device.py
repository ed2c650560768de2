"""Which device a torch fit is trained on, decided before training and said aloud."""

from __future__ import annotations

from pathlib import Path

import torch

from executors.contract import FitSpec
from executors.errors import DeviceUnavailable
from executors.session import Device

NVIDIA_DEVICE = Path("/dev/nvidiactl")


def chosen_device(spec: FitSpec) -> tuple[Device, str]:
    """Return (what is reported, what torch calls it) for `spec`.

    The parent shows a child the one GPU it asked for, which torch then counts as number 0.

    Raises:
        DeviceUnavailable: a GPU was asked for and cannot be used, and `gpu_fallback` does not allow the CPU:
            "auto" does where the machine has no GPU at all, since one that is there and cannot be used is a
            fault to be mended; "always" does in every case, "never" in none.
    """
    if spec.device_requested == "cpu":
        return Device(used="cpu", reason="the CPU was asked for"), "cpu"
    missing = missing_gpu_reason()
    if missing is None:
        name = torch.cuda.get_device_name(0)
        return Device(used=spec.device_requested, reason=f"{name} as asked"), "cuda:0"
    is_allowed = spec.gpu_fallback == "always" or (spec.gpu_fallback == "auto" and not NVIDIA_DEVICE.exists())
    if not is_allowed:
        raise DeviceUnavailable(spec.device_requested, missing)
    return Device(used="cpu", reason=missing), "cpu"


def missing_gpu_reason() -> str | None:
    """Return None when torch can use a GPU, else the sentence that says why it cannot."""
    if torch.cuda.is_available():
        return None
    if NVIDIA_DEVICE.exists():
        built = torch.version.cuda
        return (
            "the installed torch has no CUDA"
            if built is None
            else f"CUDA {built} of torch cannot use the driver"
        )
    return "no CUDA device on this machine"
