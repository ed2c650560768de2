"""Fits forked from warm servers: the same results, nothing left behind, nothing outlived."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from executor_children import await_end, await_outcome, await_report, contents, group_of
from executor_children import started as started_cold
from warm_stage import FIT, MUTANT

from executors import warm
from executors.contract import Failed, FitSpec, Part, Progressed, Started, Stopped, Succeeded
from executors.kinds import BOOSTING, SKLEARN, TORCH, kind_of
from executors.process import Child
from executors.warm import WarmServers

SpecMaker = Callable[..., FitSpec]

ENDLESS = {"rounds": 100_000, "patience": 100_000, "chunk_rounds": 10, "learning_rate": 1e-4}
SHORT = {"rounds": 5}


@pytest.fixture
def own_servers() -> Iterator[WarmServers]:
    """Warm servers of one test."""
    made = WarmServers()
    yield made
    made.close()


@pytest.fixture
def staged(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let servers started from now on do a staged fit, perhaps with a planted defect."""

    def stage(fit: str, mutant: str = "") -> None:
        monkeypatch.setattr(warm, "SERVER", "warm_stage")
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        monkeypatch.setenv(FIT, fit)
        monkeypatch.setenv(MUTANT, mutant)

    return stage


def begin(servers: WarmServers, spec: FitSpec, directory: Path) -> Child:
    """Start a fit with its log and spec in a directory."""
    return servers.start(spec, log_path=directory / "fit.log", spec_path=directory / "spec.json")


def lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_forked_fit_and_one_of_its_own_give_the_same_bytes(
    make_spec: SpecMaker, servers: WarmServers, tmp_path: Path
) -> None:
    """Where the process comes from is nothing the model could know."""
    found = []
    for name in ("cold", "warm"):
        folder = tmp_path / name
        spec = make_spec(params={"rounds": 30}, bundle_path=folder / "bundle")
        fit = started_cold(spec, folder) if name == "cold" else begin(servers, spec, folder)
        assert isinstance(await_outcome(fit), Succeeded)
        found.append(contents(spec.bundle_path))
    assert found[0] == found[1]


def test_fits_of_a_kind_come_from_one_server_that_carries_no_other_library(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path
) -> None:
    """LightGBM and XGBoost share a server of one thread without torch, scikit-learn and pandas."""
    parents = []
    for family in ("LightGBM", "XGBoost"):
        fit = begin(own_servers, make_spec(family=family, params=ENDLESS), tmp_path)
        await_report(fit, Started)
        parents.append(psutil.Process(fit.pid).ppid())
        for pid in (fit.pid, *own_servers.pids):
            mapped = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8")
            assert "lib_lightgbm" in mapped
            assert not any(name in mapped for name in ("/torch/", "/sklearn/", "/pandas/"))
        fit.kill()
        await_outcome(fit)
    assert parents == list(own_servers.pids) * 2
    assert psutil.Process(parents[0]).num_threads() == 1


@pytest.mark.parametrize(
    ("family", "parts", "kind"),
    [
        ("LightGBM", (), BOOSTING),
        ("ftrl_proximal", (), BOOSTING),
        ("no such family", (), BOOSTING),
        ("NGBoost", (), SKLEARN),
        ("GMMRegime", (), SKLEARN),
        ("Ensemble", ("LightGBM", "XGBoost"), SKLEARN),
        ("LSTM", (), TORCH),
        ("Blend", ("LightGBM", "XGBoost"), BOOSTING),
        ("Blend", ("LightGBM", "NGBoost"), SKLEARN),
        ("Blend", ("LightGBM", "LSTM", "Ensemble"), TORCH),
    ],
)
def test_a_fit_gets_the_lightest_kind_that_holds_all_its_libraries(
    make_spec: SpecMaker, family: str, parts: tuple[str, ...], kind: str
) -> None:
    """An ensemble trains members of any library of the CPU stage; a blend needs those of its parts."""
    made = tuple(
        Part(name=f"j/{name}", family=name, bundle_path=Path("b"), bundle_sha256="0") for name in parts
    )
    assert kind_of(make_spec(family=family, parts=made)) == kind


