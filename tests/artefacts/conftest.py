"""Places of artefacts for tests: a directory, and a real server of object storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from object_server import ObjectServer, object_server

_BUCKETS = iter(range(1, 10_000))


@pytest.fixture(scope="session")
def server() -> Iterator[ObjectServer]:
    """A server of object storage, whose credentials are in the environment."""
    with object_server() as running:
        before = {name: os.environ.get(name) for name in running.environment}
        os.environ.update(running.environment)
        yield running
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


@pytest.fixture
def storage(server: ObjectServer) -> Iterator[tuple[str, dict[str, Any]]]:
    """The address and options of an empty bucket; the server is whole afterwards."""
    yield (
        f"{server.make_bucket(f'bucket-{next(_BUCKETS)}')}/tw",
        {
            **server.options,
            "config_kwargs": {"read_timeout": 2},
        },
    )
    server.break_with("")
    server.thaw()


@pytest.fixture
def shared(tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """The address of an empty shared directory."""
    (tmp_path / "shared").mkdir()
    return f"file://{tmp_path / 'shared'}", {}


@pytest.fixture(params=["shared", "storage"])
def place(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    """Either of them: every promise holds in both."""
    found: tuple[str, dict[str, Any]] = request.getfixturevalue(request.param)
    return found
