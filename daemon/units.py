"""The files of the service as they are for this machine: systemd/ of the distribution, its places put in.

What lies in systemd/ is valid as it is, for an environment in /opt/trainwright/.venv, the account
``trainwright`` and the folder /var/lib/trainwright; here these words are replaced. Nothing is written here:
`daemon.installing` does.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from daemon.errors import DaemonError

NETWORK, POSTGRES, GPU, ON_DEMAND = "network", "postgres", "gpu", "on-demand"
VARIANTS = (NETWORK, POSTGRES, GPU, ON_DEMAND)
SERVICE, SOCKET = "trainwright.service", "trainwright.socket"
CONFIG = PurePosixPath("/etc/trainwright/trainwright.toml")
CREDENTIAL = PurePosixPath("/etc/credstore/trainwright.database-url")
_UNITS, _USER_UNITS = PurePosixPath("/etc/systemd/system"), PurePosixPath("systemd/user")
_BACKUP = ("trainwright-backup.service", "trainwright-backup.timer")
_WAKING = ("trainwright.path", "trainwright.timer")
ACCOUNT = "trainwright"
FOLDER = PurePosixPath("/var/lib/trainwright")
_DEFAULTS = re.compile(
    r"/opt/trainwright/\.venv/bin/trainwright\b|/var/lib/trainwright(?:/inbox\b|(?![\w-]))"
)
_HOMES = tuple(PurePosixPath(place) for place in ("/home", "/root", "/run/user"))
_TEMPORARY = tuple(PurePosixPath(place) for place in ("/tmp", "/var/tmp"))  # noqa: S108 (hidden, not used)
_READ = ("data_dir", "webhook_secret_file", "web_token_file", "web_read_token_file", "ray_token_file")
PAGE = "127.0.0.1:8765"  # where the page is by default
_PLAIN = re.compile(r"/[A-Za-z0-9/._@+-]+")
_LISTENED = re.compile(rf"(localhost|[0-9.]+|\[[0-9A-Fa-f:]+\]):\d+|{_PLAIN.pattern}")
_LOCAL = ("127.", "localhost:", "[::1]:", "/")


class ServiceImpossible(DaemonError):
    """A service that cannot be installed as it was asked for."""

    exit_code = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where the service shall work, and with what.

    Attributes:
        program: the command, in the environment it is installed in.
        folder: its working directory: results, models and inbox lie in it unless the configuration says else.
        account: who it runs as, and the first of its groups.
        variants: of VARIANTS.
        addresses: that may be spoken to over the network, besides this machine's own.
        shown: what it must be able to read: its environment, its Python, data.
        written: what it writes outside of its folder.
        shared: the directory of the artefacts: written to where it is there, and never made.
        inbox: the drop folder.
        backup: whether the log is backed up each night.
        page: where systemd listens for the page, as ListenStream= has it; None: nowhere.
        home: the configuration's folder of the person whose service it is; None: the machine's.
    """

    program: PurePosixPath
    folder: PurePosixPath
    account: str = ACCOUNT
    group: str = ACCOUNT
    variants: frozenset[str] = frozenset()
    addresses: tuple[str, ...] = ()
    shown: tuple[PurePosixPath, ...] = ()
    written: tuple[PurePosixPath, ...] = ()
    shared: PurePosixPath | None = None
    inbox: PurePosixPath | None = None
    backup: bool = True
    page: str | None = PAGE
    home: PurePosixPath | None = None

    @property
    def config(self) -> PurePosixPath:
        """The configuration file; the daemon reads it by a link in its folder, or there."""
        return CONFIG if self.home is None else self.folder / CONFIG.name

    @property
    def networked(self) -> bool:
        """Whether the service may speak to other machines."""
        return self.home is not None or bool(self.addresses or self.variants & {NETWORK, POSTGRES})


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitFile:
    """A file to be written: its path on the machine and its text.

    Attributes:
        yours: whether it is a person's own as soon as they changed it, and then never written over.
    """

    path: PurePosixPath
    text: str
    yours: bool = False


