"""Names of their own for models over the API: who has which, and giving one."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body, Depends, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from daemon.views.trained import promotion_document
from daemon.web import api_models
from daemon.web.access import Principal, acting
from daemon.web.api_actions import REASON, Reason, Text
from daemon.web.api_answers import ACTS, answer, told
from daemon.web.problems import Problem
from daemon.web.site import Site

# As in `daemon.views.trained.ALIAS`, said without looking ahead, which not every reader of patterns can.
ALIAS = r"^([A-Za-eg-z0-9]|f([A-Za-z0-9.-]|$))[A-Za-z0-9._-]*$"
Alias = Annotated[str, StringConstraints(pattern=ALIAS, max_length=100)]


class Naming(BaseModel):
    """Which model gets which name."""

    model_config = ConfigDict(extra="forbid")

    fit: Text = Field(description="id of the fit, or JOB/Family", examples=["cs_y_range_5d/LightGBM"])
    alias: Alias = Field(
        description="the name; a model that has it now has it no longer", examples=["range-5d"]
    )
    dry_run: bool = False
    reason: Reason = Field(default=REASON, description="recorded in the event")


NamingBody = Annotated[
    Naming,
    Body(openapi_examples={"one": {"value": {"fit": "cs_y_range_5d/LightGBM", "alias": "range-5d"}}}),
]


def naming_routes(site: Site) -> APIRouter:
    """Return the routes about names of models."""
    router = APIRouter(prefix="/models/names")
    acts = Depends(acting(site))

    @router.get("", tags=["look"], responses=told(api_models.NamedModels))
    def names() -> Response:
        """The models that have a name of their own: since when, by whom, why."""
        return answer({"models": [promotion_document(one) for one in site.reader.promotions().values()]})

    @router.post("", tags=["act"], responses=told(api_models.Promoted, problems=ACTS))
    def promote(wish: NamingBody, who: Principal = acts) -> Response:
        """Give a model a name of its own, by which it is shown, used and exported."""
        fit, held = site.reader.fit(wish.fit), site.reader.promotions().get(wish.alias)
        if fit.bundle is None:
            fix = f"/api/v1/fits/{fit.id}/why says why"
            raise Problem(409, f"{fit.name} has no model: it is {fit.state}", fix=fix)
        seq = None
        if not wish.dry_run:
            with site.store() as store:
                seq = store.promote(fit.id, wish.alias, reason=wish.reason, actor=who.name)
        return answer(
            {
                "alias": wish.alias,
                "fit": fit.name,
                "id": fit.id,
                "seq": seq,
                "before": None if held is None else held.data["model"],
                "dry_run": wish.dry_run,
            }
        )

    return router
