"""What the page of a fit says of its numbers."""

from __future__ import annotations

from pathlib import Path

from page_client import Ask

from daemon.web.fit_parts import worth_words
from store import open_store


def test_a_score_says_what_it_is_a_mean_over() -> None:
    """A rank IC is a mean over bars; every other metric counts rows."""
    told = {
        metric: dict(worth_words({"metric": metric, "score": 0.4, "n": 2653}))["judged on"]
        for metric in ("rank_ic", "rank_corr", "auc")
    }

    assert told == {
        "rank_ic": "2,653 bars never trained on",
        "rank_corr": "2,653 rows never trained on",
        "auc": "2,653 rows never trained on",
    }


def test_a_fit_without_a_count_says_nothing_of_it() -> None:
    """An older log has no count."""
    assert "judged on" not in dict(worth_words({"metric": "auc", "score": 0.6}))


def test_a_finished_fit_is_not_said_to_stand_at_the_step_it_told_last(asking: Ask, log_folder: Path) -> None:
    """A fast fit tells its first step and then its end; the curve has what lies between."""
    with open_store(f"sqlite:///{log_folder}/trainwright.db") as store:
        states = {fit.state: fit for fit in store.reading.fits() if fit.step}
    told = {state: asking().get(f"/fits/{states[state].id}").text for state in ("succeeded", "running")}

    assert "<dt>step</dt>" in told["running"]
    assert "<dt>step</dt>" not in told["succeeded"]
