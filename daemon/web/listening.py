"""Where the page listens, and under which names it may be asked for."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Collection
from dataclasses import dataclass

from daemon.errors import Fault, SettingsInvalid
from daemon.settings import WEB_LISTEN, Settings

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_UNIX = "unix:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """An address to listen at: a TCP host and port, or the path of a Unix socket."""

    host: str = ""
    port: int = 0
    path: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only processes of this machine can reach it."""
        if self.path is not None or self.host == "localhost":
            return True
        address = address_of(self.host)
        return address is not None and address.is_loopback

    @property
    def words(self) -> str:
        """The address as a person types it."""
        if self.path is not None:
            return f"{_UNIX}{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/"


def listening_at(text: str | None) -> Listening:
    """Return the address that `web_listen` says; None means where it is by default."""
    said = text or WEB_LISTEN
    if said.startswith(_UNIX):
        return Listening(path=said.removeprefix(_UNIX))
    host, _, port = said.rpartition(":")
    return Listening(host=host.removeprefix("[").removesuffix("]"), port=int(port))


def listening_on(bound: socket.socket) -> Listening:
    """Return the address of a socket that listens already."""
    name = bound.getsockname()
    if bound.family == socket.AF_UNIX:
        return Listening(path=name if isinstance(name, str) else name.decode(errors="replace"))
    return Listening(host=str(name[0]), port=int(name[1]))


def require_token(settings: Settings, where: Collection[Listening]) -> None:
    """Raise SettingsInvalid where others could reach the page and nobody asks them for a token."""
    far = next((one for one in where if not one.is_local), None)
    if far is None or settings.web_token_file or settings.web_read_token_file:
        return
    fix = "set web_token_file to a file with a token, or listen at 127.0.0.1:8765"
    problem = "others could reach the page and nothing asks them for a token"
    raise SettingsInvalid([Fault(place=f"web_listen = {far.words}", problem=problem, fix=fix)])


def names_of(settings: Settings, where: Collection[Listening]) -> frozenset[str]:
    """Return the names in lower case that a request may ask for the page by."""
    own = socket.gethostname().lower()
    bound = {one.host.lower() for one in where if one.host}
    given = {name.lower().removeprefix("[").removesuffix("]") for name in settings.web_names}
    return frozenset(LOOPBACK_NAMES | {own, own.partition(".")[0]} | bound | given)


def may_be_asked_for(host: str, names: Collection[str], where: Collection[Listening]) -> bool:
    """Whether a Host header names us: a foreign name that leads here is an attack by DNS rebinding.

    Numbers are nobody's name: where the page listens beyond this machine they are taken as they are.
    """
    if all(one.path is not None for one in where):
        return True  # no browser of another site reaches a Unix socket; beside a port the names count
    name = host_name(host)
    if name in names:
        return True
    return address_of(name) is not None and not all(one.is_local for one in where)


def host_name(host: str) -> str:
    """Return the name in a Host header, in lower case, without port and brackets."""
    text = host.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a text is, None for a name."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
