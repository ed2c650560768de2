"""Every fit that ends becomes one run at the tracking server, whatever happens to either meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from cli_samples import METRICS
from daemon_samples import PATIENCE_SECONDS, FakeClock, await_that, document, job, settings_in, write_data
from store_samples import STARTED, cs_job, plan_of

from daemon import tracking_process
from daemon.cursor import open_cursor
from daemon.errors import SettingsInvalid
from daemon.handing_over import drop_document
from daemon.identity import own_identity
from daemon.mlflow_runs import MlflowClient, MlflowException, MlflowRuns, NotTracked, Run, ViewType
from daemon.settings import Settings
from daemon.tracked_runs import TrackedRun, run_of
from daemon.tracking import EXTRA_MISSING, Tracking, tracking_duty
from daemon.tracking_process import Tracker
from executors.lives import OwnProcess
from store import PlanStore, open_store
from store.events import FitProgressed, FitSucceeded
from store.records import Claim, Failure

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "bundles_v1" / "LightGBM"
CARD = json.loads((GOLDEN / "card.json").read_bytes())
HOST = "here"
DONE = FitSucceeded(bundle=str(GOLDEN), sha256=CARD["sha256"], metrics=METRICS, seconds=2.5)
DOWN = NotTracked("no answer")


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store."""
    with open_store(sqlite_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking_process, "WAIT_SECONDS", 0.0)
    monkeypatch.setattr(tracking_process, "LOOK_SECONDS", 0.01)


