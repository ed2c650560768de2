"""The making of a panel: find the files, read, align, judge the columns, write; needs pandas and pyarrow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from panel.aligned import LEFT_OUT, SCHEMA, TARGET, Column
from panel.errors import BadData, NoTargets
from panel.files import find_symbol_files
from panel.horizon import DAY_NS, MINUTE_NS, SESSION_MINUTES
from panel.memory import give_back_memory
from panel.reading import SymbolFrame, read_frames
from panel.storing import column_records, save_meta, seal
from panel.targets import Rows, Rules, classify_columns, is_target_name, never_feature

# A measured session this close to a usual one is that one with a few bars missing.
_USUAL_SESSIONS = (SESSION_MINUTES, 1_440)
_SNAP = 0.05

Array = npt.NDArray[Any]
Int64s = npt.NDArray[np.int64]


def assemble_panel(folder: Path, data_dir: Path, options: Mapping[str, Any]) -> str:
    """Write all files of a panel into `folder`; returns its key.

    `options` are symbols, patterns, horizons and interval as prepare_panel takes them.

    Raises:
        DataNotFound, UnknownSymbol, BadData: what is there cannot be read as asked.
        NoTargets: raw bars, or every target was left out.
    """
    files = find_symbol_files(data_dir, options["symbols"], interval=options["interval"])
    patterns = tuple(options["patterns"] or ())
    key = _write(folder, data_dir, list(read_frames(files)), patterns, options["horizons"])
    give_back_memory()  # what the frames took would otherwise stay with all that is done afterwards
    return key


def _write(
    folder: Path,
    data_dir: Path,
    frames: Sequence[SymbolFrame],
    patterns: tuple[str, ...],
    horizons: Mapping[str, int],
) -> str:
    notes = [note for frame in frames for note in frame.notes]
    frames = sorted((frame for frame in frames if len(frame.times)), key=lambda frame: frame.symbol)
    symbols = tuple(frame.symbol for frame in frames)
    texts = {
        name: f"{word} in {frame.symbol}" for frame in reversed(frames) for name, word in frame.texts.items()
    }
    names = sorted({name for frame in frames for name in frame.columns} - set(texts))
    starts = np.cumsum([0, *(len(frame.times) for frame in frames)])
    interval_ns = bar_interval_ns([frame.times for frame in frames], data_dir)
    session = session_minutes([frame.times for frame in frames], interval_ns)
    notes += _odd_intervals(frames, interval_ns)
    notes += [
        f"{name}: a horizon is configured for it but there is no such column"
        for name in horizons
        if name not in names
    ]
    _refuse_raw(data_dir, [*names, *texts], patterns)
    arrays = _aligned(folder, frames, names, starts)
    columns = classify_columns(
        {name: arrays["values"][place] for place, name in enumerate(names)},
        texts,
        Rows(symbols=symbols, starts=starts),
        Rules(interval_ns=interval_ns, session_minutes=session, patterns=patterns, horizons=horizons),
    )
    if not any(column.role == TARGET for column in columns):
        raise NoTargets(data_dir, _left_out_targets(columns, patterns))
    meta: dict[str, Any] = {
        "schema": SCHEMA,
        "interval_ns": interval_ns,
        "session_minutes": session,
        "symbols": list(symbols),
        "rows": int(starts[-1]),
        "timestamps": len(arrays["timestamps"]),
        "stored": names,
        "columns": column_records(columns),
        "warnings": notes,
    }
    seal(meta, arrays["values"], arrays["times"], arrays["symbols"])
    save_meta(folder, meta)
    return str(meta["key"])


def _aligned(
    folder: Path, frames: Sequence[SymbolFrame], names: Sequence[str], starts: Int64s
) -> dict[str, Array]:
    """Write the arrays of a panel and hand them back; rows in the order (symbol, time)."""
    rows = int(starts[-1])
    values = np.lib.format.open_memmap(
        folder / "values.npy", mode="w+", dtype=np.float32, shape=(len(names), rows)
    )
    for start, frame in zip(starts[:-1], frames, strict=True):
        for place, name in enumerate(names):
            own = frame.columns.get(name)
            filled = np.float32(np.nan) if own is None else _one_nan(own)
            values[place, start : start + len(frame.times)] = filled
    values.flush()
    times = np.concatenate([frame.times for frame in frames]).astype(np.int64)
    symbols = np.repeat(np.arange(len(frames), dtype=np.int32), np.diff(starts))
    timestamps, time_codes = np.unique(times, return_inverse=True)
    arrays: dict[str, Array] = {
        "times": times,
        "symbols": symbols,
        "timestamps": timestamps,
        "time_codes": time_codes.reshape(-1).astype(np.int32),
    }
    for stem, array in arrays.items():
        np.save(folder / f"{stem}.npy", array)
    return {**arrays, "values": values}


def _one_nan(values: Array) -> Array:
    """float32 with one bit pattern for missing; what overflows float32 counts as missing."""
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    return np.where(np.isfinite(narrow), narrow, np.float32(np.nan))


def _refuse_raw(data_dir: Path, names: Sequence[str], patterns: Sequence[str]) -> None:
    if not any(is_target_name(name, patterns) for name in names):
        likely = [
            (name, "label-like but not named as a target") for name in sorted(names) if _label_like(name)
        ]
        raise NoTargets(data_dir, likely)


def _label_like(name: str) -> bool:
    return (never_feature(name) or "").startswith("label")


def _left_out_targets(columns: Sequence[Column], patterns: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (column.name, column.reason or "")
        for column in columns
        if column.role == LEFT_OUT and is_target_name(column.name, patterns)
    ]


def bar_interval_ns(times: Sequence[Int64s], data_dir: Path) -> int:
    """The usual distance of two bars of a symbol, in nanoseconds: the most frequent one.

    Raises:
        BadData: no symbol has two bars.
    """
    distances = np.concatenate([np.empty(0, dtype=np.int64), *(np.diff(own) for own in times)])
    steps, counts = np.unique(distances, return_counts=True)
    if not len(steps):
        raise BadData(data_dir, "no symbol has two bars", "Give at least a few hundred bars of each symbol.")
    return int(steps[counts.argmax()])


def _odd_intervals(frames: Sequence[SymbolFrame], interval_ns: int) -> list[str]:
    """A note for each symbol whose usual step is not the panel's."""
    notes = []
    for frame in frames:
        steps, counts = np.unique(np.diff(frame.times), return_counts=True)
        own = int(steps[counts.argmax()]) if len(steps) else interval_ns
        if own != interval_ns:
            usual = interval_ns / MINUTE_NS
            notes.append(f"{frame.symbol}: bars are {own / MINUTE_NS:g} minutes apart, the others {usual:g}")
    return notes


def session_minutes(times: Sequence[Int64s], interval_ns: int) -> int:
    """Minutes of a usual trading day, measured: the most frequent number of bars a symbol has in a UTC day.

    Within 5 % of 390 (US equities) or 1440 (around the clock) it is that; 390 for bars of a day and more.
    """
    if interval_ns >= DAY_NS:
        return SESSION_MINUTES
    sizes = [np.unique(own // DAY_NS, return_counts=True)[1] for own in times]
    counts, frequency = np.unique(np.concatenate(sizes), return_counts=True)
    measured = float(counts[frequency.argmax()]) * interval_ns / MINUTE_NS
    for usual in _USUAL_SESSIONS:
        if abs(measured - usual) <= _SNAP * usual:
            return usual
    return max(1, round(measured))
