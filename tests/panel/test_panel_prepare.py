"""From files to a panel: content keys, no second parse, one build for two processes."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import panel_cases as cases
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import panel.assembly
import panel.prepare
from panel.aligned import Panel, open_panel
from panel.assembly import bar_interval_ns, session_minutes
from panel.errors import BadData, DataNotFound, NoTargets, UnknownSymbol
from panel.files import SymbolFiles
from panel.horizon import DAY_NS, MINUTE_NS
from panel.prepare import prepare_panel
from panel.reading import SymbolFrame
from panel.storing import intact

Frames = dict[str, pd.DataFrame]


def frames() -> Frames:
    """Two symbols of different length, a missing value in each."""
    made = {"AAPL": cases.labelled(150, 1), "MSFT": cases.labelled(120, 2)}
    for frame in made.values():
        frame.loc[5, "beta"] = np.nan
    return made


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by one each time files are really parsed."""
    calls: list[int] = []
    read = panel.assembly.read_frames

    def counting(files: Sequence[SymbolFiles]) -> Iterator[SymbolFrame]:
        calls.append(1)
        return read(files)

    monkeypatch.setattr(panel.assembly, "read_frames", counting)
    return calls


def key_of(made: Frames, folder: Path, **options: object) -> str:
    """The content key frames get in a fresh place."""
    return cases.prepared(made, folder, **options).key


def reversed_columns(made: Frames) -> Frames:
    """The same columns in the other order."""
    return {symbol: frame[frame.columns[::-1]] for symbol, frame in made.items()}


def reversed_rows(made: Frames) -> Frames:
    """The same rows in the other order."""
    return {symbol: frame.iloc[::-1] for symbol, frame in made.items()}


def reversed_symbols(made: Frames) -> Frames:
    """The same files written in the other order."""
    return dict(reversed(made.items()))


def doubles_to_floats(made: Frames) -> Frames:
    """The same numbers in the panel's own precision."""
    return {symbol: frame.astype({"alpha": "float32", "beta": "float32"}) for symbol, frame in made.items()}


def zones(made: Frames) -> Frames:
    """The same moments told in another zone."""
    return {
        symbol: frame.assign(ts=frame["ts"].dt.tz_convert("Asia/Tokyo")) for symbol, frame in made.items()
    }


@pytest.mark.parametrize(
    "change",
    [reversed_columns, reversed_rows, reversed_symbols, doubles_to_floats, zones],
    ids=lambda change: change.__name__,
)
def test_the_key_does_not_know_how_the_data_was_written(
    change: Callable[[Frames], Frames], tmp_path: Path
) -> None:
    """Order of columns, rows, files and symbols, precision and zone: the same content, the same key."""
    first, second = key_of(frames(), tmp_path / "one"), key_of(change(frames()), tmp_path / "two")
    assert first == second


def test_a_missing_value_has_one_spelling(tmp_path: Path) -> None:
    """Nulls and NaNs of any bit pattern are the same missing value."""
    keys = set()
    for place, missing in enumerate((np.nan, -np.nan, None)):
        frame = cases.labelled(120)
        beta = [*frame["beta"].tolist()[:-1], missing]
        table = pa.Table.from_pandas(frame.drop(columns="beta"), preserve_index=False)
        folder = tmp_path / str(place)
        folder.mkdir()
        pq.write_table(table.append_column("beta", pa.array(beta, pa.float64())), folder / "X.parquet")
        keys.add(prepare_panel(folder, symbols=None, cache_dir=tmp_path / "cache").key)
    assert len(keys) == 1


def test_the_key_is_the_same_for_every_layout(tmp_path: Path) -> None:
    """Hive directories, csv files and one long file of the same numbers are one panel."""
    (tmp_path / "csv").mkdir()
    whole = []
    for symbol, frame in frames().items():
        frame.to_csv(tmp_path / "csv" / f"{symbol}.csv", index=False)
        whole.append(frame.assign(symbol=symbol))
    pd.concat(whole).sort_values("ts").to_parquet(tmp_path / "long.parquet", index=False)
    keys = {key_of(frames(), tmp_path / "hive")}
    for place in ("csv", "long.parquet"):
        keys.add(prepare_panel(tmp_path / place, symbols=None, cache_dir=tmp_path / "cache").key)
    assert len(keys) == 1


@pytest.mark.parametrize("column", ["alpha", "beta", "fwd_ret_1d", "y_up_5d"])
@pytest.mark.parametrize("value", ["other", "missing"])
def test_any_changed_value_changes_the_key(column: str, value: str, tmp_path: Path) -> None:
    """One cell of one symbol is enough."""
    made = frames()
    before = key_of(made, tmp_path / "one")
    cell = made["MSFT"].loc[77, column]
    made["MSFT"].loc[77, column] = np.nan if value == "missing" else 1.0 - cell
    assert key_of(made, tmp_path / "two") != before


