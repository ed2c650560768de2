"""What a screen is told of fits in a cluster: read from the log, for nobody here has heard them."""

from __future__ import annotations

import structlog

from daemon.admission import plan_row
from daemon.dispatcher import output_of
from daemon.engine.flight import EngineRun
from daemon.news import FitEnded, PlanFinished, Tell
from daemon.settings import Settings
from daemon.workplace import Workplace
from store.errors import StoreError
from store.plan_store import PlanStore
from store.records import FitRow

log = structlog.get_logger("engine")

_OUTCOMES = {"succeeded": "succeeded", "failed": "failed"}


class EngineTelling:
    """Tells how fits ended, and plans."""

    def __init__(self, settings: Settings, store: PlanStore, tell: Tell) -> None:
        self._settings, self._store, self._tell = settings, store, tell

    def reload(self, settings: Settings) -> None:
        """Name places by these settings from now on."""
        self._settings = settings

    def ended(self, run: EngineRun) -> None:
        """Tell how a fit ended that was in the cluster; nothing where the log does not answer."""
        try:
            row = self._store.reading.fit(run.fit_id)
            self._tell(self._news(row))
            self._notice_plan(row.plan_id)
        except StoreError as error:
            log.warning("nobody was told of the end of a fit", fit=run.fit_id, cause=str(error))

    def _news(self, row: FitRow) -> FitEnded:
        place = Workplace.of(self._settings)
        plan = plan_row(self._store, row.plan_id)
        places = place.fit_places(
            output=output_of(plan.data if plan else {}, row.plan_id),
            plan_id=row.plan_id,
            fit_id=row.id,
            job_id=row.job_id,
            family=row.family,
            attempt=row.attempt,
        )
        waits = "retrying" if row.cause and row.state == "ready" else "released"
        return FitEnded(
            fit=row.id,
            name=row.name,
            stage=row.stage,
            attempt=row.attempt,
            outcome=_OUTCOMES.get(row.state, waits if row.state == "ready" else "lost"),
            sentence=row.sentence or "",
            where=row.place or "",
            seconds=row.seconds or 0.0,
            metrics=row.metrics or {},
            bundle=places.bundle if row.state == "succeeded" else None,
            log=places.log,
        )

    def _notice_plan(self, plan_id: str) -> None:
        row = plan_row(self._store, plan_id)
        if row is None or row.open:
            return
        log.info("plan completed", plan=plan_id, succeeded=row.succeeded, failed=row.failed)
        self._tell(
            PlanFinished(
                plan_id=plan_id,
                succeeded=row.succeeded,
                failed=row.failed,
                unavailable=row.unavailable,
                cancelled=row.cancelled,
                output=Workplace.of(self._settings).output_dir / output_of(row.data, plan_id),
            )
        )
