"""Where a plan is measured: on this host, or on the Ray cluster that it belongs to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from daemon.cli.screen import tell
from daemon.settings import Settings
from daemon.views.words import counted
from planner.cluster import on_ray


@contextmanager
def planning_place(settings: Settings | None) -> Iterator[None]:
    """Measure what is planned inside where the settings say; on this host where there are none.

    Raises:
        planner.errors.ClusterRefused: the cluster does not answer, or is not safe to work on.
    """
    if settings is None or settings.planning_engine == "own":
        yield
        return
    with on_ray(token_file=settings.ray_token_file) as found:
        at_once, machines = counted(found.jobs, "task"), counted(found.machines, "machine")
        tell(f"planning on a Ray cluster of {machines}, {at_once} at once")
        yield
