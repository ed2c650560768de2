"""How a network's numbers are computed: their precision, compiled or not, the same in every run or not.

Training in bfloat16 keeps weights, optimiser and losses in float32 and does the products in bfloat16
(Micikevicius et al., Mixed Precision Training, ICLR 2018; bfloat16 has float32's range, so no loss scaling is
needed).
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from executors.contract import FitSpec

BFLOAT16 = "bfloat16"
FLOAT32 = "float32"

#: Steps from which compiling for a GPU, half a minute or more, is paid back.
LONG_FIT_STEPS = 20_000

_FIRST_WITH_BFLOAT16 = (8, 0)  # compute capability of the first NVIDIA GPUs with bfloat16 products


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """What was decided before the first step, as a function of specification and device.

    Attributes:
        device: torch's name of it.
        precision: of the products: "float32" or "bfloat16".
        compiles: whether the loss goes through torch.compile.
    """

    device: str
    precision: str
    compiles: bool

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context in which losses are computed."""
        if self.precision == FLOAT32:
            return contextlib.nullcontext()
        context: contextlib.AbstractContextManager[Any] = torch.autocast(
            self.device.split(":")[0], dtype=torch.bfloat16
        )
        return context


def chosen_numerics(spec: FitSpec, *, device: str, steps: int, may_compile: bool) -> Numerics:
    """Decide precision and compiling for a fit of at most `steps` steps on `device`."""
    on_gpu = device != "cpu"
    precision = spec.precision
    if precision == "auto":
        made_for_it = on_gpu and torch.cuda.get_device_capability(0) >= _FIRST_WITH_BFLOAT16
        precision = BFLOAT16 if made_for_it else FLOAT32
    pays = on_gpu and steps >= LONG_FIT_STEPS
    wanted = spec.compile_network == "always" or (spec.compile_network == "auto" and pays)
    return Numerics(device=device, precision=precision, compiles=wanted and may_compile)


def set_up(spec: FitSpec, *, device: str) -> None:
    """Set threads, and on a GPU the same bits in every run and float32 that is not quietly TF32.

    On the CPU all we use is deterministic, and asking for it costs two seconds of imports.
    """
    torch.set_num_threads(spec.threads)
    if device != "cpu":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # for those who train without a parent
        torch.use_deterministic_algorithms(mode=True)
        torch.utils.deterministic.fill_uninitialized_memory = False  # all we read we have written
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_tf32 = False


def seed_generators(seed: int, *, device: str) -> None:
    """Let all that is drawn on `device` from here on be a function of `seed`.

    `torch.manual_seed` seeds every kind of device there is; on a machine without them it keeps a traceback of
    each call for the day they appear, which takes longer than a small batch.
    """
    torch.default_generator.manual_seed(seed)
    if device != "cpu":
        torch.cuda.manual_seed(seed)


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` compiled at its first call (torch.compile), in this process alone."""
    import torch._inductor.config as inductor  # noqa: PLC0415 -- the seam: three seconds only a long fit pays

    inductor.compile_threads = 1  # no pool of processes beside a child that is limited in its own
    made: Callable[..., Any] = torch.compile(function)
    return made


def say_not_compiled(problem: str) -> None:
    """Say on standard error that a compiled network was wanted and is not had."""
    first = problem.strip().split("\n")[0]
    sys.stderr.write(f"WARNING: the network cannot be compiled here ({first}); going on without\n")
