"""How long a plan still takes: by what its fits took, what it expects, what past fits cost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cli_samples import living_daemon
from store_samples import STARTED, SUCCEEDED, Clock, cs_job, plan_of

from daemon.views.remaining import remaining
from store import PlanStore
from store.database import connect
from store.events import FitProgressed


@pytest.fixture
def shop(database_url: str) -> PlanStore:
    """An empty store on either engine, and a daemon with two places of each stage."""
    store = PlanStore(connect(database_url), clock=Clock())
    store.daemon_started(replace(living_daemon(), cpu_slots=2, gpu_slots=2))
    return store


def expecting(target: str, seconds: float, *, families: tuple[str, ...] = ("LightGBM",)) -> dict[str, Any]:
    """A job whose plan says what each fit will take."""
    fits = [{"family": name, "estimate": {"seconds": seconds}} for name in families]
    return {**cs_job(target, families=families), "fits": fits}


def accepted(store: PlanStore, *jobs: dict[str, Any], barrier: str = "plan") -> str:
    """The id of a plan of these jobs."""
    return store.accept(plan_of(*jobs, barrier=barrier), source="test", name="t").plan_id


def train(store: PlanStore, seconds: float, *, fits: int = 1) -> None:
    """Let so many CPU fits succeed, each in that time."""
    for claim in store.claim("h:1:b:9", stage="cpu", limit=fits, lease_seconds=60):
        store.started(claim, STARTED)
        store.succeeded(claim, replace(SUCCEEDED, seconds=seconds))


def test_what_fits_of_the_plan_took_tells_the_rest(shop: PlanStore) -> None:
    """Two fits of 10 s took that; six are open over two places: 30 s, said with a tilde."""
    plan = accepted(shop, *(cs_job(f"y_{number}", families=("LightGBM",)) for number in range(8)))
    train(shop, 10.0, fits=2)
    left = remaining(shop.reading, plan)
    assert (left.seconds, left.words) == (pytest.approx(30.0), "~30s")
    assert (left.fits_known, left.fits_open) == (6, 6)


def test_before_any_fit_has_ended_the_plan_itself_tells(shop: PlanStore) -> None:
    """The CPU stage comes before the GPU stage: 4 x 20 s over two places, then 4 x 20 s over two more."""
    jobs = [expecting(f"y_{number}", 20.0, families=("LightGBM", "LSTM")) for number in range(4)]
    assert remaining(shop.reading, accepted(shop, *jobs)).seconds == pytest.approx(80.0)


def test_what_is_not_expected_is_told_from_past_fits_by_size(shop: PlanStore) -> None:
    """A fit of a million cells took 30 s: one of two million takes 60."""
    sizes = {"estimated_samples": 100_000, "features": [f"f{number}" for number in range(10)]}
    accepted(shop, {**cs_job("old", families=("LightGBM",)), **sizes})
    train(shop, 30.0)
    plan = accepted(shop, {**cs_job("new", families=("LightGBM",)), **sizes, "estimated_samples": 200_000})
    assert remaining(shop.reading, plan).words == "~1m 00s"


def test_what_a_running_fit_has_done_is_not_done_again(shop: PlanStore) -> None:
    """A fit of 100 s that stands at three quarters takes 25 s more."""
    plan = accepted(shop, expecting("y", 100.0))
    (claim,) = shop.claim("h:1:b:9", stage="cpu", limit=1, lease_seconds=60)
    shop.started(claim, STARTED)
    shop.progressed(claim, FitProgressed(step=75, steps_total=100))
    assert remaining(shop.reading, plan).seconds == pytest.approx(25.0)
    shop.progressed(claim, FitProgressed(step=93, steps_total=100))
    assert remaining(shop.reading, plan).words == "~7s"


def test_one_long_fit_is_not_shared_among_places(shop: PlanStore) -> None:
    """However many places there are, the longest fit takes its time."""
    assert remaining(shop.reading, accepted(shop, expecting("y", 100.0))).seconds == pytest.approx(100.0)


def test_nothing_is_told_where_nothing_goes_on(database_url: str) -> None:
    """No daemon at work, a paused plan, only held fits, or nothing known: a dash, and how many are open."""
    store = PlanStore(connect(database_url), clock=Clock())
    plan = accepted(store, expecting("y", 100.0), cs_job("z", families=("XGBoost",)))
    assert remaining(store.reading, plan).words == "-"
    store.daemon_started(living_daemon())
    assert remaining(store.reading, plan).seconds == pytest.approx(200.0)
    store.pause(plan=plan, stage=None, host=None, reason="later", actor="me")
    left = remaining(store.reading, plan)
    assert (left.seconds, left.words, left.fits_known, left.fits_open) == (None, "-", 1, 2)
    store.resume(plan=plan, stage=None, host=None, reason="now", actor="me")
    store.hold(store.reading.fit("cs_y/LightGBM").id, reason="later", actor="me")
    assert remaining(store.reading, plan).words == "-"
    assert remaining(store.reading, "p_unknown").fits_open == 0


@pytest.mark.parametrize("number", [10**400, 1e300, -1, "many", None, [], {}])
def test_a_plan_that_expects_what_cannot_be_is_told_without_it(shop: PlanStore, number: Any) -> None:
    """Rows and seconds of a plan that was made elsewhere may be any number: then nothing is known."""
    odd = {**expecting("y", number), "estimated_samples": number, "features": ["a"]}
    left = remaining(shop.reading, accepted(shop, odd))
    assert (left.seconds, left.words, left.fits_open) == (None, "-", 1)
