"""The opened panel: its rows, its columns, what it refuses."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import panel_cases as cases
import pytest

from panel.aligned import Panel, open_panel
from panel.errors import PanelDamaged, UnknownColumn, UnknownSymbol


@pytest.fixture(scope="module")
def ragged(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Three symbols: from the start, listed late, ended early."""
    return cases.listed_panel([(0, 200), (60, 140), (0, 120)], tmp_path_factory.mktemp("ragged"))


def test_rows_lie_sorted_by_symbol_and_time(ragged: Panel) -> None:
    """Each symbol is one slice, in it times rise."""
    assert [ragged.rows_of(symbol) for symbol in ragged.symbols] == [
        slice(0, 200),
        slice(200, 340),
        slice(340, 460),
    ]
    for code, symbol in enumerate(ragged.symbols):
        own = ragged.rows_of(symbol)
        assert set(ragged.symbol_codes[own].tolist()) == {code}
        assert (np.diff(ragged.times[own]) > 0).all()


def test_time_codes_point_into_the_common_timestamps(ragged: Panel) -> None:
    """Equal times of different symbols share a code."""
    assert np.array_equal(ragged.timestamps[ragged.time_codes], ragged.times)
    assert len(ragged.timestamps) == 200


def test_values_are_the_files_numbers(ragged: Panel) -> None:
    """A column of one symbol is what its file held, as float32."""
    frame = cases.labelled(140, 1)
    own = ragged.values("alpha")[ragged.rows_of("S1")]
    assert np.array_equal(own, frame["alpha"].to_numpy().astype(np.float32))


def test_a_matrix_holds_the_asked_rows_and_columns_in_their_order(ragged: Panel) -> None:
    """matrix() equals picking values column by column, for indices, slices and all rows."""
    rows = np.array([300, 5, 5, 459])
    expected = np.stack([ragged.values("beta")[rows], ragged.values("alpha")[rows]], axis=1)
    made = ragged.matrix(["beta", "alpha"], rows)
    assert cases.same_bits(made, expected)
    assert made.flags.c_contiguous
    assert made.flags.writeable
    assert np.array_equal(ragged.matrix(["alpha"])[:, 0], ragged.values("alpha"))
    assert ragged.matrix(["alpha"], slice(10, 13)).shape == (3, 1)
    assert ragged.matrix([], rows).shape == (4, 0)


def test_a_label_ends_at_the_symbols_own_bar_ahead(ragged: Panel) -> None:
    """Beyond the symbol's end the latest time of the whole panel stands, also for one that ended early."""
    ends = ragged.label_end_codes(5)
    for symbol in ragged.symbols:
        own = ragged.rows_of(symbol)
        codes = ragged.time_codes[own]
        assert np.array_equal(ends[own][:-5], codes[5:])
        assert (ends[own][-5:] == len(ragged.timestamps) - 1).all()
    assert (ragged.label_end_codes(10_000) == len(ragged.timestamps) - 1).all()


def test_the_arrays_cannot_be_written(ragged: Panel) -> None:
    """The mapped pages are shared by every process, so they are read-only."""
    with pytest.raises(ValueError, match="read-only"):
        ragged.values("alpha")[0] = 1.0
    with pytest.raises(ValueError, match="read-only"):
        ragged.times[0] = 1


def test_an_unknown_column_names_the_nearest(ragged: Panel) -> None:
    """A typing error is answered with the name that was meant."""
    with pytest.raises(UnknownColumn, match="Did you mean alpha"):
        ragged.values("alhpa")
    with pytest.raises(UnknownColumn):
        ragged.column("nothing_like_it")
    with pytest.raises(UnknownSymbol, match="S0, S1, S2"):
        ragged.rows_of("S9")


def test_opening_a_panel_needs_numpy_alone(ragged: Panel) -> None:
    """Opening, splitting and scoring import neither pandas nor pyarrow nor scipy."""
    script = (
        "import sys, pathlib, panel\n"
        "p = panel.open_panel(pathlib.Path(sys.argv[1]))\n"
        "h = panel.holdout(p, horizon_bars=1)\n"
        "b = panel.persistence(p, 'fwd_ret_1d', 1)\n"
        "panel.score(b, p.values('fwd_ret_1d'), p.time_codes, p.symbol_codes, task='regression',"
        " view='CROSS_SECTIONAL', horizon_bars=1)\n"
        "heavy = {'pandas', 'pyarrow', 'scipy', 'sklearn'} & set(sys.modules)\n"
        "print(p.rows, len(h.test), sorted(heavy))\n"
    )
    out = subprocess.run(
        [sys.executable, "-c", script, str(ragged.path)], capture_output=True, text=True, check=True
    )
    assert out.stdout == f"460 {len(ragged.timestamps) // 5 * 2} []\n"


@pytest.mark.parametrize("file", ["meta.json", "values.npy", "times.npy", "symbols.npy", "timestamps.npy"])
@pytest.mark.parametrize("harm", ["gone", "cut"])
def test_a_damaged_panel_is_refused(ragged: Panel, tmp_path: Path, file: str, harm: str) -> None:
    """A missing or shortened file is told apart from a good panel at opening."""
    copy = shutil.copytree(ragged.path, tmp_path / "copy")
    place = copy / file
    data = place.read_bytes()
    place.unlink()
    if harm == "cut":
        place.write_bytes(data[: len(data) // 2])
    with pytest.raises(PanelDamaged, match="force_refresh"):
        open_panel(copy)


def test_a_panel_of_another_schema_is_refused(ragged: Panel, tmp_path: Path) -> None:
    """A future or past layout is not misread."""
    copy = shutil.copytree(ragged.path, tmp_path / "copy")
    meta = json.loads((copy / "meta.json").read_text())
    (copy / "meta.json").write_text(json.dumps({**meta, "schema": 99}))
    with pytest.raises(PanelDamaged, match="schema"):
        open_panel(copy)


def test_a_panel_tells_its_size(ragged: Panel) -> None:
    """Its text form is the line a user wants to see."""
    assert "460 rows, 3 symbols, 2 features, 2 targets" in repr(ragged)


def test_pages_that_were_let_go_are_read_again(tmp_path: Path) -> None:
    """The process's mapped memory shrinks, and a view taken before still shows the same numbers."""
    made = cases.prepared({"S": cases.labelled(200_000, step=cases.pd.Timedelta(minutes=1))}, tmp_path)
    view = made.values("alpha")
    total, mapped = float(view.sum()), _mapped_bytes()
    made.let_go()
    assert _mapped_bytes() <= mapped - view.nbytes // 2
    assert float(view.sum()) == total


def _mapped_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("RssFile:"))
