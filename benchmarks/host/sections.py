"""The parts of the table: from a drop to its first fit, a host at rest, and how busy its slots are."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import datetime

import psutil

from benchmarks.executors.panels import target_name
from benchmarks.host.living import Living, job, plan_of
from benchmarks.host.options import Options
from benchmarks.planner.figures import MIB, Figure
from benchmarks.store.figures import quantile, verdict
from store import EventRow

CLAIMED_SECONDS = 0.3  # 99 of 100 drops, child's start not counted
IDLE_SHARE = 0.005
IDLE_BYTES = 120 * 10**6
BUSY_SHARE = 0.95
SLOTS = 2
STEPS_SECONDS = (0.0, 0.37, 0.73, 1.1, 1.61)  # between two drops: at any moment between two looks
ENDS = ("FitSucceeded", "FitFailed", "FitReleased", "LeaseExpired")
MIXED = ("LightGBM", "XGBoost", "FTRLProximal", "GMMRegime", "RewardBased")


def latency(options: Options) -> Iterator[Figure]:
    """From the rename of a plan into the folder of an idle host to its first fit; a bare Python beside it."""
    params = {"LightGBM": {"rounds": 2, "patience": 2}}
    claimed, started, bare = [], [], []
    with Living(options.folder / "latency", options.small, slots=1, params=params) as host:
        for number in range(options.drops + 2):
            time.sleep(STEPS_SECONDS[number % len(STEPS_SECONDS)])
            seq = host.store.head_seq()
            at = host.drop(plan_of(job(target_name(0), ["LightGBM"], number=number)))
            claim = host.await_event(seq, "FitClaimed")
            start = host.await_event(seq, "FitStarted")
            host.await_event(seq, "PlanCompleted")
            if number > 1:  # the first ones make the panel and the servers
                claimed.append(claim.at.timestamp() - at)
                started.append(start.at.timestamp() - at)
                bare.append(_bare_start())
    yield _times(
        f"{len(claimed)} drops (rename) to first fit claimed, idle host",
        bare,
        claimed,
        bar=CLAIMED_SECONDS,
    )
    yield _times("  to first fit running, its child's start included", bare, started, bar=None)


def _times(what: str, bare: Sequence[float], ours: Sequence[float], *, bar: float | None) -> Figure:
    """The row of a time: median and the one that 99 of 100 keep within, beside a bare start of Python."""
    middle, most = statistics.median(ours), quantile(ours, 0.99)
    bare_middle, bare_most = statistics.median(bare), quantile(bare, 0.99)
    return Figure(
        what=what,
        other=f"python -c pass: p50 {bare_middle * 1000:.0f} ms, p99 {bare_most * 1000:.0f} ms",
        ours=f"p50 {middle * 1000:.0f} ms, p99 {most * 1000:.0f} ms",
        ratio=f"{middle / bare_middle:.1f}, p99 {most / bare_most:.1f}",
        bar="" if bar is None else f"p99 < {bar * 1000:.0f} ms",
        reached="" if bar is None else verdict(most < bar),
    )


def _bare_start() -> float:
    """Return how long it takes now to start a Python that does nothing, and to hear that it ended."""
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.perf_counter() - begun


def idle(options: Options) -> Iterator[Figure]:
    """What a host costs that has nothing to do: just started, and after it has trained something."""
    params = {"LightGBM": {"rounds": 2, "patience": 2}}
    with Living(options.folder / "idle", options.small, slots=SLOTS, params=params) as host:
        yield from _at_rest("idle daemon, just started", host, options.idle_seconds)
        host.drop(plan_of(job(target_name(0), ["LightGBM"])))
        host.await_event(0, "PlanCompleted")
        yield from _at_rest("idle daemon, after a plan", host, options.idle_seconds)


def _at_rest(what: str, host: Living, seconds: float) -> Iterator[Figure]:
    time.sleep(2.0)  # what is still being tidied up
    before, begun = _cpu_seconds(host.process), time.monotonic()
    family_before = sum(_cpu_seconds(one) for one in host.process.children(recursive=True))
    time.sleep(seconds)
    share = (_cpu_seconds(host.process) - before) / (time.monotonic() - begun)
    children = host.process.children(recursive=True)
    family_share = (sum(_cpu_seconds(one) for one in children) - family_before) / (time.monotonic() - begun)
    resident = host.process.memory_info().rss
    yield Figure(
        what=f"{what}: share of a core over {seconds:.0f} s",
        other=f"its {len(children)} waiting processes: {family_share:.2%}",
        ours=f"{share:.2%}",
        bar=f"<= {IDLE_SHARE:.1%}",
        reached=verdict(share <= IDLE_SHARE),
    )
    yield Figure(
        what="  resident memory",
        other="; ".join(
            f"{_word(one)}: {one.memory_full_info().pss / MIB:.0f} MiB of its own share" for one in children
        ),
        ours=f"{resident / 10**6:.0f} MB",
        bar=f"<= {IDLE_BYTES / 10**6:.0f} MB",
        reached=verdict(resident <= IDLE_BYTES),
    )


def _word(process: psutil.Process) -> str:
    """Return what a waiting process is, by the module it runs."""
    words = process.cmdline()
    return words[words.index("-m") + 1] if "-m" in words else (words or ["a process"])[0]


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def busy(options: Options) -> Iterator[Figure]:
    """How much of the slots is taken while fits are ready: a plan of mixed fits, as the log tells it."""
    rounds = options.rounds
    both = {"rounds": rounds, "patience": rounds}
    params = {"LightGBM": both, "XGBoost": both}
    symbols: list[str | None] = [None, *(f"S{number:03d}" for number in range(options.large.symbols))]
    kinds = [(number, symbol) for symbol in symbols for number in range(options.large.targets)]
    jobs = [job(target_name(number), MIXED, symbol) for number, symbol in kinds[: options.fits // len(MIXED)]]
    with Living(options.folder / "busy", options.large, slots=SLOTS, params=params) as host:
        host.drop(plan_of(*jobs))
        host.await_event(0, "PlanCompleted")
        events = host.events("FitClaimed", "FitStarted", *ENDS)
    succeeded = sum(event.kind == "FitSucceeded" for event in events)
    if succeeded != len(jobs) * len(MIXED):
        raise RuntimeError(f"{succeeded} of {len(jobs) * len(MIXED)} fits succeeded: see {host.folder}")
    share, seconds = busy_share(events, slots=SLOTS, begins="FitClaimed")
    training, _ = busy_share(events, slots=SLOTS, begins="FitStarted")
    yield Figure(
        what=f"{SLOTS} slots busy while fits are ready, {succeeded} fits of {len(MIXED)} families",
        other=f"{seconds:.0f} s from the first claim to the last",
        ours=f"{share:.1%}",
        bar=f">= {BUSY_SHARE:.0%}",
        reached=verdict(share >= BUSY_SHARE),
    )
    yield Figure(what="  counted from each fit's start, its start left out", ours=f"{training:.1%}")


def busy_share(events: Sequence[EventRow], *, slots: int, begins: str) -> tuple[float, float]:
    """Return the share of slots taken from the first claim to the last, and how many seconds that is.

    A fit takes its slot from its first word of kind `begins` to the word that ends it.
    """
    claims = [event.at for event in events if event.kind == "FitClaimed"]
    first, last = min(claims), max(claims)
    taken, open_since = 0.0, {}
    for event in events:
        if event.kind == begins:
            open_since.setdefault(event.fit, event.at)
        elif event.kind in ENDS and event.fit in open_since:
            taken += _overlap(open_since.pop(event.fit), event.at, first, last)
    seconds = (last - first).total_seconds()
    return (taken / (slots * seconds) if seconds else 1.0), seconds


def _overlap(begin: datetime, end: datetime, first: datetime, last: datetime) -> float:
    """Return how many seconds of a time lie within another one."""
    return max(0.0, (min(end, last) - max(begin, first)).total_seconds())
