"""The saved states of a fit: written whole or not at all, checked by digest, found again by a later attempt.

Layout: `<root>/<fence>/step-<N>/` with the state's files and `manifest.json` (step, fence, the digest of what
determines the fit, a digest per file). An attempt writes under its own fence only, so a forgotten process of
an older lease can disturb nobody, and reads those of fences up to its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from executors.contract import FitSpec
from executors.durable import write_directory

MANIFEST = "manifest.json"
KEPT = 2

#: Raised whenever a training loop changes so that old states would lead to other models.
STATE_VERSION = 3

_STEP = re.compile(r"step-(\d+)")

#: Fields of a FitSpec that say where and when a fit is done, not what comes out of it.
_CIRCUMSTANCES = frozenset(
    {
        *("attempt", "fence", "panel_path", "checkpoint_dir", "checkpoint_seconds", "checkpoint_rounds"),
        *("bundle_path", "device_requested", "gpu_fallback", "threads", "cpus", "memory_bytes_max"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A state found on disk, its files already checked: name -> content."""

    step: int
    fence: int
    path: Path
    files: Mapping[str, bytes]


def identity(spec: FitSpec, versions: Mapping[str, str]) -> str:
    """Return the digest of everything that determines the fit's result; states of another are not resumed."""
    values = {key: value for key, value in json.loads(spec.to_json()).items() if key not in _CIRCUMSTANCES}
    for part in values["parts"]:
        del part["bundle_path"]  # a bundle is known by its content, wherever it lies
    text = json.dumps([STATE_VERSION, values, dict(versions)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def save(root: Path, *, fence: int, step: int, identity: str, files: Mapping[str, bytes]) -> Path:
    """Save the state after `step` and return its directory; older states but the last two are removed.

    Raises:
        OSError: the disk refuses; the states before it stay as they are.
    """
    path = root / str(fence) / f"step-{step}"
    shutil.rmtree(
        path, ignore_errors=True
    )  # a damaged one of the same step, or it would not be written again
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    manifest = {"step": step, "fence": fence, "identity": identity, "files": digests}
    content = json.dumps(manifest, sort_keys=True).encode()
    write_directory(path, {**files, MANIFEST: content}, unique=str(os.getpid()))
    _prune(root, fence)
    return path


def newest(root: Path, *, fence: int, identity: str) -> Checkpoint | None:
    """Return the furthest whole state of this fit of any fence up to `fence`, None if there is none.

    A state that is torn, damaged, or of a fit that would come out differently is passed over.
    """
    for path, of_fence, step in _states(root, fence):
        found = _read(path, fence=of_fence, step=step, identity=identity)
        if found is not None:
            return found
    return None


def _states(root: Path, fence: int) -> Iterator[tuple[Path, int, int]]:
    """Yield (directory, fence, step) of every state up to `fence`, the furthest first."""
    found: list[tuple[int, int, Path]] = []
    for of_fence in root.iterdir() if root.is_dir() else ():
        if not of_fence.name.isdigit() or int(of_fence.name) > fence:
            continue
        for path in of_fence.iterdir():
            match = _STEP.fullmatch(path.name)
            if match:
                found.append((int(match[1]), int(of_fence.name), path))
    for step, number, path in sorted(found, reverse=True):
        yield path, number, step


def _read(path: Path, *, fence: int, step: int, identity: str) -> Checkpoint | None:
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        files = {name: (path / name).read_bytes() for name in manifest["files"]}
        digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        same = (manifest["step"], manifest["identity"], manifest["files"]) == (step, identity, digests)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return Checkpoint(step=step, fence=fence, path=path, files=files) if same else None


def _prune(root: Path, fence: int) -> None:
    """Remove all states up to `fence` but the newest two, and drafts that never became one."""
    for path, _, _ in list(_states(root, fence))[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)
    for of_fence in root.iterdir():
        if of_fence.name.isdigit() and int(of_fence.name) <= fence:
            for draft in of_fence.glob(".step-*"):
                shutil.rmtree(draft, ignore_errors=True)
