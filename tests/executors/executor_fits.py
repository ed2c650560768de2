"""What tests of families do with a fit: finish it, kill it, stop it, ask its model in a fresh process."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from executor_children import contents
from executor_panels import SYMBOLS, symbol_frame, write_panel
from numpy.typing import NDArray

from executors.bundle import Bundle, load_bundle
from executors.contract import Checkpointed, FitSpec, Outcome, Report, Stopped, Succeeded
from executors.training import fit_once
from panel.aligned import Panel

#: Libraries that a fit of a family without a library must not load.
FOREIGN = ("sklearn", "pandas", "torch", "lightgbm", "xgboost", "ngboost")

_PREDICT = """
import sys
import numpy as np
from pathlib import Path
from executors import load_bundle
from panel.aligned import open_panel
panel = open_panel(Path(sys.argv[1]))
rows = np.array([int(row) for row in sys.argv[3].split(",")])
loaded = load_bundle(Path(sys.argv[2])).predict(panel, rows)
print(sorted(set(sys.modules) & set(sys.argv[4].split(","))), file=sys.stderr)
sys.stdout.buffer.write(loaded.tobytes())
"""


class Killed(Exception):
    """Stands for the end of the process inside a test's own."""


def outcome_of(spec: FitSpec, tell: Callable[[Report], None] = lambda report: None) -> Outcome:
    """Do the fit without being asked to stop."""
    return fit_once(spec, tell=tell, should_stop=lambda: False)


def bundle_of(spec: FitSpec, where: Path) -> Bundle:
    """Do the fit under `where` and load what came out."""
    spec = replace(spec, checkpoint_dir=where / "checkpoints", bundle_path=where / "bundle")
    assert isinstance(outcome_of(spec), Succeeded)
    return load_bundle(spec.bundle_path)


def killed_after_every_checkpoint(spec: FitSpec, where: Path) -> tuple[dict[str, bytes], int]:
    """Return the bundle's files of a fit that dies after each state it saves, and how often it died."""
    spec = replace(spec, checkpoint_dir=where / "checkpoints", bundle_path=where / "bundle")

    def tell(report: Report) -> None:
        if isinstance(report, Checkpointed):
            raise Killed

    for fence in itertools.count(1):
        try:
            outcome_of(replace(spec, fence=fence, attempt=fence), tell)
        except Killed:
            continue
        return contents(spec.bundle_path), fence - 1
    raise AssertionError


def stopped_at(spec: FitSpec, where: Path, steps: Sequence[int]) -> tuple[dict[str, bytes], list[int]]:
    """Return the files of a fit asked to stop at its n-th look each time, and the steps it stopped after."""
    spec = replace(spec, checkpoint_dir=where / "checkpoints", bundle_path=where / "bundle")
    stops = []
    for fence, looks in enumerate((*steps, 10**9), start=1):
        seen = itertools.count(1)
        of_fence = replace(spec, fence=fence)
        ended = fit_once(
            of_fence,
            tell=lambda report: None,
            should_stop=lambda seen=seen, looks=looks: next(seen) >= looks,  # type: ignore[misc]
        )
        if isinstance(ended, Stopped):
            stops.append(ended.step)
    return contents(spec.bundle_path), stops


def predicted_elsewhere(bundle: Path, panel: Panel, rows: NDArray[np.int64]) -> tuple[bytes, str]:
    """Return a fresh process's predictions for `rows` as bytes, and the foreign libraries it had loaded."""
    command = [sys.executable, "-c", _PREDICT, str(panel.path), str(bundle)]
    command += [",".join(map(str, rows.tolist())), ",".join(FOREIGN)]
    done = subprocess.run(command, capture_output=True, check=True, env={"OMP_NUM_THREADS": "2"})
    return done.stdout, done.stderr.decode().strip()


def with_another_future(directory: Path, *, days: int, columns: Sequence[str]) -> Panel:
    """Write the usual panel with other values in `columns` from day `days` on."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    random = np.random.default_rng(99)
    for frame in frames.values():
        for name in columns:
            frame.loc[days:, name] = (random.standard_normal(len(frame) - days) * 5).astype(np.float32)
    return write_panel(directory, frames)
