"""Plans are admitted by one door, drained in process, and served from the drop folder."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import structlog.testing
from daemon_samples import (
    TARGET,
    all_events,
    await_that,
    document,
    drop,
    job,
    settings_in,
    write_data,
    write_plan,
)

from daemon import intake as intake_module
from daemon import service as service_module
from daemon.news import FitBegan, FitEnded, News, PlanFinished
from daemon.service import drain, serve, submit_plan
from daemon.settings import Settings
from daemon.workplace import Workplace
from store import PlanRejected, PlanStore, open_store
from store.errors import DatabaseUnavailable
from store.plan import Plan
from store.records import Accepted

pytestmark = pytest.mark.usefixtures("ngboost_missing")  # a fit that needs no training

QUICK = {"LightGBM": {"rounds": 20, "chunk_rounds": 10}}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data of two symbols."""
    return write_data(tmp_path_factory.mktemp("data"), rows=300)


@pytest.fixture
def settings(tmp_path: Path, data_dir: Path) -> Settings:
    """An installation over that data."""
    return settings_in(tmp_path, data_dir=data_dir, params=QUICK)


@pytest.fixture
def store(settings: Settings, sqlite_url: str) -> Iterator[PlanStore]:
    """The installation's event log, its tables made already."""
    database = Path(settings.database_url.removeprefix("sqlite:///"))
    database.parent.mkdir(parents=True)
    shutil.copy(sqlite_url.removeprefix("sqlite:///"), database)
    with open_store(settings.database_url) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _logs_of_their_own() -> Iterator[None]:
    structlog.reset_defaults()
    yield
    structlog.reset_defaults()


def test_a_plan_is_admitted_and_drained(settings: Settings, store: PlanStore) -> None:
    """A plan document becomes fits, models, metrics and logs under one timestamp, told on the way."""
    accepted = submit_plan(settings, store, document(job(["lightgbm", "NGBoost"])), name="mine")
    assert accepted.new
    news: list[News] = []
    drained = drain(settings, store, [accepted.plan_id], tell=news.append)
    assert (drained.succeeded, drained.unavailable, drained.failed) == (1, 1, 0)
    assert not drained.interrupted
    (output,) = settings.output_dir.iterdir()
    (card,) = output.glob("models/*/*/card.json")
    assert json.loads(card.read_text())["family"] == "LightGBM"
    assert len(list(output.glob("metrics/*/*.json"))) == len(list(output.glob("logs/*/*.log"))) == 1
    assert {type(word) for word in news} >= {FitBegan, FitEnded, PlanFinished}
    assert (settings.results_dir / "trainwright.log").read_text().count('"fit succeeded"') == 1


def test_the_same_plan_again_changes_nothing(settings: Settings, store: PlanStore, tmp_path: Path) -> None:
    """A second submission, even from a directory, is a receipt of the first."""
    first = submit_plan(settings, store, document())
    head = store.head_seq()
    second = submit_plan(settings, store, write_plan(tmp_path / "plan", document(generated_at="later")))
    assert (second.plan_id, second.new, second.at) == (first.plan_id, False, first.at)
    assert store.head_seq() == head
    assert len(list(settings.output_dir.iterdir())) == 1


def test_a_rejection_is_recorded(settings: Settings, store: PlanStore) -> None:
    """A plan that does not fit its data is rejected with the nearest name, and the log knows it."""
    with pytest.raises(PlanRejected, match="Did you mean 'fwd_ret_1d'"):
        submit_plan(settings, store, document(job(target="fwd_ret_2d")), name="wrong")
    (event,) = all_events(store, "PlanRejected")
    assert (event.data["name"], event.data["place"]) == ("wrong", "jobs[0].target")
    assert not store.reading.plans()


def test_data_that_cannot_be_read_rejects_the_plan(
    tmp_path: Path, store: PlanStore, settings: Settings
) -> None:
    """Where there is no data the sentence says so; a plan without any word on data names the setting."""
    with pytest.raises(PlanRejected) as caught:
        submit_plan(replace(settings, data_dir=tmp_path / "nowhere"), store, document())
    assert caught.value.place == "data"
    assert "nowhere" in caught.value.sentence
    with pytest.raises(PlanRejected, match="data_dir"):
        submit_plan(Settings.from_sources({}, {}, {"results_dir": settings.results_dir}), store, document())


