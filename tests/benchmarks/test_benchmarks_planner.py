"""The parts of the planner's benchmark, on sizes that take a moment: what they measure is what they say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.planner import __main__ as bench
from benchmarks.planner import child, many, options, screening
from benchmarks.planner.figures import Figure, at_most, share_of, times_less, within
from benchmarks.planner.naive import Cell, Notebook, Scored, kept_targets
from benchmarks.planner.panels import Place, Size, make_panel, right_targets
from panel import holdout_from, prepare_panel
from planner.scores import axis_of, channels_of, label_grid

KINDS = ("strong_linear", "binary", "short_noise")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A small generated panel without leaks."""
    size = Size(symbols=4, bars=700, features=24, kinds=KINDS, leaks=())
    return make_panel(tmp_path_factory.mktemp("bench") / "panel", size)


def test_bars_are_held_from_the_right_side() -> None:
    """Ten times less passes a bar of five, half the memory one of half; a row without a bar says nothing."""
    assert times_less("cpu", 100.0, 10.0, bar=5, words="").reached == "yes"
    assert times_less("cpu", 100.0, 30.0, bar=5, words="").reached == "NO"
    assert times_less("cpu", 100.0, 30.0, bar=None, words="").cells[4:] == ("", "")
    assert [share_of("memory", 100, ours, bar=0.5).reached for ours in (50, 51)] == ["yes", "NO"]
    assert [at_most("again", seconds, 2.0).reached for seconds in (2.0, 2.1)] == ["yes", "NO"]
    assert within("screen", [1.0, 1.0, 1.0], [2.0, 9.0, 2.5], bar=3.0).reached == "yes"
    assert within("screen", [1.0, 1.0, 1.0], [2.0, 9.0, 3.5], bar=3.0).ratio == "3.50 (2.00-9.00)"


def test_a_panel_is_generated_once_with_its_truth(place: Place) -> None:
    """What is there is taken again; the verdict on targets counts only what can be judged."""
    written = (place.folder / "truth.json").stat().st_mtime_ns
    assert make_panel(place.folder, Size(symbols=4, bars=700, features=24)) == place
    assert (place.folder / "truth.json").stat().st_mtime_ns == written
    truth = place.truth
    named = {target["kind"]: target["name"] for target in truth["targets"]}
    assert sorted(named) == sorted(KINDS)
    good = [named["strong_linear"], named["binary"]]
    judged = right_targets(truth, good)[1]
    assert right_targets(truth, good) == (judged, judged)
    assert right_targets(truth, [*good, named["short_noise"]]) == (judged - 1, judged)


def test_both_sides_of_the_screen_see_the_same(place: Place, tmp_path: Path) -> None:
    """Bare ranks and the planner's scores differ by missing rows and values alone, so their screens agree."""
    panel = prepare_panel(place.data_dir, symbols=None, cache_dir=tmp_path, horizons=place.horizons)
    axis = axis_of(panel, holdout_from(panel))
    channels, features = channels_of(panel, panel.targets), panel.feature_names
    scored = screening.ours(axis, features, channels, screening.KINDS["over time"])
    plain = screening.bare(axis.grid(features), label_grid(axis, channels), "over time")
    whole = [place for place, name in enumerate(features) if np.isfinite(panel.values(name)).all()]
    assert len(whole) > 5
    assert np.corrcoef(scored[whole].ravel(), plain[whole].ravel())[0, 1] > 0.85
    found = screening.compare(str(place.folder), str(tmp_path), rounds=2)
    assert {kind: len(sides["ours"]) for kind, sides in found.items()} == {
        "over time": 2,
        "across symbols": 2,
        "whole": 1,
    }


def test_the_naive_way_scores_its_cells_out_of_sample(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every (target, fold, family) is a cell, with each symbol alone as well; a cell tells its cost."""
    monkeypatch.setattr("benchmarks.planner.naive.ROUNDS", 5)
    notebook = Notebook(place.data_dir, tmp_path, place.horizons)
    pooled, alone = list(notebook.cells()), list(notebook.cells(alone=True))
    assert (len(pooled), len(alone)) == (3 * 4 * 2, 3 * 4 * 4 * 2)
    assert len(notebook.frame) == notebook.panel.rows
    for cells in (pooled, alone):
        chosen = [cell for cell in cells if cell.fold == 3 and cell.symbol in {None, "S00"}]
        scored = list(notebook.measure(chosen))
        assert len(scored) == 3 * 2
        assert all(-0.6 < one.score < 0.9 and one.cpu_seconds > 0 and one.leading for one in scored)


def test_the_naive_way_keeps_what_is_steadily_above_no_skill() -> None:
    """Two standard errors over the folds, families averaged first."""
    scores = {"steady": (0.05, 0.06, 0.05, 0.04), "wild": (0.3, -0.2, 0.1, 0.0), "low": (-0.1,) * 4}
    scored = [
        Scored(
            cell=Cell(target=target, symbol=None, fold=fold, family=family),
            score=value + shift,
            leading=(),
            cpu_seconds=1.0,
        )
        for target, values in scores.items()
        for fold, value in enumerate(values)
        for family, shift in (("LightGBM", 0.01), ("XGBoost", -0.01))
    ]
    assert kept_targets(scored) == ["steady"]


def test_many_candidates_are_all_routed_and_planned(tmp_path: Path) -> None:
    """Each target has a row for all symbols and one for each, and becomes jobs."""
    rows = many.candidates(400)
    assert (len(rows), len({row.target for row in rows})) == (400, 2)
    found = many.route(400, str(tmp_path))
    assert found["rows"] == 400
    assert found["jobs"] > 0
    assert all(found[step] > 0 for step in ("routed", "planned", "written"))


def test_a_child_tells_what_it_cost_and_how_it_failed(tmp_path: Path) -> None:
    """Its answer, its CPU with start-up, the peaks of its own memory; its last words when it fails."""
    ended = child.run("many.route", count=200, results=str(tmp_path))
    assert ended.answer["rows"] == 200
    assert ended.cpu_seconds > 0.1
    assert 10 << 20 < ended.peak_anonymous_bytes < ended.peak_bytes
    with pytest.raises(RuntimeError, match="no_such_work"):
        child.run("many.no_such_work")


def test_a_missed_bar_is_the_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table is printed and written; a part that fails is a row that says why, and counts as missed."""
    fine, failed = Figure(what="fine", reached="yes"), Figure(what="slow", reached="NO")

    def broken(_: options.Options) -> None:
        message = "no space"
        raise OSError(message)

    monkeypatch.setattr(
        bench,
        "SECTIONS",
        {"naive": lambda _: iter([fine]), "many": lambda _: iter([fine, failed]), "whole": broken},
    )
    assert bench.main(["--only", "naive", "--write", str(tmp_path / "deep" / "table.md")]) == 0
    assert "| fine " in (tmp_path / "deep" / "table.md").read_text()
    assert bench.main(["--only", "many"]) == 1
    assert bench.main(["--quick", "--only", "whole"]) == 1
    assert "not measured: no space" in capsys.readouterr().out


def test_the_quick_form_measures_the_same_on_less(tmp_path: Path) -> None:
    """Smaller panels, fewer candidates, the same parts."""
    quick, full = (options.options_of(tmp_path, quick=quick) for quick in (True, False))
    assert full.large.words == "20 symbols x 20,000 bars x 200 features x 12 targets"
    assert full.usual.words == "12 symbols x 8,000 bars x 120 features x 14 targets"
    assert (full.candidates, quick.candidates) == (100_000, 10_000)
    assert quick.large.symbols * quick.large.bars < full.large.symbols * full.large.bars
