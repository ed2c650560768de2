"""How the value of a setting is read, whether it comes from a file, the environment or the command line.

Each takes what was written and returns the value, or raises ValueError or TypeError whose message says what
to write instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from daemon.windows import window_of
from daemon.zones import zone_of
from executors.families import named, resolve

Reader = Callable[[object], object]
_SECRET_WORDS = frozenset(
    {"key", "secret", "token", "password", "passwd", "credential", "credentials", "username"}
)
LABELS_MAX = 8
_LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def path(value: object) -> Path:
    """A path, made absolute; links are not followed."""
    if not isinstance(value, (str, Path)) or not str(value):
        raise TypeError("write a path")
    return Path(os.path.abspath(Path(value).expanduser()))  # noqa: PTH100 (resolve() would follow links)


def text(value: object) -> str:
    """A word."""
    if not isinstance(value, str) or not value:
        raise TypeError("write a word")
    return value


def address(value: object) -> str:
    """An address of a database that outlives the process."""
    written = text(value)
    if written.startswith("memory:"):
        raise ValueError("a log in memory is lost with its process; write sqlite:///PATH or postgresql://…")
    return written


def web_address(value: object) -> str:
    """An address of the web, without user and password: they would stand in the configuration."""
    written = text(value)
    try:
        parts = urlsplit(written)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        whole = False
    if not whole or not written.isprintable() or " " in written:
        raise ValueError("write an address like https://example.com/hook")
    if parts.username or parts.password:
        raise ValueError("write it without user and password; messages are signed by webhook_secret_file")
    return written


def tracking_address(value: object) -> str:
    """An address of a tracking server, as `web_address`, or of its database in a file, ``sqlite:////PATH``."""
    written = text(value)
    if written.startswith("sqlite:////") and written.isprintable():
        return written
    if "@" in written.partition("://")[2].partition("/")[0]:
        raise ValueError(
            "write it without user and password; MLFLOW_TRACKING_USERNAME and _PASSWORD say them"
        )
    try:
        return web_address(written)
    except ValueError as error:
        raise ValueError("write an address like http://127.0.0.1:5000, or sqlite:////PATH") from error


def artefact_address(value: object) -> str:
    """An address of artefacts: a directory that every host has, or object storage; without credentials."""
    written = text(value)
    try:
        parts = urlsplit(written)
        is_directory = parts.scheme == "file" and not parts.netloc and parts.path.startswith("/")
        is_storage = len(parts.scheme) > 1 and parts.scheme != "file" and bool(parts.netloc)
        is_plain = not (parts.query or parts.fragment)
    except ValueError:
        is_directory = is_storage = is_plain = False
    if "@" in written:
        raise ValueError(
            "write it without user and password; the environment or the library's files say them"
        )
    if not (is_directory or is_storage) or not is_plain or not written.isprintable() or " " in written:
        raise ValueError("write file:///DIRECTORY, or an address like s3://BUCKET/PREFIX")
    return written.rstrip("/")


def artefact_options(value: object) -> dict[str, Any]:
    """Options of the library that speaks to the storage; none that is a secret, however deep."""
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise TypeError("write a table: option -> value")
    for name, inner in value.items():
        if _SECRET_WORDS & set(name.lower().split("_")):
            raise ValueError(f"{name} is a secret; the environment or the library's own files say it")
        if isinstance(inner, Mapping):
            artefact_options(inner)
    return dict(value)


