"""Learning curves: from the log while a fit is trained, from its bundle afterwards."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from store_samples import STARTED, checkpoint, cs_job, plan_of

from daemon.views.curves import POINTS_MAX, SPARK_POINTS, Curve, curve_of, sparks_of
from store import NotFound, PlanStore
from store.events import FitProgressed, FitReleased, FitStarted, FitSucceeded
from store.records import Claim

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "bundles_v1" / "LightGBM"


@pytest.fixture
def claim(store: PlanStore) -> Claim:
    """A claimed and started fit of a fresh plan."""
    store.accept(plan_of(cs_job("y", families=("LightGBM", "XGBoost"))), source="test", name="curves")
    (claimed,) = store.claim("w1", stage="cpu", limit=1)
    store.started(claimed, STARTED)
    return claimed


def say(store: PlanStore, claim: Claim, step: int, train: float | None, valid: float | None) -> None:
    """Report one step of a hundred."""
    store.progressed(claim, FitProgressed(step=step, steps_total=100, train_loss=train, valid_loss=valid))


def finish(store: PlanStore, claim: Claim, bundle: Path, sha256: str) -> None:
    """Say that a fit has its model."""
    store.succeeded(claim, FitSucceeded(bundle=str(bundle), sha256=sha256, metrics={}, seconds=1.0))


def write_card(folder: Path, **curve: list[float | None]) -> Path:
    """A bundle of which only the curve can be read."""
    folder.mkdir()
    card = {"sha256": "aa", "curve": curve, "best_step": 700, "steps": 1000}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def test_a_running_fit_has_the_curve_it_reported(store: PlanStore, claim: Claim) -> None:
    """Points stand by step, the best one is that of the lowest validation loss, states on disk are marked."""
    for step, valid in ((10, 0.9), (20, 0.7), (30, 0.8)):
        say(store, claim, step, valid - 0.1, valid)
    store.checkpointed(claim, checkpoint(20))
    found = curve_of(store.reading, claim.fit_id)
    assert found.steps == (10, 20, 30)
    assert found.valid_loss == (0.9, 0.7, 0.8)
    assert (found.best_step, found.steps_total, found.checkpoints) == (20, 100, (20,))
    assert found.source == "log"


def test_what_was_done_again_stands_once(store: PlanStore, claim: Claim) -> None:
    """Steps behind the state that the next attempt began from are replaced; each attempt keeps its own."""
    for step in (10, 20, 30):
        say(store, claim, step, None, 1.0 / step)
    store.checkpointed(claim, checkpoint(10))
    store.released(claim, FitReleased(cause="stopped", step=10))
    (again,) = [one for one in store.claim("w2", stage="cpu", limit=2) if one.fit_id == claim.fit_id]
    store.started(again, FitStarted(pid=1, device_requested="cpu", device_used="cpu", resumed_from_step=10))
    say(store, again, 25, None, 0.5)
    assert curve_of(store.reading, claim.fit_id).steps == (10, 25)
    assert curve_of(store.reading, claim.fit_id, attempt=1).steps == (10, 20, 30)
    assert curve_of(store.reading, claim.fit_id, attempt=2).steps == (25,)


def test_the_curve_as_it_was_ends_with_that_event(store: PlanStore, claim: Claim) -> None:
    """What was reported later does not show, nor does the finished model's own curve."""
    say(store, claim, 10, None, 0.9)
    then = store.reading.head_seq()
    say(store, claim, 20, None, 0.8)
    finish(store, claim, GOLDEN, json.loads((GOLDEN / "card.json").read_bytes())["sha256"])
    assert curve_of(store.reading, claim.fit_id, until=then).steps == (10,)
    assert curve_of(store.reading, claim.fit_id).source == "bundle"


def test_a_finished_fit_has_the_curve_of_its_model(store: PlanStore, claim: Claim) -> None:
    """Every step is there, though the fit was too quick to report any."""
    card = json.loads((GOLDEN / "card.json").read_bytes())
    finish(store, claim, GOLDEN, card["sha256"])
    found = curve_of(store.reading, claim.fit_id)
    assert found.source == "bundle"
    assert list(found.valid_loss) == card["curve"]["valid_loss"]
    assert found.steps == tuple(range(1, len(found.valid_loss) + 1))
    assert found.best_step == card["best_step"]


