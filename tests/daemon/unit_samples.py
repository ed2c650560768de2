"""A place for a service, and its files written into an image."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from daemon.installing import Installation
from daemon.units import Place, UnitFile, unit_files

RECORD = PurePosixPath("/etc/trainwright/service.json")
UNITS = PurePosixPath("/etc/systemd/system")
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed"
)


def place_of(**fields: Any) -> Place:
    """The place that the files in systemd/ are written for, with some fields different."""
    given = {
        "program": PurePosixPath("/opt/trainwright/.venv/bin/trainwright"),
        "folder": PurePosixPath("/var/lib/trainwright"),
        "shown": (PurePosixPath("/opt/trainwright/.venv"),),
    }
    return Place(**(given | fields))


def files_of(**fields: Any) -> dict[str, UnitFile]:
    """The files of a place by their names; those of drop-ins with their folder's."""
    found = {}
    for file in unit_files(place_of(**fields)):
        folder = file.path.parent.name
        found[f"{folder}/{file.path.name}" if folder.endswith(".service.d") else file.path.name] = file
    return found


def installed(image: Path, **fields: Any) -> Path:
    """Write the files of a place into an image and return the folder of its units."""
    image.mkdir(exist_ok=True)
    Installation(RECORD, root=image).write(unit_files(place_of(**fields)))
    return image / UNITS.relative_to("/")


def analyze(*words: str, runtime: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Ask systemd-analyze; `runtime` is where a person's own systemd would have its files."""
    environ = os.environ | ({} if runtime is None else {"XDG_RUNTIME_DIR": str(runtime)})
    return subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, check=False, env=environ
    )
