"""The head of the page: who is at work, how busy the machine is, and how the plans stand."""

from __future__ import annotations

import dataclasses
from collections import Counter

from daemon.views.event_words import EventTold
from daemon.views.hosts import WORST_FIRST, running_by_host, standing
from daemon.views.remaining import Remaining
from daemon.views.words import bytes_words, counted
from daemon.web.machine_use import MachineUse
from daemon.web.scene import Scene
from daemon.web.ticker import Ticker
from store.records import HostRow, PauseRow, PlanRow

PLANS_ASKED = 3  # whose rest is estimated
HOSTS_SHOWN = 6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostSeen:
    """A host and how it stands, as `state_of` says; `running` fits are counted where it drains."""

    row: HostRow
    state: str
    running: int = 0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlanTold:
    """How a plan stands; `parts` are the lengths of its bar in percent, by what they mean."""

    row: PlanRow
    running: int
    waiting: int
    remaining: Remaining | None
    parts: tuple[tuple[str, float, float], ...]
    pause: PauseRow | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How busy a part of this machine is, in percent and in words."""

    name: str
    percent: int
    words: str


def header(scene: Scene) -> str:
    """Return the living part at the top: hosts, machine, plans."""
    plans = [
        _plan_told(scene, plan, asked=place < PLANS_ASKED) for place, plan in enumerate(scene.shown_plans)
    ]
    hosts = hosts_seen(scene)
    values = {
        "view": scene.view,
        "past": scene.past,
        "hosts": hosts[:HOSTS_SHOWN],
        "more_hosts": max(0, len(hosts) - HOSTS_SHOWN),
        "machine": () if scene.past else _uses(scene.site.machine()),
        "plans": plans,
        "more": sum(1 for plan in scene.plans if plan.open) - sum(1 for told in plans if told.row.open),
        "pausable": scene.past is None and any(told.row.open for told in plans),
        "last_event_at": scene.last_event_at,
        "paused": next((pause for pause in scene.watch.pauses if _is_of_all(pause)), None),
    }
    return scene.site.page("parts/header.html", values)


def newest_events(scene: Scene) -> list[EventTold]:
    """Return the newest events that the page tells of."""
    return Ticker(scene.site.reader).newest(scene.seq, plan=scene.view.plan)


def _uses(machine: MachineUse) -> list[Use]:
    """CPU, memory and devices of this machine; each keeps its place, also while nothing is known yet."""
    uses = [
        _use("CPU", machine.cpu_share, f"of {counted(machine.cpus, 'core')}"),
        _use("RAM", machine.memory_share, f"of {bytes_words(machine.memory_bytes)}"),
    ]
    for place, gpu in enumerate(machine.gpus):
        name = "GPU" if len(machine.gpus) == 1 else f"GPU {place}"
        says = gpu.share is not None
        uses.append(_use(name, gpu.share if says else gpu.memory_share, "" if says else "of its memory"))
    return uses


def _use(name: str, share: float | None, of: str) -> Use:
    words = "-" if share is None else f"{100 * share:.0f} %"
    return Use(name=name, percent=round(100 * (share or 0.0)), words=f"{words} {of}".strip())


def hosts_seen(scene: Scene) -> list[HostSeen]:
    """Return the hosts that were not removed; of many those first that somebody should look at."""
    rows = [row for row in scene.watch.hosts if row.removed_at is None]
    drains = any(row.draining is not None for row in rows)
    running = running_by_host(scene.reader.fits(states=("claimed", "running"))) if drains else {}
    counts = {row.host: running.get(row.host, Counter()).total() for row in rows}
    seen = [
        HostSeen(row=row, state=standing(scene.watch, row, counts[row.host]), running=counts[row.host])
        for row in rows
    ]
    return seen if len(seen) <= HOSTS_SHOWN else sorted(seen, key=lambda one: WORST_FIRST.index(one.state))


def _plan_told(scene: Scene, plan: PlanRow, *, asked: bool) -> PlanTold:
    running = scene.running(plan) if plan.open else 0
    pause = next(
        (one for one in scene.watch.pauses if one.plan == plan.id and not one.stage and not one.host), None
    )
    return PlanTold(
        row=plan,
        running=running,
        waiting=max(0, plan.open - running),
        remaining=scene.remaining(plan) if asked else None,
        parts=_bar(plan, running),
        pause=pause,
    )


def _bar(plan: PlanRow, running: int) -> tuple[tuple[str, float, float], ...]:
    """Return kind, start and length of each piece of a plan's bar; a piece that is there can be seen."""
    counts = {
        "good": plan.succeeded,
        "bad": plan.failed,
        "off": plan.unavailable + plan.cancelled,
        "busy": running,
    }
    whole, start, parts = max(1, plan.fits), 0.0, []
    for kind, count in counts.items():
        if count:
            length = min(100.0 - start, max(0.6, 100 * count / whole))
            parts.append((kind, round(start, 2), round(length, 2)))
            start += length
    return tuple(parts)


def _is_of_all(pause: PauseRow) -> bool:
    return pause.plan is None and pause.stage is None and pause.host is None
