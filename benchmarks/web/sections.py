"""The parts of the table: what a page costs to make, what open pages cost, and what fits lose by them."""

from __future__ import annotations

import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.executors.panels import Size, target_name
from benchmarks.host.living import Living, job, plan_of
from benchmarks.planner.figures import Figure
from benchmarks.store.figures import quantile, verdict
from benchmarks.web.serving import Follower, fetched, listening, served
from store import PlanStore, open_store

sys.path.append(str(Path(__file__).parents[2] / "tests"))

from many_jobs import many_jobs

PAGE_SECONDS, PAGE_BYTES = 1.0, 300_000
SHARE, HEARD_SECONDS, SLOWER = 0.10, 0.5, 1.02
PAGES, EVENTS_A_SECOND = 50, 4.0
RESIDENT_BYTES = 100 * 10**6
FAMILIES = ("LightGBM", "XGBoost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Sizes of one run, and the folder it works in."""

    folder: Path
    jobs: int
    asks: int
    seconds: float
    fits: int
    rounds: int

    @property
    def results(self) -> Path:
        """The results folder with the log of many jobs, made once."""
        folder = self.folder / "many"
        if not folder.exists():
            folder.mkdir()
            many_jobs(f"sqlite:///{folder / 'trainwright.db'}", jobs=self.jobs)
        return folder


def options_of(folder: Path, *, quick: bool) -> Options:
    """Return the sizes of the quick or of the full form."""
    return Options(
        folder=folder,
        jobs=10_000,
        asks=10 if quick else 30,
        seconds=10.0 if quick else 30.0,
        fits=8 if quick else 24,
        rounds=1 if quick else 3,
    )


def rendering(options: Options) -> Iterator[Figure]:
    """What is asked for by a browser, a program and Prometheus, with 10,000 jobs in the log."""
    with served(options.results) as (process, address):
        for path in ("/", "/api/v1/status", "/api/v1/fits?limit=100", "/metrics"):
            bar = PAGE_SECONDS if path == "/" else None
            fetched(address, path)
            before = _cpu_seconds(process)
            took = [fetched(address, path)[1] for _ in range(options.asks)]
            cpu = (_cpu_seconds(process) - before) / options.asks
            plain, packed = fetched(address, path)[0], fetched(address, path, gzip=True)[0]
            met = bar is None or (quantile(took, 0.99) < bar and len(plain) < PAGE_BYTES)
            yield Figure(
                what=f"{path} with {options.jobs:,} jobs",
                other=f"{_kilobytes(plain)}, {_kilobytes(packed)} packed; CPU {cpu * 1000:.0f} ms",
                ours=f"p50 {statistics.median(took) * 1000:.0f} ms, p99 {quantile(took, 0.99) * 1000:.0f} ms",
                bar="" if bar is None else f"< {bar:.0f} s, < {PAGE_BYTES / 1000:.0f} kB",
                reached="" if bar is None else verdict(met),
            )
        resident = process.memory_info().rss
        yield Figure(
            what="  resident memory of the web process then",
            ours=f"{resident / 10**6:.0f} MB",
            bar=f"<= {RESIDENT_BYTES / 10**6:.0f} MB",
            reached=verdict(resident <= RESIDENT_BYTES),
        )


def _kilobytes(content: bytes) -> str:
    return f"{len(content) / 1000:.0f} kB"


def streaming(options: Options) -> Iterator[Figure]:
    """Fifty open pages: what they cost while nothing happens and while events flow, and when they hear."""
    folder = options.folder / "streamed"
    shutil.copytree(options.results, folder)
    with open_store(f"sqlite:///{folder / 'trainwright.db'}") as store, served(folder) as (process, address):
        with listening(address, PAGES):
            time.sleep(3.0)
            what = f"{PAGES} open pages, nothing happens"
            yield _share(what, process, lambda: time.sleep(options.seconds))
            follower = Follower(address, store.head_seq())
            late: list[float] = []
            what = f"{PAGES} open pages of {options.jobs:,} jobs, {EVENTS_A_SECOND:g} events a second"
            yield _share(what, process, lambda: late.extend(_flow(store, follower, options.seconds)))
            follower.close()
        yield _heard("  from an event's commit to the message with it, then", late)
        time.sleep(10.0)  # what was spent is saved again
        yield from _alone(store, address, options)


def _alone(store: PlanStore, address: str, options: Options) -> Iterator[Figure]:
    """One page, and something happens now and then: when it hears, and when its parts have changed."""
    follower = Follower(address, store.head_seq())
    late, parts = [], []
    for number in range(options.asks):
        time.sleep(1.0 + 0.037 * (number % 7))
        at, seq = _happens(store, number)
        late.append(follower.await_seq(seq) - at)
        deadline = time.monotonic() + 5
        while not (known := [when for place, when in follower.parts.items() if place >= seq]):
            if time.monotonic() > deadline:
                break
            time.sleep(0.002)
        parts += [min(known) - at] if known else []
    follower.close()
    yield _heard("one page, an event a second: commit to message", late)
    if parts:
        yield _heard(f"  to the changed parts of the page, {len(parts)} of {len(late)} events", parts)


def _flow(store: PlanStore, follower: Follower, seconds: float) -> list[float]:
    """Let events happen in an even flow; returns how late each was heard."""
    happened: list[tuple[float, int]] = []
    begun = time.monotonic()
    while time.monotonic() - begun < seconds:
        happened.append(_happens(store, len(happened)))
        time.sleep(max(0.0, begun + len(happened) / EVENTS_A_SECOND - time.monotonic()))
    return [follower.await_seq(seq) - at for at, seq in happened]


def _happens(store: PlanStore, number: int) -> tuple[float, int]:
    """Record one event, and return when it was durable and its number."""
    said = store.pause if number % 2 == 0 else store.resume
    seq = said(host="nobody", actor="bench") or store.head_seq()
    return time.time(), seq


def _heard(what: str, late: list[float]) -> Figure:
    most = quantile(late, 0.99)
    return Figure(
        what=what,
        other=f"{len(late)} events",
        ours=f"p50 {statistics.median(late) * 1000:.0f} ms, p99 {most * 1000:.0f} ms",
        bar=f"p99 < {HEARD_SECONDS * 1000:.0f} ms",
        reached=verdict(most < HEARD_SECONDS),
    )


def _share(what: str, process: psutil.Process, do: Callable[[], object]) -> Figure:
    """The row of a share of a core that a process takes while something is done."""
    before, begun = _cpu_seconds(process), time.monotonic()
    do()
    seconds = time.monotonic() - begun
    share = (_cpu_seconds(process) - before) / seconds
    return Figure(
        what=f"{what}: share of a core",
        other=f"over {seconds:.0f} s",
        ours=f"{share:.1%}",
        bar=f"< {SHARE:.0%}",
        reached=verdict(share < SHARE),
    )


def fits(options: Options) -> Iterator[Figure]:
    """The same fits with fifty pages open and with the page off, in turn: what they take, and the daemon."""
    taken: dict[bool, list[float]] = {True: [], False: []}
    shares: dict[bool, list[float]] = {True: [], False: []}
    for number in range(options.rounds):
        for is_open in (True, False) if number % 2 else (False, True):
            seconds, share = _trained(options, f"fits-{number}-{is_open}", is_open=is_open)
            taken[is_open].append(seconds)
            shares[is_open].append(share)
    alone, watched = (statistics.median(taken[is_open]) for is_open in (False, True))
    yield Figure(
        what=f"{options.fits} fits on all cores, {PAGES} pages open: median seconds of a fit",
        other=f"page off: {alone:.3f} s",
        ours=f"{watched:.3f} s",
        ratio=f"{watched / alone:.3f}",
        bar=f"<= {SLOWER:g}",
        reached=verdict(watched / alone <= SLOWER),
    )
    alone, watched = (statistics.median(shares[is_open]) for is_open in (False, True))
    yield Figure(
        what="  the daemon's own process meanwhile: share of a core",
        other=f"page off: {alone:.1%}",
        ours=f"{watched:.1%}",
    )


def _trained(options: Options, name: str, *, is_open: bool) -> tuple[float, float]:
    """Return the median seconds of a fit and the daemon's share of a core while they were trained."""
    size = Size(symbols=10, bars=4_000, features=20, targets=4)
    params = {family: {"rounds": 300, "patience": 300} for family in FAMILIES}
    symbols: list[str | None] = [None, *(f"S{place:03d}" for place in range(size.symbols))]
    kinds = [(target, symbol) for symbol in symbols for target in range(size.targets)]
    jobs = [job(target_name(target), FAMILIES, symbol) for target, symbol in kinds[: options.fits // 2]]
    more = {"web_listen": "127.0.0.1:0" if is_open else "off"}
    with ExitStack() as stack:
        host = stack.enter_context(Living(options.folder / name, size, slots=2, params=params, more=more))
        if is_open:
            stack.enter_context(listening(_address(options.folder / name / "host.log"), PAGES))
        before, begun = _cpu_seconds(host.process), time.monotonic()
        host.drop(plan_of(*jobs))
        host.await_event(0, "PlanCompleted")
        share = (_cpu_seconds(host.process) - before) / (time.monotonic() - begun)
        ended = host.events("FitSucceeded")
    if len(ended) != len(jobs) * len(FAMILIES):
        raise RuntimeError(f"{len(ended)} fits succeeded: see {options.folder / name}")
    return statistics.median(event.data["seconds"] for event in ended), share


def _address(log: Path) -> str:
    """Return where a daemon serves its page, as its log says."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := re.findall(r"http://[0-9.]+:\d+/", log.read_text(encoding="utf-8")):
            return str(found[-1])
        time.sleep(0.1)
    raise RuntimeError(f"the page is not served: see {log}")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