def test_a_drain_can_be_interrupted(settings: Settings, store: PlanStore) -> None:
    """SIGINT gives the fits back, saved, and a later drain finishes them."""
    long = settings_in(
        settings.results_dir.parent,
        data_dir=settings.data_dir,
        params={"LightGBM": {"rounds": 3000, "patience": 3000, "chunk_rounds": 10}},
        checkpoint_rounds=10,
    )
    plan_id = submit_plan(long, store, document()).plan_id
    before = signal.getsignal(signal.SIGINT)

    def interrupt_once_it_trains(news: News) -> None:
        if isinstance(news, FitBegan):
            os.kill(os.getpid(), signal.SIGINT)

    drained = drain(long, store, [plan_id], tell=interrupt_once_it_trains)
    assert drained.interrupted
    (fit,) = store.reading.fits(plan=plan_id)
    assert fit.state == "ready"
    assert all_events(store, "FitReleased")[-1].data["cause"] == "stopped by SIGINT"
    assert signal.getsignal(signal.SIGINT) is before  # ignored, where the suite runs in the background


def test_a_final_plan_is_drained_at_once(settings: Settings, store: PlanStore) -> None:
    """A drain of a plan whose fits are all final starts nothing."""
    plan_id = submit_plan(settings, store, document(job(["NGBoost"]))).plan_id
    drained = drain(settings, store, [plan_id])
    assert (drained.unavailable, drained.succeeded) == (1, 0)
    assert not all_events(store, "FitClaimed")


def served(settings: Settings) -> int:
    """Serve until nothing is left, in a thread (which minds no signals)."""
    codes: list[int] = []
    thread = threading.Thread(target=lambda: codes.append(serve(settings, until_idle=True)))
    thread.start()
    thread.join(120)
    return codes[0]


def test_the_drop_folder_is_worked_off(settings: Settings, store: PlanStore) -> None:
    """Good plans are trained once, bad ones rejected with their reasons, and nothing else is left there."""
    inbox = settings.inbox_dir
    drop(inbox, "good", document())
    drop(inbox, "same", document(generated_at="later"))
    drop(inbox, "target", document(job(target="fwd_ret_2d")))
    drop(inbox, "family", document(job(["LigtGBM"])))
    drop(inbox, "truncated", '{"jobs": [')
    drop(inbox, "deep", "[" * 100_000)
    (inbox / "link").symlink_to("/etc")
    drop(inbox / "whole" / "globals", "training_plan", document(job(["LightGBM"], symbol="AAA")))
    assert served(settings) == 0
    assert sorted(path.name for path in inbox.iterdir()) == ["accepted", "rejected"]
    assert len(store.reading.plans()) == len(list((inbox / "accepted").iterdir())) == 2
    assert {fit.state for fit in store.reading.fits()} == {"succeeded"}
    reasons = {
        path.parent.name: path.read_text().splitlines()[0] for path in inbox.glob("rejected/*/REASON.txt")
    }
    assert set(reasons) == {"target", "family", "truncated", "deep", "link"}
    assert "fwd_ret_2d" in reasons["target"]
    assert reasons["link"] == "link is a symbolic link"
    assert len(all_events(store, "PlanRejected")) == 5
    again = list(inbox.glob("accepted/*/again/*/receipt.json"))
    assert "already accepted as p_" in json.loads(again[0].read_text())["sentence"]
    assert [event.kind for event in all_events(store, "DaemonStarted", "DaemonStopped")] == [
        *("DaemonStarted", "DaemonStopped"),
    ]


def test_a_host_works_over_postgres(settings: Settings, postgres_url: str) -> None:
    """With the event log in Postgres plans are taken in, trained and recorded in the same way."""
    over_postgres = replace(settings, database_url=postgres_url)
    drop(settings.inbox_dir, "plan", document())
    assert served(over_postgres) == 0
    with open_store(postgres_url) as store:
        assert [fit.state for fit in store.reading.fits()] == ["succeeded"]
        assert len(all_events(store, "DaemonStopped")) == 1


def test_a_failed_fit_is_the_exit_code(settings: Settings, store: PlanStore) -> None:
    """Working off the folder ends with 1 when a fit failed for good; the others are trained all the same."""
    drop(
        settings.inbox_dir, "plan", document(job(params={}), training={"params": {"LightGBM": {"wrong": 1}}})
    )
    drop(settings.inbox_dir, "good", document())
    assert served(settings) == 1
    assert sorted(fit.state for fit in store.reading.fits()) == ["failed", "succeeded"]
    (failed,) = all_events(store, "FitFailed")
    assert "wrong" in failed.data["sentence"]


