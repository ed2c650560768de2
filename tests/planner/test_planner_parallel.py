"""Spreading work: the same ordered results whatever carries them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy as np
import planner_samples as samples
import pytest
from threadpoolctl import threadpool_info

from panel.aligned import open_panel
from planner.parallel import spread, usable_cores

TASKS = tuple(range(7))


def projected(task: tuple[str, int]) -> tuple[float, ...]:
    """A product of a mapped panel's columns: what a task of the planner looks like."""
    path, seed = task
    panel = open_panel(Path(path))
    values = np.stack([panel.values(name) for name in panel.feature_names]).astype(np.float64)
    weights = np.random.default_rng(seed).standard_normal((panel.rows, 3))
    return tuple((values @ weights).ravel())


def process_and_threads(task: int) -> tuple[int, int, str | None]:
    """Where a task runs, the most threads a loaded library may use, and how its waiting threads wait."""
    np.ones((2, 2)) @ np.ones((2, 2))
    most = max(pool["num_threads"] for pool in threadpool_info())
    return os.getpid(), most, os.environ.get("OMP_WAIT_POLICY")


def refusing(task: int) -> int:
    """A task that fails half way."""
    if task == 3:
        message = f"task {task} cannot be done"
        raise ValueError(message)
    return task


def test_results_are_the_same_for_any_number_of_jobs_and_any_backend(
    tmp_path: Path,
) -> None:
    """One job, four threads, and processes that open the panel by its path give the same bits in order."""
    panel = samples.panel_of(samples.frames(rows=300), tmp_path)
    tasks = [(str(panel.path), seed) for seed in TASKS]
    alone = list(spread(projected, tasks, jobs=1))
    assert len(set(alone)) == len(TASKS)
    assert list(spread(projected, tasks, jobs=4)) == alone
    for backend in ("sequential", "threading", "loky"):
        with joblib.parallel_config(backend=backend, n_jobs=2):
            assert list(spread(projected, tasks, jobs=4)) == alone


def test_a_backend_put_around_it_carries_the_tasks() -> None:
    """Threads stay in this process; an outer configuration of processes is obeyed, with one thread each."""
    here = list(spread(process_and_threads, TASKS, jobs=2))
    assert {pid for pid, _, _ in here} == {os.getpid()}
    with joblib.parallel_config(backend="loky", n_jobs=2):
        there = list(spread(process_and_threads, TASKS))
    assert os.getpid() not in {pid for pid, _, _ in there}
    assert {(most, policy) for _, most, policy in here + there} == {(1, "PASSIVE")}


def test_tasks_are_taken_as_they_are_needed() -> None:
    """A long list of tasks is not made before the first result is used."""
    taken: list[int] = []

    def tasks() -> Iterator[int]:
        for task in range(10_000):
            taken.append(task)
            yield task

    results = spread(refusing, tasks(), jobs=1)
    assert taken == []
    assert next(results) == 0
    assert len(taken) < 10
    results.close()


def test_a_failing_task_is_heard_of() -> None:
    """What a task raises comes out where its result was waited for, on threads as on one."""
    for jobs in (1, 2):
        with pytest.raises(ValueError, match="task 3"):
            list(spread(refusing, TASKS, jobs=jobs))


def test_cores_are_those_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process bound to some cores starts no more jobs than these, and never more than eight."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5, 7})
    assert usable_cores() == 3
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)))
    assert usable_cores() == 8
