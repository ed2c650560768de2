"""One real Ray cluster for all tests of this folder that a process runs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from ray_cluster import RayCluster, ray_cluster


@pytest.fixture(scope="session")
def _cluster() -> Iterator[RayCluster]:
    """A running cluster of two CPUs, one device that is none, and a resource called bigmem."""
    with ray_cluster(cpus=2, gpus=1, resources='{"bigmem": 1}') as one:
        yield one


@pytest.fixture
def cluster(_cluster: RayCluster) -> RayCluster:
    """The cluster, running: a test before may have killed it."""
    if not _cluster.answers():
        _cluster.kill()
        _cluster.start()
    return _cluster
