"""Planning on a real Ray cluster: the bytes of planning here, the panel once on each machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import planner_samples as samples
import pytest
from cluster_tasks import brought, dying, refusing, where
from ray_cluster import RayCluster, ray_cluster

from planner import cluster as on_cluster
from planner import make_plan
from planner.cluster import ClusterAway, ClusterRefused, bringing, on_ray
from planner.parallel import spread

pytestmark = pytest.mark.slow
GROUPS = {"ranking": {"jobs": 2}}  # of targets, beside each other


@pytest.fixture(scope="module")
def cluster() -> Iterator[RayCluster]:
    """A running cluster of one machine with two CPUs."""
    with ray_cluster(cpus=2, environ={"PYTHONPATH": str(Path(__file__).parent)}) as running:
        yield running


@pytest.fixture
def let_in(cluster: RayCluster, monkeypatch: pytest.MonkeyPatch) -> RayCluster:
    """The cluster, with what lets this process in."""
    for name, value in cluster.environment.items():
        if name.startswith("RAY_"):
            monkeypatch.setenv(name, value)
    return cluster


def test_a_plan_measured_on_the_cluster_has_the_bytes_of_one_measured_here(
    let_in: RayCluster, tmp_path: Path
) -> None:
    """Every file of the results, though other processes measured; and so it is without the panel there."""
    data_dir = samples.write(samples.frames(rows=300), tmp_path / "data")
    config = samples.quick_config(**GROUPS)
    make_plan(samples.request(data_dir, tmp_path / "here", config=config))
    with on_ray(token_file=let_in.token_file) as found:
        assert (found.jobs, found.machines) == (2, 1)
        make_plan(samples.request(data_dir, tmp_path / "there", config=config))
    here = samples.tree(tmp_path / "here")
    assert len(here) > 5
    assert samples.tree(tmp_path / "there") == here


def test_results_come_in_order_and_errors_where_they_are_waited_for(let_in: RayCluster) -> None:
    """A task is done elsewhere, what it raises is raised here."""
    with on_ray(token_file=let_in.token_file):
        done = list(spread(where, range(9)))
        with pytest.raises(ValueError, match="task 3"):
            list(spread(refusing, range(9)))
    assert [task for task, _ in done] == list(range(9))
    assert os.getpid() not in {pid for _, pid in done}
    assert [task for task, _ in spread(where, range(3))] == [0, 1, 2]  # here again


def test_a_task_whose_process_died_is_done_again(let_in: RayCluster, tmp_path: Path) -> None:
    """It is a function of what it is given: no worker is waited for that is gone."""
    with on_ray(token_file=let_in.token_file):
        (pid,) = spread(dying, [str(tmp_path / "mark")])
    assert pid != os.getpid()


def test_the_token_is_in_the_environment_only_while_it_is_needed(
    let_in: RayCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing that is started later finds it there."""
    monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
    monkeypatch.delenv("RAY_AUTH_MODE")
    with on_ray(token_file=let_in.token_file):
        assert os.environ["RAY_AUTH_TOKEN_PATH"] == str(let_in.token_file)
    assert not {"RAY_AUTH_TOKEN_PATH", "RAY_AUTH_MODE"} & set(os.environ)


