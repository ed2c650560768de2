"""Work in time: attempts side by side in lanes, what waits hatched, what is queued as ghosts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from markupsafe import Markup

from daemon.pictures.drawing import NOTHING, coordinate, element, line, linked, picture, titled, words

_WIDTH = 960.0
_LEFT, _RIGHT = 64.0, 952.0
_QUEUE = 150.0  # the room for what is queued, right of now
_LANE, _MOST_LANES = 18.0, 40
_HEIGHTS = ((5, _LANE), (12, 13.0))  # of a lane where there are up to so many; of more:
_THIN_LANE = 8.0
_WAITING = 18.0
_SIGN = 6.8  # about the width of a sign
_LEAST = 2.0  # a bar nobody could see or hit would be none
_HATCH = "pic-hatch"
_STEPS = (
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
    604_800, 2_592_000, 7_776_000, 31_536_000,
)  # fmt: skip
_TOLD = {
    "succeeded": "done",
    "running": "running",
    "failed": "failed",
    "lost": "lost or given back",
    "cancelled": "cancelled",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One attempt.

    `kind` is succeeded, failed, lost, cancelled or running, `done` the share that a running one has done;
    `short` is written where there is no room for the label.
    """

    label: str
    start: datetime
    end: datetime | None
    kind: str
    short: str = ""
    title: str = ""
    href: str = ""
    done: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ghost:
    """Something that is queued."""

    label: str
    title: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lanes:
    """A stage: its lanes, how many waited from each moment on, and who is queued.

    `more` are queued beyond those that are named.
    """

    name: str
    lanes: Sequence[Sequence[Bar]]
    waiting: Sequence[tuple[datetime, int]] = ()
    waiting_words: str = ""
    queued: Sequence[Ghost] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class _Time:
    """From moments to places."""

    start: datetime
    end: datetime
    right: float

    def at(self, moment: datetime) -> float:
        share = (moment - self.start) / (self.end - self.start)
        return _LEFT + max(0.0, min(1.0, share)) * (self.right - _LEFT)


def gantt(
    stages: Sequence[Lanes],
    *,
    start: datetime,
    end: datetime,
    now: datetime | None = None,
    label: str = "attempts in time",
) -> Markup:
    """Lanes of attempts for each stage from `start` to `end`, UTC; nothing where there is no stage.

    `now` draws the line behind which the queue stands.
    """
    if not stages:
        return NOTHING
    if end <= start:
        end = start + timedelta(seconds=1)
    right = _RIGHT - _QUEUE if any(stage.queued for stage in stages) else _RIGHT
    time = _Time(start, end, right)
    top = y = 24.0
    parts = []
    for stage in stages:
        drawn, y = _stage(stage, time, y, now)
        parts += drawn
    kinds = {bar.kind for stage in stages for lane in stage.lanes for bar in lane}
    legend = _legend(kinds, y + 16, waits=any(stage.waiting for stage in stages))
    back = [_hatch(), *_ticks(time, top, y, now), *([] if now is None else _now(time, now, top, y))]
    count = sum(len(lane) for stage in stages for lane in stage.lanes)
    told = f"{label}: {count} in {sum(len(stage.lanes) for stage in stages)} lanes"
    return picture("lanes wide", (_WIDTH, y + 24), told, [*back, *parts, *legend])


def _hatch() -> Markup:
    stripe = element("path", d="M0 6L6 0M-1 1L1-1M5 7L7 5", class_="stripe")
    tile = element("pattern", stripe, id=_HATCH, width=6, height=6, patternUnits="userSpaceOnUse")
    return element("defs", tile)


def _stage(stage: Lanes, time: _Time, y: float, now: datetime | None) -> tuple[list[Markup], float]:
    """The lanes of a stage from a height on, and the height below them."""
    lanes = stage.lanes[:_MOST_LANES]
    height = next((height for most, height in _HEIGHTS if len(lanes) <= most), _THIN_LANE)
    parts = [words(4, y + 13, stage.name, kind="head"), line(4, y - 2, _RIGHT, y - 2, "grid")]
    top = y
    for lane in lanes:
        parts += [_bar(bar, time, y, height, now) for bar in lane]
        y += height + 2
    ghosts, below = _queue(stage, time, top)
    parts += ghosts
    y = max(y, below, top + _LANE)
    if len(stage.lanes) > len(lanes):
        rest = f"and {len(stage.lanes) - len(lanes)} more lanes"
        parts.append(words(_LEFT, y + 11, rest, kind="soft small"))
        y += 16
    if stage.waiting:
        parts += _depth(stage, time, y)
        y += _WAITING + 4
    return parts, y + 6


def _bar(bar: Bar, time: _Time, y: float, height: float, now: datetime | None) -> Markup:
    x = time.at(bar.start)
    width = max(_LEAST, time.at(bar.end or now or time.end) - x)
    parts = [element("path", d=_box(x, y, width, height), class_=f"bar {bar.kind}")]
    if bar.done:
        deep = 3 if height >= _LANE else 2
        parts.append(element("path", d=_box(x, y + height - deep, width * bar.done, deep), class_="f1"))
    if bar.kind == "failed" and width >= 8 and height > _THIN_LANE:
        cross = f"M{coordinate(x + width - 8)} {coordinate(y + height / 2 - 2.5)}l5 5m0-5l-5 5"
        parts.append(element("path", d=cross, class_="cross"))
    room = int((width - (16 if bar.kind == "failed" else 8)) / _SIGN)
    if room >= 5 and height > _THIN_LANE:
        label = bar.label if len(bar.label) <= room or not bar.short else bar.short
        parts.append(words(x + 4, y + height / 2 + 3.5, label, kind="small", limit=room))
    return _pointed(parts, bar.title or bar.label, bar.href)