def test_the_service_manager_is_kept_informed(settings: Settings, store: PlanStore, tmp_path: Path) -> None:
    """A daemon under systemd says READY, then WATCHDOG again and again, then STOPPING."""
    given = {"results_dir": str(settings.results_dir), "web_listen": "off"}
    words = (
        "import json, sys\n"
        "from daemon.service import serve\n"
        "from daemon.settings import Settings\n"
        "raise SystemExit(serve(Settings.from_sources({}, {}, json.loads(sys.argv[1]))))"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        environ = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "300000"}
        command = [sys.executable, "-P", "-c", words, json.dumps(given)]
        host = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=environ)
        heard = [manager.recv(1000)]
        while not heard[-1].startswith(b"READY=1"):
            heard.append(manager.recv(1000))
        assert heard[-1].startswith(b"READY=1\nSTATUS=waiting for plans")
        assert all(words.startswith((b"STATUS=", b"WATCHDOG=1")) for words in heard[:-1])
        for _ in range(2):
            assert manager.recv(1000).startswith(b"WATCHDOG=1")
        host.terminate()
        heard = [manager.recv(1000)]
        while not heard[-1].startswith(b"STOPPING=1"):
            heard.append(manager.recv(1000))
        assert host.wait(60) == 0
    assert all_events(store, "DaemonStopped")


def test_a_crash_between_record_and_move_is_healed(settings: Settings, store: PlanStore) -> None:
    """A plan recorded but not yet moved when the daemon died is recognised and moved at the next start."""
    plan_id = submit_plan(settings, store, document(job(["NGBoost"]))).plan_id
    drop(settings.inbox_dir, "plan", document(job(["NGBoost"])))
    assert served(settings) == 0
    assert (settings.inbox_dir / "accepted" / plan_id / "receipt.json").exists()
    assert len(all_events(store, "PlanAccepted")) == 1


