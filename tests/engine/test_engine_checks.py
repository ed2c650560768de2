"""What doctor says of a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_samples import settings_in
from ray_stub import TOKEN, Stub, stub_in

from daemon.cli.engine_checks import cluster
from daemon.cli.findings import FAIL, OK, WARN, Asked, Finding


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[Stub]:
    """A sound cluster without devices."""
    with stub_in(tmp_path) as one:
        one.is_sound()
        yield one


def looked(folder: Path, **settings: object) -> list[Finding]:
    """What the check finds with these settings."""
    return list(cluster(Asked(settings=settings_in(folder, **settings), config=None)))


def test_a_host_without_a_cluster_is_asked_for_none(tmp_path: Path) -> None:
    """Nobody is told of what nobody uses."""
    assert looked(tmp_path) == []


def test_a_sound_cluster_is_named(tmp_path: Path, stub: Stub) -> None:
    """Its version, its place and its devices."""
    given = {"engine": "ray", "ray_address": stub.address, "ray_token_file": stub.token_file}
    (finding,) = looked(tmp_path, **given)
    assert (finding.state, finding.words) == (OK, f"2.60.0 at {stub.address}, 0 devices")
    (finding,) = looked(tmp_path, **given, gpu_fallback="never")
    assert (finding.state, "wait for ever" in finding.words) == (WARN, True)


def test_what_is_wrong_with_a_cluster_is_told_with_its_fix(tmp_path: Path, stub: Stub) -> None:
    """An old version, a token that others read, nobody there, nothing said: each fails with its fix."""
    given = {"engine": "ray", "ray_address": stub.address, "ray_token_file": stub.token_file}
    stub.is_sound(version="2.51.0")
    found = looked(tmp_path, **given)
    stub.token_file.chmod(0o644)
    found += looked(tmp_path, **given)
    found += looked(tmp_path, **given | {"ray_address": "http://127.0.0.1:1"})
    found += looked(tmp_path, engine="ray")
    assert [one.state for one in found] == [FAIL] * 5
    assert all(one.fix for one in found)
    assert not any(TOKEN in one.words + one.fix for one in found)
