"""What somebody should look at: what failed, what waits and why, what is paused, what a break cost."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from urllib.parse import urlencode

from daemon.views.event_words import event_told
from daemon.views.host_words import HostTold, hosts_told, previous_line
from daemon.views.waiting import WaitingGroup
from daemon.web.scene import Scene
from store.reasons import pause_words
from store.records import HostRow, PauseRow

GROUPS_SHOWN = 6  # of waiting fits
BREAK_TOLD = timedelta(hours=1)
BREAK_SECONDS = 20.0  # how old it may be what a start cost
CLEAN_STOPS = ("stopped: ", "first start")
REFUSALS_AMONG = 5_000  # newest events: an older refusal is no news


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Something to look at: its tone, what it is about, a sentence, and where to go."""

    tone: str
    label: str
    words: str
    link: str = ""
    link_words: str = ""


def notes(scene: Scene) -> str:
    """Return what somebody should look at, the worst first."""
    kinds = (_refusals, _hosts, _troubles, _breaks, _pauses, _failures, _waiting)
    found = [note for kind in kinds for note in kind(scene)]
    return scene.site.page("parts/notes.html", {"view": scene.view, "notes": found, "past": scene.past})


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


def _troubles(scene: Scene) -> list[Note]:
    """What hosts lack though they work."""
    lacking = [host for host in scene.watch.hosts if host.trouble and host.worker in scene.watch.workers]
    return [Note(tone="bad", label=f"trouble on {host.host}", words=host.trouble or "") for host in lacking]


def _breaks(scene: Scene) -> list[Note]:
    """How the daemon before ended without a word, for a while after the next one started."""
    young = [
        host
        for host in scene.watch.hosts
        if host.state == "working" and scene.watch.now - host.started_at < BREAK_TOLD
        and host.previous_stop and not host.previous_stop.startswith(CLEAN_STOPS)
    ]  # fmt: skip
    lines = [previous_line(told) for told in _told(scene, young)]
    return [
        Note(tone="wait", label="after a break", words=line.removeprefix("before").strip())
        for line in lines
        if line is not None
    ]


def _told(scene: Scene, hosts: list[HostRow]) -> tuple[HostTold, ...]:
    """What the log says of a host's start; it does not change, but to look it up takes a while."""
    if not hosts or scene.past is not None:
        return hosts_told(scene.reader, hosts)
    key = ("hosts", *(host.worker for host in hosts))
    return scene.site.lately.made(key, BREAK_SECONDS, lambda: hosts_told(scene.reader, hosts))


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
