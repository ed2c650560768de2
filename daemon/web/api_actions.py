"""What may be done to fits over the API: cancel, retry, hold, release. Each is an event with its actor."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from daemon.interventions import Choice, carry_out, chosen
from daemon.views.filters import parse_filter
from daemon.web import api_examples, api_models
from daemon.web.access import Principal, acting
from daemon.web.api_answers import ACTS, NAME, NAME_LENGTH_MAX, answer, told
from daemon.web.api_keys import IdempotencyKey, Keys
from daemon.web.problems import Problem
from daemon.web.site import Site
from store.interventions import Word
from store.records import FitRow

REASON = "asked for over the API"
NAMES_MAX = 10_000

Text = Annotated[str, StringConstraints(pattern=NAME, max_length=NAME_LENGTH_MAX)]
Reason = Annotated[str, StringConstraints(pattern=r"^[^\x00]*$", max_length=1000)]


class Wish(BaseModel):
    """Which fits are meant, and why."""

    model_config = ConfigDict(extra="forbid")

    names: list[Text] = Field(
        default=[],
        max_length=NAMES_MAX,
        description="ids of fits, JOB/Family, or ids of jobs",
        examples=[["cs_y_range_5d/LSTM"]],
    )
    q: Annotated[str, StringConstraints(pattern=r"\S", max_length=2000)] | None = Field(
        default=None, description="a filter: the whole match is meant", examples=["state:failed family:lstm"]
    )
    plan: Text | None = Field(
        default=None, description="only of this plan; alone: all its fits", examples=["p_309b288707714519"]
    )
    dry_run: bool = Field(default=False, description="say what would be done and do nothing")
    reason: Reason = Field(default=REASON, description="recorded in each event")


PLAN = api_examples.PLAN
_WISHES = {
    "failed": {
        "summary": "all failed fits of a plan",
        "value": {"q": "state:failed", "plan": "p_309b288707714519"},
    },
    "named": {"summary": "some by name", "value": {"names": ["cs_y_range_5d/LSTM"], "reason": "not now"}},
    "rehearsed": {"summary": "what would it be?", "value": {"q": "target:y_* state:open", "dry_run": True}},
}
WishBody = Annotated[Wish, Body(openapi_examples=_WISHES)]


def action_routes(site: Site) -> APIRouter:
    """Return the routes of the words about fits."""
    router = APIRouter(prefix="/fits", tags=["act"])
    keys, acts = Keys(), Depends(acting(site))
    words: dict[Word, str] = {
        "cancel": "Cancel fits that have not ended; a running one is ended.",
        "retry": "Make fits ready again that failed, were cancelled or not available.",
        "hold": "Hold fits back from being started; a running one goes on.",
        "release": "Lift the hold on fits.",
    }
    for word, summary in words.items():
        _route(router, site, keys, acts, word, summary)
    return router


def _route(router: APIRouter, site: Site, keys: Keys, acts: Any, word: Word, summary: str) -> None:  # noqa: ANN401
    @router.post(
        f"/{word}",
        summary=summary,
        operation_id=f"{word}_fits",
        responses=told(api_models.Acted, problems=ACTS),
    )
    def act(wish: WishBody, key: IdempotencyKey = None, who: Principal = acts) -> Response:
        """Every fit is answered with why it was done, or why not; what is said twice is done once."""
        if not wish.names and wish.q is None and wish.plan is None:
            raise Problem(422, "no fit is named", fix="give names, q or plan; q 'plan:*' means all there are")
        kept_under = None if key is None else f"{who.name} {key}"
        asked = f"{word} {wish.model_dump_json()}"
        return keys.once(kept_under, asked, lambda: _act(site, word, wish, who, kept_under))


def _act(site: Site, word: Word, wish: Wish, who: Principal, key: str | None) -> Response:
    where = None if wish.q is None else parse_filter(wish.q, plan=wish.plan)
    choices = chosen(site.reader, word, names=wish.names, plan=wish.plan, where=where)
    done: Iterable[FitRow] = [one.fit for one in choices if one.applies]
    passed: Iterable[Choice] = [one for one in choices if not one.applies]
    if not wish.dry_run:
        with site.store() as store:
            carried = carry_out(store, word, choices, reason=wish.reason, actor=who.name, key=key)
        done, passed = carried.done, carried.passed
    because = {one.fit.id: one.because for one in choices}
    return answer(
        {
            "word": word,
            "dry_run": wish.dry_run,
            "reason": wish.reason,
            "actor": who.name,
            "done": [_fit(fit, because[fit.id]) for fit in done],
            "passed": [_fit(one.fit, one.because) for one in passed],
        }
    )


def _fit(fit: FitRow, because: str) -> dict[str, str]:
    return {"id": fit.id, "name": fit.name, "plan": fit.plan_id, "state": fit.state, "because": because}
