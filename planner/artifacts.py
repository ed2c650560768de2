"""The results tree as files, atomically, the same bytes for the same content."""

import contextlib
import csv
import io
import json
import secrets
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from panel.names import safe_file_name
from planner.columns import ARROW_TYPES, arrow_column
from planner.errors import PlanUnreadable
from planner.markdown import routing_markdown, training_markdown
from planner.plan_text import LARGE_FROM, PlanText, as_yaml, pieces, yaml_bytes
from planner.schema import table_columns
from planner.views import plan_views
from planner.writing import write_atomically
from store.collecting import uncollected

PLAN_DIR = Path("globals/training_plan")
LEGACY_PLAN_DIR = Path("METRICS/training_plan")
ROUTING_DIR = Path("METRICS/routing_plan")

_VIEW_DIRS = ("by_target", "by_symbol", "by_type", "by_route", "by_stage")


class ParquetFailed(UserWarning):
    """A table could not be written as Parquet and lies there as CSV instead."""


def write_table(results_dir: Path, name: str, rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write METRICS/<name>.parquet with the columns of its schema; return the path that holds the table.

    When Parquet fails for whatever reason of its own, CSV with the same stem is written and a ParquetFailed
    warning says so loudly. The other of the two formats is removed: a reader never meets a stale one.

    Raises:
        ArtifactUnwritable: not even the CSV can be written.
    """
    columns = table_columns(name)
    records = list(rows)
    path = results_dir / "METRICS" / f"{name}.parquet"
    spare = path.with_suffix(".csv")
    try:
        data = _parquet_bytes(columns, records)
    except (pa.ArrowException, OSError, ImportError) as error:
        warnings.warn(
            f"{path}: Parquet failed ({error}); written as {spare.name}", ParquetFailed, stacklevel=2
        )
        write_atomically(spare, _csv_bytes(columns, records))
        path.unlink(missing_ok=True)
        return spare
    write_atomically(path, data)
    spare.unlink(missing_ok=True)
    return path


def read_table(results_dir: Path, name: str) -> list[dict[str, Any]]:
    """Return the rows of METRICS/<name>, from Parquet or else from CSV, missing values None.

    Raises:
        PlanUnreadable: neither is there, or it cannot be parsed.
    """
    path = results_dir / "METRICS" / f"{name}.parquet"
    try:
        if path.is_file():
            rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
            return rows
        return _csv_rows(path.with_suffix(".csv"), table_columns(name))
    except (OSError, ValueError, pa.ArrowException) as error:
        raise PlanUnreadable(
            f"the table {name} cannot be read", where=str(path), fix=f"run the planning again ({error})"
        ) from error


def write_routing_plan(results_dir: Path, document: Mapping[str, Any]) -> Path:
    """Write METRICS/routing_plan/routing_plan.{yaml,md,json}, JSON last; return the directory."""
    folder = results_dir / ROUTING_DIR
    is_large = sum(len(record["symbols"]) for record in document["targets"].values()) > LARGE_FROM
    with uncollected():
        text = list(pieces(document, "targets"))
        as_words = as_yaml(text) if is_large else yaml_bytes(document)
        write_atomically(folder / "routing_plan.yaml", as_words, durable=False)
        write_atomically(folder / "routing_plan.md", routing_markdown(document).encode(), durable=False)
        write_atomically(folder / "routing_plan.json", text)
    return folder


def write_training_plan(folder: Path, document: Mapping[str, Any]) -> Path:
    """Write the training plan with its mirror, YAML, Markdown and views into `folder`; the master comes last.

    Views of an earlier plan that this one lacks are removed. Views are not waited for until they are on the
    disk: they are made from the master, which is.

    Raises:
        ArtifactUnwritable: a file cannot be written.
    """
    with uncollected():
        text = PlanText(document)
        views = {
            folder / kind / f"{safe_file_name(name)}.json": view
            for kind, group in plan_views(document).items()
            for name, view in group.items()
        }
        for path, view in views.items():
            write_atomically(path, text.json(view), durable=False)
        for kind in _VIEW_DIRS:
            for stale in sorted((folder / kind).glob("*.json")):
                if stale not in views:
                    stale.unlink()
        write_atomically(folder / "training_plan.yaml", text.yaml(), durable=False)
        write_atomically(folder / "training_plan.md", training_markdown(document).encode(), durable=False)
        write_atomically(folder / "training_plan.json", text.json())
        write_atomically(folder / "master_training_plan.json", text.json())
    return folder


def link_legacy_plan(results_dir: Path) -> str | None:
    """Make METRICS/training_plan a symlink to ../globals/training_plan; return a warning when it cannot be.

    A real directory of an older system is left as it is: the primary place is read first anyway.
    """
    link = results_dir / LEGACY_PLAN_DIR
    if link.is_dir() and not link.is_symlink():
        return f"{link} is a directory of an older plan and was left alone; the plan is in {PLAN_DIR}"
    temporary = link.with_name(f".{link.name}.{secrets.token_hex(4)}.tmp")
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        temporary.symlink_to(Path("..") / PLAN_DIR, target_is_directory=True)
        temporary.replace(link)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        return f"{link} could not be linked to {PLAN_DIR} ({error.strerror}); read the plan there"
    return None


def _parquet_bytes(columns: Mapping[str, str], records: Sequence[Mapping[str, Any]]) -> bytes:
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in columns.items()])
    cells = [arrow_column([record.get(name) for record in records], kind) for name, kind in columns.items()]
    table = pa.Table.from_arrays(cells, schema=schema)
    sink = io.BytesIO()
    parquet.write_table(table, sink, compression="zstd")
    return sink.getvalue()


def _csv_bytes(columns: Mapping[str, str], records: Sequence[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([_csv_cell(record.get(name)) for name in columns])
    return text.getvalue().encode()


def _csv_cell(value: object) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, allow_nan=False)


def _csv_rows(path: Path, columns: Mapping[str, str]) -> list[dict[str, Any]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return [
            {name: _csv_value(cell, columns.get(name, "string")) for name, cell in row.items()}
            for row in csv.DictReader(stream)
        ]


def _csv_value(cell: str | None, kind: str) -> object:
    if cell is None or cell == "":
        return None
    return cell if kind == "string" else json.loads(cell)