def test_a_changed_time_symbol_name_or_horizon_changes_the_key(tmp_path: Path) -> None:
    """What a number means belongs to the content."""
    base = key_of(frames(), tmp_path / "base")
    later = frames()
    later["MSFT"].loc[119, "ts"] += pd.Timedelta(hours=1)
    other = {"AAPL": frames()["AAPL"], "MSFTX": frames()["MSFT"]}
    renamed = {symbol: frame.rename(columns={"beta": "gamma"}) for symbol, frame in frames().items()}
    keys = [
        key_of(later, tmp_path / "later"),
        key_of(other, tmp_path / "other"),
        key_of(renamed, tmp_path / "renamed"),
        key_of(frames(), tmp_path / "horizon", horizons={"fwd_ret_1d": 2}),
        key_of(frames(), tmp_path / "subset", symbols=["AAPL"]),
    ]
    assert len({base, *keys}) == 6


@pytest.mark.parametrize(
    "change",
    [reversed_columns, reversed_rows, reversed_symbols, doubles_to_floats, zones],
    ids=lambda change: change.__name__,
)
def test_the_digests_do_not_know_how_the_data_was_written(
    change: Callable[[Frames], Frames], tmp_path: Path
) -> None:
    """Columns and layout have the same digests whatever the order, precision or zone of the files."""
    one = cases.prepared(frames(), tmp_path / "one")
    two = cases.prepared(change(frames()), tmp_path / "two")
    assert (one.digests, one.layout_digest) == (two.digests, two.layout_digest)
    assert sorted(one.digests) == ["alpha", "beta", "fwd_ret_1d", "y_up_5d"]
    assert len({one.layout_digest, *one.digests.values()}) == 5


def test_one_more_or_one_changed_column_leaves_the_other_digests_alone(tmp_path: Path) -> None:
    """A digest names what one column holds, so what was measured on the others stays true."""
    before = cases.prepared(frames(), tmp_path / "one")
    made = {symbol: frame.assign(y_more_1d=frame["fwd_ret_1d"] * 2) for symbol, frame in frames().items()}
    made["MSFT"].loc[77, "beta"] = 1.0
    after = cases.prepared(made, tmp_path / "two")
    assert after.key != before.key
    assert after.layout_digest == before.layout_digest
    same = {name for name, digest in before.digests.items() if after.digests[name] == digest}
    assert same == {"alpha", "fwd_ret_1d", "y_up_5d"}


def test_another_time_symbol_or_row_changes_the_layout(tmp_path: Path) -> None:
    """What a row stands for has a digest of its own."""
    later = frames()
    later["MSFT"].loc[119, "ts"] += pd.Timedelta(hours=1)
    renamed = {"AAPL": frames()["AAPL"], "MSFTX": frames()["MSFT"]}
    shorter = {symbol: frame.iloc[:-1] for symbol, frame in frames().items()}
    layouts = {
        cases.prepared(made, tmp_path / str(place)).layout_digest
        for place, made in enumerate([frames(), later, renamed, shorter])
    }
    assert len(layouts) == 4


def test_a_panel_stored_before_digests_were_kept_still_opens(tmp_path: Path) -> None:
    """Plans accepted under an older version name panels by path; their fits go on."""
    made = cases.prepared(frames(), tmp_path)
    meta = json.loads((made.path / "meta.json").read_text())
    del meta["digests"], meta["layout_digest"]
    (made.path / "meta.json").write_text(json.dumps(meta))
    old = open_panel(made.path)
    assert (old.key, dict(old.digests), old.layout_digest) == (made.key, {}, "")


def test_the_same_files_are_not_parsed_again(parsed: list[int], tmp_path: Path) -> None:
    """The second call opens what the first stored; another order of the symbols is no other question."""
    first = cases.prepared(frames(), tmp_path)
    options = {"cache_dir": tmp_path / "cache"}
    second = prepare_panel(tmp_path / "data", symbols=None, **options)
    assert (len(parsed), second.key, second.path) == (1, first.key, first.path)
    prepare_panel(tmp_path / "data", symbols=["MSFT", "AAPL"], **options)
    prepare_panel(tmp_path / "data", symbols=["AAPL", "MSFT"], **options)
    assert len(parsed) == 2