def test_a_fit_runs_on_its_cpus_and_another_number_of_threads_has_another_server(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path
) -> None:
    """Affinity is the fit's own; the number of threads is settled before a library is imported."""
    last = max(os.sched_getaffinity(0))
    for threads in (1, 2):
        fit = begin(own_servers, make_spec(params=ENDLESS, cpus=(last,), threads=threads), tmp_path)
        await_report(fit, Started)
        assert psutil.Process(fit.pid).cpu_affinity() == [last]
        fit.kill()
        await_outcome(fit)
    assert len(own_servers.pids) == 2
    assert all(psutil.Process(pid).cpu_affinity() != [last] for pid in own_servers.pids)


def test_a_forked_fit_sees_the_gpu_it_was_given(
    make_spec: SpecMaker,
    own_servers: WarmServers,
    tmp_path: Path,
    staged: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two fits of one server see different devices; threads and passive waiting are the server's."""
    staged("show_the_environment")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    for number, seen in ((0, "4"), (1, "7")):
        fit = begin(own_servers, make_spec(device_requested=f"cuda:{number}"), tmp_path)
        outcome = await_outcome(fit)
        assert isinstance(outcome, Failed)
        assert f"CUDA_VISIBLE_DEVICES={seen} OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE" in outcome.sentence
    assert len(own_servers.pids) == 1


def grandchildren_of(servers: WarmServers, spec: FitSpec, directory: Path) -> list[int]:
    """Do a fit that starts two processes, one of which leaves its group; return them."""
    assert isinstance(await_outcome(begin(servers, spec, directory)), Succeeded)
    return [int(word) for word in (spec.checkpoint_dir / "pids").read_text().split()]


def test_what_a_fit_starts_ends_with_it_even_what_leaves_its_group(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path, staged: Callable[..., None]
) -> None:
    """The end of a fit is told after the end of its group, and what left it comes to the server and ends."""
    staged("leave_grandchildren")
    assert all(await_end(pid) for pid in grandchildren_of(own_servers, make_spec(), tmp_path))
    assert len(own_servers.pids) == 1


@pytest.mark.parametrize(
    ("mutant", "survivors"),
    [
        ("spares everybody", [True, True]),
        ("spares who left the group", [False, True]),
    ],
)
def test_a_server_that_spares_somebody_is_found_out(
    make_spec: SpecMaker,
    own_servers: WarmServers,
    tmp_path: Path,
    staged: Callable[..., None],
    mutant: str,
    survivors: list[bool],
) -> None:
    """With the defect planted a grandchild goes on, so the test above would see it."""
    staged("leave_grandchildren", mutant)
    pids = grandchildren_of(own_servers, make_spec(), tmp_path)
    for pid, survives in zip(pids, survivors, strict=True):
        assert lives(pid) if survives else await_end(pid)
        if survives:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("mutant", "code"), [("", -signal.SIGKILL), ("posts no guard", None)])
def test_a_fit_that_never_gives_the_interpreter_back_dies_when_it_is_let_go(
    make_spec: SpecMaker,
    own_servers: WarmServers,
    tmp_path: Path,
    staged: Callable[..., None],
    mutant: str,
    code: int | None,
) -> None:
    """The guard of its group is another process; without it the fit would live on."""
    staged("hold_the_interpreter", mutant)
    fit = begin(own_servers, make_spec(), tmp_path)
    await_report(fit, Started)
    fit.close()
    assert fit.wait(0.5 if mutant else 60) == (code is not None)
    assert fit.returncode == code


