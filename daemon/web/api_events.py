"""The log itself over the API: pages of JSON, or all that is there as lines."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response

from daemon.web import api_models
from daemon.web.api_answers import NDJSON, After, Limit, OfPlan, answer, lines, told
from daemon.web.problems import Problem
from daemon.web.site import Site
from store.events import EVENT_TYPES
from store.reading import Reader

PAGE = 1000
KINDS = tuple(kind.kind for kind in EVENT_TYPES)
Kinds = Annotated[
    list[str] | None, Query(alias="kind", description="only of these kinds", max_length=len(KINDS))
]
Accept = Annotated[str, Header(description=f"{NDJSON} for one event a line, up to the end of the log")]


def event_routes(site: Site) -> APIRouter:
    """Return the routes about events."""
    router = APIRouter(tags=["events"])
    both = told(api_models.Events)
    both[200]["content"][NDJSON] = {"schema": {"type": "string"}}

    @router.get("/events", responses=both)
    def events(
        after: After = 0, limit: Limit = 100, plan: OfPlan = None, kind: Kinds = None, accept: Accept = "*/*"
    ) -> Response:
        """Events in the log's order behind `after`: a page as JSON, or with `Accept` as lines to the end."""
        for one in kind or ():
            _require_kind(one)
        if plan is not None:
            site.reader.plan_row(plan)
        if NDJSON in accept:
            return lines(_all(site.reader, after, plan, kind))
        head = site.reader.head_seq()
        found = site.reader.events(after=after, limit=limit, plan=plan, kinds=kind)
        following = found[-1].seq if len(found) == limit else None
        return answer({"events": [one.to_json() for one in found], "next": following, "head": head})

    return router


def _all(
    reader: Reader, after: int, plan: str | None, kinds: Collection[str] | None
) -> Iterator[dict[str, Any]]:
    """Yield events up to what is the end of the log now."""
    last = reader.head_seq()
    while page := reader.events(after=after, limit=PAGE, plan=plan, kinds=kinds):
        yield from (one.to_json() for one in page if one.seq <= last)
        after = page[-1].seq
        if after >= last:
            return


def _require_kind(kind: str) -> None:
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1, cutoff=0.5)
        fix = f"did you mean {near[0]}?" if near else f"known are: {', '.join(KINDS)}"
        raise Problem(422, f"there is no event {kind[:100]!r}", fix=fix, nearest=near[0] if near else None)
