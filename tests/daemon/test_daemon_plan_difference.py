"""How two accepted plans differ, made by a process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from store_samples import cs_job, plan_of

from daemon import plan_difference as difference
from daemon.plan_difference import NotCompared, plan_difference
from store import open_store
from store.errors import NotFound


@pytest.fixture
def two(tmp_path: Path) -> tuple[str, str, str]:
    """A log with two plans, and their ids."""
    url = f"sqlite:///{tmp_path / 'log.db'}"
    with open_store(url) as store:
        for number, targets in enumerate((("a", "b"), ("b", "c"))):
            store.accept(plan_of(*(cs_job(target) for target in targets)), source="s", name=f"{number}")
        before, after = (plan.id for plan in store.reading.plans())
    return url, before, after


def test_it_is_the_document_of_the_command(two: tuple[str, str, str]) -> None:
    """What was added and removed, by name; the same plan differs in nothing."""
    found = plan_difference(*two)
    assert (found["before"], found["after"], found["equal"]) == (*two[1:], False)
    assert plan_difference(two[0], two[1], two[1])["equal"]


def test_an_unknown_plan_and_a_process_that_fails_are_told(
    two: tuple[str, str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither is a traceback, and neither is kept."""
    url, before, after = two
    with pytest.raises(NotFound):
        plan_difference(url, before, "p_none")
    with monkeypatch.context() as patch:
        patch.setattr(difference.sys, "executable", "/bin/false")
        with pytest.raises(NotCompared):
            plan_difference(url, before, after)
        patch.setattr(difference.sys, "executable", sys.executable)
        patch.setattr(difference, "SECONDS_MAX", 1e-6)
        with pytest.raises(NotCompared, match="more than"):
            plan_difference(url, before, after)
    assert not plan_difference(url, before, after)["equal"]
