"""What people are told is what the log says, in the words of `status` and `why`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from daemon_samples import accept, all_events, job
from telling_samples import reject

import daemon
from daemon.notices import DISK_LOW, EVENT_KINDS, Notice, notice_of
from daemon.settings_reading import NOTICES
from store import EventRow, PlanStore, open_store
from store.events import FitSucceeded
from store.reasons import pause_words
from store.records import Claim, Failure

SCHEMA = jsonschema.Draft202012Validator(
    json.loads((Path(daemon.__file__).parent / "schemas" / "notice.schema.json").read_text(encoding="utf-8"))
)


@pytest.fixture
def store(sqlite_url: str) -> Iterator[PlanStore]:
    """A store."""
    with open_store(sqlite_url) as opened:
        yield opened


def told(store: PlanStore) -> list[Notice]:
    """What people are told of all that is in the log."""
    events = all_events(store, *EVENT_KINDS)
    found = [notice_of(event, store.reading, host="here") for event in events]
    return [notice for notice in found if notice is not None]


def claims(store: PlanStore) -> dict[str, Claim]:
    """The fits of the CPU stage, claimed, by family."""
    return {claim.family: claim for claim in store.claim("w1", stage="cpu", limit=9)}


def test_a_fit_that_failed_for_good_is_told_in_the_words_of_why(store: PlanStore) -> None:
    """One that is tried again is not; the place in brackets is its first line."""
    accept(store, job(["LightGBM", "XGBoost"]))
    mine = claims(store)
    store.failed(mine["XGBoost"], Failure(cause="internal", sentence="once more", retryable=True))
    store.failed(
        mine["LightGBM"],
        Failure(cause="bad_input", sentence="the label has\none class", where="rows 0 to 9\nand more"),
    )
    (notice,) = told(store)
    event = all_events(store, "FitFailed")[-1]
    assert notice.sentence == "fit cs_fwd_ret_1d/LightGBM failed: the label has one class (rows 0 to 9)"
    assert notice.next == "trainwright why cs_fwd_ret_1d/LightGBM"
    assert (notice.id, notice.seq, notice.kind, notice.at) == (
        event.event_id,
        event.seq,
        "fit_failed",
        event.at,
    )
    assert notice.about == {"plan": event.plan, "job": event.job, "fit": event.fit, "attempt": 1}


def test_a_finished_plan_is_told_with_its_counts(store: PlanStore) -> None:
    """The counts are those of status; what to do next depends on whether something failed."""
    plan = accept(store, job(["LightGBM", "XGBoost"]))
    mine = claims(store)
    done = FitSucceeded(bundle="b", sha256="0" * 64, metrics={}, seconds=1.0)
    store.succeeded(mine["LightGBM"], done)
    store.failed(mine["XGBoost"], Failure(cause="bad_input", sentence="no"))
    finished = told(store)[-1]
    assert finished.kind == "plan_finished"
    assert finished.sentence == f"plan {plan} is finished: 1 job, 2 fits: 1 done, 1 failed"
    assert finished.next == "trainwright jobs --failed"


def test_a_pause_of_a_plan_is_told_in_the_words_of_status(store: PlanStore) -> None:
    """With who paused it and why; a pause of a stage or of everything is told to nobody."""
    plan = accept(store)
    store.pause(plan=plan, reason="10 fits in a row failed for one cause", actor="host here")
    store.pause(stage="gpu", reason="the window is closed", actor="host here")
    store.pause(actor="alice")
    (notice,) = told(store)
    (row,) = [pause for pause in store.reading.pauses() if pause.plan is not None]
    assert (notice.kind, notice.sentence) == ("plan_paused", pause_words(row))
    assert notice.next == f"trainwright resume --plan {plan}"
    store.pause(plan=plan, host="here", reason="its panel is not on this host")
    assert told(store)[-1].next == f"trainwright resume --plan {plan} --host here"  # the same scope


def test_low_disk_is_told_whoever_notices_it(store: PlanStore) -> None:
    """The floor of the host is one, a fit that found the disk full another, though it is tried again."""
    accept(store)
    store.pause(host="here", reason=f"{DISK_LOW}: 0.3 GB free at /x", actor="host here")
    (claim,) = claims(store).values()
    store.failed(claim, Failure(cause="disk_full", sentence="No space left on device", retryable=True))
    floor, full = told(store)
    assert (floor.kind, full.kind) == ("disk_low", "disk_low")
    assert "0.3 GB free" in floor.sentence
    assert full.sentence == "disk low: fit cs_fwd_ret_1d/LightGBM stopped: No space left on device"


def test_a_rejected_plan_is_told_with_its_place_and_its_fix(store: PlanStore) -> None:
    """The same sentence as REASON.txt begins with."""
    reject(store, "nightly")
    (notice,) = told(store)
    assert notice.kind == "plan_rejected"
    assert notice.sentence == "plan nightly rejected: nightly is wrong (jobs[0])"
    assert notice.next == "mend it"


def test_every_kind_that_can_be_asked_for_is_told(store: PlanStore) -> None:
    """What settings offer and what is told are the same kinds, but for those that are no events."""
    plan = accept(store)
    reject(store, "x")
    store.pause(plan=plan)
    store.pause(host="here", reason=DISK_LOW)
    store.resume(plan=plan)
    store.resume(host="here")
    (claim,) = claims(store).values()
    store.failed(claim, Failure(cause="bad_input", sentence="no"))
    assert {notice.kind for notice in told(store)} == set(NOTICES) - {"host_stuck", "schedule_failed"}
    for notice in told(store):
        SCHEMA.validate(json.loads(json.dumps(notice.document())))


def test_the_schema_names_every_kind() -> None:
    """What can be asked for, and the message that doctor sends to try a way."""
    assert set(SCHEMA.schema["properties"]["kind"]["enum"]) == {*NOTICES, "test"}


@pytest.mark.parametrize("kind", EVENT_KINDS)
@pytest.mark.parametrize("data", [{}, {"plan": "p_gone"}])
def test_an_event_that_says_nothing_more_can_still_be_told(
    kind: str, data: dict[str, Any], store: PlanStore
) -> None:
    """Of another version, of a plan that was retired since: it stops no other notice."""
    reject(store, "x")
    real = all_events(store)[-1]
    fields = {name: getattr(real, name) for name in EventRow.__dataclass_fields__}
    event = EventRow(**fields | {"kind": kind, "data": data, "plan": "p_gone", "job": "j", "fit": "f_gone"})
    notice = notice_of(event, store.reading, host="here")
    if notice is not None:
        assert notice.id == real.event_id
        SCHEMA.validate(json.loads(json.dumps(notice.document())))
