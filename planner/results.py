"""A results tree read back: its tables, its plans; nothing is measured, no training library is loaded."""

import contextlib
import gc
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from panel.errors import nearest
from planner.artifacts import LEGACY_PLAN_DIR, PLAN_DIR, ROUTING_DIR, read_table
from planner.documents import read_plan, read_routes
from planner.errors import NotInResults, PlanUnreadable
from planner.findings import Results, Row
from planner.moved import COMPARED

RANKING, LEAKAGE, SELECTION, CANDIDATES = (
    "target_ranking",
    "leakage",
    "feature_selection",
    "routing_candidates",
)


def read_results(place: Path, *, target: str | None = None, compared: bool = False) -> Results:
    """Return what lies in a results directory or in a plan directory, all targets or one.

    A plan directory inside a results tree brings the tables of that tree along. `compared` leaves out
    what two plannings are not compared by: the tables of features, and most columns of the others.

    Raises:
        NotInResults: there is neither a plan nor a table.
        PlanUnreadable: a file is there and cannot be read.
    """
    with _no_collection():
        return _read(place, _root(place), target, compared=compared)


def _read(place: Path, root: Path, target: str | None, *, compared: bool) -> Results:
    names = (RANKING, CANDIDATES) if compared else (RANKING, CANDIDATES, LEAKAGE, SELECTION)
    tables = {name: _table(root, name, target, COMPARED if compared else None) for name in names}
    routes = read_routes(root / ROUTING_DIR / "routing_plan.json", target)
    plan = read_plan(place, target)
    ranks = {row["target"]: row["rank"] for row in _ranks(root)}
    known = {name: ranks.get(name) for name in sorted(ranks.keys() | routes.targets | plan.targets)}
    if routes.content is None and plan.content is None and not known:
        raise NotInResults(
            "there is no plan here",
            where=str(place),
            fix="trainwright plan make writes one; name it with --dir",
        )
    return Results(
        place=str(place),
        targets=known,
        ranking=tables[RANKING],
        leaks=tables.get(LEAKAGE, ()),
        selections=tables.get(SELECTION, ()),
        candidates=tables[CANDIDATES],
        routes=routes.content,
        plan=plan.content,
    )


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector of circles still: rows have none, and it would look through millions of them."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


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
    if (place / "METRICS").is_dir():
        return place
    here = place.resolve()
    of_a_tree = (above for above in here.parents[:2] if here in _plan_places(above))
    return next((above for above in of_a_tree if (above / "METRICS").is_dir()), place)


def _plan_places(root: Path) -> set[Path]:
    return {(root / PLAN_DIR).resolve(), (root / LEGACY_PLAN_DIR).resolve()}


def _ranks(root: Path) -> Sequence[Row]:
    """Target and rank of every row of the ranking."""
    path = root / "METRICS" / f"{RANKING}.parquet"
    return _columns(path, RANKING, ("target", "rank")).to_pylist() if path.is_file() else _csv(root, RANKING)


def _table(root: Path, name: str, target: str | None, columns: Sequence[str] | None) -> Sequence[Row]:
    """The rows of a table, those of one target only where one is named; none without a file."""
    path = root / "METRICS" / f"{name}.parquet"
    if not path.is_file():
        return [row for row in _csv(root, name) if target in (None, row["target"])]
    table = _columns(path, name, columns)
    if target is None:
        whole: list[Row] = table.to_pylist()
        return whole
    # Slices, for a filter or a list of places would load pandas.
    owners = table["target"].to_pylist()
    return [row for start, end in _runs(owners, target) for row in table[start:end].to_pylist()]


def _columns(path: Path, name: str, columns: Sequence[str] | None = None) -> pa.Table:
    try:
        file = parquet.ParquetFile(path)
        known = None if columns is None else [name for name in columns if name in file.schema_arrow.names]
        return file.read(columns=known)
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise PlanUnreadable(
            f"the table {name} cannot be read", where=str(path), fix=f"plan again ({reason})"
        ) from error


def _csv(root: Path, name: str) -> Sequence[Row]:
    """The rows of a table that was written as CSV because Parquet failed; none without a file."""
    return read_table(root, name) if (root / "METRICS" / f"{name}.csv").is_file() else []


def _runs(owners: Iterable[str], target: str) -> Iterator[tuple[int, int]]:
    """The runs [start, end) of rows of one target."""
    place = 0
    for name, cells in itertools.groupby(owners):
        start, place = place, place + sum(1 for _ in cells)
        if name == target:
            yield start, place
