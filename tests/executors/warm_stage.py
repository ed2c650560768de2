"""A warm server whose fits do what a test wants, and whose code may have a defect planted in it.

``python -m warm_stage KIND`` is started in the place of ``executors.warm_server``; TW_STAGE_FIT names what a
fit does, TW_STAGE_MUTANT the defect.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

from executors import child, warm_server
from executors.contract import FitSpec, Outcome, Report, Started, Succeeded
from executors.errors import BadInput

Tell = Callable[[Report], None]
FIT, MUTANT = "TW_STAGE_FIT", "TW_STAGE_MUTANT"
DONE = Succeeded(bundle="none", bundle_sha256="0", metrics={})


def told(tell: Tell) -> None:
    """Say that the fit has begun."""
    tell(
        Started(
            device_requested="cpu",
            device_used="cpu",
            device_reason="a stage",
            pid=os.getpid(),
            rows_train=1,
            rows_valid=1,
            rows_test=1,
        )
    )


def leave_grandchildren(spec: FitSpec, tell: Tell) -> Outcome:
    """Start a process in the group and one that leaves it; write down both."""
    pids = [
        subprocess.Popen(["sleep", "1000"], stdout=subprocess.DEVNULL, start_new_session=leaves).pid
        for leaves in (False, True)
    ]
    spec.checkpoint_dir.mkdir(parents=True)
    (spec.checkpoint_dir / "pids").write_text(" ".join(map(str, pids)), encoding="ascii")
    told(tell)
    return DONE


def hold_the_interpreter(spec: FitSpec, tell: Tell) -> Outcome:
    """Be in a call that never gives the interpreter's lock back."""
    del spec
    told(tell)
    re.match(r"(a+)+$", "a" * 64 + "b")
    return DONE


def take_memory(spec: FitSpec, tell: Tell) -> Outcome:
    """Take 256 MiB of memory and write into it."""
    del spec
    told(tell)
    taken = bytearray(256 << 20)
    taken[-1] = 1
    return DONE


def show_the_environment(spec: FitSpec, tell: Tell) -> Outcome:
    """Fail with what the process was given."""
    del spec, tell
    names = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
    raise BadInput("environment", " ".join(f"{name}={os.environ[name]}" for name in names), "none")


FITS: dict[str, Callable[[FitSpec, Tell], Outcome]] = {
    "leave_grandchildren": leave_grandchildren,
    "hold_the_interpreter": hold_the_interpreter,
    "take_memory": take_memory,
    "show_the_environment": show_the_environment,
}
Defect = tuple[object, str, object]  # of what, which name, what stands in its place
NO_STRAYS: Defect = (warm_server.Server, "_end_strays", lambda _self: None)
NO_GUARD: Defect = (warm_server, "post_guard", lambda _lifelines: None)
DEFECTS: dict[str, tuple[Defect, ...]] = {
    "spares who left the group": (NO_STRAYS,),
    # Without its guard as well: that ends what is left of a group once the parent lets go of the fit.
    "spares everybody": (NO_STRAYS, NO_GUARD, (warm_server, "_end_group", lambda _leader: None)),
    "posts no guard": (NO_GUARD,),
    "limits nothing": ((child, "confine", lambda _spec: None),),
}


def main() -> None:
    """Plant what is asked for and be the server."""
    act = FITS.get(os.environ.get(FIT, ""))
    if act is not None:
        vars(child)["fit_once"] = lambda spec, tell, should_stop: act(spec, tell)
    for place, name, defect in DEFECTS.get(os.environ.get(MUTANT, ""), ()):
        setattr(place, name, defect)
    warm_server.main(sys.argv[1:])


if __name__ == "__main__":
    main()
