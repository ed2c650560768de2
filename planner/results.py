"""A results tree read back: its tables, its plans; nothing is measured, no training library is loaded."""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from panel.errors import nearest
from planner.artifacts import LEGACY_PLAN_DIR, PLAN_DIR, ROUTING_DIR, read_table
from planner.errors import NotInResults, PlannerError, PlanUnreadable

Row = Mapping[str, Any]

RANKING, LEAKAGE, SELECTION, CANDIDATES = (
    "target_ranking",
    "leakage",
    "feature_selection",
    "routing_candidates",
)
_PLAN_FILES = ("master_training_plan.json", "training_plan.json")
_PLAN_PLACES = (Path(), PLAN_DIR, LEGACY_PLAN_DIR, Path("training_plan"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """What a planning left behind, as far as it is there; tables without a file are empty.

    `place` is what to call it; `plan` and `routes` are the two documents or None.
    """

    place: str
    ranking: Sequence[Row] = ()
    leaks: Sequence[Row] = ()
    selections: Sequence[Row] = ()
    candidates: Sequence[Row] = ()
    routes: Row | None = None
    plan: Row | None = None

    @property
    def metadata(self) -> Row:
        """The metadata of the training plan, else of the routing plan, else nothing."""
        for document in (self.plan, self.routes):
            if document is not None and isinstance(document.get("metadata"), Mapping):
                found: Row = document["metadata"]
                return found
        return {}


def read_results(place: Path, *, target: str | None = None, selections: bool = True) -> Results:
    """Return what lies in a results directory or in a plan directory, all targets or one.

    A plan directory inside a results tree brings the tables of that tree along. `selections` False leaves the
    tables of features out, which only explanations need.

    Raises:
        NotInResults: there is neither a plan nor a table.
        PlanUnreadable: a file is there and cannot be read.
    """
    root = _root(place)
    tables = {name: _table(root, name, target) for name in (RANKING, CANDIDATES)}
    if selections:
        tables |= {name: _table(root, name, target) for name in (LEAKAGE, SELECTION)}
    found = Results(
        place=str(place),
        ranking=tables[RANKING],
        leaks=tables.get(LEAKAGE, ()),
        selections=tables.get(SELECTION, ()),
        candidates=tables[CANDIDATES],
        routes=_document(root / ROUTING_DIR / "routing_plan.json", "targets"),
        plan=read_plan(place),
    )
    if found.routes is None and found.plan is None and not known_targets(place):
        raise NotInResults(
            "there is no plan here",
            where=str(place),
            fix="trainwright plan make writes one; name it with --dir",
        )
    return found


def read_plan(place: Path) -> Row | None:
    """Return the training plan of a plan file, a plan directory or a results directory; None without one.

    Raises:
        PlanUnreadable: it is there and is no training plan.
    """
    if place.is_file():
        return _document(place, "jobs")
    paths = (place / inside / name for name in _PLAN_FILES for inside in _PLAN_PLACES)
    return next((_document(path, "jobs") for path in paths if path.is_file()), None)


def known_targets(place: Path) -> dict[str, int | None]:
    """Return every target that a results directory speaks of with its rank, None without one, by name."""
    root = _root(place)
    known: dict[str, int | None] = {}
    for row in _table(root, RANKING, None, columns=("target", "rank")):
        known[row["target"]] = row["rank"]
    for document in (_document(root / ROUTING_DIR / "routing_plan.json", "targets"), read_plan(place)):
        for name in _targets_of(document):
            known.setdefault(name, None)
    return dict(sorted(known.items()))


def require_name(name: str, known: Sequence[str], *, noun: str, place: str) -> None:
    """Check that a target or symbol is among those known.

    Raises:
        NotInResults: it is not; names the nearest one.
    """
    if name in known:
        return
    near = nearest(name, known)
    listing = f"there are: {', '.join(known[:6])}" + (" ..." if len(known) > 6 else "")
    fix = f"did you mean {near}?" if near else listing if known else "trainwright plan make"
    raise NotInResults(f"no {noun} {name!r} was planned here", where=place, fix=fix)


def _root(place: Path) -> Path:
    """The results directory that a place is, or that a plan directory lies in."""
    for depth in range(3):
        above = place.resolve().parents[depth - 1] if depth else place
        if (above / "METRICS").is_dir() and (depth == 0 or _is_plan_of(place, above)):
            return above
    return place


def _is_plan_of(place: Path, root: Path) -> bool:
    return place.resolve() in {(root / PLAN_DIR).resolve(), (root / LEGACY_PLAN_DIR).resolve()}


def _table(root: Path, name: str, target: str | None, columns: Sequence[str] | None = None) -> Sequence[Row]:
    """The rows of a table, those of one target only where one is named; none without a file."""
    path = root / "METRICS" / f"{name}.parquet"
    if not path.is_file():
        rows = read_table(root, name) if path.with_suffix(".csv").is_file() else []
        return [row for row in rows if target is None or row["target"] == target]
    try:
        table = parquet.ParquetFile(path).read(columns=None if columns is None else list(columns))
        if target is None:
            whole: list[Row] = table.to_pylist()
            return whole
        # Slices, for a filter or a list of places would load pandas.
        return [row for start, end in _runs(table["target"], target) for row in table[start:end].to_pylist()]
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise PlanUnreadable(
            f"the table {name} cannot be read", where=str(path), fix=f"plan again ({_first_line(error)})"
        ) from error


def _runs(column: Iterable[Any], target: str) -> Iterator[tuple[int, int]]:
    """The runs [start, end) of rows of one target."""
    place = 0
    for name, cells in itertools.groupby(column, key=lambda cell: cell.as_py()):
        start, place = place, place + sum(1 for _ in cells)
        if name == target:
            yield start, place


def _document(path: Path, needed: str) -> Row | None:
    """A JSON document with one key that it must have; None without a file."""
    if not path.is_file():
        return None
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, _first_line(error)) from error
    if not isinstance(document, dict) or not isinstance(document.get(needed), (dict, list)):
        raise _unreadable(path, f"it has no {needed!r}")
    return document


def _unreadable(path: Path, problem: str) -> PlannerError:
    return PlanUnreadable(f"{path.name} cannot be read: {problem}", where=str(path), fix="plan again")


def _targets_of(document: Row | None) -> set[str]:
    if document is None:
        return set()
    jobs = {job["target"] for job in document.get("jobs", ()) if isinstance(job, Mapping) and "target" in job}
    return jobs | set(document.get("targets", ())) | set(document.get("blocked", ()))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
