"""``train``: without a plan, from one, narrowed, and every way in which a plan is refused."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_samples import Call, write_data
from store_samples import cs_job, document

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
    assert "interrupted; 2 fits are left" in done.err
    assert "trainwright daemon --drain" in done.err