@pytest.fixture(scope="session")
def _empty_server(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a tracking server; to make one takes seconds, to copy it none."""
    place = tmp_path_factory.mktemp("tracking") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{place}").create_experiment("other")
    return place


@pytest.fixture
def uri(_empty_server: Path, tmp_path: Path) -> str:
    """The address of a tracking server without runs."""
    (tmp_path / "mlflow.db").write_bytes(_empty_server.read_bytes())
    return f"sqlite:///{tmp_path}/mlflow.db"


def begun(store: PlanStore, *, families: Sequence[str] = ("LightGBM",), host: str = HOST) -> Claim:
    """A started fit of a fresh plan."""
    store.accept(plan_of(cs_job("y", families=families)), source="test", name="tracked")
    return claimed(store, host=host)


def claimed(store: PlanStore, *, host: str = HOST) -> Claim:
    """The next fit, started."""
    (claim,) = store.claim(f"{host}/boot/1/2", stage="cpu", limit=1)
    store.started(claim, STARTED)
    return claim


def finished(store: PlanStore) -> TrackedRun:
    """A fit with a model and two reports, as a run."""
    claim = begun(store)
    for step, loss in ((10, 0.9), (20, 0.8)):
        store.progressed(claim, FitProgressed(step=step, steps_total=100, valid_loss=loss))
    store.succeeded(claim, DONE)
    run = run_of(store.reading, claim.fit_id)
    assert run is not None
    return run


def runs_at(uri: str, experiment: str = "fits", view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    """The runs of an experiment, as the server has them."""
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    return [] if found is None else list(client.search_runs([found.experiment_id], run_view_type=view))


def losses_at(uri: str, run_id: str) -> list[tuple[int, float]]:
    """The validation losses of a run by step."""
    history = MlflowClient(tracking_uri=uri).get_metric_history(run_id, "valid_loss")
    return sorted((metric.step, metric.value) for metric in history)


class FakeRuns:
    """A server that remembers what it was given, and fails as it is told to."""

    def __init__(self) -> None:
        self.given: list[TrackedRun] = []
        self.fails: list[NotTracked] = []

    def put(self, run: TrackedRun) -> str:
        """Take a run, or fail once more."""
        if self.fails:
            raise self.fails.pop(0)
        self.given.append(run)
        return "r"


def tracker(settings: Settings, store: PlanStore, runs: Any) -> Tracker:
    """A tracker that is turned by hand."""
    cursor = open_cursor(tracking_duty(settings), store, begin=0)
    return Tracker(store, cursor, runs)


def test_a_finished_fit_is_a_run_with_parameters_tags_and_losses_by_step(store: PlanStore, uri: str) -> None:
    """Settings of the family, scores, every loss of the model's own curve, and where it all is in the log."""
    MlflowRuns(uri, "fits").put(finished(store))
    (run,) = runs_at(uri)
    assert (run.info.run_name, run.info.status) == ("cs_y/LightGBM", "FINISHED")
    assert run.data.params["family"] == "LightGBM"
    assert run.data.params["seed"] == str(CARD["seed"])
    assert set(CARD["params"]) <= set(run.data.params)
    assert run.data.metrics["score"] == METRICS["score"]
    assert run.data.metrics["seconds"] == 2.5
    losses = dict(enumerate(CARD["curve"]["valid_loss"], start=1))
    assert dict(losses_at(uri, run.info.run_id)) == pytest.approx(losses)
    fit = store.reading.fits()[0]
    told = {name: run.data.tags[f"trainwright.{name}"] for name in ("plan", "job", "fit", "attempt", "host")}
    assert told == {"plan": fit.plan_id, "job": "cs_y", "fit": fit.id, "attempt": "1", "host": HOST}


def test_the_same_fit_is_one_run_however_often_it_is_told(store: PlanStore, uri: str) -> None:
    """Also by another process, which remembers nothing."""
    run = finished(store)
    first = MlflowRuns(uri, "fits").put(run)
    assert MlflowRuns(uri, "fits").put(run) == first
    assert len(runs_at(uri)) == 1
    assert len(losses_at(uri, first)) == len(CARD["curve"]["valid_loss"])


def test_a_run_that_was_cut_off_anywhere_is_made_whole_by_the_next_try(store: PlanStore, uri: str) -> None:
    """After every single call of the server's client: then one whole run, and nothing in it twice."""
    run = finished(store)
    whole, cuts = 0, 0
    for place in range(1, 10):
        runs = MlflowRuns(uri, f"cut {place}")
        runs._client = _Cut(runs._client, after=place)
        try:
            runs.put(run)
        except NotTracked:
            cuts += 1
            MlflowRuns(uri, f"cut {place}").put(run)
        else:
            whole += 1
        (found,) = runs_at(uri, f"cut {place}")
        assert found.data.tags["trainwright.ended"] == run.ended
        assert len(losses_at(uri, found.info.run_id)) == len(CARD["curve"]["valid_loss"])
    assert cuts >= 5
    assert whole >= 1


class _Cut:
    """A client whose server is gone after so many calls."""

    def __init__(self, client: MlflowClient, *, after: int) -> None:
        self._client, self._left = client, after

    def __getattr__(self, name: str) -> Any:
        self._left -= 1
        if self._left < 0:
            raise MlflowException("the server is gone")
        return getattr(self._client, name)


def test_two_runs_of_one_fit_become_one(store: PlanStore, uri: str) -> None:
    """Two hosts that made one at the same moment: the first stays, the other is deleted."""
    run = finished(store)
    client = MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("fits")
    for start in (5, 3):
        client.create_run(experiment, start_time=start, tags={"trainwright.fit": run.fit})
    kept = MlflowRuns(uri, "fits").put(run)
    (found,) = runs_at(uri)
    assert (found.info.run_id, found.info.start_time) == (kept, 3)


def test_a_fit_that_is_tried_again_stays_the_same_run(store: PlanStore, uri: str) -> None:
    """It fails for good with its sentence, is retried by a person, and the run ends well."""
    claim = begun(store)
    store.failed(claim, Failure(cause="bad_input", sentence="the label has one class"))
    failed = run_of(store.reading, claim.fit_id)
    assert failed is not None
    first = MlflowRuns(uri, "fits").put(failed)
    (found,) = runs_at(uri)
    assert (found.info.status, found.data.tags["trainwright.sentence"]) == (
        "FAILED",
        "the label has one class",
    )
    store.retry(claim.fit_id)
    assert run_of(store.reading, claim.fit_id) is None
    store.succeeded(claimed(store), DONE)
    again = run_of(store.reading, claim.fit_id)
    assert again is not None
    assert MlflowRuns(uri, "fits").put(again) == first
    (found,) = runs_at(uri)
    assert (found.info.status, found.data.tags["trainwright.attempt"]) == ("FINISHED", "2")


def test_a_server_that_does_not_answer_is_told_apart_from_one_that_refuses(
    store: PlanStore, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody listens there: to be tried for ever. A run of its own kind of wrong: not for ever."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    run = finished(store)
    with pytest.raises(NotTracked) as down:
        MlflowRuns("http://127.0.0.1:1", "fits").put(run)
    assert not down.value.refused
    with pytest.raises(NotTracked) as refused:
        MlflowRuns(uri, "fits").put(replace(run, params={"a name ? with signs": "1"}))
    assert refused.value.refused


def test_an_experiment_that_is_gone_is_made_again(store: PlanStore, uri: str) -> None:
    """A server that was set up anew knows nothing of what was there: the next try begins with its name."""
    run, runs = finished(store), MlflowRuns(uri, "fits")
    runs._experiment = "999"
    with pytest.raises(NotTracked):
        runs.put(run)
    runs.put(run)
    assert [found.info.run_name for found in runs_at(uri)] == [run.name]


def test_a_deleted_experiment_loses_no_fit(store: PlanStore, uri: str) -> None:
    """It is no refusal of the fit: once the experiment is restored the fit arrives."""
    run, runs, client = finished(store), MlflowRuns(uri, "fits"), MlflowClient(tracking_uri=uri)
    experiment = client.create_experiment("fits")
    client.delete_experiment(experiment)
    with pytest.raises(NotTracked, match="restore it") as deleted:
        runs.put(run)
    assert not deleted.value.refused
    client.restore_experiment(experiment)
    runs.put(run)
    assert len(runs_at(uri)) == 1


def test_every_fit_that_ends_is_told_once_and_a_restart_goes_on(tmp_path: Path, store: PlanStore) -> None:
    """Also what ended before the first start and between two; what nobody began is no run."""
    settings, runs = settings_in(tmp_path), FakeRuns()
    claim = begun(store, families=("LightGBM", "XGBoost", "LSTM", "NGBoost"))
    store.succeeded(claim, DONE)
    store.cancel(next(fit.id for fit in store.reading.fits() if fit.family == "LSTM"))
    assert tracker(settings, store, runs).turn()
    store.cancel(claimed(store).fit_id)
    assert tracker(settings, store, runs).turn()
    assert tracker(settings, store, runs).turn()
    assert [(run.name, run.status) for run in runs.given] == [
        ("cs_y/LightGBM", "FINISHED"),
        ("cs_y/XGBoost", "KILLED"),
    ]


def test_a_server_that_is_new_is_told_of_the_whole_log(tmp_path: Path, store: PlanStore) -> None:
    """Another address, or another experiment; back at the first one it goes on where it was."""
    store.succeeded(begun(store), DONE)
    places = [("http://a.example", "fits"), ("http://b.example", "fits"), ("http://a.example", "others")]
    counts = []
    for address, experiment in (*places, places[0]):
        runs = FakeRuns()
        settings = settings_in(tmp_path, mlflow_uri=address, mlflow_experiment=experiment)
        assert tracker(settings, store, runs).turn()
        counts.append(len(runs.given))
    assert counts == [1, 1, 1, 0]


def test_an_outage_loses_nothing(tmp_path: Path, store: PlanStore) -> None:
    """What the server did not take is tried again until it does, in the order of the log."""
    runs = FakeRuns()
    store.succeeded(begun(store, families=("LightGBM", "XGBoost")), DONE)
    store.succeeded(claimed(store), DONE)
    runs.fails = [DOWN] * 40
    assert tracker(settings_in(tmp_path), store, runs).turn()
    assert [run.name for run in runs.given] == ["cs_y/LightGBM", "cs_y/XGBoost"]


def test_an_end_during_an_outage_is_heard_and_the_rest_comes_after_the_next_start(
    tmp_path: Path, store: PlanStore
) -> None:
    """A server that never answers keeps nobody waiting."""
    settings, runs = settings_in(tmp_path), FakeRuns()
    store.succeeded(begun(store), DONE)
    runs.fails = [DOWN]
    first = tracker(settings, store, runs)
    first.ending.set()
    assert not first.turn()
    assert runs.given == []
    assert tracker(settings, store, runs).turn()
    assert len(runs.given) == 1


def test_a_run_that_the_server_refuses_keeps_no_other_back(tmp_path: Path, store: PlanStore) -> None:
    """After five tries the next fit has its turn."""
    runs = FakeRuns()
    store.succeeded(begun(store, families=("LightGBM", "XGBoost")), DONE)
    store.succeeded(claimed(store), DONE)
    runs.fails = [NotTracked("no such thing", refused=True)] * tracking_process.TRIES_REFUSED
    assert tracker(settings_in(tmp_path), store, runs).turn()
    assert [run.name for run in runs.given] == ["cs_y/XGBoost"]


def test_a_fit_is_told_of_wherever_it_ended_and_once(tmp_path: Path, store: PlanStore) -> None:
    """However many hosts work on the log: whichever tells goes on where the one before it was."""
    runs, others = FakeRuns(), FakeRuns()
    store.succeeded(begun(store, host="there"), DONE)
    assert tracker(settings_in(tmp_path / "a"), store, runs).turn()
    assert tracker(settings_in(tmp_path / "b"), store, others).turn()
    assert (len(runs.given), len(others.given)) == (1, 0)


class FakeLife(OwnProcess):
    """A process that ends when a test says so."""

    def __init__(self) -> None:
        self.ends_with: int | None = None
        self.was_killed = False

    def code(self) -> int | None:
        """Return the code that the test gave."""
        return self.ends_with

    def kill(self) -> None:
        """Note it."""
        self.was_killed, self.ends_with = True, -9


def test_the_duty_starts_the_process_again_with_longer_and_longer_waits(tmp_path: Path) -> None:
    """A process that ends at once costs a start a second at first, then one in five minutes."""
    clock, lives, waits = FakeClock(), [], []

    def start(words: Sequence[str], environ: dict[str, str]) -> OwnProcess:
        assert "daemon.tracking_process" in words
        assert environ["TRAINWRIGHT_MLFLOW_URI"] == "http://127.0.0.1:5000"
        lives.append(FakeLife())
        return lives[-1]

    settings = settings_in(tmp_path, mlflow_uri="http://127.0.0.1:5000")
    duty = Tracking(settings, clock=clock, start=start, is_installed=lambda: True)
    duty.start()
    assert lives == []
    for _ in range(12):
        began = clock.now
        while not lives or lives[-1].ends_with is not None:
            duty.turn(frozenset())
            clock.now += 0.5
        waits.append(clock.now - began)
        lives[-1].ends_with = 1
        duty.turn(frozenset())
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(300, abs=2)
    duty.close()


def test_without_an_address_or_the_extra_there_is_no_process(tmp_path: Path) -> None:
    """The log says what is missing, once."""

    def start(words: Sequence[str], environ: dict[str, str]) -> OwnProcess:
        raise AssertionError(words)

    with structlog.testing.capture_logs() as said:
        for given in ({}, {"mlflow_uri": "http://127.0.0.1:5000"}):
            duty = Tracking(settings_in(tmp_path, **given), start=start, is_installed=lambda: False)
            duty.start()
            duty.turn(frozenset())
            duty.stop()
            assert duty.pid is None
    assert [line["event"] for line in said] == [EXTRA_MISSING]


@pytest.mark.slow
def test_a_real_process_tracks_a_real_log_and_dies_with_the_duty(
    tmp_path: Path, store: PlanStore, uri: str, sqlite_url: str
) -> None:
    """It finds what ended before it began; told to stop it is gone within seconds."""
    settings = settings_in(tmp_path, mlflow_uri=uri, mlflow_experiment="real", database_url=sqlite_url)
    store.succeeded(begun(store, host=own_identity().host), DONE)
    duty = Tracking(settings)
    duty.start()
    try:
        duty.turn(frozenset())
        pid = duty.pid
        assert pid is not None
        await_that(lambda: any("trainwright.ended" in run.data.tags for run in runs_at(uri, "real")), "run")
    finally:
        duty.stop()
    assert duty.pid is None
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.slow
def test_a_server_that_takes_everything_and_says_nothing_harms_no_fit_and_no_stop(tmp_path: Path) -> None:
    """The fit is trained, the daemon ends well, and the fit is told of once the server is back."""
    write_data(tmp_path / "data", rows=300)
    settings = settings_in(tmp_path)
    rounds = {"params": {"LightGBM": {"rounds": 5}}}
    with socket.create_server(("127.0.0.1", 0)) as silent, open_store(settings.database_url) as store:
        told = {
            "TRAINWRIGHT_MLFLOW_URI": f"http://127.0.0.1:{silent.getsockname()[1]}",
            "TRAINWRIGHT_WEB_LISTEN": "off",
        }
        words = [sys.executable, "-m", "daemon.cli.main", "daemon", "--data-dir", "data", "--cpu-slots", "1"]
        drop_document(document(job(), training=rounds), settings.inbox_dir)
        with subprocess.Popen(words, cwd=tmp_path, env=os.environ | told) as daemon:
            try:
                await_that(lambda: store.reading.fits(states=("succeeded",)), "trained fit")
                silent.settimeout(PATIENCE_SECONDS)
                silent.accept()[0].close()  # it was asked
                daemon.send_signal(signal.SIGTERM)
                assert daemon.wait(PATIENCE_SECONDS) == 0
            finally:
                daemon.kill()
        runs = FakeRuns()
        assert tracker(settings, store, runs).turn()
        assert [run.name for run in runs.given] == ["cs_fwd_ret_1d/LightGBM"]


@pytest.mark.slow
def test_the_daemon_never_loads_mlflow() -> None:
    """All of it is in the other process."""
    code = "import sys, daemon.service, daemon.cli.hosting; sys.exit('mlflow' in sys.modules)"
    environ = {"PATH": os.environ["PATH"], "PYTHONUTF8": "1"}
    assert subprocess.run([sys.executable, "-c", code], env=environ, check=False).returncode == 0


@pytest.mark.parametrize(
    "uri", ["http://tracking.example:5000/a", "https://x.example", "sqlite:////srv/mlflow.db"]
)
def test_addresses_of_tracking_servers_are_taken(uri: str, tmp_path: Path) -> None:
    """A server of the web, or its database in a file."""
    assert settings_in(tmp_path, mlflow_uri=uri).mlflow_uri == uri


@pytest.mark.parametrize(
    "uri", ["5000", "ftp://x.example", "sqlite:///relative.db", "http://me:word@x.example"]
)
def test_other_addresses_are_refused(uri: str, tmp_path: Path) -> None:
    """A password belongs into the environment, where MLflow looks for it."""
    with pytest.raises(SettingsInvalid):
        settings_in(tmp_path, mlflow_uri=uri)
