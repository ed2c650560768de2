"""When memory runs out: what says so, and how a batch is cut so that it fits."""

from __future__ import annotations

import itertools

import torch

_WORDS = ("out of memory", "can't allocate memory", "not enough memory", "alloc_failed")


def is_out_of_memory(error: RuntimeError) -> bool:
    """Return whether torch, a GPU's library or the host's allocator says that memory ran out."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or any(word in words for word in _WORDS)


def halved(rows: int, *, device: str, problem: str) -> int:
    """Return half of the `rows` computed at once, rounded up.

    Raises:
        MemoryError: there was only one.
    """
    if rows <= 1:
        raise MemoryError(f"not even a batch of one row fits on {device}: {problem.splitlines()[0]}")
    return (rows + 1) // 2


def cuts(rows: int, rows_at_once: int) -> list[slice]:
    """Return slices that cut `rows` into the fewest parts of at most `rows_at_once`, sizes within one."""
    parts = -(-rows // rows_at_once)
    edges = [rows * part // parts for part in range(parts + 1)]
    return [slice(begin, end) for begin, end in itertools.pairwise(edges)]


def give_back(device: str) -> None:
    """Return what torch's allocator keeps of the device's memory, once nothing uses it."""
    if device != "cpu":
        torch.cuda.empty_cache()
