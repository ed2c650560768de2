"""The rate of a real Postgres log by hosts: ``python -m benchmarks.scale.rates [--quick] [--write PAGE]``.

Each host is a process with a connection of its own that claims, ends and claims again, without work between:
the most that a log can be asked. The bar is the rate with 64 hosts over that with 4, in the same rounds.

Beside it stands what the machine itself gives: the same processes and trips, the same lock and the same waits
for the disk, and nothing else. What is lost there is lost to changing between so many processes.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from itertools import pairwise
from pathlib import Path

import psycopg

from benchmarks.scale.writing import write_between
from benchmarks.store.cluster import Cluster, scratch_folder
from benchmarks.store.crew import Act, Crew
from benchmarks.store.figures import Comparison, Figure, compare, ratio_figure, table
from benchmarks.store.plans import DONE
from benchmarks.store.queues import LEASE_SECONDS, filled, store_filler
from store import new_event_id, open_store
from store.words import Word

HOSTS = (1, 4, 16, 64)
WAYS = (("1 at a time", 1, 1), ("8 at a time", 8, 1), ("1, two logs", 1, 2))  # name, fits of a claim, logs
BAR = 0.7
TRIPS = "two empty transactions, 64 hosts to 4"  # as many as of a fit that is claimed and ended
PICTURE = "pictures/scale-hosts.svg"
BEGIN, END = "<!-- rates -->", "<!-- end of rates -->"
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 640, 320, 70, 270, 40
_LINE = 16
_DASHES = ("", "7 4", "2 4")


def drain(urls: str, *, batch: int) -> Act:
    """Return the act of a host that claims so many fits at a time and ends them together.

    Of several logs each host begins with one, and goes to the next when nothing is left there.
    """
    stores = [open_store(url) for url in urls.split()]
    mine = os.getpid() % len(stores)

    def act() -> int:
        done = 0
        for store in (*stores[mine:], *stores[:mine]):
            while claims := store.claim("bench", stage="cpu", limit=batch, lease_seconds=LEASE_SECONDS):
                store.say_each([Word(claim, DONE, new_event_id()) for claim in claims])
                done += len(claims)
        return done

    return act


def bare(url: str, *, times: int) -> Act:
    """Return the act of a host that makes so many times the trips of a fit, and has nothing to say.

    A fit is two transactions of two trips, each with a turn at the one lock and a wait for the disk.
    """
    cursor = psycopg.ClientCursor(psycopg.connect(url, autocommit=True))

    def act() -> int:
        for _ in range(2 * times):
            cursor.execute("BEGIN; SELECT 1")
            cursor.execute("SELECT pg_advisory_xact_lock(1); INSERT INTO said VALUES (1); COMMIT")
        return times

    return act


def machine(cluster: Cluster, *, fits: int, rounds: int) -> Comparison:
    """Return the rates of hosts that say nothing: the floor for those that do."""
    with ExitStack() as stack:
        sides = {}
        for hosts in (HOSTS[1], HOSTS[-1]):
            url = cluster.empty()
            with psycopg.connect(url) as server:
                server.execute("CREATE TABLE said (words integer)")
            act = partial(bare, times=fits // hosts)
            crew = stack.enter_context(Crew(act, url, workers=hosts, server_pid=cluster.pid))
            sides[str(hosts)] = crew.drain
        return compare(sides, rounds=rounds)


def filler(urls: str, fits: int) -> Callable[[], None]:
    """Return what spreads so many ready fits over the logs."""
    logs = urls.split()
    fillers = [store_filler(url, fits // len(logs)) for url in logs]

    def fill() -> None:
        for one in fillers:
            one()

    return fill


def measured(cluster: Cluster, *, batch: int, logs: int, fits: int, rounds: int) -> Comparison:
    """Return the rates by hosts, all of them in the same rounds."""
    with ExitStack() as stack:
        sides = {}
        for hosts in HOSTS:
            urls = " ".join(cluster.store() for _ in range(logs))
            act = partial(drain, batch=batch)
            crew = stack.enter_context(Crew(act, urls, workers=hosts, server_pid=cluster.pid))
            sides[str(hosts)] = filled(crew, filler(urls, fits))
        return compare(sides, rounds=rounds)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, perhaps draw; returns 1 when the bar is missed."""
    parser = argparse.ArgumentParser(prog="rates", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer fits and rounds: a first look")
    parser.add_argument("--write", type=Path, help="put table and picture between the marks of this page")
    asked = parser.parse_args(words)
    # Each host claims many times, as hosts do: with 300 fits 64 hosts would have five each, and every sixth
    # claim would be a last one, which finds nothing.
    fits, rounds = (1200, 3) if asked.quick else (3600, 5)
    folder = scratch_folder()
    figures: list[Figure] = []
    lines: dict[str, list[float]] = {}
    try:
        with Cluster(folder) as cluster:
            for name, batch, logs in WAYS:
                found = measured(cluster, batch=batch, logs=logs, fits=fits * batch, rounds=rounds)
                what = f"claim and end, {name}, 64 hosts to 4"
                figures.append(
                    ratio_figure(what, found, floor="4", ours="64", bar=BAR if logs == 1 else None)
                )
                lines[name] = [found.rate(str(hosts)) for hosts in HOSTS]
            found = machine(cluster, fits=2 * fits, rounds=rounds)
            figures.append(ratio_figure(TRIPS, found, floor="4", ours="64", bar=None))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    said = [
        f"- {name}: "
        + ", ".join(
            f"{hosts} host{'s' if hosts > 1 else ''} {rate:.0f}/s"
            for hosts, rate in zip(HOSTS, rates, strict=True)
        )
        for name, rates in lines.items()
    ]
    text = "\n".join([table(figures), "", *said])
    print(text)
    if asked.write:
        (asked.write.parent / PICTURE).write_text(drawn(lines), encoding="utf-8")
        text += f"\n\n![fits a second by hosts that claim]({PICTURE})"
        write_between(asked.write, text, begin=BEGIN, end=END)
    return 1 if any(figure.reached == "NO" for figure in figures) else 0


def drawn(lines: Mapping[str, Sequence[float]]) -> str:
    """Return the picture of rates by hosts, each line with its own dash and its name at its end."""
    most = max(rate for rates in lines.values() for rate in rates)
    step = (_WIDTH - _LEFT - 120) / (len(HOSTS) - 1)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            'font-family="sans-serif" font-size="13"><title>Fits a second by hosts that claim</title>'
            f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>'
        )
    ]
    for share in (0.0, 0.5, 1.0):
        y = _at(share * most, most)
        parts.append(f'<path d="M{_LEFT} {y:.0f}H{_WIDTH - 20}" stroke="#ccc"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.0f}" text-anchor="end">{share * most:,.0f}/s</text>')
    for place, hosts in enumerate(HOSTS):
        x = _LEFT + place * step
        named = f"{hosts} host{'s' if hosts > 1 else ''}"
        parts.append(f'<text x="{x:.0f}" y="{_BOTTOM + 22}" text-anchor="middle">{named}</text>')
    names = _apart([_at(rates[-1], most) for rates in lines.values()])
    for dash, below, (name, rates) in zip(_DASHES, names, lines.items(), strict=False):
        points = [(_LEFT + place * step, _at(rate, most)) for place, rate in enumerate(rates)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="#14507a" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        parts.append(f'<text x="{points[-1][0] + 8:.0f}" y="{below + 4:.0f}">{name}</text>')
    heading = "claim and end with no work between"
    parts.append(f'<text x="{_LEFT}" y="22">fits a second: {heading}</text></svg>\n')
    return "".join(parts)


def _apart(places: Sequence[float]) -> list[float]:
    """Return heights of names, each at its own place or as far above the one below as both can be read."""
    order = sorted(range(len(places)), key=lambda number: -places[number])
    apart = list(places)
    for below, above in pairwise(order):
        apart[above] = min(apart[above], apart[below] - _LINE)
    return apart


def _at(rate: float, most: float) -> float:
    return _BOTTOM - rate / most * (_BOTTOM - _TOP)


if __name__ == "__main__":
    sys.exit(main())
