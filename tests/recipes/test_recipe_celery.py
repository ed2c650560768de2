"""`examples/celery_fits.py` with a real worker and a broker of files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest
from daemon_samples import await_that
from recipe_site import EXAMPLES, PROGRAM, Site, kill_all

pytestmark = pytest.mark.slow
QUIET = ("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", "WARNING")


def environment(site: Site) -> dict[str, str]:
    """Return what the recipe reads; the broker's folder is made."""
    queue = site.folder / "queue"
    queue.mkdir(exist_ok=True)
    options = {"data_folder_in": str(queue), "data_folder_out": str(queue)}
    return {
        "FITS_BROKER": "filesystem://",
        "FITS_BROKER_OPTIONS": json.dumps(options),
        "FITS_FOLDER": str(site.folder),
        "FITS_LATER_SECONDS": "1",
        "PYTHONPATH": str(EXAMPLES),
    }


@contextmanager
def worker(site: Site) -> Iterator[psutil.Process]:
    """Run a worker of two processes."""
    words = [PROGRAM.with_name("celery"), "-A", "celery_fits", "worker", "--concurrency", "2", *QUIET]
    started = psutil.Process(site.start(words, **environment(site)).pid)
    try:
        yield started
    finally:
        kill_all(started)


def send(site: Site) -> str:
    """Send a task for each fit; returns what is said of it."""
    done = site.call([sys.executable, EXAMPLES / "celery_fits.py"], **environment(site))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_tasks_sent_twice_train_each_fit_once_and_outlive_their_worker(
    make_site: Callable[..., Site],
) -> None:
    """Kill -9 of a worker's process with its agent: Celery delivers the task again, and the fit goes on."""
    site = make_site(slow=True)
    assert send(site) == send(site) == "sent 3\n"
    with worker(site) as started:
        agent = site.await_slow_agent()
        process = agent.parent()
        assert process is not None
        assert process in started.children(recursive=True)
        kill_all(process)
        await_that(site.is_done, f"end of the plans: {site.told}")
    site.assert_each_done_once()
    site.assert_gone_on()
    assert send(site) == "sent 0\n"
