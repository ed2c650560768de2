"""Predictions of a saved model as lines of CSV."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.cli.configuration import settings_for
from daemon.prediction import prediction_lines
from store import open_store


@pytest.fixture
def in_trained(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The trained folder as working directory."""
    monkeypatch.chdir(trained)
    return trained


def bundle(folder: Path, name: str) -> Path:
    """The bundle of a fit."""
    with open_store(f"sqlite:///{folder}/results/trainwright.db") as store:
        return Path(store.reading.fit(name).bundle or "")


def test_every_symbol_and_bar_has_a_line(in_trained: Path) -> None:
    """In the order of symbols and time, without `last` from the first bar on."""
    settings = settings_for(None, data_dir=in_trained / "data")
    lines = list(prediction_lines(settings, bundle(in_trained, "cs_fwd_ret_1d/LightGBM"), last=None))
    rows = [line.split(",") for line in lines[1:]]
    assert len(rows) == 2 * 420
    assert [row[:2] for row in rows] == sorted(row[:2] for row in rows)


def test_a_binary_target_gets_a_probability(in_trained: Path) -> None:
    """The column says so and the values are within its bounds."""
    settings = settings_for(None, data_dir=in_trained / "data")
    header, *lines = prediction_lines(settings, bundle(in_trained, "cs_y_up_1d/LightGBM"), last=5)
    assert header == "symbol,time,probability"
    assert len(lines) == 10
    assert all(0 <= float(line.split(",")[2]) <= 1 for line in lines)


def test_a_prediction_does_not_depend_on_how_many_are_asked_for(in_trained: Path) -> None:
    """The newest two of five are the newest two of two."""
    settings = settings_for(None, data_dir=in_trained / "data", symbols=("BBB",))
    path = bundle(in_trained, "cs_fwd_ret_1d/LightGBM")
    two, five = (list(prediction_lines(settings, path, last=last)) for last in (2, 5))
    assert five[-2:] == two[-2:]
