"""Artefacts: directories of files that are put somewhere whole, and come back as they were or not at all.

``KEY/files/NAME`` are the files, ``KEY/manifest.json`` their names and digests. The manifest is written last,
so an artefact that was torn off is none; every file is compared with its digest before anything appears here.
A log is a single object, which nobody's result depends on.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from daemon.artefacts.errors import Absent, Damaged
from daemon.artefacts.keys import is_of_content, state_of, states_prefix
from daemon.artefacts.objects import Objects
from executors.durable import sync_directory

MANIFEST = "manifest.json"
VERSION = 1
MANIFEST_BYTES_MAX = 16_000_000
FILE_BYTES_MAX = 1 << 30  # of a single file, which no manifest tells the size of
DRAFT = ".fetched-"
TURN_SECONDS = 0.2  # between two looks whether another process has fetched it
STALLED_SECONDS = 600.0  # without a byte, after which that one is waited for no longer; hashing takes a while
DRAFT_SECONDS = 86_400.0  # after which nobody is still fetching, or putting
Facts = dict[str, object]  # of a file: sha256, bytes
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+@-]{0,200}")
_BLOCK_BYTES = 1 << 20


class Artefacts:
    """The artefacts of one place. Not for two threads at once."""

    def __init__(
        self,
        objects: Objects,
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._objects = objects
        self._clock, self._pause = clock, pause

    @property
    def address(self) -> str:
        """Where they lie, for messages: without any secret."""
        return self._objects.address

    def has(self, key: str) -> bool:
        """Whether an artefact is there whole; raises Away, Damaged."""
        try:
            self._manifest(key)
        except Absent:
            return False
        return True

    def put(self, key: str, directory: Path) -> None:
        """Put the files of a directory there; what is there already, with the same digests, stays.

        A whole panel or model stays in any case: what goes by its content and is another one here was damaged
        here. A state that is another one now is none until all of it is there.

        Raises:
            OSError: a file cannot be read here.
            Away: the place does not take it; the same again later.
        """
        files = {path.name: path for path in sorted(directory.iterdir())}
        told = {name: _facts(path) for name, path in files.items()}
        try:
            if self._manifest(key) == told or is_of_content(key):
                return
            self.retract(key)
        except Absent:
            pass
        except Damaged:
            self.retract(key)  # nobody reads it while it is made anew
        for name, path in files.items():
            self._objects.put(path, _file_name(key, name))
        content = json.dumps({"version": VERSION, "files": told}, sort_keys=True).encode()
        self._objects.write(_manifest_name(key), content)

    def get(self, key: str, into: Path) -> None:
        """Let an artefact appear as the directory `into`, in one step; one that is there by then stays.

        Raises:
            Absent: there is none.
            Damaged: a file is not what was put there; nothing appears.
            Away: the place does not answer; the same again later.
            OSError: the disk here refuses; nothing appears.
        """
        told = self._manifest(key)
        into.parent.mkdir(parents=True, exist_ok=True)
        draft = into.with_name(f".{into.name}{DRAFT}{uuid.uuid4().hex}")
        draft.mkdir()
        try:
            for name, facts in told.items():
                self._fetch(_file_name(key, name), draft / name, facts)
            sync_directory(draft)
            _appear(draft, into)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def get_once(self, key: str, into: Path) -> None:
        """Let an artefact appear as `get` does; of all processes of this machine that ask, one fetches it.

        One that is frozen over it, and fetches nothing for long, is not waited for.
        """
        into.parent.mkdir(parents=True, exist_ok=True)
        with into.with_name(f".{into.name}.lock").open("wb") as lock:
            self._await_turn(lock.fileno(), into)  # let go by the end of its holder, however that comes
            if not into.is_dir():
                self.get(key, into)

    def _await_turn(self, lock: int, into: Path) -> None:
        seen, until = -1, 0.0
        while not _locked(lock):
            fetched = _bytes_of_drafts(into)
            if fetched != seen:
                seen, until = fetched, self._clock() + STALLED_SECONDS
            elif self._clock() >= until:
                return
            self._pause(TURN_SECONDS)

    def put_file(self, key: str, path: Path) -> None:
        """Put a single file there, in the place of an older one; raises OSError, Away."""
        self._objects.put(path, key)

    def get_file(self, key: str, path: Path) -> None:
        """Write a single file that is there to `path`, in one step; raises Absent, Away, OSError."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}{DRAFT}{uuid.uuid4().hex}")
        try:
            self._objects.get(key, draft, bytes_max=FILE_BYTES_MAX)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def states(self, plan: str, fit: str) -> list[tuple[int, int]]:
        """Return (fence, step) of every whole state of a fit, the furthest first; raises Away."""
        prefix = states_prefix(plan, fit)
        names = self._objects.names(prefix)
        wholes = [name.removesuffix(f"/{MANIFEST}") for name in names if name.endswith(f"/{MANIFEST}")]
        found = [state_of(name.removeprefix(f"{prefix}/")) for name in wholes]
        return sorted(
            (state for state in found if state is not None), key=lambda state: (-state[1], -state[0])
        )

    def remove(self, key: str) -> None:
        """Remove an artefact, or all beneath a prefix: the manifests first, so that none is half there."""
        names = self._objects.names(key)
        manifests = [name for name in names if name.endswith(f"/{MANIFEST}")]
        self._objects.remove([*manifests, *(name for name in names if name not in set(manifests))])
        self._objects.sweep(key, older_seconds=0)  # it is nobody's any more

    def sweep(self) -> None:
        """Remove what hosts left there by half that died long ago; raises Away."""
        for kind in ("panels", "checkpoints"):  # the large ones
            self._objects.sweep(kind, older_seconds=DRAFT_SECONDS)

    def retract(self, key: str) -> None:
        """Let an artefact be none any more, so that whoever has it puts it there anew; raises Away."""
        self._objects.remove([_manifest_name(key)])

    def beneath(self, prefix: str) -> list[str]:
        """Return the names of all objects beneath ``prefix/``; raises Away."""
        return self._objects.names(prefix)

    def _manifest(self, key: str) -> dict[str, Facts]:
        """Return what there is of an artefact: file name -> digest and size."""
        content = self._objects.read(_manifest_name(key), bytes_max=MANIFEST_BYTES_MAX)
        try:
            document = json.loads(content)
            told = {str(name): dict(facts) for name, facts in document["files"].items()}
            known = document["version"] == VERSION and all(_is_sound(*one) for one in told.items())
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            known = False
        if not known:
            raise Damaged(key, f"its {MANIFEST} cannot be read", where=self.address)
        return told

    def _fetch(self, name: str, path: Path, facts: Facts) -> None:
        try:
            self._objects.get(name, path, bytes_max=int(str(facts["bytes"])))
        except Absent as error:
            raise Damaged(name, "is missing, though its manifest names it", where=self.address) from error
        if digest_of(path) != facts["sha256"]:
            raise Damaged(name, "is not what was put there", where=self.address)
        with path.open("rb") as file:
            os.fsync(file.fileno())


def _appear(draft: Path, into: Path) -> None:
    """Give a draft its name; where another was quicker its own stays, for both are the same."""
    try:
        draft.rename(into)
    except OSError:
        if not into.is_dir():
            raise
    sync_directory(into.parent)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _bytes_of_drafts(into: Path) -> int:
    """Return how much of an artefact is on its way to here."""
    found = 0
    for path in into.parent.glob(f".{into.name}{DRAFT}*/*"):
        with contextlib.suppress(OSError):  # it has just appeared
            found += path.stat().st_size
    return found


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a file; raises OSError."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            found.update(block)
    return found.hexdigest()


def _facts(path: Path) -> Facts:
    return {"sha256": digest_of(path), "bytes": path.stat().st_size}


def _is_sound(name: str, facts: Facts) -> bool:
    """Whether a manifest's line can be what we wrote: a plain name, a digest, and a size."""
    is_told = isinstance(facts.get("sha256"), str) and type(facts.get("bytes")) is int
    return bool(_NAME.fullmatch(name)) and is_told


def _manifest_name(key: str) -> str:
    return f"{key}/{MANIFEST}"


def _file_name(key: str, name: str) -> str:
    return f"{key}/files/{name}"
