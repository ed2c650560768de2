"""The plan store over each engine, with a clock that only the test moves.

Every test of this suite runs on memory, SQLite and Postgres. A test that is about other processes
names SQLite and Postgres, for nobody outside this process can see its memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import pytest
from store_samples import Clock

from store import PlanStore, open_store
from store.database import connect

_NUMBERS = count(1)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory_url() -> Iterator[str]:
    """A fresh database in memory with all tables; it is there as long as the test."""
    url = f"memory:contract-{next(_NUMBERS)}"
    keeper = connect(url)
    yield url
    keeper.close()


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database of each engine in turn."""
    names = {"memory": "memory_url", "sqlite": "sqlite_url", "postgresql": "postgres_url"}
    url: str = request.getfixturevalue(names[request.param])
    return url


@pytest.fixture
def plan_store(database_url: str, clock: Clock) -> Iterator[PlanStore]:
    with open_store(database_url, clock=clock) as opened:
        yield opened
