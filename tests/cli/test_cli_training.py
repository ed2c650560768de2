"""``train``: without a plan, from one, narrowed, and every way in which a plan is refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_samples import Call, write_data
from store_samples import blended_jobs, cs_job, document

from daemon import service
from daemon.cli import training, work
from daemon.cli.training import _allowed_families
from daemon.drained import Drained
from daemon.host import Host
from executors.families import FAMILIES
from store import open_store


def ended(**counts: int) -> Drained:
    """A drain with these counts."""
    given = {"succeeded": 0, "failed": 0, "unavailable": 0, "cancelled": 0, **counts}
    return Drained(plan_ids=("p",), interrupted=False, **given)


def write_plan(folder: Path, *jobs: dict[str, object]) -> Path:
    """A plan directory."""
    folder.mkdir(parents=True)
    (folder / "master_training_plan.json").write_text(json.dumps(document(*jobs)))
    return folder


def test_without_a_plan_every_target_is_trained(trained: Path) -> None:
    """One job for all symbols per target, said in one document on stdout."""
    told = json.loads((trained / "out.json").read_text())
    assert (told["v"], told["succeeded"], told["failed"], told["interrupted"]) == (1, 2, 0, False)
    with open_store(f"sqlite:///{trained}/results/trainwright.db") as store:
        fits = store.reading.fits(plan=told["plan"])
        assert {fit.name for fit in fits} == {"cs_fwd_ret_1d/LightGBM", "cs_y_up_1d/LightGBM"}
        assert all(Path(fit.bundle or "").is_dir() for fit in fits)


def test_the_same_training_again_is_answered_from_the_log(
    trained: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No new fits: the plan is known, its models are shown."""
    monkeypatch.chdir(trained)
    done = call("train", "--data-dir", "data", "--no-training-plan", "--families", "light_gbm")
    assert done.code == 0
    assert "already accepted" in done.err
    assert "CPU stage" not in done.err
    assert "done  2 trained, 0 failed, 0 not available" in done.out


@pytest.mark.parametrize("words", [(), ("--training-plan-dir", "nowhere")])
def test_a_missing_plan_is_an_error(call: Call, folder: Path, words: tuple[str, ...]) -> None:
    """Plans fail closed: exit code 3, and nothing is recorded."""
    done = call("train", "--data-dir", "data", *words)
    assert done.code == 3
    assert "plan rejected" in done.err
    assert not (folder / "results").exists()


def test_a_plan_and_no_plan_exclude_each_other(call: Call) -> None:
    """A usage error."""
    done = call("train", "--data-dir", "d", "--no-training-plan", "--training-plan-dir", "x")
    assert done.code == 2
    assert "exclude each other" in done.err


def test_a_plan_that_does_not_fit_the_data_is_refused(call: Call, folder: Path) -> None:
    """The daemon's own checks: an unknown target is named with the nearest, and the refusal is in the log."""
    write_data(folder / "data", rows=150)
    write_plan(folder / "plan", cs_job("fwd_ret_1"))
    done = call("train", "--data-dir", "data", "--training-plan-dir", "plan")
    assert done.code == 3
    assert "fwd_ret_1d" in done.err
    assert "PlanRejected" in call("events").out


