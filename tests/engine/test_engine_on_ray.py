"""Fits on a real Ray cluster: each is done once, whatever is killed, cancelled or submitted twice."""

from __future__ import annotations

import shlex
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import reporting
from daemon_samples import all_events, await_that
from ray_cluster import RayCluster, ray_cluster
from ray_site import LONG_FIT, RaySite, turned

from daemon.engine.client import Submission
from daemon.engine.connection import Connection
from daemon.engine.dispatching import client_of
from daemon.engine.errors import RayRefused, RayUnsafe
from daemon.engine.submissions import submission_of
from daemon.host import Host
from daemon.service import drain
from store import PlanStore
from store.attempts import attempts_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
TARGETS = ("fwd_ret_1d", "y_up_1d", "y_only_1d")
KILLS = 4 if reporting.LONG else 1


def ended_once(store: PlanStore) -> bool:
    """Whether each fit of the log has succeeded, in one word."""
    words = Counter(event.fit for event in all_events(store, "FitSucceeded"))
    fits = [row.id for row in store.reading.fits()]
    return set(words) == set(fits) and set(words.values()) == {1}


def test_a_plan_is_trained_on_the_cluster_as_it_is_here(cluster: RayCluster, tmp_path: Path) -> None:
    """One job does three short fits; the models are those of a host that has no cluster, byte for byte."""
    site = RaySite(tmp_path / "there", cluster, ray_slots=3, ray_fits_per_job=3)
    plan = site.accept(*TARGETS)
    done = drain(site.settings, site.store, [plan])
    assert (done.succeeded, done.failed) == (3, 0)
    assert ended_once(site.store)
    agents = {event.data["worker"] for event in all_events(site.store, "FitHandedOver")}
    assert len(agents) == 1, "one job, one agent"
    here = RaySite(tmp_path / "here", cluster)
    own = replace(here.settings, engine="own")
    assert drain(own, here.store, [here.accept(*TARGETS)]).succeeded == 3
    models = [{row.name: row.bundle_sha256 for row in one.store.reading.fits()} for one in (site, here)]
    assert models[0] == models[1]
    assert_the_token_is_nowhere(site)


def assert_the_token_is_nowhere(site: RaySite) -> None:
    """Not in the log, not in any file of the host, not in the arguments of any process of the cluster."""
    token = site.cluster.token_file.read_bytes()
    holders = [path for path in site.folder.rglob("*") if path.is_file() and token in path.read_bytes()]
    assert holders == []
    arguments = [" ".join(process.cmdline()) for process in site.cluster.processes()]
    assert arguments
    assert not any(token.decode() in words for words in arguments)


def test_twenty_submissions_of_a_claim_are_one_job_and_one_fit(cluster: RayCluster, tmp_path: Path) -> None:
    """Ray takes the first and refuses nineteen; jobs that run the same claim all the same find it taken."""
    site = RaySite(tmp_path, cluster)
    site.accept("fwd_ret_1d")
    (claim,) = site.store.claim("host/boot/1/2/3/m", stage="cpu", lease_seconds=300)
    submission = replace(submission_of([claim], site.settings, gpus=1), cpus=0.4)
    client = client_of(site.settings)
    with ThreadPoolExecutor(20) as pool:
        new = list(pool.map(lambda _: client.submit(submission), range(20)))
    assert sorted(new) == [*[False] * 19, True]
    twins = [replace(submission, id=f"{submission.id}-twin-{number}") for number in range(3)]
    assert all(client.submit(twin) for twin in twins)
    ids = {submission.id, *(twin.id for twin in twins)}

    await_that(lambda: all(job.ended for job in client.jobs() if job.id in ids), "end of the jobs")
    kinds = Counter(event.kind for event in all_events(site.store) if event.fit is not None)
    assert (kinds["FitHandedOver"], kinds["FitStarted"], kinds["FitSucceeded"]) == (1, 1, 1)
    reporting.report("ray duplicates", faults=22, doubles=kinds["FitSucceeded"] - 1, stale=0)


def test_a_cancelled_fit_ends_in_the_cluster(cluster: RayCluster, tmp_path: Path) -> None:
    """The event comes first; agent and job end by it, and the job's place is free."""
    site = RaySite(tmp_path, cluster)
    site.accept("fwd_ret_1d", params={"LightGBM": {"n_estimators": 100_000, "early_stopping_rounds": 0}})
    client = client_of(site.settings)
    with closing(Host(site.settings, site.store)) as host:
        host.start()
        turned(host, lambda: site.count("FitStarted"), "fit that runs")
        (row,) = site.store.reading.fits()
        began_at = time.monotonic()
        site.store.cancel(row.id, reason="for a test")
        turned(host, lambda: not host.dispatcher.running, "end of the fit")
        mine = [job.id for job in client.jobs() if row.id in job.id]
        turned(host, lambda: all(job.ended for job in client.jobs() if job.id in mine), "end of the job")
        reporting.figure(
            "cancel to the end of the job in Ray",
            f"{time.monotonic() - began_at:.1f} s",
            bar="60 s",
            met=time.monotonic() - began_at < 60,
        )
    assert site.store.reading.fit(row.id).state == "cancelled"


