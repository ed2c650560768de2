"""Writes the files of the service, remembers which are ours, and takes only those away again.

What a person changed by hand is theirs from then on: it is not written over unless that is asked for, and not
removed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from daemon.errors import DaemonError
from daemon.units import UnitFile

WRITTEN, REPLACED, UNCHANGED, KEPT, REMOVED = "written", "replaced", "unchanged", "kept", "removed"
LINK = "link"
_MODE = 0o644
_SAVED = ".saved"


class FilesInTheWay(DaemonError):
    """A file of the service is there already, and it is not as we wrote it."""

    exit_code = 3

    def __init__(self, paths: Sequence[PurePosixPath]) -> None:
        more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
        super().__init__(
            "this file is not as `service install` wrote it",
            where=f"{paths[0]}{more}",
            fix="own settings belong into `systemctl edit trainwright`; --force replaces it, kept as *.saved",
        )


class NotInstalled(DaemonError):
    """No service was installed from here."""

    exit_code = 4

    def __init__(self, record: Path) -> None:
        super().__init__(
            "`service install` has installed nothing here",
            where=str(record),
            fix="trainwright service install",
        )


class NotInImage(DaemonError):
    """A folder of an image leads out of it by a link."""

    def __init__(self, folder: Path) -> None:
        super().__init__("this folder leads out of the image", where=str(folder), fix="make it a folder")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is done with a file."""

    path: PurePosixPath
    what: str


@dataclass(slots=True, kw_only=True)
class Record:
    """What an installation wrote.

    Attributes:
        files: path -> hash of its text.
        links: that systemd made for us.
        folders: that it made for them.
        units: that it enabled.
        asked: the options of the person, for the next time.
    """

    files: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    asked: dict[str, object] = field(default_factory=dict)


