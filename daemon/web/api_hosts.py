"""What may be done to hosts over the API: drain, return, remove; each is an event with its actor."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from daemon.host_changes import drain, remove, take_back_host
from daemon.web import api_models
from daemon.web.access import Principal, acting
from daemon.web.api_actions import REASON, Reason
from daemon.web.api_answers import ACTS, NAME, NAME_LENGTH_MAX, answer, told
from daemon.web.site import Site

HostName = Annotated[
    str,
    Path(description="name of a host", pattern=NAME, max_length=NAME_LENGTH_MAX, examples=["trainer-2"]),
]


class HostWish(BaseModel):
    """Why it is done, and whether it is."""

    model_config = ConfigDict(extra="forbid")

    reason: Reason = Field(default=REASON, description="recorded in the event")
    dry_run: bool = Field(default=False, description="say what would be done and do nothing")


class DrainWish(HostWish):
    """How a host is to drain."""

    reason: Reason = Field(default="", description="told in status and why")
    give_back: bool = Field(
        default=False, description="fits at work there are given back, to go on elsewhere"
    )


class RemoveWish(HostWish):
    """How a host is to be removed."""

    force: bool = Field(default=False, description="also where it may be at work")


DrainBody = Annotated[
    DrainWish, Body(openapi_examples={"disk": {"value": {"reason": "a new disk", "give_back": True}}})
]
ReturnBody = Annotated[HostWish, Body(openapi_examples={"back": {"value": {"reason": "the disk is in"}}})]
RemoveBody = Annotated[RemoveWish, Body(openapi_examples={"sold": {"value": {"reason": "it is sold"}}})]


def host_routes(site: Site) -> APIRouter:
    """Return the routes of the words about hosts."""
    router = APIRouter(prefix="/hosts/{host}", tags=["act"])
    acts = Depends(acting(site))
    answers = told(api_models.HostChanged, problems=ACTS)

    @router.post("/drain", responses=answers)
    def drain_host(host: HostName, wish: DrainBody, who: Principal = acts) -> Response:
        """Let a host claim nothing more until it is returned, also after a restart of its daemon."""
        said = {"reason": wish.reason, "actor": who.name}
        with site.store() as store:
            change = drain(store, host, give_back=wish.give_back, dry_run=wish.dry_run, **said)
        return answer(change.document)

    @router.post("/return", responses=answers)
    def return_host(host: HostName, wish: ReturnBody, who: Principal = acts) -> Response:
        """Let a host that drains claim again."""
        with site.store() as store:
            change = take_back_host(store, host, reason=wish.reason, actor=who.name, dry_run=wish.dry_run)
        return answer(change.document)

    @router.post("/remove", responses=answers)
    def remove_host(host: HostName, wish: RemoveBody, who: Principal = acts) -> Response:
        """Forget a host that is gone for good, until its daemon starts again, and take back what it has."""
        said = {"reason": wish.reason, "actor": who.name}
        with site.store() as store:
            change = remove(store, host, force=wish.force, dry_run=wish.dry_run, **said)
        return answer(change.document)

    return router
