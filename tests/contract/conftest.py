"""The plan store over each engine, with a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from store_samples import Clock

from store import PlanStore, open_store


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def plan_store(database_url: str, clock: Clock) -> Iterator[PlanStore]:
    with open_store(database_url, clock=clock) as opened:
        yield opened
