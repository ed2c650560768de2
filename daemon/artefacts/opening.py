"""From an address to a place of artefacts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from daemon.artefacts.directory import DirectoryObjects
from daemon.artefacts.sets import Artefacts
from daemon.settings import Settings


def artefacts_of(settings: Settings, *, is_awaited: bool = False) -> Artefacts | None:
    """Return the artefacts that the settings name; None where every host sees the same directories.

    A place that does not answer is given up sooner where a person waits for it.

    Raises:
        Away: a library for addresses of this kind is not installed.
    """
    if settings.artefacts is None:
        return None
    return opened(settings.artefacts, settings.artefact_options, is_awaited=is_awaited)


def opened(url: str, options: Mapping[str, Any], *, is_awaited: bool = False) -> Artefacts:
    """Return the artefacts at an address: ``file:///DIRECTORY``, or any that fsspec knows.

    fsspec is loaded here and only here; nobody is asked anything yet.

    Raises:
        Away: a library for addresses of this kind is not installed.
    """
    if urlsplit(url).scheme == "file":
        return Artefacts(DirectoryObjects(Path(unquote(urlsplit(url).path))))
    from daemon.artefacts.remote import RemoteObjects  # noqa: PLC0415 (fsspec, for those who need it)

    return Artefacts(RemoteObjects(url, options, is_awaited=is_awaited))