def test_a_plan_that_breaks_the_judging_is_refused(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unforeseen error while one plan is judged costs that plan, not the daemon and not its neighbour."""
    real = intake_module.admit

    def fragile(store: PlanStore, place: Workplace, plan: Plan, **words: str) -> Accepted:
        if "note" in plan.document["metadata"]:
            raise ZeroDivisionError("unforeseen")
        return real(store, place, plan, **words)

    monkeypatch.setattr(intake_module, "admit", fragile)
    drop(settings.inbox_dir, "a", document(job(["NGBoost"]), note="poison"))
    drop(settings.inbox_dir, "b", document(job(["NGBoost"])))
    assert served(settings) == 0
    assert "unforeseen" in (settings.inbox_dir / "rejected" / "a" / "REASON.txt").read_text()
    assert len(store.reading.plans()) == 1


def test_names_that_are_no_text_are_plans_like_any_other(settings: Settings, store: PlanStore) -> None:
    """A directory whose name is not UTF-8, or holds a line break, is accepted, known again and refused."""
    names = [os.fsdecode(b"non\xe9utf"), "two\nlines", "-rf"]
    for number, name in enumerate(names):
        drop(settings.inbox_dir, name, document(job(["NGBoost"]), note=f"{number}"))
        drop(
            settings.inbox_dir, f"{name}+", document(job(["NGBoost"]), note=f"{number}", generated_at="then")
        )
        drop(settings.inbox_dir, f"{name}-", document(job(["LigtGBM"])))
    assert served(settings) == 0
    assert sorted(path.name for path in settings.inbox_dir.iterdir()) == ["accepted", "rejected"]
    accepted = settings.inbox_dir / "accepted"
    known = [line for path in accepted.glob("*/.dropped-as") for line in path.read_text().splitlines()]
    assert sorted(known) == sorted(
        shown + end for shown in ("non\\xe9utf", "two\\nlines", "-rf") for end in ("", "+")
    )
    assert len(list(settings.inbox_dir.glob("rejected/*/REASON.txt"))) == 3
    assert all("LigtGBM" in event.data["sentence"] for event in all_events(store, "PlanRejected"))


def test_a_plan_that_cannot_even_be_refused_is_passed_over(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays where it lies, its neighbour is trained, and the daemon ends well."""
    real = intake_module.shelve_rejected

    def fragile(inbox: Path, inbox_fd: int, name: str, rejected: PlanRejected, **more: Any) -> Path:
        if name == "a":
            raise ZeroDivisionError("unforeseen")
        return real(inbox, inbox_fd, name, rejected, **more)

    monkeypatch.setattr(intake_module, "shelve_rejected", fragile)
    monkeypatch.setattr(service_module, "FAILED_TURN_SECONDS", 0.01)
    drop(settings.inbox_dir, "a", document(job(["LigtGBM"])))
    drop(settings.inbox_dir, "b", document(job(["LigtGBM"])))
    drop(settings.inbox_dir, "c", document(job(["NGBoost"])))
    assert served(settings) == 0
    assert sorted(path.name for path in settings.inbox_dir.iterdir()) == ["a", "accepted", "rejected"]
    assert (settings.inbox_dir / "rejected" / "b" / "REASON.txt").exists()
    assert len(store.reading.plans()) == 1


def test_turns_that_keep_failing_end_the_daemon(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error that is no plan's fault is borne for a while; then the daemon ends, to be started anew."""
    drop(settings.inbox_dir, "plan", document(job(["NGBoost"])))
    turns: list[int] = []

    def failing(*_words: object, **_more: object) -> None:
        turns.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(intake_module.Intake, "turn", failing)
    monkeypatch.setattr(service_module, "FAILING_SECONDS_MAX", 0.1)
    monkeypatch.setattr(service_module, "FAILED_TURN_SECONDS", 0.06)
    with pytest.raises(OSError, match="Too many open files"):
        serve(settings, until_idle=True)
    assert len(turns) > 1
    assert not all_events(store, "PlanRejected", "DaemonStopped")


def test_a_silent_log_neither_spins_the_loop_nor_loses_a_reload(
    settings: Settings, store: PlanStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits to be heard wakes the loop at once, so each failing turn waits a moment; it is told once."""
    silent, real, slept = iter(range(5)), intake_module.Intake.turn, list[float]()

    def turn(intake: intake_module.Intake, rang: frozenset[str]) -> None:
        if (number := next(silent, None)) is not None:
            if number == 0:
                os.kill(os.getpid(), signal.SIGHUP)
            raise DatabaseUnavailable(url="x", cause="refused")
        real(intake, rang)

    monkeypatch.setattr(intake_module.Intake, "turn", turn)
    monkeypatch.setattr(service_module, "FAILED_TURN_SECONDS", 0.0123)
    monkeypatch.setattr(service_module.time, "sleep", slept.append)
    with structlog.testing.capture_logs() as lines:
        serve(settings, until_idle=True, reread=lambda: replace(settings, poll_seconds=0.01))
    assert sum(line["event"].startswith("the event log does not answer") for line in lines) == 1
    assert slept.count(0.0123) == 5
    (reloaded,) = all_events(store, "DaemonReloaded")
    assert reloaded.data["changed"] == ["poll_seconds"]


def test_the_host_stays_light(tmp_path: Path) -> None:
    """The daemon's process imports no training library, no data library: those live in its children."""
    words = (
        "import sys, daemon.service, executors.process\n"
        "heavy = {'lightgbm', 'xgboost', 'torch', 'sklearn', 'pandas', 'pyarrow', 'scipy'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-P", "-c", words], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"


def test_a_serving_host_stays_light(settings: Settings) -> None:
    """Also after taking in a plan and training it, a host has loaded none of them."""
    drop(settings.inbox_dir, "plan", document())
    words = (
        "import json, sys\n"
        "from daemon.service import serve\n"
        "from daemon.settings import Settings\n"
        "code = serve(Settings.from_sources({}, {}, json.loads(sys.argv[1])), until_idle=True)\n"
        "heavy = {'lightgbm', 'xgboost', 'torch', 'sklearn', 'pandas', 'pyarrow', 'scipy'}\n"
        "print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    given = {"results_dir": str(settings.results_dir), "data_dir": str(settings.data_dir), "params": QUICK}
    said = subprocess.run(
        [sys.executable, "-P", "-c", words, json.dumps({**given, "settle_seconds": 0})],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stderr.splitlines()[-1] == "0 []"
    with open_store(settings.database_url) as store:
        assert [fit.state for fit in store.reading.fits()] == ["succeeded"]
        assert store.reading.fits()[0].target == TARGET


def test_a_plan_copied_in_slowly_is_taken_when_whole(settings: Settings, store: PlanStore) -> None:
    """A serving daemon takes a copy only once it is whole, and ends on SIGTERM with code 0."""
    given = {
        "results_dir": str(settings.results_dir),
        "data_dir": str(settings.data_dir),
        "settle_seconds": 1.0,
        "rescan_seconds": 0.1,
        "web_listen": "off",
    }
    words = (
        "import json, sys\n"
        "from daemon.service import serve\n"
        "from daemon.settings import Settings\n"
        "raise SystemExit(serve(Settings.from_sources({}, {}, json.loads(sys.argv[1]))))"
    )
    host = subprocess.Popen([sys.executable, "-P", "-c", words, json.dumps(given)], stdout=subprocess.DEVNULL)
    try:
        await_that(lambda: all_events(store, "DaemonStarted"), "daemon")
        text = json.dumps(document(job(["NGBoost"])))
        slow = write_plan(settings.inbox_dir / "slow", text[:50])
        quick = write_plan(settings.inbox_dir.parent / "quick", document(job(["NGBoost"], symbol="AAA")))
        quick.rename(settings.inbox_dir / "quick")
        await_that(lambda: len(store.reading.plans()) == 1, "plan renamed in")
        assert slow.exists()
        write_plan(slow, text)
        await_that(lambda: len(store.reading.plans()) == 2, "plan copied in")
        await_that(lambda: not slow.exists(), "move")
        assert not all_events(store, "PlanRejected")
    finally:
        host.terminate()
        assert host.wait(60) == 0