class Installation:
    """The files of the service below `root`, with the record of those that are ours at `record`."""

    def __init__(self, record: PurePosixPath, *, root: Path = Path("/")) -> None:
        self._root, self.record_path = root, below(root, record)
        self.record = _read(self.record_path)

    @property
    def exists(self) -> bool:
        """Whether anything was installed."""
        return self.record_path.exists()

    def changed_by_hand(self) -> tuple[PurePosixPath, ...]:
        """Return the files of ours that are there and not as we wrote them."""
        found = ((PurePosixPath(path), written) for path, written in self.record.files.items())
        return tuple(path for path, written in found if self._hash(path) not in (None, written))

    def planned(self, files: Sequence[UnitFile], *, force: bool = False) -> tuple[Change, ...]:
        """Return what writing these files would do; raises FilesInTheWay."""
        in_the_way = [] if force else [file.path for file in files if self._is_in_the_way(file)]
        if in_the_way:
            raise FilesInTheWay(in_the_way)
        wanted = {str(file.path) for file in files}
        stale = [PurePosixPath(path) for path in self.record.files if path not in wanted]
        return (
            *(Change(path=file.path, what=self._fate(file)) for file in files),
            *(Change(path=path, what=self._end(path)) for path in stale if self._there(path)),
        )

    def write(
        self,
        files: Sequence[UnitFile],
        *,
        units: Sequence[str] = (),
        links: Sequence[PurePosixPath] = (),
        asked: Mapping[str, object] | None = None,
        force: bool = False,
    ) -> None:
        """Write the files, remove ours that are no longer wanted, and record it all.

        Args:
            files: what shall be there.
            units: that are to be enabled.
            links: that systemd makes for us from these files, ours to remove.
            asked: the person's options.
            force: whether what was changed by hand is replaced as well, and kept beside it.

        Raises:
            FilesInTheWay: something is there that is not ours, and `force` was not said.
        """
        fates = {change.path: change.what for change in self.planned(files, force=force)}
        texts = {file.path: file.text for file in files}
        try:
            for path, fate in fates.items():
                if fate == REMOVED:
                    self._remove(path)
                if path not in texts:
                    self.record.files.pop(
                        str(path), None
                    )  # kept where it was changed, and theirs from now on
                    continue
                if fate in (WRITTEN, REPLACED):
                    self._save(path)
                    self._put(path, texts[path])
                if fate != KEPT:
                    self.record.files[str(path)] = _hash(texts[path].encode())
            self.record.links = [str(link) for link in links]
            self.record.units, self.record.asked = list(units), dict(asked or {})
        finally:
            self._put_record()

    def ending(self) -> tuple[Change, ...]:
        """Return what `remove` would do; raises NotInstalled."""
        if not self.exists:
            raise NotInstalled(self.record_path)
        paths = [PurePosixPath(path) for path in (*self.record.files, *self.record.links)]
        return tuple(Change(path=path, what=self._end(path)) for path in paths if self._there(path))

    def remove(self) -> None:
        """Remove what was written and is as it was, the record, and the folders made that are empty."""
        for change in self.ending():
            if change.what == REMOVED:
                self._remove(change.path)
        self.record_path.unlink()
        for folder in reversed(self.record.folders):
            with contextlib.suppress(OSError):  # somebody else's files are in it
                below(self._root, PurePosixPath(folder)).rmdir()

    def _there(self, path: PurePosixPath) -> bool:
        return os.path.lexists(below(self._root, path))

    def _hash(self, path: PurePosixPath) -> str | None:
        """The hash of a file, LINK, or a blank for anything else; None when nothing is there."""
        place = below(self._root, path)
        if not os.path.lexists(place):
            return None
        if place.is_symlink():
            return LINK
        return _hash(place.read_bytes()) if place.is_file() else " "

    def _is_ours(self, path: PurePosixPath) -> bool:
        return self._hash(path) in (None, self.record.files.get(str(path)))

    def _is_in_the_way(self, file: UnitFile) -> bool:
        same = self._hash(file.path) == _hash(file.text.encode())
        return not (file.yours or same or self._is_ours(file.path))

    def _fate(self, file: UnitFile) -> str:
        found = self._hash(file.path)
        if found is None:
            return WRITTEN
        if found == _hash(file.text.encode()):
            return UNCHANGED
        return KEPT if file.yours and not self._is_ours(file.path) else REPLACED

    def _end(self, path: PurePosixPath) -> str:
        ours = self._hash(path) == LINK if str(path) in self.record.links else self._is_ours(path)
        return REMOVED if ours else KEPT

    def _save(self, path: PurePosixPath) -> None:
        """Keep what is about to be replaced and is not ours."""
        if not self._is_ours(path):
            place = below(self._root, path)
            place.rename(place.with_name(place.name + _SAVED))

    def _put(self, path: PurePosixPath, text: str) -> None:
        """Write a file whole or not at all, and the folders above it, which are ours if we make them."""
        for above in reversed(path.parents):
            place = below(self._root, above)
            if not place.exists():
                place.mkdir(mode=0o755)
                self.record.folders.append(str(above))
        place = below(self._root, path)
        if not place.parent.resolve().is_relative_to(self._root.resolve()):
            raise NotInImage(place.parent)
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        partial.write_text(text, encoding="utf-8")
        partial.chmod(_MODE)
        partial.replace(place)

    def _put_record(self) -> None:
        path = PurePosixPath("/") / self.record_path.relative_to(self._root)
        self._put(path, "")  # makes the folders above it, which belong into the record
        self._put(path, f"{json.dumps({'v': 1, **asdict(self.record)}, indent=2)}\n")

    def _remove(self, path: PurePosixPath) -> None:
        below(self._root, path).unlink(missing_ok=True)


def below(root: Path, path: PurePosixPath) -> Path:
    """Return where a path of the machine lies in an image of it."""
    return root / path.relative_to("/")


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> Record:
    """The record of an earlier installation; an empty one when there was none or it cannot be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            files={str(file): str(written) for file, written in found["files"].items()},
            links=[str(link) for link in found["links"]],
            folders=[str(folder) for folder in found["folders"]],
            units=[str(unit) for unit in found["units"]],
            asked=dict(found["asked"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Record()
