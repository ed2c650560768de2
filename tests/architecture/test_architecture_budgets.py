"""The budgets of the house: a number over its budget is a place to look."""

from __future__ import annotations

import statistics
from pathlib import Path

import budgets
import pytest


@pytest.fixture(scope="module")
def source() -> budgets.Tree:
    """The five packages, counted."""
    return budgets.measure(budgets.source_files(*budgets.PACKAGES))


def test_files_stay_short(source: budgets.Tree) -> None:
    """Half of the files have at most 150 lines, nine of ten at most 300, and none more than 400."""
    lines = list(source.file_lines.values())
    longest = max(source.file_lines, key=lambda name: source.file_lines[name])
    assert statistics.median(lines) <= 150
    assert budgets.quantile(lines, 0.9) <= 300
    assert source.file_lines[longest] <= 400, longest


def test_functions_stay_short(source: budgets.Tree) -> None:
    """Half of the functions have at most 8 lines, nine of ten at most 22, and none more than 60."""
    lines = [function.lines for function in source.functions]
    longest = max(source.functions, key=lambda function: function.lines)
    assert statistics.median(lines) <= 8
    assert budgets.quantile(lines, 0.9) <= 22
    assert longest.lines <= 60, longest.where


def test_everything_public_is_documented(source: budgets.Tree) -> None:
    """Every public module, class, function and method has a docstring."""
    assert source.undocumented == ()


def test_broad_excepts_stand_in_two_places_only(source: budgets.Tree) -> None:
    """Only the end of a child and the edge of the service loop may catch everything."""
    files = {place.partition(":")[0] for place in source.broad_excepts}
    assert files <= {"executors/child.py", "daemon/service.py"}
    assert len(source.broad_excepts) <= 2, source.broad_excepts


def test_no_empty_words_in_names(source: budgets.Tree) -> None:
    """Nothing is called manager, handler, helper, utils or common."""
    assert source.forbidden_names == ()


def test_tests_are_in_proportion(source: budgets.Tree) -> None:
    """There are 0.8 to 1.5 lines of test for a line of code."""
    tests = budgets.measure(budgets.source_files("tests"))
    assert 0.8 <= tests.code_lines / source.code_lines <= 1.5


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("def f():\n" + "    x = 1\n" * 61, "functions"),
        ("class Seen:\n    def value(self):\n        return 1\n", "undocumented"),
        ("try:\n    pass\nexcept Exception:\n    pass\n", "broad_excepts"),
        ("def helper_of_all():\n    return 1\n", "forbidden_names"),
    ],
)
def test_the_measure_sees_a_planted_fault(
    text: str, finding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with the fault planted in it is reported, so a silent measure means a clean tree."""
    (tmp_path / "planted.py").write_text(text, encoding="utf-8")
    monkeypatch.setattr(budgets, "ROOT", tmp_path)
    tree = budgets.measure([tmp_path / "planted.py"])
    found = getattr(tree, finding)
    assert max(function.lines for function in found) > 60 if finding == "functions" else len(found) > 0