def templates_dir() -> Path:
    """Return the folder of the units: of the checkout, or of the installation; raises ServiceImpossible."""
    places = (
        Path(__file__).resolve().parent.parent / "systemd",
        Path(sys.prefix) / "share/trainwright/systemd",
    )
    for place in places:
        if (place / SERVICE).is_file():
            return place
    raise ServiceImpossible("there are no unit files", where=str(places[1]), fix="install Trainwright again")


def unit_files(place: Place) -> tuple[UnitFile, ...]:
    """Return every file of the service, in the order in which they are written.

    Raises:
        ServiceImpossible: a path that units have no words for, or a variant that does not go with the place.
    """
    _check(place)
    return tuple(_of_a_person(place) if place.home is not None else _of_the_machine(place))


def enabled_units(place: Place) -> tuple[str, ...]:
    """Return the units that are started with the machine (or with its owner's session)."""
    backup = _BACKUP[1:] if place.backup else ()
    return (SERVICE, *backup, *(_WAKING if ON_DEMAND in place.variants else ()))


def needed_paths(config: Mapping[str, object], place: Place) -> Place:
    """Return the place with what its configuration names: where else it writes, what it reads, its inbox."""
    table = config.get("daemon")
    table = table if isinstance(table, Mapping) else {}
    written, shown, inbox = list(place.written), list(place.shown), place.inbox
    for key in ("results_dir", "output_dir", "inbox_dir"):
        if isinstance(named := table.get(key), str):
            path = place.folder / named
            written += [] if path.is_relative_to(place.folder) else [path]
            inbox = path if key == "inbox_dir" else inbox
    if isinstance(url := table.get("database_url"), str) and url.startswith("sqlite:////"):
        above = PurePosixPath(url.removeprefix("sqlite:///")).parent
        written += [] if above.is_relative_to(place.folder) else [above]
    shown += [place.folder / named for key in _READ if isinstance(named := table.get(key), str)]
    backups = [place.folder / folder for folder in _backup_folders(table.get("schedule"))]
    written += [path for path in backups if not path.is_relative_to(place.folder)]
    return replace(
        place,
        written=tuple(dict.fromkeys(written)),
        shared=_shared(table.get("artefacts"), place),
        shown=tuple(dict.fromkeys(shown)),
        inbox=inbox,
        page=_page(table.get("web_listen"), place.page),
    )


def _shared(said: object, place: Place) -> PurePosixPath | None:
    """The directory that artefacts lie in, where they lie in one outside of the service's folder."""
    if not isinstance(said, str) or not said.startswith("file:///"):
        return None
    path = PurePosixPath(unquote(said.removeprefix("file://")))
    return None if path.is_relative_to(place.folder) else path


def _page(said: object, before: str | None) -> str | None:
    """Where systemd listens for a `web_listen`; what is none is the daemon's to complain of."""
    if not isinstance(said, str):
        return before
    return None if said.strip().lower() == "off" else said.strip().removeprefix("unix:")


def _backup_folders(schedule: object) -> list[str]:
    """Where scheduled backups go, as it is written."""
    entries = schedule.values() if isinstance(schedule, Mapping) else ()
    named = [entry.get("to") for entry in entries if isinstance(entry, Mapping)]
    return [folder for folder in named if isinstance(folder, str)]


