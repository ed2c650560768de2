"""The head of the page: who is at work, how the plans stand, and what somebody should look at."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlencode

from daemon.views.event_words import EventTold, event_told
from daemon.views.remaining import Remaining
from daemon.views.waiting import WaitingGroup
from daemon.views.words import bytes_words, counted
from daemon.web.machine_use import MachineUse
from daemon.web.scene import Scene
from daemon.web.ticker import Ticker
from store.reasons import pause_words
from store.records import HostRow, PauseRow, PlanRow

GROUPS_SHOWN = 6  # of waiting fits
REFUSALS_AMONG = 5_000  # newest events: an older refusal is no news
PLANS_ASKED = 3  # whose rest is estimated


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostTold:
    """A host: state is working, gone (without a word) or stopped."""

    row: HostRow
    state: str


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to look at: its tone, what it is about, a sentence, and where to go."""

    tone: str
    label: str
    words: str
    link: str = ""
    link_words: str = ""


def header(scene: Scene) -> str:
    """Return the living part at the top: hosts, machine, plans."""
    plans = [
        _plan_told(scene, plan, asked=place < PLANS_ASKED) for place, plan in enumerate(scene.shown_plans)
    ]
    values = {
        "view": scene.view,
        "past": scene.past,
        "hosts": [_host_told(scene, host) for host in scene.watch.hosts],
        "machine": () if scene.past else _uses(scene.site.machine()),
        "plans": plans,
        "more": sum(1 for plan in scene.plans if plan.open) - sum(1 for told in plans if told.row.open),
        "pausable": scene.past is None and any(told.row.open for told in plans),
        "last_event_at": scene.last_event_at,
        "paused": next((pause for pause in scene.watch.pauses if _is_of_all(pause)), None),
    }
    return scene.site.page("parts/header.html", values)


def notes(scene: Scene) -> str:
    """Return what somebody should look at, the worst first."""
    found = [*_refusals(scene), *_hosts(scene), *_pauses(scene), *_failures(scene), *_waiting(scene)]
    return scene.site.page("parts/notes.html", {"view": scene.view, "notes": found, "past": scene.past})


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


def _host_told(scene: Scene, row: HostRow) -> HostTold:
    if row.state != "working":
        return HostTold(row=row, state="stopped")
    return HostTold(row=row, state="working" if row.worker in scene.watch.workers else "gone")


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


def _refusals(scene: Scene) -> list[Note]:
    """The newest refusal, unless a plan was accepted since."""
    after = max(0, scene.seq - REFUSALS_AMONG)
    found = scene.site.reader.newest_events(
        ("PlanAccepted", "PlanRejected"), after=after, until=scene.seq, limit=1
    )
    told = [event_told(event) for event in found if event.kind == "PlanRejected"]
    return [Note(tone="bad", label=f"plan refused: {one.about}", words=one.words) for one in told]


def _hosts(scene: Scene) -> list[Note]:
    if scene.watch.workers or not any(plan.open for plan in scene.plans):
        return []
    words = "nothing is started until one works: trainwright daemon"
    return [Note(tone="bad", label="no daemon", words=words)]


def _pauses(scene: Scene) -> list[Note]:
    return [
        Note(
            tone="wait",
            label="paused",
            words=pause_words(pause),
            link=_resume_link(pause),
            link_words="resume",
        )
        for pause in scene.watch.pauses
    ]


def _resume_link(pause: PauseRow) -> str:
    scope = {"plan": pause.plan, "stage": pause.stage, "host": pause.host}
    return f"/act/resume?{urlencode({key: value for key, value in scope.items() if value})}"


def _failures(scene: Scene) -> list[Note]:
    failed = sum(plan.failed for plan in scene.shown_plans)
    if not failed:
        return []
    newest = scene.reader.fits(plan=scene.view.plan, states=("failed",), limit=1)
    words = f"{newest[0].name}: {newest[0].sentence or newest[0].cause or ''}" if newest else ""
    link = scene.view.link(q="state:failed", offset=0, fit=None)
    return [Note(tone="bad", label=f"{failed:,} failed", words=words, link=link, link_words="show")]


def _waiting(scene: Scene) -> list[Note]:
    shown = [plan for plan in scene.shown_plans if plan.open]
    groups = scene.watch.groups(scene.plans) if shown else ()
    found = [
        Note(
            tone="wait" if group.code not in ("Priority", "Next") else "plain",
            label=f"{group.fits:,} {group.stage.upper()} waiting",
            words=_group_words(group),
            link=scene.view.link(q=_group_filter(group), offset=0, fit=None),
            link_words="show",
        )
        for group in groups[:GROUPS_SHOWN]
    ]
    if scene.watch.held and not any(group.code == "Held" for group in groups):
        link = scene.view.link(q="held", offset=0, fit=None)
        label = f"{scene.watch.held:,} held"
        words = "held back by a person until they are released"
        found.append(Note(tone="wait", label=label, words=words, link=link, link_words="show"))
    return found


def _group_filter(group: WaitingGroup) -> str:
    return f"held stage:{group.stage}" if group.code == "Held" else f"state:ready stage:{group.stage}"


def _group_words(group: WaitingGroup) -> str:
    """The code and the words, unless the words begin with it."""
    says_it = group.words.lower().startswith(group.code.lower())
    return group.words if says_it else f"{group.code}: {group.words}"
