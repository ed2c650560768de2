"""All that the daemon does beside training, put together."""

from __future__ import annotations

from pathlib import Path

from daemon.conditions import Conditions
from daemon.duty import Duty
from daemon.host import Host
from daemon.missing_panels import MissingPanels
from daemon.schedule import Schedule
from daemon.sealing import Sealer
from daemon.serving import Serving
from daemon.settings import Settings
from daemon.telling import Telling
from daemon.tracking import Tracking
from store.plan_store import PlanStore


def all_duties(
    settings: Settings, store: PlanStore, host: Host, *, config: Path | None, pages: bool
) -> tuple[Duty, ...]:
    """Return the duties in the order in which they stop: the last one tells what the others said.

    A daemon that only drains its queue serves no `pages`: it would be gone before they are read.
    """
    timetable, identity = host.timetable, host.identity
    telling = Telling(settings, store, identity)
    return (
        MissingPanels(settings, store, timetable, identity.host),
        Conditions(settings, store, timetable, identity.host),
        Schedule(settings, host.bell, config=config, tell=telling.say),
        Sealer(settings.database_url, settings.results_dir, timetable),
        Tracking(settings, config=config),
        *((Serving(settings, config=config),) if pages else ()),
        telling,
    )
