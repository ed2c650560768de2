"""The table of fits: what is meant by the filter, how many, and one living part for each row."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

import jinja2
from markupsafe import Markup

from daemon.pictures import sparkline
from daemon.views.curves import curve_of, sparks_of
from daemon.views.filters import FilterInvalid, parse_filter
from daemon.views.fits import OPEN_STATES, note_words, verdict
from daemon.views.words import route_words, span
from daemon.web.scene import Scene
from store.filters import FitFilter, FitPage, Order
from store.reasons import WaitingReason
from store.records import FitRow

ROWS = 100  # of a page
WORTH = {"beats_no_skill", "beats_baseline"}  # what a verdict needs
ROWS_KEPT = 4096  # rows that were made lately, kept as HTML
CHIPS = (
    ("running", ("claimed", "running"), "state:running,claimed"),
    ("failed", ("failed",), "state:failed"),
    ("ready", ("ready",), "state:ready"),
    ("succeeded", ("succeeded",), "state:succeeded"),
    ("unavailable", ("unavailable",), "state:unavailable"),
    ("cancelled", ("cancelled",), "state:cancelled"),
)
SHORT_ROUTES = {
    "ROUTE_CROSS_SECTIONAL": "CS",
    "ROUTE_SYMBOL_SPECIFIC": "symbol",
    "ROUTE_EXPERIMENTAL_ONLY": "exp.",
}  # as short as a column takes; the whole is told beside it
_STATE = re.compile(r"(?:^|\s)state:\S+", re.IGNORECASE)
_NO_FITS = FitPage(rows=(), total=0, counts={})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """How many fits are in a state, and the filter that shows them."""

    word: str
    fits: int
    q: str
    is_chosen: bool


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A fit as a line of the table, all in words; equal lines are the same HTML.

    `since` is when it came into its state, `share` how far a running one has come, in percent.
    """

    id: str
    at: str | None
    name: str
    target: str
    symbol: str
    family: str
    state: str
    held: bool
    stage: str
    route: str
    short_route: str
    priority: int
    attempt: int
    score: str
    error: str
    metric: str
    spark: tuple[float, ...]
    since: datetime | None
    note: str
    code: str
    share: float | None
    step: str


def jobs_parts(scene: Scene) -> dict[str, str]:
    """Return the parts of the table: "jobs" counts and leads on, "rows" is their order, the rest the rows."""
    where, problem = _meant(scene)
    order: Order = scene.view.order  # type: ignore[assignment]
    page = _NO_FITS
    if where is not None:
        page = scene.reader.fit_page(where, order=order, offset=scene.view.offset, limit=ROWS)
    lines = _lines(scene, page.rows)
    values = {
        "view": scene.view,
        "past": scene.past,
        "page": page,
        "problem": problem,
        "chips": _chips(scene.view.q, _counts(scene, where, page)),
        "rows": ROWS,
        "empty": not scene.plans,
    }
    parts = {"jobs": scene.site.page("parts/jobs.html", values)}
    order_of = Markup("").join(Markup('<tr id="live-row-{}"></tr>').format(line.id) for line in lines)
    parts["rows"] = Markup('<tbody id="live-rows">{}</tbody>').format(order_of)
    return parts | {f"row-{line.id}": _row(scene.site.templates, line) for line in lines}


def table_body(parts: Mapping[str, str]) -> Markup:
    """Return the rows of a table as they are shown first, from its parts."""
    rows = [text for name, text in parts.items() if name.startswith("row-")]
    return Markup('<tbody id="live-rows">' + "".join(rows) + "</tbody>")  # noqa: S704 - of our own templates


def _meant(scene: Scene) -> tuple[FitFilter | None, FilterInvalid | None]:
    try:
        return parse_filter(scene.view.q, plan=scene.view.plan), None
    except FilterInvalid as error:
        return None, error


def _lines(scene: Scene, fits: Sequence[FitRow]) -> list[Line]:
    reasons = scene.watch.reasons(fits)
    sparks = _sparks(scene, fits)
    accepted = {plan.id: plan.accepted_at for plan in scene.plans}
    at = None if scene.past is None else str(scene.past.seq)
    of_several = scene.watch.of_several
    return [
        _line(
            fit,
            reasons.get(fit.id),
            sparks.get(fit.id, ()),
            accepted.get(fit.plan_id),
            at,
            of_several=of_several,
        )
        for fit in fits
    ]