@pytest.mark.parametrize(
    "content", [None, b"\xff", b"[]", b'{"sha256": "aa"}', b'{"sha256": "aa", "curve": 3}']
)
def test_a_bundle_that_cannot_be_read_leaves_the_curve_of_the_log(
    content: bytes | None, store: PlanStore, claim: Claim, tmp_path: Path
) -> None:
    """Missing, damaged or another one: nothing is raised."""
    if content is not None:
        (tmp_path / "card.json").write_bytes(content)
    say(store, claim, 10, None, 0.9)
    finish(store, claim, tmp_path, "aa")
    found = curve_of(store.reading, claim.fit_id)
    assert (found.source, found.steps) == ("log", (10,))


def test_a_long_curve_is_thinned_and_keeps_its_ends_and_its_best(
    store: PlanStore, claim: Claim, tmp_path: Path
) -> None:
    """At most 300 points of a thousand; a line that is shorter ends in gaps."""
    valid: list[float | None] = [1.0 / step for step in range(1, 1001)]
    finish(store, claim, write_card(tmp_path / "b", train_loss=[0.5], valid_loss=valid), "aa")
    found = curve_of(store.reading, claim.fit_id)
    assert len(found.steps) == POINTS_MAX
    assert {1, 700, 1000} <= set(found.steps)
    assert found.train_loss[0] == 0.5
    assert set(found.train_loss[1:]) == {None}


def test_a_curve_by_epochs_is_told_by_the_steps_that_the_log_counts(
    store: PlanStore, claim: Claim, tmp_path: Path
) -> None:
    """Of 1000 steps in 4 epochs each value stands at the end of its epoch, the best one too."""
    folder = write_card(tmp_path / "b", valid_loss=[0.9, 0.7, 0.8, 0.85])
    card = json.loads((folder / "card.json").read_bytes())
    (folder / "card.json").write_text(json.dumps({**card, "best_step": 2}), encoding="utf-8")
    finish(store, claim, folder, "aa")
    found = curve_of(store.reading, claim.fit_id)
    assert (found.steps, found.best_step, found.steps_total) == ((250, 500, 750, 1000), 500, 1000)


def test_a_model_made_of_others_has_no_curve(store: PlanStore, claim: Claim, tmp_path: Path) -> None:
    """Its card has the losses of its members there, which are no course of anything."""
    folder = write_card(tmp_path / "b", train_loss=[0.9, 0.7])
    card = json.loads((folder / "card.json").read_bytes())
    (folder / "card.json").write_text(json.dumps({**card, "parts": [{"name": "a"}]}), encoding="utf-8")
    finish(store, claim, folder, "aa")
    assert curve_of(store.reading, claim.fit_id).steps == ()


def test_what_is_drawn_has_no_line_without_a_value() -> None:
    """A loss that nobody reported is left out; a single gap is not a number."""
    curve = Curve(steps=(1, 2), train_loss=(None, None), valid_loss=(0.5, None), best_step=1)
    assert list(curve.series) == ["valid_loss"]
    assert math.isnan(curve.series["valid_loss"][1])
    assert curve.document["train_loss"] == (None, None)


def test_a_page_of_fits_has_its_short_lines_at_once(store: PlanStore, claim: Claim, tmp_path: Path) -> None:
    """A running fit's from the log, a finished one's from its model, none for what has no two points."""
    (other,) = store.claim("w1", stage="cpu", limit=1)
    store.started(other, STARTED)
    valid: list[float | None] = [1.0 / step for step in range(1, 1001)]
    finish(store, other, write_card(tmp_path / "b", valid_loss=valid), "aa")
    say(store, claim, 10, None, 0.9)
    assert set(sparks_of(store.reading, store.reading.fits())) == {other.fit_id}
    say(store, claim, 20, None, 0.8)
    found = sparks_of(store.reading, store.reading.fits())
    assert found[claim.fit_id] == (0.9, 0.8)
    assert len(found[other.fit_id]) == SPARK_POINTS
    assert (found[other.fit_id][0], found[other.fit_id][-1]) == (1.0, 1.0 / 1000)


def test_a_fit_nobody_knows_is_told(store: PlanStore, claim: Claim) -> None:
    """The store's own error, with the nearest name."""
    with pytest.raises(NotFound):
        curve_of(store.reading, "cs_y/LightGB")
    assert curve_of(store.reading, "cs_y/XGBoost") == Curve()


def test_a_bundle_whose_place_comes_back_is_read_then(store: PlanStore, claim: Claim, tmp_path: Path) -> None:
    """A disk that was away for a moment is not remembered as a model without a curve."""
    say(store, claim, 10, 0.5, 0.6)
    finish(store, claim, tmp_path / "bundle", "aa")
    assert curve_of(store.reading, claim.fit_id).source == "log"
    write_card(tmp_path / "bundle", train_loss=[0.3, 0.2], valid_loss=[0.4, 0.3])
    assert curve_of(store.reading, claim.fit_id).source == "bundle"
