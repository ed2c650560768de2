"""One configuration, and who said what: command line, environment, credential, file, default.

A setting is named `section.key`, in the environment ``TRAINWRIGHT_SECTION__KEY``. Settings of the training
host need no section there (``TRAINWRIGHT_CPU_SLOTS``).
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from daemon.credentials import PLACES, handed_over
from daemon.errors import Fault, SettingsInvalid
from daemon.settings import Settings
from daemon.settings_reading import PREFIX, SHARED, TABLE
from planner.config import SECTIONS, PlannerConfig, planner_config
from planner.config_text import hints_of, nearest_key, split_key, value_of
from planner.errors import ConfigInvalid
from store.addresses import without_password, without_path

COMMAND_LINE, ENVIRONMENT, FILE, DEFAULT = "command line", "environment", "file", "default"
CREDENTIAL = "credential"
KeyPath = tuple[str, ...]
Origins = dict[KeyPath, "Origin"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Which source said a setting: its kind, and the variable or the line of the file."""

    kind: str
    place: str = ""

    @property
    def words(self) -> str:
        """The source in words: ``environment TRAINWRIGHT_SEED``, ``file trainwright.toml:14``."""
        return f"{self.kind} {self.place}".rstrip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as it holds: its full key, its value in plain JSON values, and its source."""

    key: str
    value: object
    origin: Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """All that the product is told, typed and checked, with the source of each setting that was said."""

    settings: Settings
    planner: PlannerConfig
    origins: Mapping[KeyPath, Origin]

    def listed(self) -> tuple[Setting, ...]:
        """Every setting in the order of the published example; passwords in addresses are left out."""
        parts: dict[str, object] = {TABLE: self.settings}
        parts |= {name: getattr(self.planner, name) for name in SECTIONS}
        return tuple(
            Setting(
                key=f"{section}.{name}",
                value=_shown(name, getattr(part, name)),
                origin=self._origin((section, name)),
            )
            for section, part in parts.items()
            for name in keys_of(section)
        )

    def _origin(self, path: KeyPath) -> Origin:
        """The source that spoke last of a setting or of anything inside it."""
        said = [origin for known, origin in self.origins.items() if known[: len(path)] == path]
        return max(said, key=lambda origin: _RANKS[origin.kind], default=Origin(kind=DEFAULT))


def configuration(
    table: Mapping[str, Any],
    *,
    source: str = "configuration",
    lines: Mapping[KeyPath, int] | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
    assignments: Sequence[str] = (),
) -> Configuration:
    """Return the configuration of a parsed file, an environment and a command line.

    Args:
        table: the whole parsed TOML file.
        source: its name.
        lines: key path -> line of the file; what it lacks is told without a line.
        environ: an environment; its ``TRAINWRIGHT_*`` variables are read, and the secrets in the directory
            that its service manager names there.
        overrides: options of the command: setting of the host -> value; None means not given.
        assignments: words ``section.key=value`` of the command line, above all else.

    Raises:
        SettingsInvalid: carries every fault found.
    """
    layers = _Layers(tables=_tables(table), source=source, lines=lines or {})
    layers.file()
    flat = layers.credentials(environ or {}) | layers.environment(environ or {})
    own = layers.options(overrides or {})
    own |= layers.assignments(assignments)
    faults = layers.faults
    try:
        settings = Settings.from_sources(layers.tables, flat, own, source=source)
    except SettingsInvalid as error:
        faults += error.faults
    try:
        planner = planner_config(layers.tables, source=source, other_sections=(TABLE,))
    except ConfigInvalid as error:
        faults.append(_fault(error))
    if faults:
        raise SettingsInvalid(_told_once(faults))
    return Configuration(settings=settings, planner=planner, origins=layers.origins)


def keys_of(section: str) -> tuple[str, ...]:
    """The keys of a section; those that the host shares with the planner stand in the planner's."""
    if section == TABLE:
        return tuple(item.name for item in dataclasses.fields(Settings) if item.name not in SHARED)
    return tuple(item.name for item in dataclasses.fields(SECTIONS[section]))


def all_keys() -> tuple[str, ...]:
    """Every full key, ``section.key``."""
    return tuple(f"{section}.{name}" for section in (TABLE, *SECTIONS) for name in keys_of(section))