def read_config(text: str, where: str) -> Mapping[str, object]:
    """Return what a configuration file says; raises ServiceImpossible."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ServiceImpossible(
            f"the configuration is no TOML: {error}", where=where, fix="correct it"
        ) from None


def hidden_by_the_sandbox(path: PurePosixPath) -> bool:
    """Whether a path lies where the sandbox shows nothing unless told to: homes and temporary folders."""
    return any(path.is_relative_to(above) for above in (*_HOMES, *_TEMPORARY))


def _check(place: Place) -> None:
    for path in (place.program, place.folder, *place.shown, *place.written, *filter(None, [place.shared])):
        if not _PLAIN.fullmatch(str(path)):
            raise ServiceImpossible(
                "a unit has no words for this path",
                where=str(path),
                fix="use letters, digits and /._@+- only",
            )
    if place.page is not None and not _LISTENED.fullmatch(place.page):
        raise ServiceImpossible(
            f"systemd cannot listen at {place.page!r}",
            where="web_listen",
            fix="write it in numbers, 127.0.0.1:8765, or unix:/PATH, or off",
        )
    for address in place.addresses:
        if not re.fullmatch(r"[0-9A-Fa-f:.]+(/\d{1,3})?|any|localhost|link-local|multicast", address):
            raise ServiceImpossible(
                f"{address!r} is no address",
                where="--allow",
                fix="write 10.0.0.5, 10.0.0.0/24, fd00::5 or any; systemd knows no names of machines",
            )
    if not re.fullmatch(r"[a-z_][a-z0-9_-]{0,30}", place.account):
        raise ServiceImpossible(
            f"{place.account!r} is no account's name", where="--account", fix="name another"
        )
    if place.home is not None and (more := sorted(place.variants - {ON_DEMAND})):
        raise ServiceImpossible(
            f"a service of a person has no variant {more[0]!r}",
            where="--user",
            fix="leave it out: such a service has the network and the devices that the person has",
        )


def _of_the_machine(place: Place) -> Iterator[UnitFile]:
    """The service of the whole machine: units, drop-ins, account, folders, a first configuration."""
    yield _template(place, "sysusers.d/trainwright.conf", PurePosixPath("/etc/sysusers.d"))
    folders = _template(place, "tmpfiles.d/trainwright.conf", PurePosixPath("/etc/tmpfiles.d"))
    owner = f":{place.account} :{place.group}"  # with a colon: what is there already is left as it is
    more = "".join(f"d {path} :0750 {owner} -\n" for path in place.written if path != place.inbox)
    yield replace(folders, text=folders.text + more)
    first = _template(place, CONFIG.name, CONFIG.parent)
    yield replace(first, yours=True)
    yield from (_template(place, name, _UNITS) for name in ("trainwright.slice", SERVICE))
    if place.page is not None and ON_DEMAND not in place.variants:  # a page that is open would start it
        yield _socket(place, place.page)
    networked = (NETWORK,) if place.networked else ()
    chosen = [name for name in VARIANTS if name in place.variants | set(networked)]
    yield from _drop_ins(place, SERVICE, chosen)
    if place.backup:
        yield from (_template(place, name, _UNITS) for name in _BACKUP)
        yield from _drop_ins(place, _BACKUP[0], [name for name in chosen if name in (NETWORK, POSTGRES)])
    if ON_DEMAND in place.variants:
        yield from (_template(place, name, _UNITS) for name in _WAKING)


def _of_a_person(place: Place) -> Iterator[UnitFile]:
    """The service of one person, below their own configuration."""
    units = (place.home or PurePosixPath("/")) / _USER_UNITS
    first = _template(place, CONFIG.name, place.folder)
    yield replace(first, yours=True)
    yield _template(place, "trainwright.slice", units)
    yield _template(place, f"user/{SERVICE}", units)
    if place.backup:
        yield _template(place, f"user/{_BACKUP[0]}", units)
        yield _template(place, _BACKUP[1], units)
    if ON_DEMAND in place.variants:
        yield _drop_in(place, units, SERVICE, ON_DEMAND)
        yield from (_template(place, name, units) for name in _WAKING)


def _socket(place: Place, page: str) -> UnitFile:
    """The page's address, with the account that may connect to it where it is a path."""
    found = _template(place, SOCKET, _UNITS)
    text = found.text.replace(
        f"ListenStream={PAGE}", f"ListenStream={page.replace('localhost:', '127.0.0.1:')}"
    )
    text = text.replace("SocketUser=trainwright", f"SocketUser={place.account}")
    text = text.replace("SocketGroup=trainwright", f"SocketGroup={place.group}")
    if not page.startswith(_LOCAL):
        text = text.replace("IPAddressDeny=any\nIPAddressAllow=localhost\n", "")
    return replace(found, text=text)