def listening(value: object) -> str | None:
    """Read where to listen: HOST:PORT, unix:/PATH, or "off" (None)."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("write HOST:PORT, unix:/PATH, or off")
    said = value.strip()
    if said.lower() == "off":
        return None
    if said.startswith("unix:/"):
        return said
    host, _, port = said.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65_535:
        raise ValueError("write HOST:PORT with a port up to 65535, unix:/PATH, or off")
    return said


def words(value: object) -> tuple[str, ...]:
    """Words: a list of them, or a text with blanks or commas between."""
    found = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(word, str) and word for word in found):
        raise TypeError("write a list of words")
    return tuple(found)


def labels(value: object) -> tuple[str, ...]:
    """Labels of a host, or of what needs one: few short words in small letters, each once."""
    found = tuple(sorted(set(words(value))))
    if wrong := [label for label in found if not _LABEL.fullmatch(label)]:
        raise ValueError(
            f"{wrong[0]!r} is no label: up to 32 small letters, digits and . _ -, none of these three first"
        )
    if len(found) > LABELS_MAX:
        raise ValueError(f"write at most {LABELS_MAX} labels")
    return found


def labels_by_family(value: object) -> dict[str, tuple[str, ...]]:
    """Labels by family of the catalogue, in any spelling; raises UnknownFamily."""
    if not isinstance(value, Mapping):
        raise TypeError('write a table: family name -> labels, { XGBoost = ["bigmem"] }')
    return {resolve(name).name: labels(found) for name, found in value.items()}


def families(value: object) -> tuple[str, ...]:
    """Families of the catalogue, in any spelling; raises UnknownFamily."""
    return named(words(value))


def table(value: object) -> dict[str, dict[str, Any]]:
    """Parameters by family; raises UnknownFamily."""
    if not isinstance(value, Mapping) or not all(isinstance(inner, Mapping) for inner in value.values()):
        raise TypeError("write a table of tables: family name -> parameters")
    return {resolve(name).name: dict(inner) for name, inner in value.items()}


def bars(value: object) -> dict[str, int]:
    """Bars by target."""
    if not isinstance(value, Mapping) or not all(isinstance(count, int) for count in value.values()):
        raise TypeError("write a table: target name -> bars")
    return dict(value)


def count(low: int, high: int) -> Callable[[object], int]:
    """Return the reader of whole numbers within bounds, both included."""

    def read(value: object) -> int:
        found = int(value) if isinstance(value, str) else value
        if not isinstance(found, int) or isinstance(found, bool) or not low <= found <= high:
            raise ValueError(f"write a whole number from {low} to {high}")
        return found

    return read


def number(low: float, high: float) -> Callable[[object], float]:
    """Return the reader of numbers within bounds, both included."""

    def read(value: object) -> float:
        found = float(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else value
        if not isinstance(found, float) or not low <= found <= high:
            raise ValueError(f"write a number from {low:g} to {high:g}")
        return found

    return read


def switch(value: object) -> bool:
    """True or false, as TOML or an environment variable has it."""
    spellings = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = spellings.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise TypeError("write true or false")
    return found


def one_of(*choices: str) -> Callable[[object], str]:
    """Return the reader of one word out of a few."""

    def read(value: object) -> str:
        if value not in choices:
            raise ValueError(f"write one of: {', '.join(choices)}")
        return str(value)

    return read


def some_of(*choices: str) -> Callable[[object], tuple[str, ...]]:
    """Return the reader of any number of words out of a few."""

    def read(value: object) -> tuple[str, ...]:
        found = words(value)
        if unknown := [word for word in found if word not in choices]:
            raise ValueError(f"there is no {unknown[0]!r}; write some of: {', '.join(choices)}")
        return found

    return read


def argument_list(value: object) -> tuple[str, ...]:
    """A program and its arguments, each as it is handed over; no shell reads them."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) and word for word in value):
        raise TypeError('write a list: ["/path/of/program", "argument"]')
    return tuple(value)


def seconds_by_family(value: object) -> dict[str, float]:
    """Seconds by family of the catalogue, in any spelling; raises UnknownFamily."""
    if not isinstance(value, Mapping):
        raise TypeError("write a table: family name -> seconds")
    read = number(0.1, 10**9)
    return {resolve(name).name: read(seconds) for name, seconds in value.items()}


def windows(value: object) -> tuple[str, ...]:
    """Windows of time, each a text: a list of them, or a text with ; between."""
    found = value.split(";") if isinstance(value, str) else value
    if not isinstance(found, (list, tuple)) or not all(isinstance(word, str) for word in found):
        raise TypeError('write a list of windows: ["22:00-06:00", "gpu 20:00-08:00 mon-fri"]')
    return tuple(window_of(word).text for word in found)


def time_zone(value: object) -> str:
    """The name of a time zone that this machine knows."""
    name = text(value)
    zone_of(name)
    return name


def schedule(value: object) -> dict[str, dict[str, Any]]:
    """What is done when, by name."""
    if not isinstance(value, Mapping) or not all(isinstance(inner, Mapping) for inner in value.values()):
        raise TypeError('write a table of tables: [daemon.schedule.nightly] cron = "30 2 * * *"')
    return {str(name): dict(inner) for name, inner in value.items()}
