"""The way from targets over their features and routes to jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from daemon.pictures.drawing import (
    NOTHING,
    coordinate,
    element,
    joined,
    picture,
    titled,
    words,
)

NO_ROUTE = "not trained"
_WIDTH = 960.0
_LABEL_END, _FEATURES, _LEAVE = 200.0, 212.0, 372.0
_ROUTE, _ROUTE_WIDTH = 520.0, 150.0
_JOBS, _JOBS_WIDTH = 772.0, 176.0
_ROW, _NODE, _TOP = 22.0, 40.0, 26.0
_SIGNS = 27
_THICKEST = 9.0
_KINDS = 4  # colours of routes; what is not trained has its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One target: its features, and its jobs by (route, kind of job) in words.

    `features` of `features_known` were chosen, where that was told; `blocked` of them know the future. A
    target without a job ends at "not trained".
    """

    label: str
    jobs: Mapping[tuple[str, str], int]
    features: int | None = None
    features_known: int | None = None
    blocked: int = 0
    title: str = ""
    href: str = ""


@dataclass(frozen=True, slots=True)
class _Node:
    """A box that ways lead to: where it stands, how many arrive, what is written in it."""

    y: float
    kind: str
    arrive: int

    def door(self, place: int) -> float:
        """Where the way of this number arrives."""
        return self.y + _NODE * (place + 1) / (self.arrive + 1)


def routes(ways: Sequence[Way], *, limit: int = 24, label: str = "from targets to jobs") -> Markup:
    """Targets at the left, their features, the routes they took, the jobs they became; nothing without any.

    Of more than `limit` targets those that are trained come first, and the rest is one line.
    """
    shown = sorted(ways, key=lambda way: not way.jobs)[:limit]
    if not shown:
        return NOTHING
    rest = list(ways)
    for way in shown:
        rest.remove(way)
    lines = [*shown, *([_summed(rest)] if rest else [])]
    flows = [
        (place, route, kind, count) for place, way in enumerate(lines) for route, kind, count in _flows(way)
    ]
    by_route = list(dict.fromkeys(route for _, route, _, _ in flows))
    by_route.sort(key=lambda route: route == NO_ROUTE)
    by_kind = list(dict.fromkeys(kind for _, route, kind, _ in flows if route != NO_ROUTE))
    height = max(len(lines) * _ROW, (max(len(by_route), len(by_kind))) * (_NODE + 14)) + _TOP
    names = {name: f"r{place % _KINDS + 1}" for place, name in enumerate(by_route)} | {NO_ROUTE: "none"}
    route_nodes = _nodes(by_route, names, Counter(route for _, route, _, _ in flows), height)
    onward = Counter((route, kind) for _, route, kind, _ in flows if route != NO_ROUTE)
    job_nodes = _nodes(by_kind, dict.fromkeys(by_kind, "r1"), Counter(kind for _, kind in onward), height)
    parts = [*_heads(), *_ways(flows, lines, route_nodes, height), *_onward(onward, route_nodes, job_nodes)]
    parts += [_row(way, _row_y(place, len(lines), height)) for place, way in enumerate(lines)]
    parts += _boxes(flows, route_nodes, job_nodes, {name: _targets(ways, name) for name in by_route})
    trained = sum(bool(way.jobs) for way in ways)
    jobs = sum(count for way in ways for count in way.jobs.values())
    told = f"{label}: {len(ways)} targets, {trained} of them trained, {jobs} jobs"
    return picture("flows wide", (_WIDTH, height + 6), told, parts)


def _summed(rest: Sequence[Way]) -> Way:
    """Many targets as one line."""
    jobs: Counter[tuple[str, str]] = Counter()
    for way in rest:
        jobs.update(way.jobs)
    untrained = sum(not way.jobs for way in rest)
    said = f"{untrained:,} of them are not trained" if jobs and untrained else ""
    return Way(label=f"and {len(rest):,} more", jobs=jobs, title=said)


def _flows(way: Way) -> list[tuple[str, str, int]]:
    return [(route, kind, count) for (route, kind), count in way.jobs.items()] or [(NO_ROUTE, "", 0)]


def _row_y(place: int, count: int, height: float) -> float:
    return _TOP + (height - _TOP) * (place + 0.5) / count


def _nodes(
    names: Sequence[str], kinds: Mapping[str, str], arrive: Mapping[str, int], height: float
) -> dict[str, _Node]:
    """The boxes of a column, evenly down the picture."""
    step = (height - _TOP) / max(1, len(names))
    return {
        name: _Node(_TOP + step * (place + 0.5) - _NODE / 2, kinds[name], arrive[name])
        for place, name in enumerate(names)
    }


