"""What keeps a log, crashed at each call that writes: seals, archives, retirement, backup, restore, transfer.

After each crash the log is sound, what the operation made is whole or not there, and the same call again
brings it to its end.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from campaigns import main
from reporting import Progress
from store_audit import Audit
from store_operations import OTHER_PLAN, PLAN
from store_work import LEASE_SECONDS, succeeded_word
from syscall_gate import crossing

from store import PlanStore
from store.archive import archive, archives
from store.backup import back_up
from store.database import connect
from store.errors import StoreError
from store.restoring import restore
from store.retention import retire
from store.seals import read_seals, seal, seals_of
from store.transfer import check_transfer, export_log, import_log
from store.verification import verify

_FAR_FUTURE = 4_102_444_800_000_000  # microseconds, the year 2100: everything is old enough to be retired


@dataclass(frozen=True, slots=True)
class Place:
    """A folder with a log, its results and what is made of them."""

    folder: Path

    @property
    def url(self) -> str:
        """The address of the log."""
        return f"sqlite:///{self.folder}/store.db"

    @property
    def seals(self) -> Path:
        """The seals outside."""
        return self.folder / "seals.jsonl"

    @property
    def made(self) -> Path:
        """The file that an operation makes, or takes."""
        return self.folder / "made"

    def events(self) -> int:
        """How many events the log has."""
        with PlanStore(connect(self.url)) as store:
            return store.info().events


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """One operation; `left` says what is wrong with what it left, `ended` what is wrong when it has ended."""

    name: str
    call: Callable[[Place], object]
    before: Callable[[Place], object] = lambda place: None
    left: Callable[[Place], str] = lambda place: ""
    ended: Callable[[Place], str] = lambda place: ""


def _sealed(place: Place) -> str:
    database = connect(place.url)
    with database.snapshot() as tx:
        inside = [one.line for one in seals_of(tx)]
    database.close()
    outside = [one.line for one in read_seals(place.seals)]
    return "" if inside == outside and inside else f"{len(inside)} seals inside, {len(outside)} outside"


def _seal(place: Place) -> None:
    _closed(place, lambda database: seal(database, place.seals, every=5, to_head=True))


def _closed(place: Place, work: Callable[[Any], object]) -> None:
    database = connect(place.url)
    try:
        work(database)
    finally:
        database.close()


def _archive(place: Place) -> None:
    _closed(place, lambda database: archive(database, PLAN.id, place.folder, actor="user"))


def _archived(place: Place) -> str:
    """Every archive in the folder is as it was recorded, or not recorded yet."""
    database = connect(place.url)
    states = [one.state for one in archives(database, place.folder)]
    database.close()
    return "" if set(states) <= {"kept", "retired"} else f"archives are {states}"


def _archived_once(place: Place) -> str:
    with PlanStore(connect(place.url)) as store:
        found = store.events(kinds=["PlanArchived"])
    return "" if len(found) == 1 else f"{len(found)} archives were recorded"


def _retire(place: Place) -> None:
    _closed(place, lambda database: retire(database, before=_FAR_FUTURE, seals=place.seals))


def _retired(place: Place) -> str:
    with PlanStore(connect(place.url)) as store:
        first = store.events(limit=1)[0].seq
    return "" if first > 1 else "nothing was retired"


def _sound_copy(path: Path) -> str:
    """What is wrong with a copy, if there is one."""
    if not path.exists():
        return ""
    database = connect(f"sqlite:///{path}", readonly=True)
    found = verify(database)
    database.close()
    return "" if found.ok else f"the copy: {found.problems[0]}"


def _sound_transfer(place: Place) -> str:
    if place.made.exists():
        check_transfer(place.made)
    return ""


def _back_up(place: Place) -> None:
    if not place.made.exists():
        back_up(place.url, place.made)


def _export(place: Place) -> None:
    if not place.made.exists():
        _closed(place, lambda database: export_log(database, place.made))


def _older_copy(place: Place) -> None:
    """A backup, and one event after it."""
    back_up(place.url, place.made)
    with PlanStore(connect(place.url)) as store:
        store.accept(OTHER_PLAN, source="s", name="n")


def _empty(place: Place) -> None:
    """A transfer file of the log, and an empty log in its place."""
    _export(place)
    shutil.copyfile(place.folder.parent / "migrated.db", place.folder / "store.db")


def _import(place: Place) -> None:
    if not place.events():
        _closed(place, lambda database: import_log(database, place.made))


def _has_plan(place: Place) -> str:
    with PlanStore(connect(place.url)) as store:
        plans = [plan.id for plan in store.reading.plans()]
    return "" if plans == [PLAN.id] else f"the plans are {plans}"


KEEPINGS = (
    Keeping(name="seal", call=_seal, ended=_sealed),
    Keeping(name="archive", call=_archive, left=_archived, ended=_archived_once),
    Keeping(name="retire", before=_archive, call=_retire, left=_archived, ended=_retired),
    Keeping(
        name="backup", call=_back_up,
        left=lambda place: _sound_copy(place.made), ended=lambda place: "" if place.made.exists() else "none",
    ),
    Keeping(
        name="restore", before=_older_copy,
        call=lambda place: restore(place.url, place.made, force=True, seals=place.seals), ended=_has_plan,
    ),
    Keeping(name="export", call=_export, left=_sound_transfer),
    Keeping(name="import", before=_empty, call=_import, ended=_has_plan),
)  # fmt: skip


def _finished_plan(place: Place) -> None:
    """A log with one plan whose fits have all succeeded."""
    with PlanStore(connect(place.url)) as store:
        store.accept(PLAN, source="s", name="n")
        for stage in ("cpu", "gpu"):
            for claim in store.claim("w", stage=stage, limit=9, lease_seconds=LEASE_SECONDS):
                store.succeeded(claim, succeeded_word("w", claim.fence))


def crashes(folder: Path, *, every: int = 1) -> dict[str, Any]:
    """Kill each operation at call 1, 1 + `every`, … until it ends unharmed."""
    import_module("pyarrow.parquet")
    total, progress = Audit(), Progress("crash while keeping", len(KEEPINGS))
    points: dict[str, int] = {}
    for number, keeping in enumerate(KEEPINGS):
        points[keeping.name] = _crashed(keeping, folder, every, total)
        progress.at(number)
    return {"faults": sum(points.values()), "points": points, "seconds": progress.seconds, **total.counts()}


def _crashed(keeping: Keeping, folder: Path, every: int, total: Audit) -> int:
    """Kill one operation at every so many calls; returns how often."""
    template, place = folder / "template", Place(folder / "place")
    for old in (template, place.folder):
        shutil.rmtree(old, ignore_errors=True)
    place.folder.mkdir()
    shutil.copyfile(folder / "migrated.db", place.folder / "store.db")
    _finished_plan(place)
    keeping.before(place)
    place.folder.rename(template)
    points, at = 0, 1
    while True:
        shutil.rmtree(place.folder, ignore_errors=True)
        shutil.copytree(template, place.folder)
        crossed = crossing(lambda tell: _told(tell, keeping.call(place)), at=at, files=True)
        total.add(_judged(keeping, place), f"{keeping.name}, killed at call {at}")
        if crossed.status > 0:
            total.problems.append(f"{keeping.name}: {crossed.told}")
        if crossed.status >= 0:
            return points
        points, at = points + 1, at + every


def _told(tell: Callable[[bytes], object], _: object) -> None:
    tell(b"done\n")


def _judged(keeping: Keeping, place: Place) -> Audit:
    """Look at what is left, call again, look at the end."""
    found = Audit()
    try:
        found.problems += _problems(place)
        found.problems += [text for text in (keeping.left(place),) if text]
        keeping.call(place)
        found.problems += _problems(place)
        found.problems += [text for text in (keeping.left(place), keeping.ended(place)) if text]
    except StoreError as error:
        found.problems.append(f"{type(error).__name__}: {error}")
    found.events = place.events()
    return found


def _problems(place: Place) -> tuple[str, ...]:
    database = connect(place.url)
    found = verify(database)
    database.close()
    return found.problems


if __name__ == "__main__":
    main(crashes)
