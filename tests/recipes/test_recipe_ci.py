"""The matrix of `examples/ci_matrix.py`, and the commands of `examples/ci-matrix.yml` that do its jobs."""

from __future__ import annotations

import json
import re
import shlex
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from recipe_site import EXAMPLES, PROGRAM, Site

pytestmark = pytest.mark.slow


def workflow() -> dict[str, Any]:
    """Return the jobs of the workflow by name."""
    read = yaml.safe_load((EXAMPLES / "ci-matrix.yml").read_text(encoding="utf-8"))
    jobs: dict[str, Any] = read["jobs"]
    return jobs


def steps(job: str) -> list[str]:
    """Return the commands of a job, in their order."""
    return [step["run"] for step in workflow()[job]["steps"] if "run" in step]


def matrix(site: Site, stage: str) -> list[dict[str, Any]]:
    """Return the matrix that the workflow's own words make."""
    (said,) = [step for step in steps("plan") if "ci_matrix.py" in step]
    found = re.search(rf'"{stage}=\$\(python examples/(ci_matrix\.py [^)]*--stage {stage})\)"', said)
    assert found is not None
    script, *words = shlex.split(found[1])
    done = site.call([sys.executable, EXAMPLES / script, *words])
    assert done.returncode == 0, done.stderr
    include: list[dict[str, Any]] = json.loads(done.stdout)["include"]
    return include


def command(job: str, entry: dict[str, Any]) -> list[str]:
    """Return what a job of the matrix runs."""
    (line,) = [step for step in steps(job) if step.startswith("trainwright fit")]
    program, *words = shlex.split(line.replace("${{ matrix.claims }}", entry["claims"]))
    assert program == "trainwright"
    return [str(PROGRAM), *words]


def test_the_jobs_of_the_matrix_train_each_fit_once_though_all_run_twice(
    make_site: Callable[..., Site],
) -> None:
    """At the same time: a job that finds its fits with the other waits for them, and both end well."""
    site = make_site()
    entries = matrix(site, "cpu")
    assert [entry["job"] for entry in entries] == [1, 2]
    running = [site.start(command("cpu", entry)) for entry in (*entries, *entries)]
    assert [job.wait(120) for job in running] == [0, 0, 0, 0], site.told
    site.assert_each_done_once()
    assert matrix(site, "cpu") == []
    assert matrix(site, "gpu") == []


def test_a_job_that_is_run_again_goes_on_where_it_was_killed(make_site: Callable[..., Site]) -> None:
    """Kill -9 in the middle of a fit: the same words again resume from the checkpoint."""
    site = make_site(slow=True)
    (entry,) = matrix(site, "cpu")  # of the newest plan
    job = site.start(command("cpu", entry))
    site.await_slow_agent().kill()
    job.wait(60)
    assert site.call(command("cpu", entry)).returncode == 0
    site.assert_gone_on()
    assert site.call([PROGRAM, "fit", "--claim", "next", "--fits", "0"]).returncode == 0
    site.assert_each_done_once()


def test_a_job_that_is_told_to_stop_gives_its_fit_back(make_site: Callable[..., Site]) -> None:
    """At whatever moment: within its first second, and in the middle of a fit, whose state it saves."""
    site = make_site(slow=True)
    (entry,) = matrix(site, "cpu")
    hasty = site.start(command("cpu", entry))
    hasty.terminate()
    assert hasty.wait(60) in (130, -signal.SIGTERM), "before Python minds signals it ends as any program does"
    assert site.slow_events("FitClaimed") == []
    job = site.start(command("cpu", entry))
    site.await_slow_agent()
    job.terminate()
    assert job.wait(60) == 130
    (released,) = site.slow_events("FitReleased")
    assert released.data["cause"] == "stopped by SIGTERM"
    assert released.data["step"] > 0
    assert site.call(command("cpu", entry)).returncode == 0
    assert site.slow_events("FitStarted")[-1].data["resumed_from_step"] == released.data["step"]
