"""Whether predictions mean what they say: known truths, known distortions, and their error bars."""

from __future__ import annotations

import numpy as np
import pytest

from executors.calibration import calibration_report

ROWS = 6_000
TIMES = np.repeat(np.arange(ROWS // 6), 6)


def numbers(slope: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Predictions, and labels that follow them with `slope` and noise."""
    random = np.random.default_rng(seed)
    predicted = random.standard_normal(ROWS)
    return predicted.astype(np.float32), (0.3 + slope * predicted + random.standard_normal(ROWS)).astype(
        np.float32
    )


def report(predicted: np.ndarray, labels: np.ndarray, constant: object, task: str) -> dict:
    """The report of labels that do not overlap."""
    return calibration_report(predicted, labels, constant, TIMES[: len(labels)], task=task, horizon_bars=1)  # type: ignore[arg-type]


@pytest.mark.parametrize("slope", [1.0, 0.4])
def test_the_slope_of_label_on_prediction_is_found_within_its_interval(slope: float) -> None:
    """A forecast twice too bold has slope one half, and the interval says how sure that is."""
    found = report(*numbers(slope), 0.0, "regression")
    assert found["slope_low"] < slope < found["slope_high"]
    assert found["slope_standard_error"] == pytest.approx(1 / np.sqrt(ROWS), rel=0.2)
    assert found["intercept"] == pytest.approx(0.3, abs=0.05)
    assert found["bias"] == pytest.approx(0.3, abs=0.05)


def test_the_interval_of_the_slope_holds_what_it_says() -> None:
    """In 200 draws of rows that move together within a moment, about 95 % of intervals hold the truth."""
    held = 0
    for seed in range(200):
        random = np.random.default_rng(seed)
        common = random.standard_normal(200)[TIMES[:1200]]
        predicted = (common + 0.3 * random.standard_normal(1200)).astype(np.float32)
        shock = random.standard_normal(200)[TIMES[:1200]]
        labels = (predicted + shock + 0.3 * random.standard_normal(1200)).astype(np.float32)
        found = report(predicted, labels, 0.0, "regression")
        held += found["slope_low"] < 1.0 < found["slope_high"]
    assert 180 <= held <= 198


def test_tenths_of_the_rows_tell_where_the_line_bends() -> None:
    """Each bin holds a tenth of the rows in the order of the prediction."""
    predicted, labels = numbers(1.0)
    bins = report(predicted, labels, 0.0, "regression")["bins"]
    assert [one["rows"] for one in bins] == [600] * 10
    assert [one["predicted"] for one in bins] == sorted(one["predicted"] for one in bins)
    assert bins[-1]["observed"] == pytest.approx(0.3 + bins[-1]["predicted"], abs=0.15)


def test_a_constant_prediction_has_no_slope() -> None:
    """Neither a slope nor an error of it is made up."""
    found = report(np.full(60, 0.02, dtype=np.float32), numbers(1.0)[1][:60], 0.0, "regression")
    assert found["slope"] is None
    assert found["slope_standard_error"] is None


@pytest.mark.parametrize(("bold", "is_right"), [(1.0, True), (2.5, False)])
def test_probabilities_that_come_true_show_a_gap_of_chance_alone(bold: float, is_right: bool) -> None:
    """Log-odds made 2.5 times too large are found out; true ones have the gap of chance."""
    random = np.random.default_rng(3)
    logits = random.standard_normal(ROWS)
    labels = (random.random(ROWS) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    found = report((1 / (1 + np.exp(-bold * logits))).astype(np.float32), labels, labels.mean(), "binary")
    ratio = found["expected_calibration_error"] / found["gap_by_chance"]
    assert (ratio < 2) == is_right
    assert (found["log_loss"] < found["log_loss_constant"]) == is_right


def test_the_binary_scores_are_the_textbook_s() -> None:
    """Brier is the mean squared error of the probability, log loss the mean minus log likelihood."""
    predicted = np.array([0.9, 0.2, 0.6], dtype=np.float32)
    found = report(predicted, np.array([1, 0, 0], dtype=np.float32), 0.5, "binary")
    assert found["brier"] == pytest.approx((0.01 + 0.04 + 0.36) / 3, rel=1e-5)
    assert found["brier_constant"] == pytest.approx(0.25)
    assert found["log_loss"] == pytest.approx(-np.log([0.9, 0.8, 0.4]).mean(), rel=1e-5)
    assert found["log_loss_constant"] == pytest.approx(np.log(2))


def test_each_class_has_its_own_reliability() -> None:
    """Of three classes, one against the rest; the constant is what the training shares say."""
    random = np.random.default_rng(5)
    shares = np.array([0.5, 0.3, 0.2])
    labels = random.choice(3, size=ROWS, p=shares).astype(np.float32)
    said = np.broadcast_to(shares, (ROWS, 3)).astype(np.float32)
    found = report(said, labels, shares, "multiclass")
    assert [one["place"] for one in found["classes"]] == [0, 1, 2]
    assert found["brier"] == pytest.approx(found["brier_constant"], rel=1e-4)
    assert found["log_loss"] == pytest.approx(found["log_loss_constant"], rel=1e-4)
    assert found["expected_calibration_error"] < 2 * found["gap_by_chance"]
    wrong = report(said[:, ::-1].copy(), labels, shares, "multiclass")
    assert wrong["expected_calibration_error"] > 5 * wrong["gap_by_chance"]


def test_rows_without_a_prediction_are_left_out_and_none_at_all_is_said() -> None:
    """NaN counts for nothing; a report of no row is empty."""
    predicted, labels = numbers(1.0)
    predicted[::2] = np.nan
    assert report(predicted, labels, 0.0, "regression")["rows"] == ROWS // 2
    assert report(np.full(9, np.nan, dtype=np.float32), labels[:9], 0.0, "regression") == {}
