"""Whether the cluster that fits are given to can be reached, and trusted."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from daemon.cli.findings import FAIL, WARN, Asked, Check, Finding, found
from daemon.engine.client import RayClient
from daemon.engine.connection import Connection
from daemon.engine.dispatching import RAY, engine_faults, is_here
from daemon.engine.errors import RayRefused, RaySilent, RayUnsafe
from daemon.settings import Settings
from daemon.views.words import counted

STEP_SECONDS, WHOLE_SECONDS = 5.0, 10.0


def cluster(asked: Asked) -> Iterator[Finding]:
    """Ask the cluster what it is; nothing where fits are processes of this host."""
    settings = asked.settings
    if settings.engine != RAY:
        return
    if faults := engine_faults(settings):
        yield from (
            Finding(name="ray", state=FAIL, words=f"{one.place}: {one.problem}", fix=one.fix)
            for one in faults
        )
        return
    client = _client(settings)
    try:
        seen = client.cluster()
    except (RaySilent, RayRefused, RayUnsafe) as trouble:
        fix = trouble.fix or "is its head up, and is ray_address that of its dashboard?"
        yield Finding(name="ray", state=FAIL, words=f"{trouble.what} ({trouble.where})", fix=fix)
        return
    devices = "devices not known" if seen.gpus is None else counted(round(seen.gpus), "device")
    yield found("ray", f"{seen.version} at {client.place}, {devices}", *_troubles(settings, seen.gpus))


def _client(settings: Settings) -> RayClient:
    if settings.ray_address is None or settings.ray_token_file is None:
        raise ValueError("no cluster is named")
    connection = Connection(
        settings.ray_address,
        token_file=settings.ray_token_file,
        step_seconds=STEP_SECONDS,
        whole_seconds=WHOLE_SECONDS,
    )
    return RayClient(connection)


def _troubles(settings: Settings, gpus: float | None) -> Iterator[tuple[str, str, str]]:
    address = settings.ray_address or ""
    if urlsplit(address).scheme == "http" and not is_here(address):
        yield WARN, "its token goes in the open", "a private network, or TLS before it and https://"
    if gpus == 0 and settings.gpu_fallback == "never":
        yield WARN, "fits of the GPU stage wait for ever", 'a node with a device, or gpu_fallback = "auto"'


CHECKS: tuple[Check, ...] = (cluster,)
