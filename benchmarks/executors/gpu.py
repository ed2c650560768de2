"""The loop of the networks against one written by hand: ``python -m benchmarks.executors.gpu [--quick]``.

On a machine with a GPU in bfloat16, with the share of time in which the GPU was busy; without one in float32
on one thread of the CPU, which says what the loop costs and nothing about a GPU. Returns 1 when a bar is
missed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch

from benchmarks.executors import plain_torch
from benchmarks.executors.panels import Size, make_panel, target_name
from benchmarks.executors.plain_torch import Plain
from benchmarks.planner.__main__ import machine_facts
from benchmarks.planner.figures import HEADS, Figure
from benchmarks.store.figures import say, table, verdict
from executors.contract import FitSpec, Report
from executors.dataset import fit_data
from executors.gpu.batches import LabelledRows, labelled_rows
from executors.gpu.network_family import NetworkFamily
from executors.gpu.numerics import Numerics, chosen_numerics, set_up
from executors.gpu.recipe import Recipe, Shape
from executors.gpu.torch_loop import TorchLoop
from executors.parameters import settings
from executors.session import Session
from executors.trainers import trainer_of
from executors.weights import SHARED_PARAMETERS
from panel.aligned import Panel

SPEED, BUSY = 1.0, 0.9
_SAMPLE_MS = 100

#: Settings of networks large enough for a GPU, by family.
LARGE = {
    "MLP": {"hidden": 512, "layers": 4, "batch_rows": 8192},
    "LSTM": {"hidden": 128, "layers": 2, "window": 60, "batch_rows": 4096},
    "CNN1D": {"channels": 128, "window": 60, "batch_rows": 4096},
    "Transformer": {"width": 128, "heads": 8, "layers": 3, "window": 60, "batch_rows": 4096},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How much is measured."""

    size: Size
    epochs: int
    rounds: int
    large: bool


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print and perhaps write the table; returns 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench-gpu", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a smaller panel and fewer rounds")
    parser.add_argument("--families", nargs="+", default=list(LARGE), choices=list(LARGE))
    parser.add_argument("--write", type=Path, help="write the table to this Markdown file as well")
    asked = parser.parse_args(words)
    has_gpu = torch.cuda.is_available()
    facts = [*machine_facts(), torch.cuda.get_device_name(0) if has_gpu else "not run on a GPU"]
    print("\n".join(facts), flush=True)
    with tempfile.TemporaryDirectory(prefix="bench-gpu-") as scratch:
        figures = [
            figure
            for family in asked.families
            for figure in compared(family, Path(scratch), form(quick=asked.quick, large=has_gpu))
        ]
    text = table(figures, HEADS)
    print(f"\n{text}")
    if asked.write:
        asked.write.write_text("\n".join([*facts, "", text, ""]), encoding="utf-8")
    return int(any(figure.reached == verdict(passed=False) for figure in figures))


def form(*, quick: bool, large: bool) -> Form:
    """Return the sizes for a machine with or without a GPU."""
    if not large:
        size = Size(symbols=5, bars=1_200 if quick else 2_400, features=8, targets=1)
        return Form(size=size, epochs=1 if quick else 2, rounds=3 if quick else 5, large=False)
    size = Size(symbols=20, bars=5_000 if quick else 20_000, features=50, targets=1)
    return Form(size=size, epochs=2 if quick else 4, rounds=3 if quick else 5, large=True)