def test_what_the_options_leave_out_is_told_in_few_lines(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six lines and a count; what is handed on is the narrowed plan."""
    jobs = [cs_job(f"y_{number}", families=("LightGBM", "LSTM")) for number in range(9)]
    write_plan(folder / "results" / "globals" / "training_plan", *jobs)
    handed = []
    monkeypatch.setattr(
        training.work,
        "train",
        lambda settings, store, plan, name, source: handed.append(plan) or ("p", ended()),  # type: ignore[func-returns-value]
    )
    done = call("train", "--data-dir", "data", "--model-types", "cross-sectional", "--json")
    assert done.code == 0
    assert done.err.count("left out: ") == 7
    assert "left out: 3 more" in done.err
    assert [job["model_families"] for job in handed[0]["jobs"]] == [["LightGBM"]] * 9
    assert handed[0]["metadata"]["data"]["data_dir"] == str(folder / "data")


def test_model_types_choose_the_families() -> None:
    """Cross-sectional leaves families on single rows; the others leave all; names narrow further."""
    single_rows = {family.name for family in FAMILIES if family.group == "cross_sectional"}
    assert _allowed_families("cross-sectional", ()) == single_rows
    assert _allowed_families("sequential", ()) == {family.name for family in FAMILIES}
    assert _allowed_families("both", ("LSTM", "XGBoost")) == {"LSTM", "XGBoost"}
    assert _allowed_families("cross-sectional", ("LSTM", "XGBoost")) == {"XGBoost"}


def test_what_is_made_from_others_follows_the_options(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows on their own: no network, the ensemble of what is left, the blend without the networks."""
    families = ("LightGBM", "XGBoost", "Ensemble", "MultiTask", "LSTM")
    own, common = blended_jobs(*families)
    parts = [f"{job['job_id']}/{family}" for job in (common, own) for family in families]
    own["blend"] = {"model": "blend_y_AAPL", "parts": parts, "weights": "equal", "depends_on": parts}
    write_plan(folder / "results" / "globals" / "training_plan", own, common)
    handed: list[dict[str, Any]] = []

    def train(*given: Any, **named: Any) -> tuple[str, Drained]:
        handed.append(given[2])
        return "p", ended()

    monkeypatch.setattr(training.work, "train", train)
    for words, kept in (
        (("--model-types", "cross-sectional"), ["LightGBM", "XGBoost", "Ensemble", "MultiTask"]),
        (("--families", "lightgbm", "ensemble", "lstm"), ["LightGBM", "LSTM"]),
        (("--model-types", "cross-sectional", "--families", "xgb", "lstm"), ["XGBoost"]),
        (("--model-types", "both"), list(families)),
    ):
        done = call("train", "--data-dir", "data", *words, "--json")
        assert done.code == 0, done.err
        jobs = handed.pop()["jobs"]
        assert [job["model_families"] for job in jobs] == [kept, kept]
        left = [f"{job['job_id']}/{family}" for job in (common, own) for family in kept]
        assert jobs[0]["blend"]["parts"] == left


def test_what_cannot_be_trained_is_told_before_anything_starts(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each family once, with its reason; fits alike are counted."""
    write_data(folder / "data", rows=150)
    heard: list[str] = []
    monkeypatch.setattr(service, "drain", lambda *given, **named: heard.append("drained") or ended())  # type: ignore[func-returns-value]
    monkeypatch.setattr(work, "tell", heard.append)
    words = ("--families", "quantile_lgbm", "lightgbm", "ensemble")
    assert call("train", "--data-dir", "data", "--no-training-plan", *words).code == 0
    told = [line for line in heard if line.startswith("left out")]
    assert heard[-1] == "drained"
    unable, short = told
    assert unable.startswith("left out  cs_y_up_1d/QuantileLightGBM: does not learn binary targets: ")
    assert short.startswith("left out  cs_y_up_1d/Ensemble: it is made from 2 fits at least")


def test_the_exit_code_tells_how_it_ended() -> None:
    """0 for all, 1 for a failed fit, 130 when stopped before the end."""
    assert work.exit_code_of(ended(succeeded=2, unavailable=1)) == 0
    assert work.exit_code_of(ended(failed=1)) == 1
    stopped = Drained(plan_ids=(), succeeded=1, failed=1, unavailable=0, cancelled=0, interrupted=True)
    assert work.exit_code_of(stopped) == 130


def test_an_interruption_keeps_the_fits_and_says_how_to_go_on(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle: exit code 130, the fits are ready again, and the next command is named."""
    write_data(folder / "data", rows=150)
    real: Callable[..., Drained] = service.drain

    def drain(*words: object, **named: object) -> Drained:
        start = Host.start

        def starting(host: Host) -> None:
            start(host)
            signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Host, "start", starting)
        return real(*words, **named)

    monkeypatch.setattr(service, "drain", drain)
    done = call("train", "--data-dir", "data", "--no-training-plan", "--families", "lightgbm")
    assert done.code == 130
    assert "interrupted; 2 fits left, with checkpoints" in done.err
    assert "trainwright daemon --drain" in done.err
