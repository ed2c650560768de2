"""The learning rate as a function of the step: a rise, then half a cosine (Loshchilov and Hutter, 2017)."""

from __future__ import annotations

import math


def rate_share(step: int, *, steps: int, warmup_share: float) -> float:
    """Return the share, in (0, 1], of the learning rate that `step`, from 1, of at most `steps` takes.

    It rises over the first `warmup_share` of the steps and falls to nearly nothing at the last one.
    """
    warmup = int(steps * warmup_share)
    if step <= warmup:
        return step / warmup
    done = (step - warmup - 1) / max(1, steps - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * done))