def _box(x: float, y: float, width: float, height: float) -> str:
    left, top, across, down = map(coordinate, (x, y, width, height))
    return f"M{left} {top}h{across}v{down}h-{across}z"


def _pointed(parts: Iterable[Markup], title: str, href: str) -> Markup:
    """What leads somewhere when clicked, but takes no stop of the keyboard: a table has the same links."""
    whole = titled(NOTHING.join(parts), title)
    found = linked(whole, href)
    return found.replace("<a ", Markup('<a tabindex="-1" '), 1) if found != whole else whole


def _queue(stage: Lanes, time: _Time, top: float) -> tuple[list[Markup], float]:
    if not stage.queued:
        return [], top
    x, width = time.right + 10, _RIGHT - time.right - 12
    parts, y = [], top
    for ghost in stage.queued:
        box = element("rect", x=x, y=y + 0.5, width=width, height=_LANE - 2, class_="ghost")
        name = words(x + 4, y + 12, ghost.label, kind="small soft", limit=int((width - 8) / _SIGN))
        parts.append(_pointed([box, name], ghost.title or ghost.label, ghost.href))
        y += _LANE + 2
    if stage.more > 0:
        parts.append(words(x, y + 11, f"and {stage.more:,} more wait", kind="soft small"))
        y += 16
    return parts, y


def _depth(stage: Lanes, time: _Time, y: float) -> list[Markup]:
    """How many wait, as a hatched area whose height is their number."""
    most = max(count for _, count in stage.waiting) or 1
    base, points = y + _WAITING, [f"M{coordinate(time.at(stage.waiting[0][0]))} {coordinate(y + _WAITING)}"]
    for moment, count in stage.waiting:
        points.append(f"H{coordinate(time.at(moment))}V{coordinate(base - _WAITING * count / most)}")
    points.append(f"H{coordinate(time.right)}V{coordinate(base)}z")
    area = element("path", d="".join(points), class_="waiting", fill=f"url(#{_HATCH})")
    last = stage.waiting[-1][1]
    told = f"{last:,} of the stage {stage.name} wait, {most:,} at most. {stage.waiting_words}".rstrip(". ")
    parts = [titled(area, told), words(4, base - 4, "waiting", kind="soft small")]
    if stage.waiting_words or last:
        said = f"{last:,} wait" + (f": {stage.waiting_words}" if stage.waiting_words else "")
        limit = int((time.right - _LEFT) / _SIGN)
        ground = min(len(said), limit) * _SIGN + 8
        parts.append(element("rect", x=_LEFT + 4, y=y + 2, width=ground, height=_WAITING - 4, class_="paper"))
        parts.append(words(_LEFT + 8, base - 5, said, kind="small", limit=limit))
    return parts


def _now(time: _Time, now: datetime, top: float, bottom: float) -> list[Markup]:
    x = time.at(now)
    return [line(x, top - 6, x, bottom, "mark"), words(x, 12, "now", kind="small mid")]


def _ticks(time: _Time, top: float, bottom: float, now: datetime | None) -> Iterator[Markup]:
    """Lines at round moments; the first tells the day."""
    whole = (time.end - time.start).total_seconds()
    most = max(2, int((time.right - _LEFT) / 90))
    step = next((step for step in _STEPS if whole / step <= most), whole)
    first = -(-time.start.timestamp() // step) * step
    yield words(4, 12, f"{time.start.astimezone(UTC):%Y-%m-%d} UTC", kind="soft small")
    while first <= time.end.timestamp():
        moment = datetime.fromtimestamp(first, UTC)
        x = time.at(moment)
        yield line(x, top - 4, x, bottom, "grid")
        if x > 150 and (now is None or abs(x - time.at(now)) > 45):
            at_edge = x > _RIGHT - 30
            yield words(x, 12, _moment(moment, step), kind=f"soft {'end' if at_edge else 'mid'} small")
        first += step


def _moment(moment: datetime, step: float) -> str:
    if step >= 86_400:
        return f"{moment:%m-%d}" if step < 2_592_000 else f"{moment:%Y-%m-%d}"
    if moment.hour == moment.minute == moment.second == 0:
        return f"{moment:%m-%d}"
    return f"{moment:%H:%M:%S}" if step < 60 else f"{moment:%H:%M}"


def _legend(kinds: set[str], y: float, *, waits: bool) -> list[Markup]:
    parts, x = [], _LEFT
    for kind, told in _TOLD.items():
        if kind in kinds:
            parts.append(element("rect", x=x, y=y - 9, width=14, height=10, class_=f"bar {kind}"))
            if kind == "failed":
                parts.append(
                    element(
                        "path", d=f"M{coordinate(x + 5)} {coordinate(y - 6)}l4 4m0-4l-4 4", class_="cross"
                    )
                )
            parts.append(words(x + 19, y, told, kind="small soft"))
            x += 34 + _SIGN * len(told)
    if waits:
        parts.append(
            element("rect", x=x, y=y - 9, width=14, height=10, class_="waiting", fill=f"url(#{_HATCH})")
        )
        parts.append(words(x + 19, y, "waiting", kind="small soft"))
    return parts
