"""Saved models of one target side by side, on the test rows that all of them have on record."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.bundle import Bundle
from executors.errors import BadInput
from executors.predictions import Predictions
from executors.preprocessing import LabelCode
from panel.metrics import CROSS_SECTIONAL, SYMBOL_SPECIFIC, Score, score, score_difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How two models of a comparison differ, by their names.

    `ahead` is the score of `first` less that of `second` with the error of the paired difference;
    `correlation` is that of their predictions (of classes: of their probabilities), None where one of them
    never changes.
    """

    first: str
    second: str
    ahead: Score
    correlation: float | None

    @property
    def is_sure(self) -> bool:
        """Whether the 95 % interval of the difference leaves out 0."""
        return self.ahead.low > 0 or self.ahead.high < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Models of one target on their common rows.

    Attributes:
        target: what they predict.
        metric: by which they are judged.
        rows: common ones.
        scores: name -> score on the common rows.
        differences: one for each two models.
    """

    target: str
    metric: str
    rows: int
    scores: Mapping[str, Score]
    differences: tuple[Difference, ...]


def compare_bundles(bundles: Mapping[str, Bundle]) -> Comparison:
    """Compare two or more models, by name; each is judged on the rows that all have on record.

    Models of all symbols are judged across symbols, as `panel.metrics.score` does; as soon as one of a
    single symbol is among them all are judged within that symbol.

    Raises:
        BadInput: they are of different targets, or have no row in common.
    """
    cards = [bundle.card for bundle in bundles.values()]
    _check(list(bundles), cards)
    tables = [bundle.predictions() for bundle in bundles.values()]
    first, places = tables[0], _shared_places(tables)
    if not len(places[0]):
        raise BadInput(", ".join(bundles), "they have no test row in common", "compare fits of one plan")
    is_across = all(card["training_type"] == "cross_sectional" for card in cards)
    how: dict[str, Any] = {
        "task": cards[0]["task"],
        "view": CROSS_SECTIONAL if is_across else SYMBOL_SPECIFIC,
        "horizon_bars": cards[0]["horizon_bars"],
    }
    rows = (
        _labels(first.label[places[0]], cards[0]),
        np.unique(first.time[places[0]], return_inverse=True)[1],
        np.unique(np.array(first.symbol)[places[0]], return_inverse=True)[1],
    )
    answers = {name: table.answers[own] for name, table, own in zip(bundles, tables, places, strict=True)}
    scores = {name: score(answer, *rows, **how) for name, answer in answers.items()}
    return Comparison(
        target=cards[0]["target"],
        metric=next(iter(scores.values())).metric,
        rows=len(places[0]),
        scores=scores,
        differences=tuple(
            Difference(
                first=one,
                second=two,
                ahead=score_difference(answers[one], answers[two], *rows, **how),
                correlation=_correlation(answers[one], answers[two]),
            )
            for one, two in itertools.combinations(answers, 2)
        ),
    )


def _check(names: Sequence[str], cards: Sequence[Mapping[str, Any]]) -> None:
    if len(names) < 2:
        raise BadInput(", ".join(names), "one model alone cannot be compared", "name two or more models")
    for name, card in zip(names[1:], cards[1:], strict=True):
        for fact in ("target", "task", "classes", "horizon_bars"):
            if card[fact] != cards[0][fact]:
                problem = f"its {fact} is {card[fact]}, that of {names[0]} is {cards[0][fact]}"
                raise BadInput(name, problem, "compare models of one target")


def _shared_places(tables: Sequence[Predictions]) -> list[NDArray[np.int64]]:
    """Return for each table the places of the rows that all have, in one order."""
    found = [
        {key: place for place, key in enumerate(zip(table.symbol, table.time.tolist(), strict=True))}
        for table in tables
    ]
    keys = [key for key in found[0] if all(key in other for other in found[1:])]
    return [np.array([places[key] for key in keys], dtype=np.int64) for places in found]


def _labels(labels: NDArray[np.float32], card: Mapping[str, Any]) -> NDArray[np.float32]:
    if card["task"] == "regression":
        return labels
    return LabelCode(task=card["task"], classes=tuple(card["classes"])).encoded(labels)


def _correlation(one: NDArray[np.float32], two: NDArray[np.float32]) -> float | None:
    first, second = one.reshape(-1).astype(np.float64), two.reshape(-1).astype(np.float64)
    known = np.isfinite(first) & np.isfinite(second)
    first, second = first[known], second[known]
    if len(first) < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return None
    return float(np.corrcoef(first, second)[0, 1])
