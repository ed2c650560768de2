"""The numbers that move across their lines: the ones that routing decides by."""

from __future__ import annotations

import dataclasses
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import event, given, settings
from results_samples import row

from planner.config import PlannerConfig, config_document
from planner.moved import COMPARED, Moved, Rules, gist, moved_lines, moved_values
from planner.signals import signal_of
from planner.tables import plain_row

SETTINGS = {**config_document(PlannerConfig()), "request": {"top_n_targets": 10}}
RULES = Rules(SETTINGS)


def changed(**routing: Any) -> dict[str, Any]:
    """The settings with some of routing changed."""
    return {**SETTINGS, "routing": {**SETTINGS["routing"], **routing}}


def words(before: Any, after: Any, one: Any = SETTINGS, two: Any = SETTINGS) -> list[str]:
    """What moved, in words."""
    return [move.words for move in moved_lines(before, after, Rules(one), Rules(two))]


@pytest.mark.parametrize(
    ("symbol", "name", "before", "after", "told"),
    [
        (None, "q_value", 0.03, 0.21, "q_value 0.03 -> 0.21 (line 0.05)"),
        (None, "score_ci_low", 0.08, 0.001, "score_ci_low 0.08 -> 0.001 (line 0.01)"),
        ("AAPL", "score_ci_low", 0.08, 0.015, "score_ci_low 0.08 -> 0.015 (line 0.02)"),
        ("AAPL", "deviation_q", 0.03, 0.21, "deviation_q 0.03 -> 0.21 (line 0.05)"),
        (
            None,
            "stability",
            "STABLE",
            "DIVERGED",
            "stability STABLE -> DIVERGED (line STABLE|DRIFTING|UNKNOWN)",
        ),
        (None, "sample_size", 10_000, 900, "sample_size 10000 -> 900 (line 2000)"),
        (None, "kept", True, False, "kept true -> false"),
        (
            None,
            "leakage_status",
            "SAFE",
            "BLOCKED",
            "leakage_status SAFE -> BLOCKED (line SAFE|SUSPECT|UNKNOWN)",
        ),
        (None, "rest_p", 0.001, 0.3, "rest_p 0.001 -> 0.3 (line 0.01)"),
    ],
)
def test_a_number_that_crosses_its_line_is_named(
    symbol: str | None, name: str, before: object, after: object, told: str
) -> None:
    """With both values and the line; the same way back."""
    one, two = plain_row(row("y", symbol)) | {name: before}, plain_row(row("y", symbol)) | {name: after}
    assert words(one, two) == [told]
    assert len(words(two, one)) == 1


def test_a_line_that_moves_past_a_number_is_named() -> None:
    """A what-if changes no number, only what it is held against."""
    same = plain_row(row("y"))
    assert words(same, same, SETTINGS, changed(min_score=0.09)) == ["score_ci_low 0.08 (line 0.01 -> 0.09)"]
    assert words(same, same, SETTINGS, changed(cs_stabilities=["DRIFTING"])) == [
        "stability STABLE (line STABLE|DRIFTING|UNKNOWN -> DRIFTING)"
    ]


def test_what_moves_on_one_side_of_its_line_is_not_told() -> None:
    """Nothing depends on it."""
    one = plain_row(row("y"))
    assert words(one, one | {"q_value": 0.04, "score_ci_low": 0.09, "sample_size": 9_000}) == []
    assert [
        move.words for move in moved_values(one, one | {"score": 0.2, "q_value": None}, ("score", "q_value"))
    ] == ["score 0.1 -> 0.2"]


def test_a_verdict_is_told_only_where_no_number_explains_it() -> None:
    """`kept` follows from q; where it does not, what the reason says last stands beside it."""
    one = plain_row(row("y"))
    assert words(one, one | {"q_value": 0.3, "kept": False}) == ["q_value 1e-05 -> 0.3 (line 0.05)"]
    gone = {"kept": False, "reason": "dropped: rank_ic 0.1; ret_5: z +4.0, q 0.01, but the skill is gone"}
    assert words(one, one | gone) == ["kept true -> false", "the skill is gone"]


def test_what_one_side_does_not_know_has_not_moved() -> None:
    """A number not measured before tells nothing; a line that an older plan does not say is the other's."""
    one = plain_row(row("y", "AAPL"))
    assert words(one, one | {"deviation_q": 0.3}) == []
    assert words(one, one | {"q_value": 0.3}, {}, SETTINGS) == ["q_value 1e-05 -> 0.3 (line 0.05)"]
    assert words(one, one | {"stability": "DRIFTING"}, {}, {}) == ["stability STABLE -> DRIFTING"]


def test_a_rank_beyond_the_number_asked_for_is_a_move() -> None:
    """The target itself may be as good as before."""
    one = plain_row(row("y")) | {"rank": 9}
    assert words(one, one | {"rank": 12}) == ["rank 9 -> 12 (line 10)"]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("dropped: rank_ic 0.1; f: z 4.0, q 0.02, but the skill is gone: 0.1", "the skill is gone: 0.1"),
        ("dropped: rank_ic 0.1; f: z 4.0, q 0.4 above 0.05: luck", "luck"),
        ("left out: constant", "constant"),
        ("", ""),
    ],
)
def test_the_gist_of_a_reason_is_what_it_says_last(reason: str, told: str) -> None:
    """Whatever the words before it are."""
    assert gist(reason) == told


def test_words_say_values_shortly() -> None:
    """Truth, nothing, lists and numbers."""
    assert Moved(metric="m", before=True, after=None).words == "m true -> unknown"
    assert Moved(metric="m", before=(), after=0.123456).words == "m none -> 0.123"


ROWS = st.fixed_dictionaries(
    {
        "score": st.floats(-0.2, 0.4),
        "score_ci_low": st.floats(-0.2, 0.4),
        "p_value": st.floats(0, 1),
        "kept": st.booleans(),
        "stability": st.sampled_from(["STABLE", "DRIFTING", "DIVERGED", "UNKNOWN"]),
        "sample_size": st.integers(0, 5_000),
        "effective_sample_size": st.floats(0, 200),
        "leakage_status": st.sampled_from(["SAFE", "SUSPECT", "BLOCKED", "UNKNOWN"]),
    }
)


@settings(max_examples=150, deadline=None)
@given(one=ROWS, two=ROWS, symbol=st.sampled_from([None, "AAPL"]))
def test_whenever_a_signal_changes_its_state_some_number_crossed_a_line(
    one: dict[str, Any], two: dict[str, Any], symbol: str | None
) -> None:
    """The lines told are the lines that routing decides by: no state changes without one of them."""
    config = PlannerConfig().routing
    before, after = row("y", symbol, **one), row("y", symbol, **two)
    states = signal_of(before, config).state, signal_of(after, config).state
    event("the state changed" if states[0] != states[1] else "the state stayed")
    if states[0] != states[1]:
        assert moved_lines(plain_row(before), plain_row(after), RULES, RULES)


def test_every_line_is_of_a_column_that_candidates_have() -> None:
    """No line waits for a number that is never written."""
    columns = {item.name for item in dataclasses.fields(type(row("y")))} | {"rank"}
    for symbol in (None, "AAPL"):
        metrics = {line.metric for line in RULES.lines_for(plain_row(row("y", symbol)))}
        assert metrics <= columns
        assert metrics <= set(COMPARED)  # which are the columns that are read for a comparison
