"""Where the fits of a host run: its own processes, or the cluster that its settings name."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from daemon.dispatcher import Dispatcher
from daemon.engine.client import RayClient
from daemon.engine.connection import Connection
from daemon.engine.dispatcher import EngineDispatcher
from daemon.errors import Fault, SettingsInvalid
from daemon.settings import Settings

AnyDispatcher = Dispatcher | EngineDispatcher
RAY = "ray"


def dispatching(settings: Settings) -> Callable[..., AnyDispatcher]:
    """Return what makes the dispatcher of a host with these settings.

    Raises:
        SettingsInvalid: fits shall run on a cluster that is not named, or that could not reach the log.
    """
    if settings.engine != RAY:
        return Dispatcher
    if faults := engine_faults(settings):
        raise SettingsInvalid(faults)
    making: Callable[..., Any] = partial(EngineDispatcher, client=client_of(settings))
    return making


def client_of(settings: Settings) -> RayClient:
    """Return what asks the cluster of these settings; nothing is asked yet."""
    if settings.ray_address is None or settings.ray_token_file is None:
        raise SettingsInvalid(engine_faults(settings))
    return RayClient(Connection(settings.ray_address, token_file=settings.ray_token_file))


def engine_faults(settings: Settings) -> list[Fault]:
    """Return what is wrong with the settings of a cluster, of those that can be seen without asking it."""
    faults = []
    if settings.ray_address is None:
        fix = "write where the cluster takes jobs: http://HOST:8265"
        faults.append(Fault(place="[daemon] ray_address", problem='missing with engine = "ray"', fix=fix))
    if settings.ray_token_file is None:
        fix = (
            "write a file with the cluster's token: a cluster without one runs the code of whoever reaches it"
        )
        faults.append(Fault(place="[daemon] ray_token_file", problem='missing with engine = "ray"', fix=fix))
    is_away = settings.ray_address is not None and not is_here(settings.ray_address)
    if is_away and settings.database_url.startswith("sqlite"):
        fix = "write a postgresql:// address: nodes of another machine cannot reach a file on this one"
        faults.append(Fault(place="[daemon] database_url", problem="is a file of this machine", fix=fix))
    return faults


def is_here(address: str) -> bool:
    """Whether an address is one of this machine alone."""
    name = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
