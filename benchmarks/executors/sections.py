"""The parts of the table, each a few rows; both sides are measured in turn, each in its own process."""

from __future__ import annotations

import itertools
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.executors.options import Options
from benchmarks.executors.panels import Size, make_panel
from benchmarks.planner.child import run
from benchmarks.planner.figures import MIB, Figure, within
from benchmarks.store.figures import quantile, say, verdict

OVERHEAD = 1.05
THROUGHPUT = 0.7
START_SECONDS = 0.1
SLOTS = 2
BARE_ROUNDS = 20


def overhead(options: Options) -> Iterator[Figure]:
    """Fits of several seconds through the host, on one place, against the bare calls one after the other."""
    for family in ("LightGBM", "XGBoost"):
        fits: list[list[Any]] = [[family, number, None] for number in range(options.long.targets)]
        bare, ours = _in_turn(options, options.long, fits, options.long_rounds, slots=1)
        each = statistics.median(one["seconds"] for one in bare) / len(fits)
        words = f"{family}, {len(fits)} fits of {each:.1f} s through the host against the bare library"
        for name, unit in (("seconds", "by the clock"), ("cpu_seconds", "in CPU time")):
            yield within(
                f"{words}, {unit}", [one[name] for one in bare], [one[name] for one in ours], bar=OVERHEAD
            )
        yield Figure(
            what="  before it, once a plan: accepting it, with a look at the data",
            ours=f"{statistics.median(one['accept_seconds'] for one in ours):.2f} s",
        )


def many(options: Options) -> Iterator[Figure]:
    """Many short fits through the host on two places, against a bare loop in one process."""
    size = options.small
    symbols: list[str | None] = [None, *(f"S{number:03d}" for number in range(size.symbols))]
    every = itertools.product(("LightGBM", "XGBoost"), range(size.targets), symbols)
    fits = [list(one) for one in itertools.islice(every, options.small_fits)]
    bare, ours = _in_turn(options, size, fits, options.small_rounds, slots=SLOTS)
    each = statistics.median(one["seconds"] for one in bare) / len(fits)
    ratios = [one["seconds"] / other["seconds"] for one, other in zip(bare, ours, strict=True)]
    middle = statistics.median(ratios)
    yield Figure(
        what=f"{len(fits)} fits of {each:.2f} s on {SLOTS} places, throughput against a bare loop",
        other=f"{len(fits) / statistics.median(one['seconds'] for one in bare):.2f} fits/s",
        ours=f"{len(fits) / statistics.median(one['seconds'] for one in ours):.2f} fits/s",
        ratio=f"{middle:.2f} ({min(ratios):.2f}-{max(ratios):.2f})",
        bar=f">= {THROUGHPUT:g}",
        reached=verdict(middle >= THROUGHPUT),
    )
    yield Figure(
        what="  CPU time of a fit, the host's own included",
        other=f"{statistics.median(one['cpu_seconds'] for one in bare) / len(fits):.3f} s",
        ours=f"{statistics.median(one['cpu_seconds'] for one in ours) / len(fits):.3f} s",
    )
    yield from _starts(ours)


def _starts(ours: list[dict[str, Any]]) -> Iterator[Figure]:
    """From the claim of a fit to its start, data read and rows chosen; the first of each place left out."""
    later = [second for one in ours for second in one["start_seconds"][SLOTS:]]
    yield Figure(
        what="  start of a fit after the first: from its claim to Started, median (95 of 100 within)",
        ours=f"{statistics.median(later) * 1000:.0f} ms ({quantile(later, 0.95) * 1000:.0f} ms)",
        bar=f"< {START_SECONDS * 1000:.0f} ms",
        reached=verdict(statistics.median(later) < START_SECONDS),
    )


def memory(options: Options) -> Iterator[Figure]:
    """Fits at once on one panel: its pages are there once, and each fit adds what is its own."""
    panel = make_panel(options.folder, options.wide)
    found = {}
    for count in options.children:
        place = options.folder / "memory"
        shutil.rmtree(place, ignore_errors=True)
        found[count] = run(
            "benchmarks.executors.memory.shared",
            panel_path=str(panel.path), panel_key=panel.key, folder=str(place), children=count,
        ).answer  # fmt: skip
    first, last = found[options.children[0]], found[options.children[-1]]
    for count, one in found.items():
        yield Figure(
            what=f"{count} fits at once on {options.wide.words}: panel pages, and everything (PSS)",
            other=f"panel {one['panel'] / MIB:,.0f} MiB",
            ours=f"in all {one['all'] / MIB:,.0f} MiB",
        )
    times = last["panel"] / first["panel"]
    yield Figure(
        what=f"  panel pages of {options.children[-1]} fits against those of one",
        ratio=f"{times:.2f}",
        bar="<= 1.1",
        reached=verdict(times <= 1.1),
    )
    more = (last["all"] - first["all"]) / (options.children[-1] - options.children[0])
    bare = run(
        "benchmarks.executors.work.bare",
        panel_path=str(panel.path), panel_key=panel.key, fits=[["LightGBM", 0, None]], rounds=BARE_ROUNDS,
    )  # fmt: skip
    yield Figure(
        what="  each further fit adds; a bare process of its own takes, files left out, at its peak",
        other=f"{bare.peak_anonymous_bytes / MIB:,.0f} MiB",
        ours=f"{more / MIB:,.0f} MiB",
    )


def _in_turn(
    options: Options, size: Size, fits: list[list[Any]], rounds: int, *, slots: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measure both sides once a round, forwards and backwards in turn; return what they answered."""
    panel = make_panel(options.folder, size)
    home = options.folder / size.name

    def bare() -> dict[str, Any]:
        words = {"panel_path": str(panel.path), "panel_key": panel.key, "fits": fits, "rounds": rounds}
        answer: dict[str, Any] = run("benchmarks.executors.work.bare", **words).answer
        return answer

    def ours() -> dict[str, Any]:
        _clear(home)
        answer: dict[str, Any] = run(
            "benchmarks.executors.work.host",
            data_dir=str(home / "data"), folder=str(home), fits=fits, rounds=rounds, slots=slots, warm=True,
        ).answer  # fmt: skip
        return answer

    found: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
    for number in range(options.rounds):
        sides = [(0, bare), (1, ours)]
        for place, side in sides if number % 2 == 0 else reversed(sides):
            found[place].append(side())
            say(f"    {'bare' if place == 0 else 'host'} {found[place][-1]['seconds']:.2f} s")
    return found


def _clear(home: Path) -> None:
    """Remove what an earlier round left, but for the panel."""
    for path in home.glob("results/trainwright*"):
        path.unlink()
    for folder in (home / "output", home / "results" / "work"):
        shutil.rmtree(folder, ignore_errors=True)
