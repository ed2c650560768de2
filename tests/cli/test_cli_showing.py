"""``demo``: what is made, what is asked, and what is named at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cli_samples import Call

from daemon.cli import showing
from daemon.demo import (
    LEAKING_TARGET,
    PLANTED_FEATURE,
    PLANTED_TARGET,
    Bars,
    NotOurFolder,
    claim_folder,
    label_bars_with_plants,
    write_bars,
)
from daemon.drained import Drained
from planner import PlanRequest


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bars]:
    """The demonstration's bars and labelled data."""
    folder = tmp_path_factory.mktemp("demo")
    bars = write_bars(folder / "bars")
    label_bars_with_plants(folder / "bars", folder / "data", seed=1)
    return folder, bars


def test_the_bars_are_real_and_adjusted_for_splits(made: tuple[Path, Bars]) -> None:
    """Five symbols over 13 years; no day looks like half the price was lost, highs are above lows."""
    folder, bars = made
    assert bars.symbols == ("AAPL", "FB", "GOOG", "IBM", "MSFT")
    assert (bars.first, bars.last) == ("2000-03-01", "2013-03-01")
    for symbol in bars.symbols:
        frame = pd.read_csv(folder / "bars" / f"{symbol}.csv")
        assert list(frame.columns) == ["date", "open", "high", "low", "close", "volume"]
        assert (frame["high"] >= frame["low"]).all()
    apple = pd.read_csv(folder / "bars" / "AAPL.csv").set_index("date")["close"]
    assert abs(float(apple.loc["2005-02-28"] / apple.loc["2005-02-25"]) - 1) < 0.1  # the 2:1 split


def test_the_plants_are_what_they_are_said_to_be(made: tuple[Path, Bars]) -> None:
    """The target is noise to every feature; the feature knows the coming return and is no copy of it."""
    folder, _ = made
    frame = pd.read_parquet(folder / "data" / "symbol=IBM" / "IBM.parquet")
    future, leak, noise = frame[LEAKING_TARGET], frame[PLANTED_FEATURE], frame[PLANTED_TARGET]
    assert leak.corr(future) > 0.9
    assert not np.allclose(leak.dropna(), future.dropna())
    assert abs(noise.corr(future)) < 0.06
    assert noise.isna().equals(future.isna())


def test_the_same_seed_makes_the_same_bytes(made: tuple[Path, Bars], tmp_path: Path) -> None:
    """And another seed other plants."""
    folder, _ = made
    first = (folder / "data" / "symbol=FB" / "FB.parquet").read_bytes()
    label_bars_with_plants(folder / "bars", tmp_path / "same", seed=1)
    label_bars_with_plants(folder / "bars", tmp_path / "other", seed=2)
    assert (tmp_path / "same" / "symbol=FB" / "FB.parquet").read_bytes() == first
    assert (tmp_path / "other" / "symbol=FB" / "FB.parquet").read_bytes() != first


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> list[PlanRequest]:
    """The requests of the demonstration; planning answers with one job, training with a failed fit."""
    seen: list[PlanRequest] = []

    class Result:
        jobs, plan_dir, planning_id = 1, Path("plan"), "n_1"

    def plan(store: Any, request: PlanRequest) -> Any:
        seen.append(request)
        return Result

    drained = Drained(plan_ids=(), succeeded=0, failed=1, unavailable=0, cancelled=0, interrupted=False)
    nothing: Callable[..., None] = lambda *words, **named: None  # noqa: E731
    monkeypatch.setattr(showing.work, "plan", plan)
    monkeypatch.setattr(showing.work, "train", lambda *words, **named: ("p_1", drained))
    monkeypatch.setattr(showing.work, "show_models", nothing)
    return seen


def test_the_demonstration_goes_from_bars_to_next_commands(
    call: Call, folder: Path, planned: list[PlanRequest]
) -> None:
    """Data is made, the main job is asked for with a fixed seed, the failed fit is the exit code."""
    done = call("demo", "--dir", "show")
    assert done.code == 1
    (request,) = planned
    assert (request.auto_targets, request.auto_features, request.seed) == (True, True, 42)
    assert request.data_dir == folder / "show" / "data"
    assert "12,154 real daily bars" in done.err
    assert PLANTED_TARGET in done.err
    assert "next  trainwright -C show status" in done.out
    assert "plan    show/results/globals/training_plan/training_plan.md   (p_1)" in done.out


def test_without_training_it_ends_after_the_plan(
    call: Call, folder: Path, planned: list[PlanRequest]
) -> None:
    """Exit code 0 and the same next commands; nobody's settings of the folder's environment are lost."""
    done = call("demo", "--dir", "show", "--skip-training")
    assert done.code == 0
    assert "models" not in done.out.partition("next")[0]
    assert f"why {PLANTED_TARGET}" in done.out


def test_a_folder_with_other_things_in_it_is_left_alone(tmp_path: Path) -> None:
    """The demonstration never writes beside, over or in place of somebody's data (exit 2)."""
    mine = tmp_path / "data" / "mine.csv"
    mine.parent.mkdir()
    mine.write_text("precious", encoding="utf-8")
    with pytest.raises(NotOurFolder, match="new, empty or its own") as refused:
        claim_folder(tmp_path)
    assert refused.value.exit_code == 2
    assert mine.read_text(encoding="utf-8") == "precious"


def test_a_folder_of_an_earlier_demonstration_is_taken_again(tmp_path: Path) -> None:
    """New, empty and own folders are all good, any number of times."""
    claim_folder(tmp_path / "new")
    (tmp_path / "new" / "bars").mkdir()
    claim_folder(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    claim_folder(tmp_path / "empty")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {".trainwright-demo", "bars"}
