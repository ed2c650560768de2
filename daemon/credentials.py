"""Secrets that the service manager hands over: files in a directory nobody else can read (systemd.exec(5)).

A secret is thus never in the environment, in an argument list, in a unit or in the log. What a file says is
never part of a message either.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from daemon import readers
from daemon.errors import Fault

DIRECTORY_VARIABLE = "CREDENTIALS_DIRECTORY"
DATABASE_URL = "trainwright.database-url"
WEBHOOK_SECRET = "trainwright.webhook-secret"  # noqa: S105 (its name)
WEB_TOKEN, WEB_READ_TOKEN = "trainwright.web-token", "trainwright.web-read-token"
RAY_TOKEN = "trainwright.ray-token"  # noqa: S105 (its name)
FILES = {  # settings that name a file: setting -> credential
    "webhook_secret_file": WEBHOOK_SECRET,
    "web_token_file": WEB_TOKEN,
    "web_read_token_file": WEB_READ_TOKEN,
    "ray_token_file": RAY_TOKEN,
}
PLACES = {"database_url": DATABASE_URL, **FILES}  # setting -> credential
_BYTES_MAX = 16_384


def handed_over(environ: Mapping[str, str]) -> tuple[dict[str, str], list[Fault]]:
    """Return the settings that come as credentials, setting -> text, and what is wrong with any of them.

    The event log's address is what its file says; of the other secrets only the place is a setting.
    """
    given: dict[str, str] = {}
    faults: list[Fault] = []
    directory = environ.get(DIRECTORY_VARIABLE)
    if not directory:
        return given, faults
    for setting, name in FILES.items():
        if (secret := Path(directory) / name).exists():
            given[setting] = str(secret)
    if (file := Path(directory) / DATABASE_URL).exists():
        try:
            given["database_url"] = _address_in(file)
        except (OSError, UnicodeDecodeError, ValueError, TypeError) as error:
            problem = error.strerror if isinstance(error, OSError) else _problem(error)
            fix = "one line: postgresql://USER:PASSWORD@HOST/NAME or sqlite:///PATH"
            faults.append(Fault(place=f"credential {DATABASE_URL}", problem=problem or "unreadable", fix=fix))
    return given, faults


def _address_in(file: Path) -> str:
    """Return the address a file holds; raises ValueError without a word of what is in it."""
    with file.open("rb") as stream:
        content = stream.read(_BYTES_MAX + 1)
    if len(content) > _BYTES_MAX:
        raise ValueError(f"is longer than {_BYTES_MAX:,} bytes")
    text = content.decode("utf-8").strip()
    if not text:
        raise ValueError("is empty")
    if len(text.split()) > 1 or not text.isprintable():
        raise ValueError("is more than one word")
    return readers.address(text)


def _problem(error: Exception) -> str:
    """Return what is wrong in words that hold nothing of what was read."""
    return "is no text" if isinstance(error, UnicodeDecodeError) else str(error)
