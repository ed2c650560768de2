"""Rows of the tables: plain, complete, in step with their schemas, readable from older tables."""

from __future__ import annotations

import dataclasses
from typing import Any

import jsonschema
import pytest
from planner_samples import candidate, cell, local_candidate, target_column

from panel.errors import nearest
from planner.config import RankingConfig
from planner.errors import PlannerError
from planner.ranking import rank_targets
from planner.schema import load_schema, table_columns
from planner.skill import Measured
from planner.tables import Candidate, LeakRow, RankedRow, SelectionRow, candidate_from, plain_row


@pytest.mark.parametrize(
    ("record", "table"),
    [
        (RankedRow, "target_ranking"),
        (LeakRow, "leakage"),
        (SelectionRow, "feature_selection"),
        (Candidate, "routing_candidates"),
    ],
)
def test_records_and_schemas_name_the_same_columns_in_the_same_order(record: type, table: str) -> None:
    """A column cannot be added to one and forgotten in the other."""
    assert [item.name for item in dataclasses.fields(record)] == list(table_columns(table))
    assert load_schema(table)["required"] == list(table_columns(table))


def test_a_row_is_plain_and_valid() -> None:
    """Tuples become lists, missing values None, and the row validates."""
    row = plain_row(local_candidate(failed_model_families=("NGBoost",), q_value=None))
    assert row["failed_model_families"] == ["NGBoost"]
    assert row["q_value"] is None
    jsonschema.validate(row, load_schema("routing_candidates"))


@pytest.mark.parametrize("changes", [{}, {"score": None, "low": None, "reason": "too short", "folds": ()}])
def test_judged_rows_are_plain_and_valid(changes: dict[str, Any]) -> None:
    """A measured row with its law and its newest windows, an unmeasured one, and a column left out."""
    left_out = target_column("y_short", role="left_out", reason="only 12 values")
    measured = [Measured(target="y", cells=(cell(**changes),))]
    ranking = rank_targets(measured, [target_column(), left_out], RankingConfig(), top=1)
    for row in ranking.rows:
        jsonschema.validate(plain_row(row), load_schema("target_ranking"))
    assert plain_row(ranking.rows[0])["recent_scores"] == [0.1, 0.1, 0.1, 0.1]


def test_the_law_and_whose_it_is_survive_their_row() -> None:
    """Tuples of names come back as tuples, unknown as None and no as False."""
    common = candidate(
        found_by="product",
        leading=("alpha", "beta"),
        sign=-1,
        best_model="boosted",
        deviating_symbols=("AAA",),
        rest_z=5.0,
        rest_p=1e-6,
    )
    own = local_candidate(found_by="lag", lag_bars=5, deviates=False, deviation_z=-0.3, deviation_q=0.8)
    for row in (common, own):
        plain = plain_row(row)
        jsonschema.validate(plain, load_schema("routing_candidates"))
        assert candidate_from(plain) == row


def test_the_schema_refuses_what_is_no_row() -> None:
    """An unknown verdict or a column too many is noticed."""
    row = plain_row(candidate())
    for broken in ({**row, "stability": "FINE"}, {**row, "extra": 1}, {**row, "q_value": 2.0}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(broken, load_schema("routing_candidates"))


def test_a_candidate_survives_its_row() -> None:
    """There and back again."""
    assert candidate_from(plain_row(candidate())) == candidate()


def test_a_row_of_the_older_system_becomes_a_candidate() -> None:
    """Its columns, its missing ones, its NaN and its extra ones."""
    older = {
        "target": "y",
        "symbol": float("nan"),
        "mode": "CROSS_SECTIONAL",
        "score": 0.55,
        "score_ci_low": None,
        "stability": "UNKNOWN",
        "sample_size": 9_000,
        "leakage_status": "UNKNOWN",
        "task_type": "binary",
        "metric_name": "roc_auc",
        "timestamp": "2025-12-11T18:45:00Z",
        "git_commit": "abc",
    }
    made = candidate_from(older)
    assert (made.view, made.symbol, made.score, made.score_ci_high) == ("CROSS_SECTIONAL", None, 0.55, None)
    assert made.kept is None
    assert candidate_from({"target": "y", "symbol": "AAPL", "score": 0.1}).view == "SYMBOL_SPECIFIC"


def test_a_row_without_a_target_is_no_candidate() -> None:
    """There is nothing to route."""
    with pytest.raises(KeyError):
        candidate_from({"score": 1.0})


def test_an_unknown_schema_is_an_error_that_lists_the_known() -> None:
    """A slip in a name is answered with the names."""
    with pytest.raises(PlannerError, match="routing_plan"):
        load_schema("rooting_plan")


def test_errors_say_what_where_and_what_to_do() -> None:
    """The message is built from the fields."""
    error = PlannerError("it is broken", where="here", fix="mend it")
    assert str(error) == "it is broken (here); mend it"
    assert str(PlannerError("it is broken")) == "it is broken"


def test_the_nearest_name_is_found_or_none() -> None:
    """Only what is alike is offered."""
    assert nearest("fold", ["folds", "seed"]) == "folds"
    assert nearest("zzzz", ["folds", "seed"]) is None
