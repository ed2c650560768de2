"""A fit whose panel is not on this host is not begun here: it could only fail, and for good.

It may have been claimed before anybody looked whether its panel is here (daemon.missing_panels).
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from daemon.holding import actor_of
from daemon.workplace import FitPlaces
from executors.contract import FitSpec
from store.events import FitReleased
from store.plan_store import PlanStore
from store.records import Claim

T = TypeVar("T")


class PanelAway(FileNotFoundError):
    """The panel of a fit is not on this host."""

    def __init__(self, path: str) -> None:
        super().__init__(errno.ENOENT, "its panel is not on this host", path)

    def __str__(self) -> str:
        """Return the sentence, as a pause says it."""
        return f"{self.strerror} ({self.filename})"


def only_with_panel(begin: Callable[[FitSpec, FitPlaces], T]) -> Callable[[FitSpec, FitPlaces], T]:
    """Return what begins a fit as `begin` does, but raises PanelAway where its panel is not here."""

    def checked(spec: FitSpec, places: FitPlaces) -> T:
        if spec.panel_key and not spec.panel_path.is_dir():
            raise PanelAway(str(spec.panel_path))
        return begin(spec, places)

    return checked


def put_back(store: PlanStore, claim: Claim, host: str, away: PanelAway) -> None:
    """Pause the plan on this host until its panel is here, then give the fit back for others to do.

    Raises:
        LeaseLost: somebody else has the fit.
        DatabaseUnavailable: the event log does not answer.
    """
    store.pause(plan=claim.plan_id, host=host, reason=str(away), actor=actor_of(host))
    saved = None if claim.checkpoint is None else claim.checkpoint.step
    store.released(claim, FitReleased(cause=str(away), step=saved))
