"""The planner held to the truth of a small generated panel: what can be known is kept, all else is not."""

from __future__ import annotations

import pytest
from generated.figures import failures
from generated.judge import Judgement
from generated.panels import generate
from planner_study import plan_and_judge

pytestmark = pytest.mark.slow

KINDS = ("strong_linear", "product", "symbol_only", "legal_lag", "short_noise", "leak_only")
LEAKS = ("copy", "next_bar", "half_window", "overlap", "partial")


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Judgement:
    """Eight symbols of 4,000 bars with 40 features, planned with the settings of the product."""
    made = generate(17, symbols=8, bars=4_000, features=40, kinds=KINDS, leaks=LEAKS)
    return plan_and_judge(made, tmp_path_factory.mktemp("generated"))


def test_each_target_is_kept_and_routed_as_the_truth_says(judged: Judgement) -> None:
    """A linear law, a product and momentum for all symbols, three symbols by themselves, noise blocked."""
    assert {target.truth.kind: (target.kept, target.route) for target in judged.targets} == {
        target.truth.kind: (target.truth.predictable, target.truth.route) for target in judged.targets
    }, failures(judged)


def test_only_symbols_with_a_law_of_their_own_get_a_model(judged: Judgement) -> None:
    """The three that have one, and no other."""
    assert not any(target.own_false or target.own_missed for target in judged.targets)
    assert sum(len(target.own_right) for target in judged.targets) == 3


def test_every_planted_leak_is_blocked_and_nothing_else(judged: Judgement) -> None:
    """Five leaks, and no safe pair of feature and target; none of the leaks is selected."""
    assert {leak.kind: leak.verdict for leak in judged.leaks} == dict.fromkeys(LEAKS, "BLOCKED")
    assert judged.false_alarms == ()
    assert judged.selected_leaks == ()


def test_scores_are_near_what_could_be_known(judged: Judgement) -> None:
    """The linear target reaches most of the oracle, out of sample, and true features are chosen."""
    target = next(one for one in judged.targets if one.truth.kind == "strong_linear")
    assert target.share_of_oracle is not None
    assert 0.7 < target.share_of_oracle < 1.2
    assert target.true_selected >= 2