def test_a_panel_is_placed_once_on_a_machine_that_lacks_it(
    let_in: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In pieces, under a lock, whole or not at all; where all machines have it nothing travels."""
    panel = samples.panel_of(samples.frames(rows=300), tmp_path)
    monkeypatch.setattr(on_cluster, "PIECE_BYTES", 1000)
    elsewhere = tmp_path / "node" / "panels" / panel.path.name
    half = elsewhere.with_name(f".{elsewhere.name}.partial")
    half.mkdir(parents=True)  # of a task that was killed
    (half / "values.npy").write_bytes(b"torn")
    with on_ray(token_file=let_in.token_file):
        assert bringing(panel.path) is None
        monkeypatch.setattr(on_cluster, "_at_every_machine", lambda *_: [True, False])
        bring = bringing(panel.path)
        found = list(spread(brought, [(bring, str(elsewhere))] * 4))
    assert {place for place, _, _ in found} == {str(elsewhere)}
    assert len({number for _, _, number in found}) == 1
    assert all(whole for _, whole, _ in found)
    assert not half.exists()


def test_a_panel_that_did_not_arrive_whole_is_refused(
    let_in: RayCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing lies at its path afterwards, so the next one brings it anew."""
    panel = samples.panel_of(samples.frames(rows=300), tmp_path)
    monkeypatch.setattr(on_cluster, "_at_every_machine", lambda *_: [False])
    elsewhere = tmp_path / "node" / panel.path.name
    pieces = on_cluster._pieces

    def changed(file: Path) -> Any:
        for piece in pieces(file):
            yield piece[:-1] + bytes([piece[-1] ^ 1]) if file.name == "values.npy" else piece

    monkeypatch.setattr(on_cluster, "_pieces", changed)
    with (
        on_ray(token_file=let_in.token_file),
        pytest.raises(ClusterRefused, match="did not arrive whole"),
    ):
        list(spread(brought, [(bringing(panel.path), str(elsewhere))]))
    assert not elsewhere.exists()


def run_there(cluster: RayCluster, folder: Path) -> subprocess.CompletedProcess[str]:
    """Plan by the command on a cluster, with the token's file in the settings and nowhere else."""
    samples.write(samples.frames(rows=300), folder / "data")
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith(("RAY_", "TRAINWRIGHT_"))},
        "TRAINWRIGHT_RAY_TOKEN_FILE": str(cluster.token_file),
        "HOME": str(folder),
        "RAY_ADDRESS": cluster.environment["RAY_ADDRESS"],
    }
    words = ["plan", "make", "--data-dir", "data", "--auto-targets", "--engine", "ray"]
    words += ["--families", "LightGBM", "--set", "ranking.jobs=2", "--set", "ranking.boosting_rounds=5"]
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli.main", *words],
        cwd=folder,
        env=environ,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )


def test_the_command_plans_on_the_cluster(cluster: RayCluster, tmp_path: Path) -> None:
    """By its option and with a file that has the token, which is said nowhere."""
    done = run_there(cluster, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "planning on a Ray cluster of 1 machine, 2 tasks at once" in done.stderr
    assert cluster.token_file.read_text(encoding="ascii") not in done.stderr + done.stdout


class OpenCluster(RayCluster):
    """A cluster that asks nobody for a token."""

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are started with."""
        return {**super().environment, "RAY_AUTH_MODE": "disabled"}


def test_a_cluster_that_lets_everybody_in_is_refused(tmp_path: Path) -> None:
    """It takes our token and asks for none: nothing is sent there."""
    cluster = OpenCluster(cpus=1)
    try:
        cluster.start()
        done = run_there(cluster, tmp_path)
    finally:
        cluster.remove()
    assert done.returncode == 2
    assert "answers without a token" in done.stderr


@pytest.mark.parametrize("version", ["2.51.1", "1.13.0", "unknown"])
def test_a_version_with_known_holes_is_refused(
    version: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Before anything is connected to."""
    old = ModuleType("ray")
    old.__version__ = version  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ray", old)
    with pytest.raises(ClusterRefused, match=r"CVE-2025-62593, CVE-2023-48022"), on_ray(token_file=tmp_path):
        raise AssertionError


def test_a_cluster_that_is_not_there_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """To be tried again, or to be joined first."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    monkeypatch.setenv("HOME", str(tmp_path))
    token = tmp_path / "token"
    token.write_text("0" * 64, encoding="ascii")
    with pytest.raises(ClusterAway, match="ray start --address") as caught, on_ray(token_file=token):
        raise AssertionError
    assert caught.value.exit_code == 75


def test_without_a_token_or_the_extra_nothing_is_planned_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each says what to do."""
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ClusterRefused, match="needs its token"), on_ray():
        raise AssertionError
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(ClusterRefused, match=r"pip install 'trainwright\[ray\]'"),
        on_ray(token_file=tmp_path),
    ):
        raise AssertionError
