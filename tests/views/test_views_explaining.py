"""Why a feature was chosen, left out or blocked."""

from __future__ import annotations

from typing import Any

import pytest
from cli_samples import PLANNING

from daemon.views.explaining import why, why_document, why_lines
from store import PlanStore
from store.errors import NotFound
from store.events import FeaturesSelected, LeakFound
from store.reading import Reader
from store.records import DecisionRow

BECAUSE = {"f1": "chosen in 4 of 4 folds", "f2": "says the same as f1", "f3": "chosen in 0 of 4 folds"}


@pytest.fixture
def planned(store: PlanStore) -> PlanStore:
    """A planning that chose f1, left f2 and f3 out, and blocked f9; of AAPL it says nothing of f3."""
    store.record(
        PLANNING,
        [
            LeakFound(target="y", feature="f9", verdict="BLOCKED", probe="copy", evidence="0.99"),
            FeaturesSelected(target="y", symbol=None, features=("f1",), left_out=2, because=BECAUSE),
            FeaturesSelected(
                target="y", symbol="AAPL", features=("f2",), left_out=0, because={"f2": "chosen in 3 of 4"}
            ),
        ],
    )
    return store


def lines_of(store: PlanStore, name: str, feature: str | None = None) -> list[str]:
    """The answer as lines."""
    return [f"{label:<8} {words}" for label, words in why_lines(why(store.reading, name, feature=feature))]


def test_a_twin_names_what_it_says_the_same_as(planned: PlanStore) -> None:
    """For all symbols it is redundant, for one it was chosen."""
    assert lines_of(planned, "y/f2") == [
        "feature  f2 of y: selected in 1 of 2 views",
        "         all symbols: not selected: says the same as f1",
        "         AAPL: selected: chosen in 3 of 4",
    ]


def test_a_blocked_feature_shows_the_evidence(planned: PlanStore) -> None:
    """No model may use it, and the probe says why."""
    told = lines_of(planned, "y", "f9")
    assert told[:2] == [
        "feature  f9 of y: blocked as a leak, so no model may use it",
        "leak     BLOCKED by copy: 0.99",
    ]
    assert all("it is blocked as a leak" in line for line in told[2:])


def test_where_a_feature_was_no_candidate_nothing_is_said(planned: PlanStore) -> None:
    """Of a symbol that did not have it no choice is told."""
    (choice,) = why_document(why(planned.reading, "y", feature="f3"))["feature"]["choices"]
    assert (choice["symbol"], choice["selected"]) == (None, False)


def test_an_unknown_feature_gets_the_nearest(planned: PlanStore) -> None:
    """The target is named as well."""
    with pytest.raises(NotFound, match="feature of y") as told:
        why(planned.reading, "y/f99")
    assert told.value.nearest == "f9"


def test_a_planning_without_reasons_says_so(filled: PlanStore) -> None:
    """Logs of before the reasons were kept still tell what was chosen."""
    chosen = lines_of(filled, "y_range_5d/feature_3")
    assert "AAPL: selected: nobody wrote down why" in chosen[1]
    assert "not selected" in lines_of(filled, "y_range_5d", "anything")[0]


def test_only_the_newest_planning_is_read(planned: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log may hold hundreds of plannings with the reasons of thousands of features, a typo reads none."""
    newer = "n_00000000000000ff"
    planned.record(newer, [FeaturesSelected(target="y", symbol=None, features=("f3",), left_out=0)])
    read: list[DecisionRow] = []
    asked = Reader.decisions

    def decisions(reader: Reader, *given: Any, **named: Any) -> tuple[DecisionRow, ...]:
        found = asked(reader, *given, **named)
        read.extend(found)
        return found

    monkeypatch.setattr(Reader, "decisions", decisions)
    assert [row.planning_id for row in why(planned.reading, "y").decisions] == [newer]
    with pytest.raises(NotFound, match="Did you mean y"):
        why(planned.reading, "yy")
    assert {row.planning_id for row in read} == {newer}
    assert len(read) == 1
