"""All that the daemon does beside training, put together."""

from __future__ import annotations

from pathlib import Path

from daemon.conditions import Conditions
from daemon.draining import Draining
from daemon.duty import Duty
from daemon.host import Host
from daemon.missing_panels import MissingPanels
from daemon.schedule import Schedule
from daemon.schedule_state import Sharing
from daemon.sealing import Sealer
from daemon.serving import Serving
from daemon.settings import Settings
from daemon.sweeping import Sweeping
from daemon.telling import Telling
from daemon.tracking import Tracking
from store.plan_store import PlanStore
from store.residence import NoResidence, Residence


def all_duties(
    settings: Settings,
    store: PlanStore,
    host: Host,
    *,
    residence: Residence | None = None,
    config: Path | None,
    pages: bool,
) -> tuple[Duty, ...]:
    """Return the duties in the order in which they stop: the last one tells what the others said.

    A daemon that only drains its queue serves no `pages`: it would be gone before they are read. What one
    host does for all that work on the log is asked for at its `residence`; without one it is this host.
    """
    timetable, identity = host.timetable, host.identity
    place = residence or NoResidence()
    telling = Telling(settings, store, identity, residence=place)
    sharing = Sharing(store=store, residence=place, host=identity.host, worker=identity.worker)
    return (
        Draining(settings, store, host),
        MissingPanels(settings, store, timetable, identity.host, keeper=host.keeper),
        Conditions(settings, store, timetable, identity.host),
        Sweeping(settings, store, host),
        Schedule(settings, host.bell, config=config, tell=telling.say, sharing=sharing),
        Sealer(settings.database_url, settings.results_dir, timetable, residence=place),
        Tracking(settings, config=config, residence=place),
        *((Serving(settings, config=config),) if pages else ()),
        telling,
    )
