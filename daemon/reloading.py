"""Reading the configuration again while the daemon works: what holds at once, and what needs a restart."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import structlog

from daemon.duty import Reloadable
from daemon.errors import SettingsInvalid
from daemon.settings import Settings

log = structlog.get_logger("reloading")

Reread = Callable[[], Settings]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reloaded:
    """What came of it: the settings that hold now, which of them changed, which wait, or what is wrong."""

    settings: Settings
    changed: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()
    problem: str = ""


def reloaded(
    settings: Settings, reread: Reread | None, parts: Sequence[object], *, own: frozenset[str] = frozenset()
) -> Reloaded:
    """Read the configuration again and hand what changed to the parts that take it.

    A setting holds at once when some part says so by its `live`, or when it is the caller's `own`. Settings
    that cannot be worked with change nothing, all of them together.
    """
    if reread is None:
        return Reloaded(settings=settings, problem="this daemon was started without a configuration to read")
    try:
        found = reread()
    except SettingsInvalid as error:
        return Reloaded(settings=settings, problem=str(error))
    takers = [part for part in parts if isinstance(part, Reloadable)]
    live = own.union(*(part.live for part in takers))
    names = [field.name for field in dataclasses.fields(Settings)]
    different = [name for name in names if getattr(settings, name) != getattr(found, name)]
    changed = tuple(name for name in different if name in live)
    now = dataclasses.replace(settings, **{name: getattr(found, name) for name in changed})
    if changed:
        for part in takers:
            part.reload(now)
    return Reloaded(
        settings=now, changed=changed, restart_needed=tuple(name for name in different if name not in live)
    )
