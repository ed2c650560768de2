"""Seeds as functions of what they are for, so that no sampler's state has to be carried along."""

from __future__ import annotations

import hashlib

_BITS = 31  # the largest seed every library takes


def derived_seed(*parts: str | int) -> int:
    """Return a seed in [0, 2**31) that depends on every one of `parts` and on their order.

    The same parts give the same seed in every process and on every machine (SHA-256, not `hash`).
    """
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - _BITS)
