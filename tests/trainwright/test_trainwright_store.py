"""An opened store: questions, words of a person, plans handed over and waited for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cli_samples import BROKEN, GPU, MISSING, PLANNING, STOPPED, TRAINED, many_fits, write_data
from daemon_samples import await_that
from store_samples import cs_job, document

import trainwright as tw
from daemon.handing_over import NoReceipt
from daemon.views.filters import FilterInvalid
from store import PlanStore
from store.events import PlanningStarted, TargetRanked
from trainwright.plans import LOOK_SECONDS


@pytest.fixture
def opened(filled: PlanStore, folder: Path) -> Iterator[tw.Store]:
    """The filled store as a notebook opens it."""
    with tw.open_store("results") as store:
        yield store


def test_a_store_is_opened_by_its_directory_its_parent_or_its_address(
    filled: PlanStore, folder: Path, log_here: str
) -> None:
    """All of them mean the same log, whatever the environment says of another one."""
    for place in ("results", folder / "results", folder, log_here, None):
        with tw.open_store(place) as store:
            assert len(store.fits()) == 5
            assert store.settings.inbox_dir == folder / "inbox"


def test_a_named_directory_stands_over_the_environment(
    filled: PlanStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a person writes counts more than what was set long ago."""
    monkeypatch.setenv("TRAINWRIGHT_DATABASE_URL", f"sqlite:///{folder}/other.db")
    with tw.open_store("results") as store:
        assert len(store.plans()) == 1
    with pytest.raises(tw.NoStoreHere):
        tw.open_store()


