"""A fit that lacks something nobody can fetch is left alone for a while, not claimed again and again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import FakeChild, accept, all_events, await_that, job, settings_in

from daemon.agent import run_agent
from daemon.artefacts.fetching import Fetching
from daemon.artefacts.kept_child import KeptChild
from daemon.artefacts.mover import Mover
from daemon.asking import FIT_FAILED, TRY_AGAIN, Asked, Bounds
from daemon.workplace import FitPlaces
from executors.contract import Failed, FitSpec, Part
from store import PlanStore, open_store

Place = tuple[str, dict[str, Any]]
PART = Part(name="j/LSTM", family="LSTM", bundle_path=Path("nowhere"), bundle_sha256=64 * "b")


@pytest.fixture
def log(sqlite_url: str) -> Iterator[PlanStore]:
    """An empty log."""
    with open_store(sqlite_url) as opened_log:
        yield opened_log


def test_a_part_that_nobody_has_is_a_failure_which_the_log_paces(shared: Place, tmp_path: Path) -> None:
    """Given back, its blend would be claimed again in the same turn, and again: for ever."""
    spec = FitSpec(
        plan="p_1", job="j", fit="f_1", fence=4, family="Blend", target="y", panel_key="d_1", parts=(PART,),
        training_type="cross_sectional", panel_path=tmp_path, checkpoint_dir=tmp_path / "c",
        bundle_path=tmp_path / "b",
    )  # fmt: skip
    places = FitPlaces(bundle=tmp_path / "b", metrics=tmp_path, log=tmp_path / "l", work=tmp_path / "w")
    mover = Mover(*shared)
    fetching = Fetching(spec, mover, tmp_path / "fetched")
    kept = KeptChild(spec, places, mover, fetching, lambda _spec, _places: FakeChild())
    outcome = await_that(kept.outcome, "end")
    mover.close()
    assert isinstance(outcome, Failed)
    assert outcome.retryable
    assert "cannot be fetched: bundles/" in outcome.sentence
    assert kept.given_back_because is None


@pytest.mark.parametrize("words", ["next", "named"])
def test_an_agent_whose_panel_does_not_come_claims_no_more_of_that_plan(
    log: PlanStore, shared: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """It says what was missing and ends with 75; the mutant that asks at once again is found out."""
    monkeypatch.setattr("daemon.artefacts.fetching.PATIENCE_SECONDS", 0.2)
    accept(log, job())
    settings = replace(settings_in(tmp_path, cpu_slots=1), artefacts=shared[0])
    asked = Asked() if words == "next" else Asked(named=tuple(log.reading.fits()))
    end = run_agent(settings, log, asked=asked, bounds=Bounds(fits=None))
    assert [event.kind for event in all_events(log, "FitClaimed", "FitReleased", "FitFailed")] == [
        "FitClaimed",
        "FitReleased",
    ]
    assert end.exit_code == TRY_AGAIN != FIT_FAILED
    assert "cannot be fetched" in end.fits[0].sentence
