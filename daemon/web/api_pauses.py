"""Pauses over the API: what is not started, from when until when; each is an event with its actor."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from daemon.web import api_models
from daemon.web.access import Principal, acting
from daemon.web.api_actions import REASON, Reason, Text
from daemon.web.api_answers import ACTS, NAME, NAME_LENGTH_MAX, answer, told
from daemon.web.api_looking import pause_document
from daemon.web.problems import Problem
from daemon.web.site import Site
from store.moments import moment_of
from store.records import PauseRow

Stage = Literal["cpu", "gpu"]
ScopeText = Annotated[str | None, Query(pattern=NAME, max_length=NAME_LENGTH_MAX)]


class PauseWish(BaseModel):
    """What shall not be started; at least one of plan, stage and host, or all."""

    model_config = ConfigDict(extra="forbid")

    plan: Text | None = None
    stage: Stage | None = None
    host: Text | None = None
    all: bool = Field(default=False, description="all work")
    dry_run: bool = False
    reason: Reason = REASON


PauseBody = Annotated[
    PauseWish, Body(openapi_examples={"gpu": {"value": {"stage": "gpu", "reason": "the card is needed"}}})
]


def pause_routes(site: Site) -> APIRouter:
    """Return the routes that pause and resume work."""
    router = APIRouter(prefix="/pauses", tags=["act"])
    acts = Depends(acting(site))

    @router.post("", responses=told(api_models.Paused, problems=ACTS))
    def pause(wish: PauseBody, who: Principal = acts) -> Response:
        """Start nothing more of a plan, of a stage, on a host, or at all; running fits go on."""
        scope = _scope(wish.plan, wish.stage, wish.host, everything=wish.all)
        if wish.plan is not None:
            site.reader.plan_row(wish.plan)
        known = [one for one in site.reader.pauses() if _is_scope(one, scope)]
        if not known and not wish.dry_run:
            with site.store() as store:
                store.pause(**scope, reason=wish.reason, actor=who.name)
            known_now = [one for one in site.reader.pauses() if _is_scope(one, scope)]
        else:
            known_now = known
        now = moment_of(site.reader.now())
        wanted = PauseRow(**scope, reason=wish.reason, at=now, actor=who.name)
        found = pause_document((known_now or [wanted])[0])
        return answer({"pause": found, "already": bool(known), "dry_run": wish.dry_run})

    @router.delete("", responses=told(api_models.Resumed, problems=ACTS))
    def resume(
        plan: ScopeText = None,
        stage: Annotated[Stage | None, Query()] = None,
        host: ScopeText = None,
        all: Annotated[bool, Query(description="every pause there is")] = False,  # noqa: A002 - its name there
        dry_run: Annotated[bool, Query()] = False,
        who: Principal = acts,
    ) -> Response:
        """End the pause of exactly this plan, stage or host, or every one; `still` are those that stay."""
        scope = _scope(plan, stage, host, everything=all)
        pauses = site.reader.pauses()
        ended = [one for one in pauses if all or _is_scope(one, scope)]
        if ended and not dry_run:
            with site.store() as store:
                for one in ended:
                    store.resume(plan=one.plan, stage=one.stage, host=one.host, reason=REASON, actor=who.name)
        still = [pause_document(one) for one in pauses if one not in ended]
        return answer({"ended": [pause_document(one) for one in ended], "still": still, "dry_run": dry_run})

    return router


def _scope(
    plan: str | None, stage: str | None, host: str | None, *, everything: bool
) -> dict[str, str | None]:
    """Return what a pause is about; raises Problem when nothing, or all and a part, was named."""
    if everything == any(part is not None for part in (plan, stage, host)):
        raise Problem(422, "it is not said what is meant", fix="name a plan, a stage or a host, or say all")
    return {"plan": plan, "stage": stage, "host": host}


def _is_scope(pause: PauseRow, scope: dict[str, str | None]) -> bool:
    return {"plan": pause.plan, "stage": pause.stage, "host": pause.host} == scope