def test_the_configuration_beside_the_results_is_read(
    filled: PlanStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also from another working directory."""
    (folder / "trainwright.toml").write_text(f'[daemon]\ninbox_dir = "{folder}/drop"\n', encoding="utf-8")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    with tw.open_store(folder / "results") as store:
        assert store.settings.inbox_dir == folder / "drop"


def test_where_there_is_no_log_it_is_told_or_made(folder: Path) -> None:
    """A typing error makes no empty database."""
    with pytest.raises(tw.NoStoreHere, match="create=True"):
        tw.open_store("resluts")
    assert not (folder / "resluts").exists()
    with tw.open_store("fresh", create=True) as store:
        assert (len(store.plans()), repr(store).splitlines()[-1].split()[1:3]) == (0, ["0", "plans,"])
        with pytest.raises(tw.NotFound):
            store.plan()


def test_fits_are_asked_for_by_the_filter_that_is_the_same_everywhere(opened: tw.Store) -> None:
    """State, family, target, words; a wrong key names the nearest."""
    assert [fit.name for fit in opened.fits("state:failed")] == [BROKEN]
    assert [fit.name for fit in opened.fits("family:lightgbm target:y_up*")] == [STOPPED]
    assert [fit.name for fit in opened.plan().fits("stage:gpu")] == [GPU]
    with pytest.raises(FilterInvalid, match="state"):
        opened.fits("sate:failed")


def test_fits_become_a_table_of_pandas(opened: tw.Store) -> None:
    """Scores as numbers, one row each."""
    table = opened.fits().to_pandas().set_index("fit")
    assert table.loc[TRAINED, "score"] == 0.2
    assert table.loc[TRAINED, "state"] == "succeeded"
    assert table.loc[[BROKEN, GPU], "score"].isna().all()


def test_jobs_come_with_their_fits_and_the_best_of_them(opened: tw.Store) -> None:
    """Counts by state, and the model of most skill."""
    first, second = opened.jobs()
    assert (first.id, first.progress) == ("cs_y_range_5d", "1 done, 1 failed, 1 not available, 1 open")
    assert first.best is not None
    assert first.best.name == TRAINED
    assert (second.best, second.count("ready")) == (None, 1)
    assert "LightGBM" in first._repr_html_()
    assert opened.jobs().to_pandas().loc[0, "best"] == "LightGBM"


def test_a_fit_tells_all_that_is_known_of_it(opened: tw.Store) -> None:
    """Attempts, events, the log, the reasons; a name nobody knows is told with the nearest."""
    fit = opened.fit(STOPPED)
    assert [attempt.cause for attempt in fit.attempts()] == ["stopped by SIGTERM"]
    assert fit.log() == "attempt 1 of LightGBM\n"
    assert [event.kind for event in fit.events()][-1] == "FitReleased"
    assert fit.document["name"] == STOPPED
    assert (fit.target, fit.symbol, fit.family, fit.score) == ("y_up_1d", None, "LightGBM", None)
    assert "y_up_1d" in repr(fit.why())
    assert fit.refresh().state == "ready"
    assert STOPPED in fit._repr_html_()
    with pytest.raises(tw.NotFound, match="LightGBM"):
        opened.fit("cs_y_up_1d/LihgtGBM")
    with pytest.raises(tw.NotFound, match="model"):
        fit.model()


def test_targets_are_told_with_their_reasons(opened: tw.Store) -> None:
    """Kept and left out, features, leaks and routes of the newest planning."""
    kept, selected, dropped = opened.targets()
    assert (kept.name, kept.kept, kept.leaks) == ("y_range_5d", True, (("leak", "BLOCKED"),))
    assert kept.route == "ROUTE_CROSS_SECTIONAL"
    assert (dropped.kept, dropped.reason) == (False, "dropped: q 0.75 above 0.05")
    assert (selected.symbol, len(selected.features or ())) == ("AAPL", 14)
    assert "q 0.75" in repr(dropped)
    assert "leak BLOCKED" in kept._repr_html_()
    assert opened.targets().to_pandas()["features"].tolist()[1] == 14
    assert len(opened.targets("n_unknown")) == 0


def test_targets_stand_in_their_rank(store: PlanStore) -> None:
    """The first in rank first, all its symbols together; those without a rank at the end."""
    ranked = TargetRanked(
        target="b", view="CROSS_SECTIONAL", symbol=None, score=0.5, standard_error=0.1, p=0.1, q=0.1,
        kept=True, reason="kept: it is good", metric="rank_ic", rank=2,
    )  # fmt: skip
    events = [replace(ranked, target="a", kept=False, rank=None), ranked, replace(ranked, symbol="AAPL")]
    store.record(PLANNING, [PlanningStarted(data_dir="data"), *events, replace(ranked, target="c", rank=1)])
    with tw.open_store("results") as opened:
        found = [(row.rank, row.name, row.symbol) for row in opened.targets()]
    assert found == [(1, "c", None), (2, "b", None), (2, "b", "AAPL"), (None, "a", None)]


def test_why_answers_as_the_command_does(opened: tw.Store) -> None:
    """In lines, and for programs."""
    told = opened.why("y_noise_5d")
    assert any("q 0.75 above 0.05" in words for _, words in told.lines)
    assert told.document["name"] == "y_noise_5d"
    assert "q 0.75 above 0.05" in told._repr_html_()


def test_events_and_status_are_there(opened: tw.Store) -> None:
    """The log itself, page by page and by kind."""
    assert [event.seq for event in opened.events(after=2, limit=3)] == [3, 4, 5]
    (only,) = opened.events(kinds=("FitSucceeded",))
    assert only.data["seconds"] == 12.5
    assert opened.events().to_pandas()["kind"].iloc[0] == "PlanningStarted"
    assert opened.status()["plans"][0]["name"] == "first"
    assert "first" in opened._repr_html_()


def test_a_word_is_done_to_all_that_is_meant_and_says_to_which(opened: tw.Store) -> None:
    """Looked at first, done then, and passed over with a reason where it does not apply."""
    looked = opened.cancel(where="family:lightgbm", dry_run=True)
    assert (looked.names, [choice.fit.name for choice in looked.passed]) == ((STOPPED,), [TRAINED])
    assert opened.fit(STOPPED).state == "ready"
    done = opened.cancel(where="family:lightgbm", reason="enough")
    assert repr(done) == "1 fit cancelled, 1 passed over"
    assert "has succeeded" in done._repr_html_()
    assert opened.fit(STOPPED).state == "cancelled"
    assert opened.events(kinds=("FitCancelled",))[0].data["reason"] == "enough"
    assert opened.retry(STOPPED, BROKEN).names == (STOPPED, BROKEN)
    assert opened.hold(STOPPED).names == (STOPPED,)
    assert opened.release(STOPPED).names == (STOPPED,)
    assert len(opened.release(STOPPED)) == 0
    with pytest.raises(ValueError, match="name"):
        opened.cancel()


def test_a_plan_tells_how_it_stands(opened: tw.Store) -> None:
    """Its fits, its jobs, its document, and what is left."""
    plan = opened.plan()
    assert (plan.name, plan.is_open, plan.progress) == (
        "first",
        True,
        "1 done, 1 failed, 1 not available, 2 open",
    )
    assert len(plan.jobs()) == 2
    assert [job["target"] for job in plan.document()["jobs"]] == ["y_range_5d", "y_up_1d"]
    assert plan.remaining_seconds is None or plan.remaining_seconds >= 0
    assert opened.plan(plan.id).row == plan.row
    assert plan.id in repr(opened.plans())
    assert plan.id in plan._repr_html_()


def test_a_plan_has_a_report(opened: tw.Store, folder: Path) -> None:
    """The file of `trainwright report`, where it is wanted."""
    plan = opened.plan()
    assert plan.report() == Path(f"report-{plan.id}.html")
    assert plan.id in plan.report(folder / "mine.html").read_text(encoding="utf-8")
    assert (folder / f"report-{plan.id}.html").exists()


def test_waiting_ends_when_the_plan_does_and_in_time_when_it_does_not(opened: tw.Store) -> None:
    """It looks now and then; what is trained is trained all the same."""
    with pytest.raises(tw.StillOpen) as late:
        opened.wait(timeout=0)
    assert late.value.plan.is_open
    rests: list[float] = []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        opened.cancel(plan=opened.plan().id)

    ended = opened.plan().wait(rest=rest)
    assert (ended.is_open, rests) == (False, [LOOK_SECONDS])
    assert opened.wait(ended.id).id == ended.id
    assert opened.wait(ended).row.cancelled == 2


def test_a_plan_nobody_takes_stays_in_the_drop_folder(opened: tw.Store, folder: Path) -> None:
    """No daemon is at work; the error says what to do. What is no plan is refused here and now."""
    with pytest.raises(NoReceipt, match="no daemon is at work"):
        opened.submit(document(cs_job("y")))
    (dropped,) = (folder / "inbox").iterdir()
    assert (dropped / "master_training_plan.json").exists()
    with pytest.raises(tw.PlanRejected):
        opened.submit(folder / "results")


def test_many_fits_are_asked_for_in_a_moment(log_here: str) -> None:
    """A table of thousands is one question."""
    many_fits(log_here, 500)
    with tw.open_store("results") as store:
        assert len(store.fits()) == 1000
        assert len(store.jobs()) == 500
        assert len(repr(store.fits())) < 20_000


@pytest.fixture
def daemon(folder: Path, log_here: str) -> Iterator[None]:
    """A real daemon over the folder."""
    write_data(folder / "data", rows=300)
    words = [sys.executable, "-m", "daemon.cli.main", "daemon", "--data-dir", "data", "--cpu-slots", "1"]
    environ = {**os.environ, "TRAINWRIGHT_WEB_LISTEN": "off"}
    with subprocess.Popen(words, cwd=folder, env=environ, stderr=subprocess.DEVNULL) as process:
        try:
            with tw.open_store("results") as store:
                await_that(lambda: store.events(kinds=("DaemonStarted",)), "daemon")
            yield
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0
        finally:
            process.kill()


@pytest.mark.slow
def test_a_daemon_takes_a_document_and_it_is_waited_for(daemon: None, folder: Path) -> None:
    """Accepted, trained, told; the same again is the same plan, a wrong one is refused in its words."""
    rounds = {"params": {"LightGBM": {"rounds": 5}}}
    plan = document(cs_job("fwd_ret_1d", families=("LightGBM",)), training=rounds)
    with tw.open_store("results") as store:
        done = store.submit(plan, wait=True, timeout=120)
        assert (done.progress, done.is_open) == ("1 done", False)
        assert store.submit(plan).id == done.id
        with pytest.raises(tw.PlanRejected, match="fwd_ret_1d"):
            store.submit(document(cs_job("fwd_ret_1")))
        (folder / "mine").mkdir()
        (folder / "mine" / "master_training_plan.json").write_text(json.dumps(plan), encoding="utf-8")
        assert store.submit("mine").id == done.id


@pytest.mark.slow
def test_a_plan_is_trained_here_without_a_daemon(folder: Path) -> None:
    """By processes of this one; its model is there afterwards."""
    write_data(folder / "data", rows=300)
    rounds = {"params": {"LightGBM": {"rounds": 5}}}
    plan = document(cs_job("fwd_ret_1d", families=("LightGBM",)), training=rounds)
    (folder / "trainwright.toml").write_text('[daemon]\ndata_dir = "data"\n', encoding="utf-8")
    with tw.open_store("results", create=True) as store:
        done = store.train(plan)
        assert done.progress == "1 done"
        assert store.fit("cs_fwd_ret_1d/LightGBM").model().problem is None
        assert len(store.fit("cs_fwd_ret_1d/LightGBM").curve().steps) == 5


@pytest.mark.slow
def test_opening_and_asking_loads_no_pandas_and_no_training_library(filled: PlanStore, folder: Path) -> None:
    """Pandas comes with the first table that is asked to be one."""
    code = (
        "import sys, trainwright as tw\n"
        "store = tw.open_store('results')\n"
        "repr(store.fits()), store.jobs(), store.targets()._repr_html_(), store.why('y_up_1d')\n"
        "heavy = {'pandas', 'pyarrow', 'lightgbm', 'xgboost', 'torch', 'sklearn', 'fastapi'}\n"
        "sys.exit(', '.join(heavy & set(sys.modules)) or 0)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


def test_what_is_missing_is_told_in_its_fit(opened: tw.Store) -> None:
    """A library that is not installed is a note in the table."""
    assert "not installed" in repr(opened.fits(f"job:{MISSING.split('/')[0]} family:ngboost"))
