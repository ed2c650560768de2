"""Curves and models of really trained fits, and predictions of DataFrames."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest

import trainwright as tw
from executors.errors import BadInput
from panel.errors import UnknownColumn
from trainwright.frames import predicted

FIT = "cs_fwd_ret_1d/LightGBM"


@pytest.fixture
def store(trained: Path) -> Iterator[tw.Store]:
    """The store of what was trained."""
    with tw.open_store(trained / "results") as opened:
        yield opened


@pytest.fixture
def bars(trained: Path) -> pd.DataFrame:
    """The bars of both symbols without any target, in no order."""
    frames = [pd.read_csv(path).assign(symbol=path.stem) for path in sorted((trained / "data").glob("*.csv"))]
    frame = pd.concat(frames, ignore_index=True).drop(columns=["fwd_ret_1d", "y_up_1d"])
    return frame.sample(frac=1, random_state=1)


def test_a_frame_is_predicted_as_the_test_rows_were_bit_for_bit(store: tw.Store, bars: pd.DataFrame) -> None:
    """Whatever the order, under the frame's own index."""
    model = store.fit(FIT).model()
    told = model.predict(bars)
    assert told.index.equals(bars.index)
    assert list(told.columns) == ["prediction"]
    times = pd.to_datetime(bars["date"]).to_numpy().astype("datetime64[ns]").astype(np.int64)
    by_bar = dict(zip(zip(bars["symbol"], times, strict=True), told["prediction"], strict=True))
    recorded = model.load().predictions()
    again = [by_bar[bar] for bar in zip(recorded.symbol, recorded.time.tolist(), strict=True)]
    assert np.array(again, dtype=np.float32).tobytes() == recorded.prediction.tobytes()


def test_a_bar_that_cannot_be_has_no_prediction(store: tw.Store, bars: pd.DataFrame) -> None:
    """A high below the low; all others have theirs."""
    bars = bars.assign(high=2.0, low=1.0)
    bars.loc[7, "high"] = 0.5
    told = store.fit(FIT).model().predict(bars)["prediction"]
    assert list(told.index[told.isna()]) == [7]


def test_two_classes_have_a_probability(store: tw.Store, bars: pd.DataFrame) -> None:
    """The column says so."""
    told = store.fit("cs_y_up_1d/LightGBM").model().predict(bars)
    assert list(told.columns) == ["probability"]
    assert told["probability"].between(0, 1).all()


def test_what_is_missing_for_a_prediction_is_told(store: tw.Store, bars: pd.DataFrame) -> None:
    """A feature, and quantiles of a model that gives none."""
    model = store.fit(FIT).model()
    with pytest.raises(UnknownColumn, match="f0"):
        model.predict(bars.drop(columns="f0"))
    with pytest.raises(BadInput, match="no quantiles"):
        model.predict(bars, quantiles=True)


def test_quantiles_stand_beside_the_prediction(bars: pd.DataFrame) -> None:
    """One column for each level; of a model of one symbol only its own bars are told."""
    told = predicted(_OfOneSymbol(), bars, quantiles=True)  # type: ignore[arg-type]
    assert list(told.columns) == ["prediction", "quantile_0.1", "quantile_0.9"]
    assert told["prediction"].notna().equals(bars["symbol"] == "AAA")


class _OfOneSymbol:
    """A model of the symbol AAA that says the same of every bar."""

    path = Path("bundle")
    card: ClassVar = {"symbol": "AAA", "task": "regression", "classes": []}

    def predict(self, panel: object, rows: np.ndarray) -> np.ndarray:
        return np.full(len(rows), 0.5, dtype=np.float32)

    def quantiles(self, panel: object, rows: np.ndarray) -> object:
        class Spread:
            levels = (0.1, 0.9)
            values = np.tile(np.array([0.1, 0.9], dtype=np.float32), (len(rows), 1))

        return Spread()


def test_a_curve_is_numbers_a_table_and_a_picture(store: tw.Store) -> None:
    """The picture is a document of its own: well-formed, with its style inside."""
    curve = store.fit(FIT).curve()
    table = curve.to_pandas()
    assert table.index.name == "step"
    assert list(table["valid_loss"]) == list(curve.valid_loss)
    assert len(table) == len(curve.steps) == len(curve.train_loss)
    assert table["valid_loss"].idxmin() == curve.best_step
    assert ET.fromstring(curve.svg()).tag.endswith("svg")  # noqa: S314 (ours)
    assert curve._repr_html_() == curve.svg()
    assert f"best step {curve.best_step}" in repr(curve)


def test_a_curve_without_points_is_words(store: tw.Store) -> None:
    """There is nothing to draw, and nothing fails."""
    curve = store.fit(FIT).curve(attempt=7)
    assert curve.svg() == ""
    assert "0 points" in curve._repr_html_()
    assert len(curve.to_pandas()) == 0


def test_a_model_tells_what_it_is_and_what_it_leans_on(store: tw.Store) -> None:
    """The planted feature comes first."""
    model = store.fit(FIT).model()
    assert model.problem is None
    assert model.importances[0].feature == "f0"
    assert model.importances.to_pandas()["share"].sum() == pytest.approx(1.0)
    assert model.metrics["score"] == store.fit(FIT).score
    assert model.evaluation["by_period"]
    assert (model.path / "card.json").exists()
    assert "fwd_ret_1d" in repr(model)
    assert "<svg" in model._repr_html_()


def test_a_model_is_asked_for_by_its_fit_or_by_the_name_it_was_given(trained: Path, tmp_path: Path) -> None:
    """The name is an event; a newer model may get it."""
    shutil.copytree(trained / "results", tmp_path / "results")
    with tw.open_store(tmp_path) as store:
        assert store.model(FIT).path == store.fit(FIT).model().path
        store.promote(FIT, "best", reason="it is good")
        store.promote("cs_y_up_1d/LightGBM", "best")
        assert store.model("best").card["target"] == "y_up_1d"
        assert store.model("best").problem is None
        assert store.events(kinds=("ModelPromoted",))[0].data["reason"] == "it is good"
        with pytest.raises(ValueError, match="no name"):
            store.promote(FIT, "a name")
        with pytest.raises(tw.NotFound):
            store.model("bset")


def test_a_model_that_is_gone_says_so(store: tw.Store, tmp_path: Path) -> None:
    """Where only the log is left."""
    told = store.fit(FIT)
    gone = tw.Fit(store.reader, replace(told.row, bundle=str(tmp_path / "gone"))).model()
    assert "no card.json" in str(gone.problem)
    assert "no card.json" in repr(gone)
    assert (gone.metrics, len(gone.importances)) == ({}, 0)