def _drop_ins(place: Place, unit: str, variants: list[str]) -> Iterator[UnitFile]:
    """The chosen variants of a unit, and what its own places need."""
    for variant in variants:
        yield _drop_in(place, _UNITS, unit, variant)
    if text := _places_text(place):
        yield UnitFile(path=_UNITS / f"{unit}.d" / "50-places.conf", text=text)


def _drop_in(place: Place, units: PurePosixPath, unit: str, variant: str) -> UnitFile:
    found = _template(place, f"variants/{variant}.conf", units)
    number = 10 * (1 + VARIANTS.index(variant))
    more = "".join(f"IPAddressAllow={address}\n" for address in place.addresses) if variant == NETWORK else ""
    return UnitFile(path=units / f"{unit}.d" / f"{number}-{variant}.conf", text=found.text + more)


def _template(place: Place, name: str, folder: PurePosixPath) -> UnitFile:
    """A file of the distribution with the places put in."""
    here = {
        str(FOLDER): str(place.folder),
        str(FOLDER / "inbox"): str(place.inbox or place.folder / "inbox"),
    }
    text = (templates_dir() / name).read_text(encoding="utf-8")
    text = _DEFAULTS.sub(lambda found: here.get(found[0], str(place.program)), text)
    text = re.sub(r"^User=.*$", f"User={place.account}", text, flags=re.MULTILINE)
    text = re.sub(r"^Group=.*$", f"Group={place.group}", text, flags=re.MULTILINE)
    if name.endswith(".d/trainwright.conf"):  # there a word by itself is the account, and after it its group
        text = text.replace(" trainwright trainwright ", f" {place.account} {place.group} ")
        text = text.replace(" trainwright ", f" {place.account} ")
    if place.home is not None:
        text = text.replace("systemctl ", "systemctl --user ")
    return UnitFile(path=folder / PurePosixPath(name).name, text=text)


def _places_text(place: Place) -> str:
    """The drop-in for places that the sandbox hides or keeps from being written; empty without any."""
    hidden = _outermost(path for path in place.shown if hidden_by_the_sandbox(path))
    outside = place.folder != FOLDER
    written = _outermost([*([place.folder] if outside else []), *place.written])
    shared = [place.shared] if place.shared is not None else []
    mounts = _outermost([*written, *place.shown, *shared])
    lines = []
    if any(path.is_relative_to(home) for path in (*hidden, *written, *shared) for home in _HOMES):
        lines.append("# Of all homes only what the service needs can be seen.\nProtectHome=tmpfs")
    if hidden:
        lines.append(f"BindReadOnlyPaths={' '.join(f'-{path}' for path in hidden)}")
    binds = [path for path in written if hidden_by_the_sandbox(path)]
    plain = [path for path in written if path not in binds]
    for path in shared:  # not there, it is no reason not to start: the daemon says so, and waits for it
        (binds if hidden_by_the_sandbox(path) else plain).append(PurePosixPath(f"-{path}"))
    lines += [f"BindPaths={' '.join(map(str, binds))}"] if binds else []
    lines += [f"ReadWritePaths={' '.join(map(str, plain))}"] if plain else []
    lines += ["StateDirectory="] if outside else []
    if not lines:
        return ""
    unit = f"[Unit]\nRequiresMountsFor={' '.join(map(str, mounts))}\n\n" if mounts else ""
    head = "# Written by trainwright service install: where this host's own places lie.\n"
    return head + unit + "[Service]\n" + "\n".join(lines) + "\n"


def _outermost(paths: Iterator[PurePosixPath] | list[PurePosixPath]) -> list[PurePosixPath]:
    """The paths without those that lie in another of them, in order."""
    kept: list[PurePosixPath] = []
    for path in sorted(set(paths)):
        if not any(path.is_relative_to(above) for above in kept):
            kept.append(path)
    return kept