def test_a_touched_file_or_a_forced_refresh_parses_again(parsed: list[int], tmp_path: Path) -> None:
    """The same size at another time is read anew, and the same content gives the same panel."""
    first = cases.prepared(frames(), tmp_path)
    options = {"symbols": None, "cache_dir": tmp_path / "cache"}
    file = tmp_path / "data" / "symbol=AAPL" / "AAPL.parquet"
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 1))
    assert prepare_panel(tmp_path / "data", **options).path == first.path
    assert len(parsed) == 2
    assert prepare_panel(tmp_path / "data", force_refresh=True, **options).path == first.path
    assert len(parsed) == 3


def test_a_damaged_stored_panel_is_built_again(parsed: list[int], tmp_path: Path) -> None:
    """A lost file is noticed at opening, a changed byte by a forced refresh."""
    made = cases.prepared(frames(), tmp_path)
    options = {"symbols": None, "cache_dir": tmp_path / "cache"}
    (made.path / "times.npy").unlink()
    assert intact(prepare_panel(tmp_path / "data", **options))
    with (made.path / "values.npy").open("r+b") as out:
        out.seek(-4, 2)
        out.write(b"\x00\x00\x00\x01")
    assert not intact(open_panel(made.path))
    assert intact(prepare_panel(tmp_path / "data", force_refresh=True, **options))
    assert len(parsed) == 3


KNOWN = """
import sys, pathlib
from panel.prepare import prepare_panel
data_dir, cache_dir = map(pathlib.Path, sys.argv[1:])
print(prepare_panel(data_dir, symbols=None, cache_dir=cache_dir).key)
print(sorted({"pandas", "pyarrow"} & set(sys.modules)))
"""


def test_known_files_load_no_reader(tmp_path: Path) -> None:
    """A panel that is there is opened with numpy alone: pandas and pyarrow load where files are parsed."""
    made = cases.prepared(frames(), tmp_path)
    words = [sys.executable, "-c", KNOWN, str(tmp_path / "data"), str(tmp_path / "cache")]
    said = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout
    assert said.split("\n")[:2] == [made.key, "[]"]


CHILD = """
import sys, pathlib, panel.assembly, panel.prepare
read = panel.assembly.read_frames
def counting(files):
    print("parsed", flush=True)
    return read(files)
panel.assembly.read_frames = counting
print("asking", flush=True)
data_dir, cache_dir = map(pathlib.Path, sys.argv[1:])
made = panel.prepare.prepare_panel(data_dir, symbols=None, cache_dir=cache_dir)
print(made.key, flush=True)
"""