def test_when_a_server_dies_its_fits_die_and_the_next_start_has_a_new_one(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path
) -> None:
    """The fits come back as lost, which is no fault of theirs, and nothing of them goes on."""
    fits = [
        begin(own_servers, make_spec(params=ENDLESS, bundle_path=tmp_path / name), tmp_path / name)
        for name in ("a", "b")
    ]
    for fit in fits:
        await_report(fit, Progressed)
    groups = [group_of(fit.pid) for fit in fits]
    [server] = own_servers.pids
    for fit in fits:
        fit._memory_kills = 3  # the kernel's count is not this test's
    os.kill(server, signal.SIGKILL)
    for fit, group in zip(fits, groups, strict=True):
        assert len(group) == 2, "the fit and its guard"
        assert all(await_end(pid) for pid in group)
        outcome = await_outcome(fit)
        assert isinstance(outcome, Failed)
        assert outcome.retryable
    again = begin(own_servers, make_spec(params=SHORT), tmp_path)
    assert isinstance(await_outcome(again), Succeeded)
    assert own_servers.pids != (server,)


def test_a_lost_server_is_a_lost_worker_where_memory_is_left(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing counts against the fit: it is tried again at once."""
    monkeypatch.setattr("executors.process.memory_kills", lambda: 3)
    fit = begin(own_servers, make_spec(params=ENDLESS), tmp_path)
    await_report(fit, Progressed)
    os.kill(own_servers.pids[0], signal.SIGKILL)
    outcome = await_outcome(fit)
    assert isinstance(outcome, Failed)
    assert outcome.cause == "lost_worker"


def test_a_fit_stopped_before_it_was_forked_has_stopped_and_trains_nothing(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path
) -> None:
    """The server is still importing; nobody waits for it."""
    spec = make_spec(params=SHORT)
    fit = begin(own_servers, spec, tmp_path)
    fit.stop()
    assert await_outcome(fit) == Stopped(step=0)
    own_servers.close()
    assert not spec.bundle_path.exists()


def test_servers_end_when_they_are_idle_and_not_before(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A host without fits holds no training library; a fit keeps its server however long it takes."""
    now = 0.0
    servers = WarmServers(idle_seconds=300, clock=lambda: now)
    fit = begin(servers, make_spec(params=ENDLESS), tmp_path)
    await_report(fit, Started)
    [server] = servers.pids
    now = 10_000.0
    servers.tend()
    assert server in servers.pids
    fit.kill()
    await_outcome(fit)
    servers.tend()
    now += 299.0
    servers.tend()
    assert server in servers.pids
    now += 1.0
    servers.tend()
    assert not servers.pids
    assert await_end(server)
    assert isinstance(await_outcome(begin(servers, make_spec(params=SHORT), tmp_path)), Succeeded)
    servers.close()


def test_closing_ends_servers_and_fits(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Nothing outlives the host."""
    servers = WarmServers()
    fit = begin(servers, make_spec(params=ENDLESS), tmp_path)
    await_report(fit, Started)
    everybody = [*servers.pids, *group_of(fit.pid)]
    servers.close()
    assert all(await_end(pid) for pid in everybody)
    assert fit.wait(60)


def test_a_server_that_cannot_start_costs_its_fits_the_warmth_only(
    make_spec: SpecMaker, own_servers: WarmServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first fit is lost with it, the next ones get processes of their own."""
    monkeypatch.setattr(warm, "SERVER", "no_such_server")
    first = await_outcome(begin(own_servers, make_spec(params=SHORT), tmp_path))
    assert isinstance(first, Failed)
    assert "no_such_server" in first.where
    assert isinstance(await_outcome(begin(own_servers, make_spec(params=SHORT), tmp_path)), Succeeded)


@pytest.mark.parametrize(("limit", "mutant"), [(64 << 20, ""), (None, ""), (64 << 20, "limits nothing")])
def test_a_fit_that_takes_more_memory_than_its_limit_fails_for_that(
    make_spec: SpecMaker,
    own_servers: WarmServers,
    tmp_path: Path,
    staged: Callable[..., None],
    limit: int | None,
    mutant: str,
) -> None:
    """What it has of the server is not counted; the sentence names the limit, and it is not tried again."""
    staged("take_memory", mutant)
    outcome = await_outcome(begin(own_servers, make_spec(memory_bytes_max=limit), tmp_path))
    if limit is None or mutant:
        assert isinstance(outcome, Succeeded)
        return
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("out_of_memory", False)
    assert "limit 64 MiB (fit_memory_bytes)" in outcome.sentence
