"""What a person should know about a service that was just installed, each with what to do."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from ipaddress import ip_address, ip_network
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from daemon.installing import below
from daemon.systemd_tools import try_tool
from daemon.units import CREDENTIAL, POSTGRES, Place, hidden_by_the_sandbox

_AWS = PurePosixPath(".aws/credentials")


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
    yield from _notes_on_hosts(place, table, root)
    if place.networked and place.home is None and table.get("inbox_users"):
        yield "under variant network the owner of a plan cannot be told: inbox_users lets nobody in"
    if place.home is not None and root == Path("/") and not _lingers():
        yield "it ends when you log out, unless: loginctl enable-linger"
    if place.home is None:
        yield "who may drop plans: usermod -aG plans NAME"


def _notes_on_hosts(place: Place, table: Mapping[str, object], root: Path) -> Iterator[str]:
    """What a host that shares its work with others needs of the network, of secrets and of folders."""
    stored = str(table.get("artefacts", ""))
    if not place.networked and _is_object_storage(stored):
        yield "the artefacts lie in object storage, which it may not speak to: --allow ADDRESS"
    if not place.networked and table.get("engine") == "ray":
        yield "the Ray cluster is reached by the network, which it may not use: --allow ADDRESS"
    if place.home is not None:
        return
    if place.networked and (barred := _barred(place, table)):
        yield f"it speaks to {', '.join(barred)}: --allow their addresses, and the name server's"
    if place.networked and stored.startswith("s3://") and not below(root, place.folder / _AWS).exists():
        yield f"credentials of S3 come from {place.folder / _AWS} (mode 600, of {place.account}) or a role"
    if place.shared is not None and not below(root, place.shared).is_dir():
        yield f"the directory of the artefacts is not there: mount it, chown {place.account} {place.shared}"
    if table.get("planning_engine") == "ray":
        yield "its scheduled plans do not see Ray, whose /tmp/ray is hidden from it: plan by hand, and drop"


def _is_object_storage(address: str) -> bool:
    return "://" in address and not address.startswith("file:")


def _barred(place: Place, table: Mapping[str, object]) -> list[str]:
    """The machines that the configuration names and no --allow does; names cannot be held against numbers."""
    if "any" in place.addresses:
        return []
    options = table.get("artefact_options")
    endpoint = options.get("endpoint_url") if isinstance(options, Mapping) else None
    stored = str(table.get("artefacts", ""))
    if _is_object_storage(stored) and not endpoint:
        endpoint = f"//the storage of {stored.partition('://')[0]}"
    database = str(table.get("database_url", ""))
    named = [database if _is_remote(database) else None, endpoint]
    named += [table.get(key) for key in ("ray_address", "webhook_url", "mlflow_uri")]
    hosts = (urlsplit(str(url)).netloc.rpartition("@")[2] for url in named if url)
    found = (_without_port(host) for several in hosts for host in several.split(","))
    return [host for host in dict.fromkeys(found) if host and not _allowed(host, place.addresses)]


def _without_port(host: str) -> str:
    return re.sub(r":\d+$", "", host).strip("[]")


def _allowed(host: str, addresses: tuple[str, ...]) -> bool:
    """Whether a machine written in numbers is this one, or among the allowed."""
    if host == "localhost":
        return True
    try:
        number = ip_address(host)
    except ValueError:
        return False
    networks = [ip_network(one, strict=False) for one in addresses if one[0] in "0123456789abcdefABCDEF:"]
    return number.is_loopback or any(number in network for network in networks)


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
