"""How to read the numbers, for somebody who sees them for the first time."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.report.blocks import Facts, Section
from daemon.report.boards import Board

_METRICS = {
    "rank_ic": "At each time the symbols are put in the order of their predictions and in the order of what "
    "then came; the correlation of the two orders, mean over time. 0 is no skill, 1 perfect.",
    "rank_corr": "The same over time within one symbol: correlation of the order of predictions with the "
    "order of what came. 0 is no skill, 1 perfect.",
    "auc": "How often a case that came true was given the higher probability of two. 0.5 is no skill, 1 "
    "perfect.",
}
_WORDS = {
    "naive": "The forecast that the last value of the target that was already known comes again. What cannot "
    "beat it has learned nothing that was not plain to see.",
    "ahead": "The model's score less the naive one on the same rows, with the interval of the paired "
    "difference.",
    "error": "By how much the model errs less (-) or more (+) than always saying the mean of the training "
    "rows: squared error of numbers, log loss of classes.",
    "95 %": "If the same were measured on as many other rows, the interval would hold the true value 19 "
    "times of 20. Rows of one time, and labels that overlap, are counted as what they are worth (Newey-West, "
    "Driscoll-Kraay).",
    "q": "The share of false discoveries among all targets that look at least as good, all screens counted "
    "(Benjamini-Hochberg).",
    "skill": "Whether a target's score could be told from luck on the older data.",
    "worth": "better than naive: the interval of ahead lies above 0. No skill: the interval of the score "
    "holds what a prediction without information gets.",
    "#123": "The number of an event in the log: trainwright events --json has it whole.",
}


def glossary_section(boards: Sequence[Board]) -> Section:
    """The section on words and measures; metrics only as far as they occur."""
    metrics = dict.fromkeys(board.metric for board in boards)
    named = {metric: _metric_words(metric) for metric in metrics}
    return Section(key="reading", title="How to read the numbers", blocks=[Facts(rows={**named, **_WORDS})])


def _metric_words(metric: str) -> str:
    known = _METRICS.get(metric)
    if known is not None:
        return known
    return _METRICS["auc"] if metric.startswith("auc") else "See the documentation of the metrics."