def test_two_processes_build_once(tmp_path: Path) -> None:
    """Both ask while the lock is held elsewhere; once it is free, one parses and both get the panel."""
    data_dir, cache = cases.write(frames(), tmp_path / "data"), tmp_path / "cache"
    signature = panel.prepare._signature(
        data_dir, {"symbols": None, "patterns": [], "horizons": {}, "interval": None}
    )
    (cache / "locks").mkdir(parents=True)
    with (cache / "locks" / f"{signature}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        children = [
            subprocess.Popen(
                [sys.executable, "-c", CHILD, str(data_dir), str(cache)], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        asked = [child.stdout.readline() for child in children if child.stdout]
    said = [child.communicate(timeout=60)[0].split() for child in children]
    assert asked == ["asking\n", "asking\n"]
    assert sorted(len(lines) for lines in said) == [1, 2]
    assert said[0][-1] == said[1][-1]
    assert [path.name for path in (cache / "panels").iterdir()] == [said[0][-1]]


def test_the_stored_bytes_are_the_same_every_time(tmp_path: Path) -> None:
    """Two caches of the same files are equal file by file: no clock, no path inside."""
    one, two = cases.prepared(frames(), tmp_path / "one"), cases.prepared(frames(), tmp_path / "two")
    files = sorted(path.name for path in one.path.iterdir())
    assert files == sorted(path.name for path in two.path.iterdir())
    assert all((one.path / name).read_bytes() == (two.path / name).read_bytes() for name in files)


def test_columns_are_united_over_symbols(tmp_path: Path) -> None:
    """A target only the second symbol has is found, missing for the first."""
    made = frames()
    made["AAPL"] = made["AAPL"].drop(columns="y_up_5d")
    made["MSFT"]["sector"] = "tech"
    built = cases.prepared(made, tmp_path)
    assert [target.name for target in built.targets] == ["fwd_ret_1d", "y_up_5d"]
    assert np.isnan(built.values("y_up_5d")[built.rows_of("AAPL")]).all()
    assert built.column("y_up_5d").coverage_by_symbol == {"AAPL": 0.0, "MSFT": 1.0}
    assert built.column("sector").role == "left_out"


def test_dirty_bars_become_warnings(tmp_path: Path) -> None:
    """What was dropped is told by the panel, with symbol and count."""
    frame = cases.labelled(150).assign(high=2.0, low=1.0, close=1.5)
    frame.loc[3, "high"] = 0.5
    made = cases.prepared({"AAPL": frame}, tmp_path)
    assert made.rows == 149
    assert made.warnings == ("AAPL: 1 impossible bars dropped, the first at 2020-01-04T00:00:00+00:00",)


def test_odd_symbols_and_useless_settings_become_warnings(tmp_path: Path) -> None:
    """A symbol on another grid, an empty one, and a horizon for a column that is not there."""
    made = {**frames(), "SLOW": cases.labelled(50, 3, step=2 * cases.DAY), "VOID": cases.labelled(0)}
    built = cases.prepared(made, tmp_path, horizons={"y_gone": 3})
    assert built.symbols == ("AAPL", "MSFT", "SLOW")
    assert built.warnings == (
        "VOID: no rows",
        "SLOW: bars are 2880 minutes apart, the others 1440",
        "y_gone: a horizon is configured for it but there is no such column",
    )


def test_raw_bars_name_the_command_that_labels_them(tmp_path: Path) -> None:
    """Nothing to predict is an answer with a next step, and leaves nothing behind."""
    with pytest.raises(NoTargets, match="trainwright label"):
        cases.prepared({"AAPL": cases.bars(150)}, tmp_path)
    assert list((tmp_path / "cache" / "panels").iterdir()) == []


def test_targets_that_all_fail_are_listed_with_their_reasons(tmp_path: Path) -> None:
    """It is not raw data then, and the message does not say so."""
    frame = cases.bars(150).assign(y_odd=1.0, y_flat_5d=2.0)
    with pytest.raises(NoTargets, match=r"y_flat_5d: one single value \(2\)") as caught:
        cases.prepared({"AAPL": frame}, tmp_path)
    assert dict(caught.value.left_out).keys() == {"y_flat_5d", "y_odd"}


def test_what_the_user_names_wrong_is_told(tmp_path: Path) -> None:
    """Unknown symbols and missing directories come through as they are."""
    with pytest.raises(UnknownSymbol, match="AAPL, MSFT"):
        cases.prepared(frames(), tmp_path, symbols=["AAPLE"])
    with pytest.raises(DataNotFound):
        prepare_panel(tmp_path / "nowhere", symbols=None, cache_dir=tmp_path / "cache")
    with pytest.raises(BadData, match="no symbol has two bars"):
        cases.prepared({"AAPL": cases.labelled(1)}, tmp_path / "short")


def test_the_interval_is_the_usual_step(tmp_path: Path) -> None:
    """Nights, weekends and holes do not hide it."""
    days = [pd.date_range(f"2021-03-0{day} 14:30", periods=78, freq="5min", tz="UTC") for day in (1, 2, 3)]
    moments = np.concatenate([day.as_unit("ns").astype("int64") for day in days])
    kept = np.delete(moments, [5, 100, 101])
    assert bar_interval_ns([kept], tmp_path) == 5 * MINUTE_NS
    assert session_minutes([kept], 5 * MINUTE_NS) == 390


@pytest.mark.parametrize(
    ("bars_a_day", "interval_minutes", "minutes"), [(78, 5, 390), (77, 5, 390), (24, 60, 1440), (50, 5, 250)]
)
def test_the_session_is_measured(bars_a_day: int, interval_minutes: int, minutes: int) -> None:
    """Near a usual session it is that one, else what the data shows."""
    day = np.arange(bars_a_day) * interval_minutes * MINUTE_NS
    times = np.concatenate([day + number * DAY_NS for number in range(20_000, 20_010)])
    assert session_minutes([times], interval_minutes * MINUTE_NS) == minutes


def test_daily_bars_have_no_session_of_their_own() -> None:
    """There the usual one stands for completeness."""
    assert session_minutes([np.arange(10) * DAY_NS], DAY_NS) == 390


def test_intraday_days_become_sessions(tmp_path: Path) -> None:
    """fwd_ret_1d on hourly bars around the clock looks 24 bars ahead."""
    made: Panel = cases.prepared({"X": cases.labelled(240, step=pd.Timedelta(hours=1))}, tmp_path)
    assert made.interval_ns == 60 * MINUTE_NS
    assert made.column("fwd_ret_1d").horizon_bars == 24
    assert made.column("y_up_5d").horizon_bars == 120


def test_the_key_on_disk_is_the_key_of_the_content(tmp_path: Path) -> None:
    """meta.json, directory name and arrays agree."""
    made = cases.prepared(frames(), tmp_path)
    assert json.loads((made.path / "meta.json").read_text())["key"] == made.key == made.path.name
    assert made.key.startswith("d_")
    assert len(made.key) == 34
    assert intact(made)
