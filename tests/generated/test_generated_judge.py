"""The judge of the planner: a perfect answer scores perfectly, each planted mistake moves its figure."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from generated.answers import perfect_answer
from generated.figures import Figure, failures, figures
from generated.judge import Answer, Judgement, judge
from generated.panels import generate
from generated.picture import draw
from generated.report import STUDY, kinds_table, report, with_report
from generated.truth import Truth


@pytest.fixture(scope="module")
def truth() -> Truth:
    """A small panel with every kind of target but volatility."""
    return generate(1, symbols=6, bars=1_500, features=60).truth


def _by_name(judged: Judgement) -> dict[str, Figure]:
    return {figure.name: figure for figure in figures([judged])}


def _of(answer: Answer, truth: Truth, kind: str) -> str:
    return truth.of_kind(kind)[0].name


def _keep_noise(answer: Answer, truth: Truth) -> None:
    name = _of(answer, truth, "long_noise")
    next(row for row in answer.ranking if row["target"] == name)["kept"] = True


def _train_noise(answer: Answer, truth: Truth) -> None:
    plan = answer.routing_plan
    plan["targets"][_of(answer, truth, "short_noise")] = copy.deepcopy(
        plan["targets"][_of(answer, truth, "strong_linear")]
    )


def _drop_linear(answer: Answer, truth: Truth) -> None:
    name = _of(answer, truth, "strong_linear")
    next(row for row in answer.ranking if row["target"] == name)["kept"] = False


def _block_linear(answer: Answer, truth: Truth) -> None:
    del answer.routing_plan["targets"][_of(answer, truth, "strong_linear")]


def _try_linear(answer: Answer, truth: Truth) -> None:
    document = answer.routing_plan["targets"][_of(answer, truth, "strong_linear")]
    document["cross_sectional"]["training_route"] = "ROUTE_EXPERIMENTAL_ONLY"


def _own_models_for_all(answer: Answer, truth: Truth) -> None:
    for row in answer.routing_plan["targets"][_of(answer, truth, "both")]["symbols"].values():
        row["route"] = "ROUTE_BOTH"


def _no_own_models(answer: Answer, truth: Truth) -> None:
    for row in answer.routing_plan["targets"][_of(answer, truth, "both")]["symbols"].values():
        row["route"] = "ROUTE_CROSS_SECTIONAL"


def _miss_partial(answer: Answer, truth: Truth) -> None:
    leak = next(leak for leak in truth.leaks if leak.kind == "partial")
    for row in answer.leaks:
        if (row["feature"], row["target"]) == (leak.feature, leak.target):
            row["verdict"] = "SUSPECT"


def _block_safe(answer: Answer, truth: Truth) -> None:
    leaking = {leak.feature for leak in truth.leaks}
    for row in answer.leaks:
        if row["feature"] not in leaking:
            row["verdict"] = "BLOCKED"


def _halve_scores(answer: Answer, truth: Truth) -> None:
    for row in answer.ranking:
        row["skill"] = None if row["skill"] is None else row["skill"] / 2


def _select_leak(answer: Answer, truth: Truth) -> None:
    leak = truth.leaks[0]
    answer.selections.append(
        {"target": leak.target, "symbol": None, "feature": leak.feature, "selected": True}
    )


def _leak_only_first(answer: Answer, truth: Truth) -> None:
    name = _of(answer, truth, "leak_only")
    for row in answer.ranking:
        row["rank"] = 1 if row["target"] == name else None


def test_a_perfect_answer_scores_perfectly(truth: Truth) -> None:
    """Every bar is met, every share is full or empty, and there is nothing to complain about."""
    judged = judge(truth, perfect_answer(truth), cpu_seconds=3.0)
    found = _by_name(judged)
    assert all(figure.met for figure in found.values())
    assert {figure.value for figure in found.values() if figure.at_least} == {1.0}
    assert {figure.value for figure in found.values() if not figure.at_least and figure.share} == {0.0}
    assert failures(judged) == []


@pytest.mark.parametrize(
    ("spoil", "figure"),
    [
        (_keep_noise, "unpredictable targets kept"),
        (_train_noise, "unpredictable targets kept"),
        (_drop_linear, "targets with oracle IC ≥ 0.05 kept"),
        (_block_linear, "right route"),
        (_try_linear, "right route"),
        (_own_models_for_all, "symbol routes given that are false"),
        (_no_own_models, "symbols with a law of their own that got a model"),
        (_miss_partial, "leaks blocked: partial"),
        (_block_safe, "safe features blocked"),
        (_block_safe, "safe (feature, target) pairs blocked"),
        (_halve_scores, "rank score over oracle IC, linear targets of all symbols"),
        (_select_leak, "panels with a leak among the selected"),
        (_leak_only_first, "panels that an unpredictable target leads"),
    ],
)
def test_a_planted_mistake_moves_its_figure(
    truth: Truth, spoil: Callable[[Answer, Truth], None], figure: str
) -> None:
    """The figure that counts it leaves its perfect value, and there is a line that says what is wrong."""
    perfect = _by_name(judge(truth, perfect_answer(truth)))
    answer = perfect_answer(truth)
    spoil(answer, truth)
    judged = judge(truth, answer)
    assert _by_name(judged)[figure].value != perfect[figure].value
    assert failures(judged) or figure.startswith("panels that")


def test_only_strong_enough_targets_must_be_kept(truth: Truth) -> None:
    """A predictable target whose oracle IC is under 0.05 may be left out."""
    weak = replace(
        truth,
        targets=tuple(
            replace(target, oracle_ic=0.03) if target.kind == "weak_linear" else target
            for target in truth.targets
        ),
    )
    answer = perfect_answer(weak)
    name = _of(answer, weak, "weak_linear")
    next(row for row in answer.ranking if row["target"] == name)["kept"] = False
    assert _by_name(judge(weak, answer))["targets with oracle IC ≥ 0.05 kept"].value == 1.0


def test_tables_stand_between_the_marks_of_the_page(truth: Truth) -> None:
    """What was there before is replaced, the rest of the page stays; a page without marks is refused."""
    judged = [judge(truth, perfect_answer(truth), cpu_seconds=3.0)]
    page = with_report(f"above\n<!-- {STUDY} -->\nold\n<!-- end of {STUDY} -->\nbelow\n", judged)
    assert page.startswith("above\n")
    assert page.endswith("\nbelow\n")
    assert "old" not in page
    assert report(judged) in page
    assert kinds_table(judged) in page
    assert with_report(page, judged) == page
    with pytest.raises(ValueError, match="the page must hold"):
        with_report("no marks", judged)


def test_the_picture_has_a_dot_for_every_target(truth: Truth) -> None:
    """It is well-formed, has a title on each dot, and is the same for the same judgement."""
    judged = [judge(truth, perfect_answer(truth))]
    picture = draw(judged)
    opened: list[str] = []
    closed: list[str] = []
    reader = HTMLParser()
    reader.handle_starttag = lambda tag, attributes: opened.append(tag)  # type: ignore[method-assign]
    reader.handle_endtag = closed.append  # type: ignore[method-assign]
    reader.feed(picture)
    assert opened.count("title") == len(truth.targets)
    assert all(opened.count(tag) == closed.count(tag) for tag in ("svg", "text", "title", "circle"))
    assert picture == draw(judged)
