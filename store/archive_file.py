"""The archive of one plan: a parquet file that can be checked by itself.

It holds rows of the table `event`, all columns, in the order of the log, and with each the hash of the row
before it there (`hash_before`), so that every link can be computed again without the rest of the log. Its
metadata, under the key ``trainwright``, is JSON: which plan, how many events, from which seq to which, and
the log's head at the time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

from store.database import Row
from store.errors import KeepingRefused
from store.layout import COLUMNS
from store.log import link_fits

ROWS = 20_000  # in a row group, and in memory at a time
_BINARY = frozenset(("event_id", "causation_id", "hash", "hash_before"))
_INTEGERS = frozenset(("seq", "version", "schema_version", "recorded_at", "attempt"))
_KEY = b"trainwright"
Linked = tuple[Any, ...]  # a row of the log, and behind its columns the hash of the row before it


def write_archive(path: Path, rows: Iterator[Linked], metadata: Mapping[str, Any]) -> None:
    """Write rows to a file, a group at a time; raises OSError."""
    arrow, parquet = _libraries()
    kinds = [
        arrow.binary() if name in _BINARY else arrow.int64() if name in _INTEGERS else arrow.string()
        for name in (*COLUMNS, "hash_before")
    ]
    schema = arrow.schema(zip((*COLUMNS, "hash_before"), kinds, strict=True))
    schema = schema.with_metadata({_KEY: json.dumps(metadata).encode()})
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROWS)):
            columns = zip(zip(*group, strict=True), kinds, strict=True)
            arrays = [arrow.array(values, type=kind) for values, kind in columns]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def read_archive(path: Path) -> tuple[Mapping[str, Any], Iterator[Linked]]:
    """Return an archive's metadata and its rows; raises KeepingRefused for a file that is none."""
    _, parquet = _libraries()
    try:
        file = parquet.ParquetFile(path)
        metadata: dict[str, Any] = json.loads(file.schema_arrow.metadata[_KEY])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeepingRefused(
            what="this is no archive of a plan", where=str(path), fix="Name a file that db archive wrote"
        ) from error
    return metadata, _rows(file)


def require_equal(path: Path, wanted: Iterator[Linked]) -> None:
    """Raise KeepingRefused unless a file, read back, has exactly these rows and each link holds."""
    _, found = read_archive(path)
    for row in wanted:
        if next(found, None) != row or not link_fits(row[-1], row[:-1]):
            raise _unlike(path, int(row[0]))
    extra = next(found, None)
    if extra is not None:
        raise _unlike(path, int(extra[0]))


def broken_links(path: Path) -> list[int]:
    """Return the seqs of an archive's rows whose hash does not follow from their content."""
    _, rows = read_archive(path)
    return [int(row[0]) for row in rows if not link_fits(row[-1], row[:-1])]


def linked(row: Row) -> Linked:
    """Return a row with its hash before as plain values: bytes for whatever a driver returns."""
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in row)


def _unlike(path: Path, seq: int) -> KeepingRefused:
    return KeepingRefused(
        what=f"event {seq} was not read back as the log has it: the archive was not kept",
        where=str(path),
        fix="Run: trainwright db verify; if all is well, look at the disk and repeat the command",
    )


def _rows(file: Any) -> Iterator[Linked]:  # noqa: ANN401 - pyarrow, loaded late, has no types of its own
    for batch in file.iter_batches(batch_size=ROWS):
        yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def _libraries() -> tuple[ModuleType, ModuleType]:
    """Return pyarrow and its parquet: heavy, and loaded here only, when an archive is written or read."""
    return import_module("pyarrow"), import_module("pyarrow.parquet")
