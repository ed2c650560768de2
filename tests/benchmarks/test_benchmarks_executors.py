"""The parts of the executors' benchmark, on sizes that take a moment: both sides do the same work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.executors import __main__ as bench
from benchmarks.executors import memory, work
from benchmarks.executors.options import options_of
from benchmarks.executors.panels import Size, make_panel, target_name
from panel.aligned import Panel

SIZE = Size(symbols=3, bars=400, features=4, targets=2)
ROUNDS = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the panel lies."""
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def panel(home: Path) -> Panel:
    """A small generated panel."""
    return make_panel(home, SIZE)


def test_a_panel_is_generated_once(home: Path, panel: Panel) -> None:
    """What is there is taken again, and every target is known to look one bar ahead."""
    path = home / SIZE.name / "data" / "S000.parquet"
    written = path.stat().st_mtime_ns
    assert make_panel(home, SIZE).key == panel.key
    assert path.stat().st_mtime_ns == written
    assert [panel.column(target_name(number)).horizon_bars for number in range(SIZE.targets)] == [1, 1]


@pytest.mark.parametrize("family", ["LightGBM", "XGBoost"])
def test_both_sides_do_the_same_work(home: Path, panel: Panel, family: str, tmp_path: Path) -> None:
    """The host grows as many rounds on the same rows, and comes to the same loss within its samplers."""
    fits: list[list[Any]] = [[family, 0, None], [family, 1, "S001"]]
    bare = work.bare(str(panel.path), panel.key, fits, rounds=ROUNDS)
    ours = work.host(str(home / SIZE.name / "data"), str(tmp_path), fits, rounds=ROUNDS, slots=1, warm=True)
    assert len(bare["losses"]) == len(ours["start_seconds"]) == len(fits)
    assert ours["cpu_seconds"] > 0
    cards = sorted((tmp_path / "output").rglob("card.json"))
    assert len(cards) == len(fits)
    for card, loss in zip(cards, bare["losses"], strict=True):
        found = json.loads(card.read_bytes())
        assert found["steps"] == ROUNDS
        assert min(found["curve"]["valid_loss"]) == pytest.approx(loss, rel=0.1)


def test_pages_are_counted_where_they_are_shared(panel: Panel, tmp_path: Path) -> None:
    """The panel's pages of two fits are those of one; all of it is more than that."""
    one, two = (
        memory.shared(str(panel.path), panel.key, str(tmp_path / str(count)), children=count)
        for count in (1, 2)
    )
    assert 0 < one["panel"] <= two["panel"] <= 1.1 * one["panel"]
    assert two["all"] > one["all"] > one["panel"] + one["server"] // 4


def test_the_quick_form_measures_less(tmp_path: Path) -> None:
    """Both forms measure the same parts."""
    quick, full = options_of(tmp_path, quick=True), options_of(tmp_path, quick=False)
    assert quick.small_fits < full.small_fits == 200
    assert quick.rounds < full.rounds


def test_the_table_goes_between_the_marks_of_a_page(tmp_path: Path) -> None:
    """What stands around the marks stays; a page without them is one of its own."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{bench.BEGIN}\nold\n{bench.END}\nafter\n")
    for text in ("| a |", "| b |"):
        bench._write(page, text, ("today", "quick form"))
    assert page.read_text() == (
        f"before\n{bench.BEGIN}\n| b |\n\nMeasured today; quick form.\n{bench.END}\nafter\n"
    )
    bench._write(tmp_path / "own.md", "| c |", ("today",))
    assert (tmp_path / "own.md").read_text().endswith("| c |\n\nMeasured today.\n")
