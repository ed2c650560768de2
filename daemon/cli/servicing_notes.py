"""What a person should know about a service that was just installed, each with what to do."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from daemon.installing import below
from daemon.systemd_tools import try_tool
from daemon.units import CREDENTIAL, POSTGRES, Place, hidden_by_the_sandbox


def lacks_credential(place: Place, root: Path) -> bool:
    """Whether the address of the event log must be there as a secret, and is not."""
    return POSTGRES in place.variants and not below(root, CREDENTIAL).exists()


def notes_on(place: Place, config: Mapping[str, object], root: Path) -> Iterator[str]:
    """Yield what stands between the service as it was asked for and one that works."""
    table = config.get("daemon")
    table = table if isinstance(table, Mapping) else {}
    yield from _temporary(place)
    if root == Path("/") and place.home is None:
        yield from _unreadable(place)
    if lacks_credential(place, root):
        yield f"it cannot start without the log's address: install -m 600 /dev/stdin {CREDENTIAL}"
    if not place.networked and _is_remote(str(table.get("database_url", ""))):
        yield "the event log is on another machine, which it may not speak to: --allow ADDRESS"
    if not place.networked and table.get("webhook_url"):
        yield "the webhook is on another machine, which it may not speak to: --allow ADDRESS"
    if not place.networked and str(table.get("mlflow_uri", "")).startswith("http"):
        yield "the tracking server is reached by the network, which it may not use: --allow ADDRESS"
    if place.networked and place.home is None and table.get("inbox_users"):
        yield "under variant network the owner of a plan cannot be told: inbox_users lets nobody in"
    if place.home is not None and root == Path("/") and not _lingers():
        yield "it ends when you log out, unless: loginctl enable-linger"
    if place.home is None:
        yield "who may drop plans: usermod -aG plans NAME"


def _temporary(place: Place) -> Iterator[str]:
    for path in (place.program, place.folder):
        if any(path.is_relative_to(above) for above in ("/tmp", "/var/tmp", "/run")):  # noqa: S108 (refused)
            yield f"{path} does not outlive a reboot"


def _unreadable(place: Place) -> Iterator[str]:
    """Paths that the account cannot reach, because everybody else is kept out of them."""
    for path in place.shown:
        above = [] if hidden_by_the_sandbox(path) else path.parents  # bound into empty folders otherwise
        for step in (path, *above):
            if (closed := _closed(step)) is not None:
                yield f"{place.account} cannot read {path}: chmod o+rx {closed}"
                break


def _closed(path: PurePosixPath) -> PurePosixPath | None:
    """The path if only its owner and group may enter it."""
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 (a path of the machine)
    except OSError:
        return None
    return path if stat.S_ISDIR(mode) and not mode & stat.S_IXOTH else None


def _is_remote(url: str) -> bool:
    """Whether an event log is reached over the network: Postgres with a host that is no socket's folder."""
    if not url.startswith("postgres"):
        return False
    place, _, query = url.partition("://")[2].partition("?")
    host = place.partition("/")[0].rpartition("@")[2]
    return bool(host) and not host.startswith("%2F") and "host=/" not in query


def _lingers() -> bool:
    return "Linger=yes" in try_tool("loginctl", "show-user", str(os.getuid()), "--property=Linger")
