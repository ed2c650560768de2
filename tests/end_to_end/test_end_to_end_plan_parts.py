"""Everything in a plan runs: four routes, ensembles and a blend; what cannot be made says why."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from store_samples import cs_job, document

from daemon.drained import Drained
from daemon.prediction import prediction_lines
from daemon.service import drain, submit_plan
from daemon.settings import Settings
from store import FitRow, open_reader, open_store

FAMILIES = ("LightGBM", "XGBoost", "Ensemble")
OWN, COMMON = "sym_fwd_ret_1d_AAA", "cs_fwd_ret_1d"
SMALL = {"LightGBM": {"rounds": 30}, "XGBoost": {"rounds": 30}, "LSTM": {"epochs": 1}}


def write_data(folder: Path) -> None:
    """Two symbols with a target that follows from a feature, and one that is whether it rises."""
    folder.mkdir(parents=True)
    for place, symbol in enumerate(("AAA", "BBB")):
        random = np.random.default_rng([place, 7])
        values = random.standard_normal((450, 4)).astype(np.float32)
        frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(4)])
        frame.insert(0, "ts", pd.date_range("2015-01-01", periods=450, freq="D", tz="UTC"))
        frame["fwd_ret_1d"] = (0.5 * frame["f0"] + random.standard_normal(450)).astype(np.float32)
        frame["y_up_1d"] = (frame["fwd_ret_1d"] > 0).astype(np.float32)
        frame.to_parquet(folder / f"{symbol}.parquet")


def own(target: str, symbol: str, *families: str, **fields: Any) -> dict[str, Any]:
    """A job of one symbol."""
    return {
        **cs_job(target, families=families), "job_id": f"sym_{target}_{symbol}", "symbol": symbol,
        "training_type": "symbol_specific", "route": "ROUTE_SYMBOL_SPECIFIC", **fields,
    }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What came of the plan."""

    settings: Settings
    drained: Drained
    fits: dict[str, FitRow]
    order: list[str]

    def card(self, name: str) -> dict[str, Any]:
        """The card of a model."""
        card: dict[str, Any] = json.loads((Path(self.fits[name].bundle or "") / "card.json").read_text())
        return card


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A plan of all four routes, trained by the real families in real children."""
    folder = tmp_path_factory.mktemp("parts")
    write_data(folder / "data")
    given = {"results_dir": folder / "results", "data_dir": folder / "data", "cpu_slots": 1, "params": SMALL}
    settings = Settings.from_sources({}, {}, {**given, "output_dir": folder / "output"})
    plan = document(
        own(
            "fwd_ret_1d", "AAA", *FAMILIES, "LSTM",
            route="ROUTE_BOTH", priority=3, metadata={"needs_cs_ensemble": True},
        ),
        cs_job("fwd_ret_1d", families=FAMILIES),
        own("y_up_1d", "BBB", "LightGBM", "QuantileLightGBM", "Ensemble"),
        own("y_up_1d", "AAA", "XGBoost", route="ROUTE_EXPERIMENTAL_ONLY", priority=1),
    )  # fmt: skip
    with open_store(settings.database_url) as store:
        accepted = submit_plan(settings, store, plan, name="parts", source="test")
        drained = drain(settings, store, [accepted.plan_id])
    with open_reader(settings.database_url) as reader:
        fits = {fit.name: fit for fit in reader.fits()}
        names = {fit.id: fit.name for fit in fits.values()}
        claims = reader.events(kinds=("FitClaimed",))
    order = [names[event.fit or ""] for event in claims]
    return Trained(settings=settings, drained=drained, fits=fits, order=order)


pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def test_every_fit_of_every_route_ends(trained: Trained) -> None:
    """Common, own, both and experimental; what its plan has too little for does not run, and says why."""
    assert (trained.drained.failed, trained.drained.unavailable, trained.drained.interrupted) == (0, 2, False)
    unable = {name: fit.sentence for name, fit in trained.fits.items() if fit.state != "succeeded"}
    assert set(unable) == {"sym_y_up_1d_BBB/QuantileLightGBM", "sym_y_up_1d_BBB/Ensemble"}
    assert "does not learn binary targets" in (unable["sym_y_up_1d_BBB/QuantileLightGBM"] or "")
    assert "too few are left without sym_y_up_1d_BBB/QuantileLightGBM" in (
        unable["sym_y_up_1d_BBB/Ensemble"] or ""
    )


def test_fits_start_by_priority_and_after_what_they_are_made_from(trained: Trained) -> None:
    """The most urgent job first, an ensemble behind its members, a blend of networks last, trials late."""
    order = trained.order
    assert order[0] == f"{OWN}/LightGBM"
    for job_id in (OWN, COMMON):
        members = [order.index(f"{job_id}/{family}") for family in ("LightGBM", "XGBoost")]
        assert order.index(f"{job_id}/Ensemble") > max(members)
    assert order[-1] == f"{OWN}/Blend"
    on_cpu = [name for name in order if trained.fits[name].stage == "cpu"]
    assert on_cpu[-1] == "sym_y_up_1d_AAA/XGBoost"


def test_a_model_made_from_others_is_a_bundle_that_predicts(trained: Trained) -> None:
    """Its card is of its job and family, its parts are inside: it answers without them."""
    for name in (f"{COMMON}/Ensemble", f"{OWN}/Ensemble", f"{OWN}/Blend"):
        card = trained.card(name)
        assert f"{card['job']}/{card['family']}" == name
        assert card["target"] == "fwd_ret_1d"
    lines = list(prediction_lines(trained.settings, Path(trained.fits[f"{OWN}/Blend"].bundle or ""), last=3))
    assert len(lines) == 1 + 3
    assert all(line.startswith("AAA,") for line in lines[1:])


def test_a_blend_is_made_from_both_jobs(trained: Trained) -> None:
    """Ensembles included: every model that was trained on the target, for the symbol and for all."""
    inside = json.loads((Path(trained.fits[f"{OWN}/Blend"].bundle or "") / "members.json").read_text())
    assert {member["name"] for member in inside} == {
        *(f"{OWN}/{family}" for family in (*FAMILIES, "LSTM")),
        *(f"{COMMON}/{family}" for family in FAMILIES),
    }
