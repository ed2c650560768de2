"""The parts of the table, each a few rows; heavy work is done in children."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.planner.child import Run, run, timed
from benchmarks.planner.figures import Figure, at_most, share_of, times_less, within
from benchmarks.planner.naive import ROUNDS
from benchmarks.planner.options import Options
from benchmarks.planner.panels import Place, Size, make_panel
from benchmarks.store.figures import say, verdict

LESS_CPU, SHARE_OF_MEMORY = 5.0, 0.5
SCREEN_TIMES = 3.0
REPEATED_SECONDS = 2.0
ROUTING_SECONDS = 5.0
WHOLE_SECONDS = 40.0


def against_naive(options: Options) -> Iterator[Figure]:
    """Ranking, probing, selection and planning from the files, against cells of the naive way."""
    size, place = options.large, _panel(options, options.large)
    planned = _planned(place)
    say(f"planned in {planned.cpu_seconds:.0f} CPU s: {planned.answer['seconds']}")
    cells = {"folder": str(place.folder), "cache": str(_cache(place)), "folds": options.naive_folds}
    naive = run("work.naive_cells", **cells, alone=False)
    pooled = naive.answer["read_seconds"] + naive.answer["cells"] * naive.answer["cell_seconds"]
    yield times_less(
        f"planning against the naive way: {size.words}",
        pooled, planned.cpu_seconds, bar=LESS_CPU,
        words=f", {naive.answer['measured']} of {naive.answer['cells']} cells of {ROUNDS} rounds measured",
    )  # fmt: skip
    alone = run("work.naive_cells", **cells, alone=True)
    yield times_less(
        "the same, if the naive way looks at each symbol alone as well, as ours does",
        pooled + alone.answer["cells"] * alone.answer["cell_seconds"], planned.cpu_seconds, bar=None,
        words=f", {alone.answer['measured']} more of {alone.answer['cells']}",
    )  # fmt: skip
    bar = None if options.quick else SHARE_OF_MEMORY  # a small panel's memory is that of the libraries
    yield share_of("peak memory, resident", naive.peak_bytes, planned.peak_bytes, bar=bar)
    yield share_of(
        "peak memory, mapped files left out", naive.peak_anonymous_bytes, planned.peak_anonymous_bytes,
        bar=bar,
    )  # fmt: skip
    answer = planned.answer
    yield Figure(
        what="targets of that panel judged rightly, its leaks and all, for the reader",
        ours=f"{answer['right']} of {answer['judged']}",
    )
    yield from _found(options)


def _found(options: Options) -> Iterator[Figure]:
    """Of how many targets it is rightly said whether they can be predicted, both ways in whole."""
    place = _panel(options, options.small)
    planned = _planned(place)
    naive = run("work.naive_whole", folder=str(place.folder), cache=str(_cache(place)))
    rights = [one.answer["right"] for one in (naive, planned)]
    yield Figure(
        what=f"targets judged rightly, no leaks in the data: {options.small.words}",
        other=f"{rights[0]} of {naive.answer['judged']}, all cells, {naive.cpu_seconds:,.0f} CPU s",
        ours=f"{rights[1]} of {planned.answer['judged']}, {planned.cpu_seconds:,.1f} CPU s",
        bar="no worse",
        reached=verdict(rights[1] >= rights[0]),
    )


def screens(options: Options) -> Iterator[Figure]:
    """All pairs of features and targets by rank correlation, against the bare arithmetic."""
    place = _panel(options, options.large)
    found = run(
        "screening.compare", folder=str(place.folder), cache=str(_cache(place)), rounds=options.rounds
    ).answer
    for kind in ("over time", "across symbols"):
        yield within(
            f"all-pairs rank screen, ranks {kind}, against one rank pass and one product",
            found[kind]["bare"], found[kind]["ours"], bar=SCREEN_TIMES,
        )  # fmt: skip
    yield at_most(
        "the planner's whole screen of that panel: lags, nulls, own laws", *found["whole"]["ours"], None
    )


def repeated(options: Options) -> Iterator[Figure]:
    """The same command again with nothing changed, start-up and writing included."""
    place = _panel(options, options.large)
    if not (_results(place) / "METRICS").exists():
        _planned(place)
    settings = place.folder / "settings.toml"
    lines = [f"{json.dumps(name)} = {bars}" for name, bars in sorted(place.horizons.items())]
    settings.write_text("\n".join(["[ranking]", "jobs = 1", "[data.horizons]", *lines, ""]), encoding="utf-8")
    words = [sys.executable, "-m", "planner", "--data-dir", str(place.data_dir), "--auto-targets"]
    words += ["--auto-features", "--skip-training", "--top-n-targets", "100", "--config", str(settings)]
    words += ["--output-dir", str(_results(place))]
    timed(words, cwd=place.folder)  # makes the event log and warms the page cache
    runs = [timed(words, cwd=place.folder)[1:] for _ in range(max(5, options.rounds))]
    cpu, wall = zip(*runs, strict=True)
    middle = sorted(cpu)[len(cpu) // 2]
    yield at_most(
        f"the same command again, start-up included: {options.large.words}", middle, REPEATED_SECONDS
    )
    # What else the machine does only adds to the clock, so the fastest says what the command itself takes.
    yield at_most("the same by the clock, the fastest of five", min(wall), REPEATED_SECONDS, unit="s")


def many(options: Options) -> Iterator[Figure]:
    """Routing and planning of very many candidates."""
    results = options.folder / "many"
    found = run("many.route", count=options.candidates, results=str(results)).answer
    both = found["routed"] + found["planned"]
    note = f"{found['jobs']:,} jobs"
    limit = ROUTING_SECONDS * options.candidates / 100_000
    yield at_most(f"routing and planning of {found['rows']:,} candidates", both, limit, note=note)
    yield at_most("writing both plans with all their views", found["written"], None)


def whole(options: Options) -> Iterator[Figure]:
    """Everything that planning does on a panel of the usual size."""
    place = _panel(options, options.usual)
    planned = _planned(place)
    answer = planned.answer
    say(f"  {answer['seconds']}")
    yield at_most(
        f"the whole planning: {options.usual.words}", planned.cpu_seconds, WHOLE_SECONDS,
        note=f"{answer['right']} of {answer['judged']} targets judged rightly",
    )  # fmt: skip


def _panel(options: Options, size: Size) -> Place:
    name = f"{size.symbols}x{size.bars}x{size.features}x{len(size.kinds or ())}"
    return make_panel(options.folder / name, size)


def _results(place: Place) -> Path:
    return place.folder / "results"


def _cache(place: Place) -> Path:
    return _results(place) / "cache"


def _planned(place: Place) -> Run:
    """Plan a panel in a child, from its files and with nothing known before."""
    shutil.rmtree(_results(place), ignore_errors=True)
    return run("work.plan", folder=str(place.folder), results=str(_results(place)))
