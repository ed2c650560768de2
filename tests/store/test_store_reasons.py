"""Every waiting fit has one reason, the first that holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from store_samples import cs_job, plan_of

from store import FitRow, PlanStore, WaitingContext, waiting_reason
from store.awaited import Awaited
from store.database import connect
from store.reasons import Standing
from store.records import PauseRow, Room

NOW = datetime(2026, 1, 2, tzinfo=UTC)
FREE = WaitingContext(now=NOW, daemons=1, hosts=frozenset(("h",)), rooms=(Room(cores=4, gpus=1),))
PAUSE = PauseRow(plan=None, stage=None, host=None, reason="the disk is changed", at=NOW, actor="ada")
FULL = (Room(cores=4, gpus=0),)
BIG, SMALL = Standing(labels=("bigmem", "gpu")), Standing(labels=("gpu",))
TWO = replace(FREE, hosts=frozenset(("a", "b")), standing={"a": SMALL, "b": SMALL})


@pytest.fixture
def gpu_fit(sqlite_url: str) -> FitRow:
    plan_store = PlanStore(connect(sqlite_url))
    plan_store.accept(plan_of(cs_job("y")), source="s", name="n")
    return plan_store.reading.fit("cs_y/LSTM")


@pytest.mark.parametrize(
    ("context", "code", "words"),
    [
        (replace(FREE, daemons=0, cpu_open=3), "NoWorker", "trainwright daemon"),
        (replace(FREE, cpu_open=3, ahead=2), "WaitingForCpuStage", "3 CPU fits of its plan"),
        (replace(FREE, ahead=2, rooms=FULL), "Priority", "2 GPU fits come first"),
        (replace(FREE, ahead=None, rooms=FULL), "Priority", "the most urgent come first"),
        (replace(FREE, rooms=FULL), "Resources(gpu)", "needs 1 GPU place and 0 are free"),
        (replace(FREE, rooms=(*FULL, Room(cores=0, gpus=1))), "Next", "next"),
        (replace(FREE, rooms=None, running=3), "Resources(gpu)", "all GPU places are taken, 3 fits at work"),
        (replace(FREE, rooms=None), "Next", "next"),
        (FREE, "Next", "next"),
        (replace(FREE, pauses=(PAUSE,), daemons=0), "PlanPaused", "all work is paused by ada: the disk"),
        (replace(FREE, pauses=(replace(PAUSE, stage="gpu"),)), "PlanPaused", "all work of the GPU stage"),
        (replace(FREE, pauses=(replace(PAUSE, stage="cpu"),)), "Next", "next"),
        (replace(FREE, pauses=(replace(PAUSE, plan="p_other"),)), "Next", "next"),
        (replace(FREE, pauses=(replace(PAUSE, host="h"),)), "PlanPaused", "on host h is paused"),
        (replace(FREE, pauses=(replace(PAUSE, host="other"),)), "Next", "next"),
    ],
)
def test_the_first_reason_that_holds_is_given(
    gpu_fit: FitRow, context: WaitingContext, code: str, words: str
) -> None:
    """Reasons go from what a person must do to what time will do."""
    reason = waiting_reason(gpu_fit, context)
    assert reason is not None
    assert reason.code == code
    assert words in reason.words


@pytest.mark.parametrize(
    ("labels", "standing", "words"),
    [
        (("bigmem",), {"a": SMALL}, "it needs a host with label bigmem; the host at work lacks it"),
        (
            ("bigmem",),
            {"a": SMALL, "b": SMALL},
            "it needs a host with label bigmem; none of the 2 hosts at work has it",
        ),
        (
            ("bigmem", "gpu"),
            {"a": SMALL, "b": SMALL, "c": replace(BIG, at_work=False), "d": replace(BIG, draining="")},
            (
                "it needs a host with labels bigmem and gpu; none of the 2 hosts at work has them "
                "(c is not at work, d drains)"
            ),
        ),
        (("bigmem", "gpu"), {"a": SMALL, "b": BIG}, None),
        (("bigmem",), {}, None),
        ((), {"a": SMALL}, None),
    ],
)
def test_labels_that_no_host_has_are_told(
    gpu_fit: FitRow, labels: tuple[str, ...], standing: dict[str, Standing], words: str | None
) -> None:
    """A fit waits for a host that has all its labels, and those that would have them are named."""
    reason = waiting_reason(replace(gpu_fit, labels=labels), replace(FREE, standing=standing))
    assert reason is not None
    assert (reason.code, reason.words) == ("Labels", words) if words else reason.code == "Next"


def test_only_the_room_of_hosts_with_its_labels_counts(gpu_fit: FitRow) -> None:
    """That another host has room does not help a fit that may not run there."""
    context = replace(TWO, rooms=(Room(cores=4, gpus=0), Room(cores=4, gpus=1)), offers=(("x",), ()))
    context = replace(context, standing={"a": Standing(labels=("x",)), "b": Standing()})
    codes = {labels: waiting_reason(replace(gpu_fit, labels=labels), context) for labels in ((), ("x",))}
    assert [reason.code for reason in codes.values() if reason] == ["Next", "Resources(gpu)"]


@pytest.mark.parametrize(
    ("draining", "paused", "code", "words"),
    [
        (("a",), (), "Next", "it is next"),
        (("a", "b"), (), "Draining", "host a drains and claims nothing more: new disk; host b drains"),
        (("a",), ("b",), "Draining", "on host b is paused by ada: the disk is changed; host a drains"),
        (("a",), ("a",), "Next", "it is next"),
        ((), ("a", "b"), "PlanPaused", "on host b is paused"),
    ],
)
def test_hosts_that_drain_hold_a_fit_up_when_all_do(
    gpu_fit: FitRow, draining: tuple[str, ...], paused: tuple[str, ...], code: str, words: str
) -> None:
    """As long as one host claims, that others drain or are paused is no reason."""
    standing = {name: replace(SMALL, draining="new disk" if name in draining else None) for name in "ab"}
    pauses = tuple(replace(PAUSE, host=name) for name in paused)
    reason = waiting_reason(gpu_fit, replace(TWO, standing=standing, pauses=pauses))
    assert reason is not None
    assert reason.code == code
    assert words in reason.words


def test_of_many_hosts_that_drain_few_are_named(gpu_fit: FitRow) -> None:
    """A sentence stays one."""
    names = frozenset(f"h{number}" for number in range(60))
    standing = {name: replace(SMALL, draining="") for name in names}
    reason = waiting_reason(gpu_fit, replace(FREE, hosts=names, standing=standing))
    assert reason is not None
    assert reason.words.endswith("host h10 drains and claims nothing more; and 57 more hosts")


def test_a_backoff_says_until_when(gpu_fit: FitRow) -> None:
    """A fit that failed says how often and when it is tried again; afterwards it does not."""
    failed = replace(gpu_fit, failures=2, not_before_at=NOW + timedelta(seconds=8))
    reason = waiting_reason(failed, FREE)
    assert reason is not None
    assert reason.code == "Backoff"
    assert "failed 2 times" in reason.words
    assert "in 8 s" in reason.words
    later = waiting_reason(failed, replace(FREE, now=NOW + timedelta(seconds=8)))
    assert later is not None
    assert later.code == "Next"


def test_the_barrier_names_its_scope(gpu_fit: FitRow) -> None:
    """With the job barrier it is the job that is waited for."""
    reason = waiting_reason(replace(gpu_fit, stage_barrier="job"), replace(FREE, cpu_open=1))
    assert reason is not None
    assert "of its job" in reason.words


def test_a_fit_that_does_not_wait_has_no_reason(gpu_fit: FitRow) -> None:
    """Running and final fits have none."""
    assert waiting_reason(replace(gpu_fit, state="running"), FREE) is None
    assert waiting_reason(replace(gpu_fit, state="succeeded"), FREE) is None


def test_a_hold_names_who_and_why(gpu_fit: FitRow) -> None:
    """A held fit waits for the person who holds it, whatever else there is to wait for."""
    reason = waiting_reason(
        replace(gpu_fit, held="look at it first"), replace(FREE, held_by="ada", cpu_open=3)
    )
    assert reason is not None
    assert (reason.code, reason.words) == ("Held", "held by ada: look at it first")


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        (("a/X", "b/Y"), "it needs a/X, b/Y, not yet succeeded"),
        (tuple("abcde"), "it needs a, b, c and 2 more, not yet succeeded"),
        ((), "it needs 2 other fits"),
    ],
)
def test_a_dependency_is_named(gpu_fit: FitRow, needs: tuple[str, ...], words: str) -> None:
    """A fit that depends on others says on which, and on few of them by name."""
    reason = waiting_reason(replace(gpu_fit, waits_for=2), replace(FREE, needs=needs))
    assert reason is not None
    assert reason.code == "Dependency"
    assert reason.words.startswith(words)


def test_a_fit_made_from_others_says_which_have_not_ended(gpu_fit: FitRow) -> None:
    """By name where they were looked up, else by their number; it waits for no success."""
    blend = replace(gpu_fit, waits_for=2, awaits=(Awaited(fits=("f_1", "f_2", "f_3"), at_least=1),))
    named = waiting_reason(blend, replace(FREE, awaited=("a/X", "b/Y")))
    counted = waiting_reason(blend, FREE)
    assert named is not None
    assert counted is not None
    assert named.code == counted.code == "Dependency"
    assert named.words == "it is made from fits that have not all ended: a/X, b/Y"
    assert counted.words == "it is made from fits of which 2 have not ended"


def test_a_full_disk_is_told_apart_from_a_failure(gpu_fit: FitRow) -> None:
    """While a fit waits after a full disk it says so, and that nothing was used up."""
    full = replace(gpu_fit, cause="disk_full", not_before_at=NOW + timedelta(seconds=30))
    reason = waiting_reason(full, FREE)
    assert reason is not None
    assert reason.code == "DiskLow"
    assert "in 30 s" in reason.words


@pytest.mark.parametrize(
    ("needs", "code", "words"),
    [
        ({"cores": 5, "gpus": 0}, "Resources(cpu)", "needs 5 CPU places and 4 are free"),
        (
            {"cores": 1, "gpus": 0, "memory_bytes": 3 * 10**9},
            "Resources(memory)",
            "3.0 GB of memory and 2.0 GB",
        ),
    ],
)
def test_what_is_lacking_is_named(gpu_fit: FitRow, needs: dict[str, int], code: str, words: str) -> None:
    """A fit that no host has room for says which resource, how much it needs and how much is free."""
    room = Room(cores=4, gpus=1, memory_bytes=2 * 10**9)
    reason = waiting_reason(replace(gpu_fit, **needs), replace(FREE, rooms=(room,)))
    assert reason is not None
    assert reason.code == code
    assert words in reason.words


@pytest.mark.parametrize("ahead", [0, 5, None])
def test_what_no_host_could_ever_hold_is_told_first(gpu_fit: FitRow, ahead: int | None) -> None:
    """However many come first: a fit that needs more than there is on any host at work waits for that."""
    large = replace(gpu_fit, cores=5)
    small = Room(cores=1, gpus=1, whole=Room(cores=4, gpus=1))
    reason = waiting_reason(large, replace(FREE, rooms=(small, small), ahead=ahead))
    assert reason is not None
    assert (reason.code, reason.words) == (
        "Resources(cpu)",
        "it needs 5 CPU places and 4 are all there is",
    )
    roomy = replace(small, whole=Room(cores=8, gpus=1))
    waits = waiting_reason(large, replace(FREE, rooms=(small, roomy), ahead=0))
    assert waits is not None
    assert waits.words == "it needs 5 CPU places and 1 are free"


@pytest.mark.parametrize(
    ("ahead", "others", "at_work", "words"),
    [
        (1, (), 3, "1 GPU fit comes first"),
        (3, (("nightly", 3),), 0, "3 GPU fits come first: 3 of plan nightly"),
        (
            7,
            (("nightly", 3),),
            2,
            "7 GPU fits come first: 4 of its own plan, 3 of plan nightly; of its own plan 2 are at work",
        ),
        (
            15,
            (("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5)),
            0,
            "15 GPU fits come first: 1 of plan a, 2 of plan b, 3 of plan c, 9 of 2 more plans",
        ),
    ],
)
def test_who_comes_first_is_told_by_plan(
    gpu_fit: FitRow, ahead: int, others: tuple[tuple[str, int], ...], at_work: int, words: str
) -> None:
    """Fits of other plans are told with the plan's name, few plans by name, and what the own plan has."""
    context = replace(FREE, ahead=ahead, ahead_of_others=others, at_work=at_work)
    reason = waiting_reason(gpu_fit, context)
    assert reason is not None
    assert (reason.code, reason.words) == ("Priority", words)


@pytest.mark.parametrize(
    ("cause", "code"),
    [("unavailable", "LibraryMissing"), ("dependency", "Dependency"), ("unsuitable", "Unsuitable")],
)
def test_a_fit_that_cannot_run_says_what_is_missing(gpu_fit: FitRow, cause: str, code: str) -> None:
    """An unavailable fit names the library, or the fit that did not succeed."""
    missing = replace(gpu_fit, state="unavailable", cause=cause, sentence="torch is not installed")
    reason = waiting_reason(missing, FREE)
    assert reason is not None
    assert (reason.code, reason.words) == (code, "torch is not installed")
