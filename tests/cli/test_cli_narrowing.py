"""A plan made smaller by the command line, and the plan that stands for training without one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_samples import write_data
from store_samples import cs_job, document

from daemon.cli.configuration import settings_for
from daemon.narrowing import about_data, narrow, plan_of_everything
from executors.errors import UnknownFamily
from store import PlanRejected, parse_plan_text
from store.canonical import canonical_json

ALL = frozenset({"LightGBM", "XGBoost", "LSTM"})


def sym_job(target: str, symbol: str) -> dict[str, Any]:
    """A job of one symbol."""
    given = cs_job(target)
    return {**given, "job_id": f"sym_{target}_{symbol}", "symbol": symbol, "training_type": "symbol_specific"}


def test_a_plan_that_needs_no_narrowing_stays_as_it_is() -> None:
    """The same content, so that its id stays the same."""
    given = document(cs_job("y", families=("light_gbm", "LSTM")))
    assert narrow(given, families=ALL, symbols=()) == (given, ())


def test_families_are_left_out_in_any_spelling_with_their_fits() -> None:
    """What is left out is named as the plan names it; the planned fits go with it."""
    job = {
        **cs_job("y", families=("light_gbm", "lstm")),
        "fits": [{"family": "LightGBM"}, {"family": "LSTM"}],
    }
    found, left_out = narrow(document(job), families={"LightGBM"}, symbols=())
    assert left_out == ("cs_y/lstm: not asked for",)
    assert found["jobs"][0]["model_families"] == ["light_gbm"]
    assert found["jobs"][0]["fits"] == [{"family": "LightGBM"}]


def test_symbols_leave_out_jobs_of_other_symbols_only() -> None:
    """Jobs over all symbols stay; counts and summary are those of what is left."""
    given = document(cs_job("y"), sym_job("y", "AAPL"), sym_job("y", "MSFT"), total_jobs=3)
    found, left_out = narrow(given, families=ALL, symbols=("AAPL",))
    assert [job["job_id"] for job in found["jobs"]] == ["cs_y", "sym_y_AAPL"]
    assert left_out == ("job sym_y_MSFT: symbol MSFT is not among --symbols",)
    assert found["metadata"]["total_jobs"] == 2
    assert (found["summary"]["total_cs_jobs"], found["summary"]["total_symbol_jobs"]) == (1, 1)
    assert parse_plan_text(canonical_json(found), source="test")["jobs"]


def blended(*parts: str) -> dict[str, Any]:
    """A symbol job with its blend."""
    blend = {"model": "blend_y_AAPL", "parts": list(parts), "weights": "equal", "depends_on": list(parts)}
    return {**sym_job("y", "AAPL"), "blend": blend}


def test_a_blend_is_made_of_the_parts_that_are_left() -> None:
    """Families that are not asked for are not waited for."""
    parts = [f"{job}/{family}" for job in ("cs_y", "sym_y_AAPL") for family in ("LightGBM", "LSTM")]
    found, _ = narrow(document(cs_job("y"), blended(*parts)), families={"LightGBM"}, symbols=())
    left = ["cs_y/LightGBM", "sym_y_AAPL/LightGBM"]
    assert found["jobs"][1]["blend"]["parts"] == found["jobs"][1]["blend"]["depends_on"] == left


def test_a_blend_that_lost_a_side_is_no_blend() -> None:
    """One model alone is not blended, and the plan is still accepted."""
    given = document(cs_job("y", families=("LSTM",)), blended("cs_y/LSTM", "sym_y_AAPL/LightGBM"))
    found, left_out = narrow(given, families={"LightGBM"}, symbols=())
    assert "blend" not in found["jobs"][1]
    assert left_out[-1] == "sym_y_AAPL/Blend: the models of one of its jobs are all left out"
    assert parse_plan_text(canonical_json(found), source="test")["jobs"]


def stacked(*families: str, **ensemble: Any) -> dict[str, Any]:
    """A job with an ensemble, its fits spelt out."""
    fits = [{"family": name} for name in families] + [{"family": "Ensemble", **ensemble}]
    return {**cs_job("y", families=(*families, "Ensemble")), "fits": fits}


def test_an_ensemble_is_made_of_the_members_that_are_left() -> None:
    """Members that are not asked for are not waited for."""
    members = ["LightGBM", "XGBoost", "FTRLProximal"]
    given = document(stacked(*members, after=[*members[:2], "cs_y/ftrl"]))
    found, left_out = narrow(given, families={"XGBoost", "FTRLProximal", "Ensemble"}, symbols=())
    assert found["jobs"][0]["fits"][-1]["after"] == ["XGBoost", "cs_y/ftrl"]
    assert left_out == ("cs_y/LightGBM: not asked for",)


@pytest.mark.parametrize("told", [{"after": ["LightGBM", "XGBoost"]}, {}])
def test_an_ensemble_of_too_few_is_left_out_with_what_is_blended_from_it(told: dict[str, Any]) -> None:
    """The plan names its members, or leaves them to be found: one alone is no ensemble."""
    parts = ["cs_y/Ensemble", "cs_y/XGBoost", "sym_y_AAPL/LSTM"]
    given = document(stacked("LightGBM", "XGBoost", **told), blended(*parts))
    found, left_out = narrow(given, families={"XGBoost", "Ensemble", "LSTM"}, symbols=())
    assert found["jobs"][0]["model_families"] == ["XGBoost"]
    assert found["jobs"][0]["fits"] == [{"family": "XGBoost"}]
    assert found["jobs"][1]["blend"]["parts"] == ["cs_y/XGBoost", "sym_y_AAPL/LSTM"]
    assert "cs_y/Ensemble: it is made from 2 other fits at least, and 1 of them is left" in left_out


def test_a_fit_whose_need_is_left_out_goes_with_it() -> None:
    """It would wait for ever; and what needs it goes too."""
    job = {
        **cs_job("y", families=("LightGBM", "XGBoost", "NGBoost", "LSTM")),
        "fits": [
            {"family": "LightGBM"},
            {"family": "XGBoost", "depends_on": ["lightgbm"]},
            {"family": "NGBoost", "depends_on": ["cs_y/XGBoost"]},
            {"family": "LSTM"},
        ],
    }
    found, left_out = narrow(document(job), families={"XGBoost", "NGBoost", "LSTM"}, symbols=())
    assert found["jobs"][0]["model_families"] == ["LSTM"]
    assert left_out[1:] == (
        "cs_y/XGBoost: it needs lightgbm, which is not asked for",
        "cs_y/NGBoost: it needs cs_y/XGBoost, which is not asked for",
    )


def test_nothing_left_is_refused() -> None:
    """An empty training would look like a success."""
    with pytest.raises(PlanRejected, match="nothing is left"):
        narrow(document(sym_job("y", "AAPL")), families=ALL, symbols=("MSFT",))


def test_an_unknown_family_of_the_plan_is_refused() -> None:
    """Not silently left out."""
    with pytest.raises(UnknownFamily):
        narrow(document(cs_job("y", families=("LightGMB",))), families=ALL, symbols=())


def test_the_data_of_the_command_line_stands_over_the_plans_own(folder: Path) -> None:
    """Directory and symbols are replaced, the fingerprint and what else was there stays."""
    own = {"data_dir": "/old", "symbols": ["A"], "interval": "1d"}
    given = document(cs_job("y"), data=own, fingerprints={"panel": "d_1"})
    with_symbols = about_data(given, settings_for(None, data_dir=folder / "d", symbols=("C", "B")))
    assert with_symbols["metadata"]["data"] == {
        "data_dir": str(folder / "d"), "symbols": ["B", "C"], "interval": "1d"
    }  # fmt: skip
    assert with_symbols["metadata"]["fingerprints"] == {"panel": "d_1"}
    among = about_data(with_symbols, settings_for(None, data_dir=folder / "d", symbols=("C",)))
    assert among["metadata"]["data"]["symbols"] == ["B", "C"]
    alone = about_data(given, settings_for(None, data_dir=folder / "d"))
    assert alone["metadata"]["data"]["symbols"] == ["A"]


def test_without_a_plan_every_target_becomes_a_job(folder: Path) -> None:
    """A plan like any other, which says of itself that nothing was ranked."""
    write_data(folder / "data", rows=150)
    found = plan_of_everything(settings_for(None, data_dir=folder / "data", families=("lightgbm",)))
    assert [job["job_id"] for job in found["jobs"]] == ["cs_fwd_ret_1d", "cs_y_up_1d"]
    assert all(job["model_families"] == ["LightGBM"] for job in found["jobs"])
    assert all("not ranked" in job["reason"] for job in found["jobs"])
    assert parse_plan_text(canonical_json(found), source="test")["metadata"]["total_jobs"] == 2