def _heads() -> list[Markup]:
    return [
        words(_LABEL_END, 12, "target", kind="head end"),
        words(_FEATURES, 12, "features chosen", kind="head"),
        words(_ROUTE, 12, "route", kind="head"),
        words(_JOBS, 12, "jobs", kind="head"),
    ]


def _ways(
    flows: Sequence[tuple[int, str, str, int]],
    lines: Sequence[Way],
    nodes: Mapping[str, _Node],
    height: float,
) -> list[Markup]:
    """The lines from the targets to their routes."""
    parts, seen = [], Counter[str]()
    most = max((count for *_, count in flows), default=1) or 1
    for place, route, _, count in flows:
        node = nodes[route]
        start, end = _row_y(place, len(lines), height), node.door(seen[route])
        seen[route] += 1
        parts.append(_curve(_LEAVE, start, _ROUTE, end, node.kind, count / most))
    return parts


def _onward(
    onward: Mapping[tuple[str, str], int], routes: Mapping[str, _Node], jobs: Mapping[str, _Node]
) -> list[Markup]:
    """The lines from the routes to the kinds of jobs."""
    parts, seen = [], Counter[str]()
    most = max(onward.values(), default=1)
    for (route, kind), count in onward.items():
        node, goal = routes[route], jobs[kind]
        end = goal.door(seen[kind])
        seen[kind] += 1
        parts.append(_curve(_ROUTE + _ROUTE_WIDTH, node.y + _NODE / 2, _JOBS, end, node.kind, count / most))
    return parts


def _curve(x1: float, y1: float, x2: float, y2: float, kind: str, share: float) -> Markup:
    middle = coordinate((x1 + x2) / 2)
    start, end = f"{coordinate(x1)} {coordinate(y1)}", f"{coordinate(x2)} {coordinate(y2)}"
    path = f"M{start}C{middle} {coordinate(y1)} {middle} {coordinate(y2)} {end}"
    width = 1.5 + (_THICKEST - 1.5) * share**0.5 if kind != "none" else 1.2
    return element("path", d=path, class_=f"flow {kind}", stroke_width=width)


def _row(way: Way, y: float) -> Markup:
    parts = [words(_LABEL_END, y + 4, way.label, kind="end", limit=_SIGNS, href=way.href)]
    x = _FEATURES
    if way.features is not None:
        told = f"{way.features}" + (f" of {way.features_known}" if way.features_known else "")
        if way.features_known:
            share = min(1.0, way.features / way.features_known)
            parts.append(element("rect", x=x, y=y - 4, width=50, height=8, class_="empty"))
            parts.append(element("rect", x=x, y=y - 4, width=max(1.0, 50 * share), height=8, class_="f1"))
            x += 56
        told += f", {way.blocked} leak{'' if way.blocked == 1 else 's'}" if way.blocked else ""
        parts.append(words(x, y + 4, told, kind="small soft", limit=20))
    return titled(joined(parts), f"{way.label}. {way.title}".rstrip(". ")) if way.title else joined(parts)


def _boxes(
    flows: Sequence[tuple[int, str, str, int]],
    routes: Mapping[str, _Node],
    jobs: Mapping[str, _Node],
    targets: Mapping[str, str],
) -> list[Markup]:
    parts: list[Markup] = []
    for name, node in routes.items():
        parts += _box(_ROUTE, _ROUTE_WIDTH, node, name, targets[name])
    for name, node in jobs.items():
        count = sum(count for _, route, kind, count in flows if kind == name and route != NO_ROUTE)
        parts += _box(_JOBS, _JOBS_WIDTH, node, name, f"{count:,} job{'' if count == 1 else 's'}")
    return parts


def _targets(ways: Sequence[Way], name: str) -> str:
    """How many targets took a route."""
    count = sum(name in {route for route, _, _ in _flows(way)} for way in ways)
    return f"{count:,} target{'' if count == 1 else 's'}"


def _box(x: float, width: float, node: _Node, head: str, told: str) -> list[Markup]:
    box = element("rect", x=x, y=node.y, width=width, height=_NODE, rx=4, class_=f"node {node.kind}")
    fits = int((width - 16) / 7)
    return [
        box,
        words(x + 8, node.y + 17, head, limit=fits),
        words(x + 8, node.y + 32, told, kind="small soft"),
    ]
