"""The table of models."""

from __future__ import annotations

import dataclasses

import pytest
from cli_samples import BROKEN, METRICS, TRAINED

from daemon.cli.scoreboard import scoreboard
from daemon.views.fits import verdict
from store import PlanStore


@pytest.mark.parametrize(
    ("skill", "better", "words"),
    [
        (True, True, "better than naive"),
        (True, False, "skill, not surely above naive"),
        (False, True, "no skill"),
        (False, False, "no skill"),
    ],
)
def test_a_score_is_worth_what_it_beats(skill: bool, better: bool, words: str) -> None:
    """Without skill nothing else counts."""
    assert verdict({"beats_no_skill": skill, "beats_baseline": better}) == words


def test_models_of_a_job_are_ordered_by_skill_and_failures_explained(filled: PlanStore) -> None:
    """The best one first, the one without a model last with its sentence."""
    trained = filled.reading.fit(TRAINED)
    better = dataclasses.replace(trained, family="XGBoost", metrics={**METRICS, "skill": 0.3, "score": 0.3})
    lines = scoreboard([filled.reading.fit(BROKEN), trained, better]).splitlines()
    assert [line.split()[4] for line in lines[1:3]] == ["+0.300", "+0.200"]
    assert "+5.0%" in lines[1]
    assert lines[3].endswith("failed: the label has one class")