def test_every_fit_completes_once_though_the_head_is_killed(
    cluster: RayCluster, tmp_path: Path, postgres_url: str
) -> None:
    """The head and all its jobs are killed in mid-plan; a new head knows nothing, and the log knows all."""
    began_at = time.monotonic()
    site = RaySite(tmp_path, cluster, database_url=postgres_url, ray_slots=4, ray_fits_per_job=2)
    for seed in range(KILLS):
        site.accept(*TARGETS, params=LONG_FIT, seed=42 + seed)
    killed = 0
    with closing(Host(site.settings, site.store)) as host:
        host.start()
        for _ in range(KILLS):
            begun = site.count("FitStarted")
            turned(host, lambda begun=begun: site.count("FitStarted") > begun, "fit that runs")  # type: ignore[misc]
            cluster.kill()
            killed += 1
            again = threading.Thread(target=cluster.start)
            again.start()
            turned(host, lambda again=again: not again.is_alive(), "new head")  # type: ignore[misc]
        turned(host, lambda: ended_once(site.store), "end of the plan")
        host.stop("the test is over")
    attempts = [len(attempts_of(site.store.events(fit=row.id))) for row in site.store.reading.fits()]
    assert max(attempts) > 1, "some fit was killed and went on"
    doubles = site.count("FitSucceeded") - len(attempts)
    seconds = time.monotonic() - began_at
    reporting.report("ray head killed", faults=killed, lost=0, doubles=doubles, stale=0, seconds=seconds)
    assert doubles == 0


def test_needs_are_kept_free_by_the_cluster(cluster: RayCluster, tmp_path: Path) -> None:
    """A job sees the one device it asked for; one that needs what no node has waits."""
    site = RaySite(tmp_path, cluster)
    client = client_of(site.settings)
    await_that(lambda: client.cluster().gpus == 1, "device of the cluster")  # nodes tell a moment later
    mark, told = tmp_path.name, tmp_path / "told"  # a file: what Ray keeps of an output is not always there
    seen = Submission(
        id=f"device-{mark}",
        entrypoint=f"printenv CUDA_VISIBLE_DEVICES > {shlex.quote(str(told))}",
        cpus=0.5,
        gpus=1,
        memory_bytes=1_000_000,
        resources={"bigmem": 0.001},
    )
    nowhere = replace(seen, id=f"nowhere-{mark}", gpus=0, resources={"no-such-label": 0.001})
    assert client.submit(seen)
    assert client.submit(nowhere)
    await_that(lambda: (job := client.job(seen.id)) and job.status == "SUCCEEDED", "job with a device")
    assert told.read_text(encoding="ascii").split() == ["0"]
    waiting = client.job(nowhere.id)
    assert waiting is not None
    assert (waiting.status, "resources" in waiting.message) == ("PENDING", True)
    assert client.stop(nowhere.id), "it is heard; Ray ends it when it would begin"


def test_a_wrong_token_is_not_let_in(cluster: RayCluster, tmp_path: Path) -> None:
    """A real Ray tells; the answer says what to do and nothing of the token."""
    wrong = tmp_path / "token"
    wrong.touch(mode=0o600)
    wrong.write_text("some-other-token", encoding="ascii")
    site = RaySite(tmp_path, cluster)
    settings = replace(site.settings, ray_token_file=wrong)
    with pytest.raises(RayRefused, match="ray_token_file") as refused:
        client_of(settings).cluster()
    assert "some-other-token" not in str(refused.value)
    assert Connection(cluster.address, token_file=wrong).call("GET", "/api/jobs/", token=False).status == 401


def test_a_real_cluster_without_a_token_is_refused(tmp_path: Path) -> None:
    """A Ray that lets everybody in is sent nothing, and whoever waits for the plan is told why."""
    with ray_cluster(cpus=1, environ={"RAY_AUTH_MODE": "disabled"}) as open_one:
        site = RaySite(tmp_path, open_one)
        plan = site.accept("fwd_ret_1d")
        with pytest.raises(RayUnsafe, match="answers without a token"):
            drain(site.settings, site.store, [plan])
        assert site.count("FitClaimed") == 0
