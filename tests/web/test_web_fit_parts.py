"""What the page of a fit says of its numbers."""

from __future__ import annotations

from daemon.web.fit_parts import worth_words


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