@dataclass(slots=True, kw_only=True)
class _Layers:
    """Puts one source over the other, remembers who said what, and collects faults."""

    tables: dict[str, Any]
    source: str
    lines: Mapping[KeyPath, int]
    origins: Origins = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)

    def file(self) -> None:
        """Note the line of each key of the file; what stands in the host's table by mistake is moved."""
        for section, keys in list(self.tables.items()):
            for key in list(keys) if isinstance(keys, dict) else ():
                path: KeyPath = (section, key)
                place = f"{self.source}:{self.lines[path]}" if path in self.lines else self.source
                origin = Origin(kind=FILE, place=place)
                if section == TABLE and key in SHARED:
                    self._moved(key, origin)
                else:
                    self.origins[path] = origin

    def credentials(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return the host's own settings that were handed over as secrets, as variables would say them."""
        given, faults = handed_over(environ)
        self.faults += faults
        self.origins |= {(TABLE, key): Origin(kind=CREDENTIAL, place=PLACES[key]) for key in given}
        return {f"{PREFIX}{key.upper()}": text for key, text in given.items()}

    def environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Put what variables say of sections over the file; return those of the host's own settings."""
        own: dict[str, str] = {}
        longer = [name for name in sorted(environ) if "__" in name]
        for name in [*sorted(set(environ) - set(longer)), *longer]:  # the full name stands over the short
            words = name.removeprefix(PREFIX).lower()
            if not name.startswith(PREFIX):
                continue
            origin = Origin(kind=ENVIRONMENT, place=name)
            section, _, key = words.partition("__")
            if not key and words in SHARED:
                self._put((SHARED[words], words), environ[name], origin, where=name)
            elif key in keys_of(TABLE) and section == TABLE:
                own[f"{PREFIX}{key.upper()}"] = environ[name]
                self.origins[TABLE, key] = origin
            elif key and difflib.get_close_matches(section, [TABLE, *SECTIONS], n=1, cutoff=0.8):
                self._put((section, key), environ[name], origin, where=name)
            elif not key:
                own[name] = environ[name]
                if words in keys_of(TABLE):
                    self.origins[TABLE, words] = origin
        return own

    def options(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Note the command's options; those the host shares with the planner go into its sections."""
        own: dict[str, Any] = {}
        for name, value in overrides.items():
            if value is None:
                continue
            path = (SHARED.get(name, TABLE), name)
            self.origins[path] = Origin(kind=COMMAND_LINE)
            if name in SHARED:
                self._put(path, value, self.origins[path], where="command line")
            else:
                own[name] = value
        return own

    def assignments(self, words: Sequence[str]) -> dict[str, Any]:
        """Put ``section.key=value`` over all else; return those of the host's own settings."""
        own: dict[str, Any] = {}
        for word in words:
            name, sign, text = word.partition("=")
            where, origin = f"--set {name.strip()}", Origin(kind=COMMAND_LINE, place="--set")
            try:
                path = split_key(name.strip() if sign else "")
            except ConfigInvalid:
                self.faults.append(Fault(place=where, problem="is no setting", fix="write section.key=value"))
                continue
            if path[0] == TABLE and len(path) == 2 and path[1] in keys_of(TABLE):
                value = value_of(text)
                own[path[1]] = value if isinstance(value, list) else text
                self.origins[path] = origin
            else:
                self._put(path, text.strip(), origin, where=where)
        return own

    def _moved(self, key: str, origin: Origin) -> None:
        """A key of the host's table that belongs to one of the planner's sections: take it there."""
        section = SHARED[key]
        table = self.tables.setdefault(section, {})
        if not isinstance(table, dict):
            return  # a fault that the planner's own check tells
        if key in table:
            place, fix = f"{self.source}: [{TABLE}] {key}", f"say it once, in [{section}]"
            self.faults.append(Fault(place=place, problem="is said twice", fix=fix))
            return
        table[key] = self.tables[TABLE].pop(key)
        self.origins[section, key] = origin

    def _put(self, path: KeyPath, value: object, origin: Origin, *, where: str) -> None:
        """Check one setting of the planner by itself, then put it over what was said before."""
        try:
            if path[0] not in SECTIONS or len(path) == 1 or path[1] not in hints_of(path[0]):
                raise _unknown(".".join(path))
            if isinstance(value, str):  # inside a table of settings the text alone decides its type
                value = value_of(value, hints_of(path[0])[path[1]] if len(path) == 2 else None)
            _checked(path, value, where)
            self._write(path, value)
            self.origins[path] = origin
        except ConfigInvalid as error:
            self.faults.append(_fault(error, where))

    def _write(self, path: KeyPath, value: object) -> None:
        """Put a value into the tables, into copies of what the file holds inside them."""
        table: Any = self.tables
        for key in path[:-1]:
            inner = table.get(key)
            table[key] = dict(inner) if isinstance(inner, Mapping) else {}
            table = table[key]
        table[path[-1]] = value


_RANKS = {DEFAULT: 0, FILE: 1, CREDENTIAL: 2, ENVIRONMENT: 3, COMMAND_LINE: 4}


def _tables(table: Mapping[str, Any]) -> dict[str, Any]:
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in table.items()}


def _checked(path: KeyPath, value: object, where: str) -> None:
    """Raise ConfigInvalid unless the setting is right by itself."""
    nested = value
    for key in reversed(path[1:]):
        nested = {key: nested}
    try:
        planner_config({path[0]: nested})
    except ConfigInvalid as error:
        raise ConfigInvalid(error.what, where=where, fix=error.fix) from error


def _unknown(words: str) -> ConfigInvalid:
    near = nearest_key(words, all_keys())
    fix = f"did you mean {near}?" if near else "see all of them: trainwright config show"
    return ConfigInvalid(f"unknown setting {words!r}", fix=fix)


def _fault(error: ConfigInvalid, where: str = "") -> Fault:
    fix = error.fix or "what it is now: trainwright config show"
    return Fault(place=error.where or where, problem=error.what, fix=fix)


def _told_once(faults: Sequence[Fault]) -> list[Fault]:
    """The faults without those that two parts of the product found: same place, same problem."""
    return list({(fault.place, fault.problem): fault for fault in reversed(faults)}.values())[::-1]


def _shown(name: str, value: object) -> object:
    """A value as it may be shown: of the webhook's address not the path, often a key."""
    hidden = name == "webhook_url" and isinstance(value, str)
    return f"{without_path(str(value))}/..." if hidden else _plain(value)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(inner) for inner in value]
    if isinstance(value, (int, float)) or value is None:
        return value
    return without_password(str(value))
