"""A fit that takes too long or too much is ended, one that is silent is told of: in words that help."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from daemon_samples import STARTED, FakeChild, all_events, document, job, settings_in, write_data

from daemon.limits import Idleness, Limits, cpu_seconds, group_cpu_seconds, own_memory_bytes
from daemon.news import FitMoved, News
from daemon.service import drain, submit_plan
from daemon.settings import Settings
from executors.contract import Checkpointed, Failed, Progressed, Stopped, Succeeded
from store import open_store
from store.errors import WrongState

MIB = 1 << 20
ENDLESS = {"LightGBM": {"rounds": 100_000, "patience": 100_000, "learning_rate": 1e-5}}


def limits_of(settings: Settings, family: str = "LightGBM") -> Limits:
    """The limits of a fit that began at second 0."""
    return Limits(settings, name=f"cs_y/{family}", family=family, began_at=0.0, log=Path("a.log"))


def test_a_fit_whose_time_is_over_is_asked_to_stop_and_says_what_is_kept(tmp_path: Path) -> None:
    """It fails for its limit; the sentence names the limit, the step, what is kept and the next command."""
    limits, child = limits_of(settings_in(tmp_path, fit_seconds_max=60)), FakeChild()
    limits.hear(Progressed(step=120, steps_total=400), 30.0)
    limits.keep(child, 59.9)
    assert not child.was_asked_to_stop
    limits.keep(child, 60.0)
    assert child.was_asked_to_stop
    assert not child.was_killed
    outcome = limits.verdict(Stopped(step=118))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("time_limit", False)
    assert outcome.sentence == (
        "the fit took longer than its limit of 60 s (fit_seconds_max), at step 120 of 400; its state after "
        "step 118 is kept and is where it goes on; raise the limit, then: trainwright retry cs_y/LightGBM"
    )
    assert outcome.where == "log a.log"


def test_a_fit_that_does_not_stop_in_time_is_killed(tmp_path: Path) -> None:
    """After the time that fits have to save their state; what was saved before is what is kept."""
    limits, child = limits_of(settings_in(tmp_path, fit_seconds_max=60, stop_seconds=5)), FakeChild()
    limits.hear(Checkpointed(step=100, path="x", seconds=0.1), 30.0)
    limits.keep(child, 60.0)
    limits.keep(child, 64.9)
    assert not child.was_killed
    limits.keep(child, 65.0)
    assert child.was_killed
    killed = Failed(cause="internal", sentence="ended", where="", retryable=True)
    outcome = limits.verdict(killed)
    assert isinstance(outcome, Failed)
    assert outcome.cause == "time_limit"
    assert "its state after step 100 is kept" in outcome.sentence


def test_what_ends_in_time_or_for_another_reason_is_told_as_it_was(tmp_path: Path) -> None:
    """A model that was nearly done stays a model, and bad input stays bad input."""
    done = Succeeded(bundle="b", bundle_sha256="0", metrics={})
    bad = Failed(cause="bad_input", sentence="no such column", where="", retryable=False)
    lost = Failed(cause="lost_worker", sentence="killed", where="", retryable=True)
    limits, child = limits_of(settings_in(tmp_path, fit_seconds_max=60)), FakeChild()
    assert [limits.verdict(one) for one in (done, bad, lost)] == [done, bad, lost]
    limits.keep(child, 61.0)
    assert [limits.verdict(one) for one in (done, bad)] == [done, bad]
    over = limits.verdict(lost)
    assert isinstance(over, Failed)
    assert over.cause == "time_limit"
    assert "before its first step; nothing of it is kept" in over.sentence


def test_a_family_has_a_limit_of_its_own(tmp_path: Path) -> None:
    """It stands over the one of all fits, longer or shorter, and is the one that is named."""
    settings = settings_in(tmp_path, fit_seconds_max=60, family_seconds_max={"lstm": 600, "XGBoost": 5})
    for family, seconds, setting in (
        ("LSTM", 600.0, "600 s (family_seconds_max)"),
        ("XGBoost", 5.0, "5 s (family_seconds_max)"),
        ("LightGBM", 60.0, "60 s (fit_seconds_max)"),
    ):
        limits, child = limits_of(settings, family), FakeChild()
        limits.keep(child, seconds - 0.1)
        assert not child.was_asked_to_stop
        limits.keep(child, seconds)
        assert child.was_asked_to_stop
        outcome = limits.verdict(Stopped(step=1))
        assert isinstance(outcome, Failed)
        assert setting in outcome.sentence
    alone = settings_in(tmp_path, family_seconds_max={"LSTM": 5})
    child = FakeChild()
    limits_of(alone).keep(child, 1e6)
    assert not child.was_asked_to_stop


def test_a_fit_that_takes_more_memory_than_its_limit_is_killed(tmp_path: Path) -> None:
    """Its own memory counts, once it has said who it is; the look is taken about once a second."""
    child, here = FakeChild(), replace(STARTED, pid=os.getpid())
    own = own_memory_bytes(os.getpid())
    roomy = limits_of(settings_in(tmp_path, fit_memory_bytes=own + 4096 * MIB))
    roomy.hear(here, 1.0)
    roomy.keep(child, 5.0)
    assert not child.was_killed
    tight = limits_of(settings_in(tmp_path, fit_memory_bytes=MIB))
    tight.keep(child, 5.0)
    assert not child.was_killed, "it is not forked yet; what there is to see is its server"
    tight.hear(here, 5.5)
    tight.keep(child, 5.9)
    assert not child.was_killed, "the next look is not due"
    tight.keep(child, 6.0)
    assert child.was_killed
    outcome = tight.verdict(Failed(cause="internal", sentence="ended", where="", retryable=True))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("out_of_memory", False)
    assert "more than its limit of 1 MiB (fit_memory_bytes)" in outcome.sentence


def test_memory_shared_with_the_server_is_not_the_fit_s_own() -> None:
    """A forked process has all pages of its parent in its count, and hardly one of its own."""
    code = (
        "import os, sys\n"
        "held = bytearray(b'x') * (200 << 20)\n"
        "if os.fork() == 0:\n"
        "    print(os.getpid(), flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert own_memory_bytes(pid, above=1 << 40) > 200 * MIB  # the kernel's quick count
        assert own_memory_bytes(pid, above=100 * MIB) < 50 * MIB
        parent.communicate("")
    assert own_memory_bytes(pid) == 0


def test_a_silent_fit_is_told_of_once_with_what_it_worked_meanwhile(tmp_path: Path) -> None:
    """Whether it hangs or thinks is seen by its CPU time; a word from it ends the silence."""
    limits, child = limits_of(settings_in(tmp_path, fit_silent_seconds=600)), FakeChild()
    with structlog.testing.capture_logs() as said:
        limits.hear(Progressed(step=7, steps_total=400), 10.0)
        for second in (11.0, 609.0, 611.0, 700.0, 2000.0):
            limits.keep(child, second)
        limits.hear(Progressed(step=8, steps_total=400), 2001.0)
        for second in (2010.0, 2602.0):
            limits.keep(child, second)
    assert [(one["event"], one["step"], one["silent_seconds"]) for one in said] == [
        ("fit says nothing", 7, 601),
        ("fit says nothing", 8, 601),
    ]
    assert cpu_seconds(os.getpid()) > 0
    assert cpu_seconds(child.pid) == 0


def test_a_fit_that_hangs_is_ended_and_tried_again_from_its_last_state(tmp_path: Path) -> None:
    """It has neither reported nor worked; its failure counts as one of its own, and says what is kept."""
    limits, child = limits_of(settings_in(tmp_path, fit_hung_seconds=40)), FakeChild()
    limits.hear(Progressed(step=7, steps_total=400), 10.0)
    limits.hear(Checkpointed(step=5, path="x", seconds=0.1), 11.0)
    for second in range(12, 52):
        limits.keep(child, float(second))
        assert not child.was_killed, second
    for second in range(52, 58):
        limits.keep(child, float(second))
    assert child.was_killed
    outcome = limits.verdict(Failed(cause="lost_worker", sentence="killed", where="", retryable=True))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("hung", True)
    assert outcome.sentence == (
        "the fit hung: it neither reported nor worked for 40 s (fit_hung_seconds), at step 7 of 400; "
        "its state after step 5 is kept and is where it goes on"
    )


def test_with_0_a_fit_may_hang_for_ever(tmp_path: Path) -> None:
    """Nothing is looked at and nothing is ended."""
    limits, child = limits_of(settings_in(tmp_path, fit_hung_seconds=0)), FakeChild()
    for second in (5.0, 1e5, 1e6):
        limits.keep(child, second)
    assert not child.was_killed


def test_who_works_or_speaks_does_not_hang() -> None:
    """Work of more than a thousandth of the time, or one word, begins the count anew."""
    work = {"seconds": 0.0}
    idleness = Idleness(100.0, lambda _: work["seconds"])
    for second in range(0, 1000, 5):
        work["seconds"] += 0.11 if second % 90 == 0 else 0.0
        assert not idleness.is_over(1, float(second)), second
    for second in range(1000, 1090, 5):
        assert not idleness.is_over(1, float(second)), second
    idleness.heard(1088.0)
    for second in range(1090, 1195, 5):
        assert not idleness.is_over(1, float(second)), second
    assert idleness.is_over(1, 1195.0)


def test_a_process_that_speaks_is_never_looked_at() -> None:
    """A look goes through all processes of the machine; a word every minute or so spares it."""
    looks: list[int] = []

    def worked(pid: int) -> float:
        looks.append(pid)
        return 0.0

    idleness = Idleness(3600.0, worked)
    for second in range(10_000):
        assert not idleness.is_over(1, float(second))
        if second % 55 == 0:
            idleness.heard(float(second))
    assert looks == []
    for second in range(10_000, 13_500):
        assert not idleness.is_over(1, float(second))
    assert len(looks) <= 3600 / 60


def test_time_in_which_nobody_looked_does_not_count() -> None:
    """A machine that slept for a day, or a frozen daemon, finds its fits as it left them."""
    idleness = Idleness(100.0, lambda _: 0.0)
    for second in (0.0, 50.0, 100_000.0, 200_000.0, 200_005.0):
        assert not idleness.is_over(1, second)


def test_a_mere_trickle_of_work_is_none() -> None:
    """A thread that wakes to look at a clock now and then does not make its process alive."""
    work = {"seconds": 0.0}
    idleness = Idleness(1000.0, lambda _: work["seconds"])
    seconds = 0
    while not idleness.is_over(1, float(seconds)):
        seconds += 10
        work["seconds"] += 0.005
        assert seconds < 5000
    assert seconds >= 1000


def test_the_work_of_a_group_is_that_of_all_its_processes() -> None:
    """A process that waits for its own child works as long as the child does."""
    code = (
        "import os, sys\n"
        "if os.fork() == 0:\n"
        "    while os.times().user < 0.3: pass\n"
        "    print('done', flush=True)\n"
        "    sys.stdin.read()\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as parent:
        assert parent.stdout is not None
        parent.stdout.readline()
        assert group_cpu_seconds(parent.pid) >= 0.3
        parent.communicate("")
    assert group_cpu_seconds(parent.pid) == 0


@pytest.mark.slow
def test_a_fit_that_was_stopped_for_good_goes_on_in_another_attempt(tmp_path: Path) -> None:
    """Frozen by SIGSTOP it neither speaks nor works: it is ended, that counts, and the next one resumes."""
    write_data(tmp_path / "data")
    settings = Settings.from_sources(
        {"training": {"params": ENDLESS}},
        {},
        {
            "results_dir": tmp_path / "results",
            "data_dir": tmp_path / "data",
            "fit_hung_seconds": 1.5,
            "lease_seconds": 600,
            "checkpoint_rounds": 10,
            "backoff_seconds": 0,
            "attempts_max": 100,  # on a machine that stands still others may be taken to hang as well
        },
    )
    frozen: list[int] = []

    def freeze(news: News) -> None:
        if not isinstance(news, FitMoved):
            return
        begun = all_events(store, "FitStarted")
        if not begun:  # told before it was recorded
            return
        pid = begun[-1].data["pid"]
        if not frozen and news.step >= 20:
            frozen.append(pid)
            os.kill(pid, signal.SIGSTOP)
        elif frozen and pid != frozen[0]:
            with suppress(WrongState):  # it was already
                store.cancel(news.fit)

    with open_store(settings.database_url) as store:
        plan = submit_plan(settings, store, document(job()), name="p").plan_id
        assert drain(settings, store, [plan], tell=freeze).cancelled == 1
        started = all_events(store, "FitStarted")
        [place] = [place for place, event in enumerate(started) if event.data["pid"] == frozen[0]]
        attempt = started[place].attempt
        [failed] = [event for event in all_events(store, "FitFailed") if event.attempt == attempt]
        assert (failed.data["cause"], failed.data["retry"], failed.data["counted"]) == ("hung", True, True)
        assert started[place + 1].data["resumed_from_step"] >= 10


@pytest.mark.parametrize("warm", [True, False])
def test_a_fit_over_its_time_fails_once_and_goes_on_when_it_is_retried(tmp_path: Path, *, warm: bool) -> None:
    """It is not tried again by itself; retried with a higher limit it resumes where it was stopped."""
    write_data(tmp_path / "data")
    for seconds in (2.0, 6.0, 20.0):  # a busy machine needs longer until the first step
        given = {"fit_seconds_max": seconds, "warm_children": warm, "data_dir": tmp_path / "data"}
        told = {"results_dir": tmp_path / f"{seconds:g}" / "results", **given}
        settings = Settings.from_sources({"training": {"params": ENDLESS}}, {}, told)
        with open_store(settings.database_url) as store:
            plan = submit_plan(settings, store, document(job()), name="p").plan_id
            assert drain(settings, store, [plan]).failed == 1
            [failed] = all_events(store, "FitFailed")
            assert failed.data["cause"] == "time_limit"
            assert "trainwright retry cs_fwd_ret_1d/LightGBM" in failed.data["sentence"]
            if "its state after step" not in failed.data["sentence"]:
                continue
            [fit] = store.reading.fits(plan=plan)
            store.retry(fit.id)
            assert drain(settings, store, [plan]).failed == 1
            failed, again = all_events(store, "FitFailed")
            if "before its first step" not in again.data["sentence"]:
                starts = all_events(store, "FitStarted")
                assert [one.data["resumed_from_step"] is None for one in starts] == [True, False]
                return
    raise AssertionError("in 20 s no fit came to its first step")