def compared(family: str, folder: Path, how: Form) -> Iterator[Figure]:
    """Train by both loops in turn and yield samples a second, and how busy the GPU was under ours."""
    say(f"{family}: {how.size.words}")
    stage = Stage.made(family, folder, how)
    busy: list[float] = []
    taken: list[tuple[float, float]] = []
    for number in range(-1, how.rounds):  # the first warms up
        with GpuBusy(wanted=how.large) as measured:
            ours = stage.ours()
        by_hand = stage.by_hand(epochs=how.epochs)
        if number >= 0:
            taken.append((by_hand, ours))
            busy.append(measured.share)
    samples = how.epochs * len(stage.plain.train)
    ratios = [hand / ours for hand, ours in taken]
    middle = statistics.median(ratios)
    where = f"{stage.numerics.precision} on {stage.numerics.device}"
    yield Figure(
        what=f"{family}, {how.size.words}, window {stage.shape.window}, {where}",
        other=f"{samples / statistics.median(hand for hand, _ in taken):,.0f} rows/s",
        ours=f"{samples / statistics.median(ours for _, ours in taken):,.0f} rows/s",
        ratio=f"{middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        bar=f">= {SPEED:g}" if how.large else "",
        reached=verdict(middle >= SPEED) if how.large else "",
    )
    if how.large:
        share = statistics.median(busy)
        yield Figure(
            what="  share of the time in which the GPU was busy",
            ours=f"{share:.0%}",
            bar=f">= {BUSY:.0%}",
            reached=verdict(share >= BUSY),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One family's rows and settings, for both loops."""

    session: Session
    recipe: Recipe
    shape: Shape
    rows: LabelledRows
    numerics: Numerics
    plain: Plain

    @classmethod
    def made(cls, family: str, folder: Path, how: Form) -> Stage:
        """Make the panel, choose the rows and put them on the device."""
        panel, device = make_panel(folder, how.size), "cuda:0" if how.large else "cpu"
        trainer = cast("NetworkFamily", trainer_of(family))
        own = {**(LARGE[family] if how.large else {}), "epochs": how.epochs, "patience": how.epochs}
        spec = spec_of(family, panel, folder, device=device, params=own)
        params = settings(family, {**trainer.PARAMETERS, **SHARED_PARAMETERS}, own)
        window = trainer.window_rows(params)
        data = fit_data(spec, window=window)
        session = Session(
            spec=spec, data=data, params=params, versions={}, tell=nothing, should_stop=lambda: False
        )
        rows, standardisation = labelled_rows(session, window=window, device=device)
        numerics = chosen_numerics(spec, device=device, steps=1, may_compile=True)
        return cls(
            session=session,
            recipe=trainer.recipe,
            shape=Shape(
                features=len(data.features), outputs=1, window=window, task="regression", params=params
            ),
            rows=rows,
            numerics=numerics,
            plain=Plain(
                matrix=standardisation.applied(data.features_at(slice(0, panel.rows))),
                labels=rows.labels.cpu().numpy(),
                train=data.train,
                valid=data.valid,
                device=device,
                precision=numerics.precision,
            ),
        )

    def ours(self) -> float:
        """Return the seconds of the host's loop."""
        device = self.numerics.device
        set_up(self.session.spec, device=device)
        network = self.recipe.network(self.shape).to(device)
        loop = TorchLoop(self.session, self.recipe, self.shape, network, self.rows, self.numerics)
        begun = time.perf_counter()
        loop.train()
        return time.perf_counter() - begun

    def by_hand(self, *, epochs: int) -> float:
        """Return the seconds of the loop written by hand."""
        if self.numerics.device != "cpu":
            torch.use_deterministic_algorithms(mode=False)
        return plain_torch.train(self.plain, self.recipe, self.shape, epochs=epochs)


def spec_of(family: str, panel: Panel, folder: Path, *, device: str, params: Mapping[str, float]) -> FitSpec:
    """Return the specification of a fit that saves no state while it is measured."""
    return FitSpec(
        plan="p",
        job="j",
        fit="f",
        family=family,
        target=target_name(0),
        training_type="cross_sectional",
        panel_path=panel.path,
        panel_key=panel.key,
        device_requested=device,
        params=params,
        checkpoint_dir=folder / "checkpoints",
        checkpoint_seconds=3600.0,
        checkpoint_rounds=10**9,
        bundle_path=folder / "bundle",
    )


def nothing(report: Report) -> None:
    """Take a report and do nothing."""
    del report


class GpuBusy:
    """Asks the driver ten times a second in what share of the time some kernel ran."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._asking: subprocess.Popen[str] | None = None
        self.share = 0.0

    def __enter__(self) -> GpuBusy:
        if self._wanted:
            query = ["--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", f"-lms={_SAMPLE_MS}"]
            self._asking = subprocess.Popen(
                ["nvidia-smi", "--id=0", *query], stdout=subprocess.PIPE, text=True
            )
        return self

    def __exit__(self, *error: object) -> None:
        if self._asking is not None:
            self._asking.terminate()
            said, _ = self._asking.communicate()
            shares = [float(line) / 100 for line in said.splitlines() if line.strip().isdigit()]
            self.share = statistics.mean(shares[1:-1] or shares or [0.0])


if __name__ == "__main__":
    sys.exit(main())
