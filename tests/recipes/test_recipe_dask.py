"""`examples/dask_fits.py` on a real cluster of two workers, which are processes of this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest
from distributed import LocalCluster
from recipe_site import EXAMPLES, Site, kill_all

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def scheduler() -> Iterator[str]:
    """The address of a scheduler with two workers."""
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address


def test_two_clients_train_each_fit_once_and_go_on_where_a_worker_was_killed(
    make_site: Callable[..., Site], scheduler: str
) -> None:
    """Kill -9 of a worker with its agent: Dask starts the task anew on another, which resumes the fit."""
    site = make_site(slow=True)
    words = (sys.executable, EXAMPLES / "dask_fits.py", "--folder", site.folder, "--scheduler", scheduler)
    clients = [site.start(words) for _ in range(2)]
    worker = site.await_slow_agent().parent()
    assert worker is not None
    kill_all(worker)
    assert [client.wait(120) for client in clients] == [0, 0], site.told
    site.assert_each_done_once()
    site.assert_gone_on()


def test_the_recipe_makes_workers_of_its_own(make_site: Callable[..., Site]) -> None:
    """Without a scheduler; what is done already is left as it is."""
    site = make_site()
    words = (sys.executable, EXAMPLES / "dask_fits.py", "--workers", "1")
    assert site.call(words).returncode == 0
    site.assert_each_done_once()