def _sparks(scene: Scene, fits: Sequence[FitRow]) -> Mapping[str, tuple[float, ...]]:
    """The course of the validation loss of each fit; what the past knew of it is asked one by one."""
    if scene.past is None:
        return sparks_of(scene.reader, fits)
    found = {}
    for fit in fits:
        if fit.step is not None:
            curve = curve_of(scene.site.reader, fit.id, until=scene.past.seq)
            found[fit.id] = tuple(value for value in curve.valid_loss if value is not None)
    return found


def _line(
    fit: FitRow,
    reason: WaitingReason | None,
    spark: tuple[float, ...],
    accepted_at: datetime | None,
    at: str | None,
    *,
    of_several: bool,
) -> Line:
    metrics = fit.metrics or {}
    score, error = metrics.get("score"), metrics.get("standard_error")
    if fit.state == "succeeded":
        note = _ended(fit)
    else:
        note = note_words(fit, None, of_several=of_several) if reason is None else reason.words
    step, share = _progress(fit)
    return Line(
        id=fit.id,
        at=at,
        name=fit.name,
        target=fit.target,
        symbol=fit.symbol or "",
        family=fit.family,
        state=fit.state,
        held=fit.held is not None,
        stage=fit.stage,
        route=fit.route,
        short_route=SHORT_ROUTES.get(fit.route, route_words(fit.route)),
        priority=fit.priority,
        attempt=fit.attempt,
        score=f"{score:+.3f}" if isinstance(score, (int, float)) else "",
        error=f"{error:.3f}" if isinstance(error, (int, float)) else "",
        metric=str(metrics.get("metric", "")),
        spark=spark,
        since=_since(fit) or accepted_at,
        note=note,
        code=reason.code if reason is not None else "",
        share=share,
        step=step,
    )


def _since(fit: FitRow) -> datetime | None:
    """When a fit came into its state, as far as its row says."""
    if fit.state in OPEN_STATES:
        return fit.started_at or fit.claimed_at
    return fit.ended_at


def _ended(fit: FitRow) -> str:
    """What there is to say of one that ended well: what it is worth, how long it took, on what."""
    worth = verdict(fit.metrics) if fit.metrics and fit.metrics.keys() >= WORTH else ""
    took = "" if fit.seconds is None else f"took {span(fit.seconds)}"
    on = f" on {fit.device_used}" if took and fit.device_used else ""
    return ", ".join(filter(None, (worth, took + on)))


def _progress(fit: FitRow) -> tuple[str, float | None]:
    if fit.state not in ("claimed", "running") or not fit.steps_total:
        return "", None
    step = max(fit.step or 0, fit.checkpoint_step or 0)
    return f"{step:,} of {fit.steps_total:,}", round(100 * min(1.0, step / fit.steps_total), 1)


def _counts(scene: Scene, where: FitFilter | None, page: FitPage) -> Mapping[str, int]:
    """How many fits are in each state, of all that the filter means but for its states."""
    if where is None or not where.states:
        return page.counts
    return scene.reader.fit_tally(dataclasses.replace(where, states=()))


def _chips(q: str, counts: Mapping[str, int]) -> list[Chip]:
    """The states there are among what is meant, each with the filter that leaves only those."""
    rest = " ".join(_STATE.sub(" ", q).split())
    chips = []
    for word, states, said in CHIPS:
        fits = sum(counts.get(state, 0) for state in states)
        is_chosen = said in q.lower().split()
        if fits or is_chosen:
            chips.append(Chip(word=word, fits=fits, q=f"{said} {rest}".strip(), is_chosen=is_chosen))
    return [Chip(word="all", fits=sum(counts.values()), q=rest, is_chosen=rest == q.strip()), *chips]


@lru_cache(maxsize=ROWS_KEPT)
def _row(templates: jinja2.Environment, line: Line) -> str:
    """A row as HTML; the same line is not made twice."""
    spark = sparkline(line.spark, label="validation loss")
    return templates.get_template("parts/row.html").render({"line": line, "spark": spark})
