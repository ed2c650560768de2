"""`examples/slurm_fits.py` with submitit's executor of one machine, which starts a process for each job."""

from __future__ import annotations

import sys
from collections.abc import Callable

import psutil
import pytest
from daemon_samples import await_that
from recipe_site import EXAMPLES, Site, kill_all

pytestmark = pytest.mark.slow
WORDS = (
    sys.executable,
    EXAMPLES / "slurm_fits.py",
    "--cluster",
    "local",
    "--jobs",
    "2",
    "--await",
    "--claim-minutes",
    "0.05",
)


def test_jobs_train_each_fit_once_and_go_on_with_what_a_killed_one_left(
    make_site: Callable[..., Site],
) -> None:
    """All is killed in the middle of a fit, as when a node dies; the same two jobs again do the rest."""
    site = make_site(slow=True)
    sent = site.start(WORDS)
    agent = site.await_slow_agent()
    assert agent in psutil.Process(sent.pid).children(recursive=True)
    kill_all(psutil.Process(sent.pid))
    assert not site.is_done()
    # On a busy machine the time to claim may be over before all was claimed: then they are sent once more.
    await_that(lambda: site.call(WORDS).returncode == 0 and site.is_done(), "end of the plans")
    site.assert_each_done_once()
    site.assert_gone_on()
