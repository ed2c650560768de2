"""The one place where the planner's work is spread: ordered results over a joblib backend.

Threads by default, because what takes long (matrix products, boosting) lets go of the interpreter and all of
it reads the same mapped panel. `with joblib.parallel_config(backend=...)` around a planning puts the same
tasks onto processes or a cluster instead (loky, dask), `planner.cluster.on_ray` onto one of Ray. Every task
runs on one thread of BLAS and OpenMP, so its result does not depend on where it ran, nor beside how many
others.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from typing import Any, TypeVar

from threadpoolctl import threadpool_limits

from planner.cluster import cluster

Task = TypeVar("Task")
Result = TypeVar("Result")

MOST_JOBS = 8

# Waiting OpenMP threads that spin cost up to four times the work itself where cores are shared; the variable
# is read when a runtime is loaded, so processes started later obey it.
_PASSIVE = ("OMP_WAIT_POLICY", "PASSIVE")
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_HOME = secrets.token_hex(8)  # another process that imports this module has another one


def usable_cores() -> int:
    """Return the cores this process may run on, at most 8."""
    return max(1, min(MOST_JOBS, len(os.sched_getaffinity(0))))


def spread(
    function: Callable[[Task], Result], tasks: Iterable[Task], *, jobs: int | None = None
) -> Iterator[Result]:
    """Yield `function(task)` for each task, in the order of the tasks, `jobs` of them at a time.

    `function` is defined at the top of a module, tasks are small and picklable (a panel's path, names,
    numbers): on another process or machine a task opens the mapped panel by its path. Tasks are taken from
    the iterable a few ahead, by another thread. `jobs` None is one for each usable core; a number or a
    cluster of an outer joblib.parallel_config comes before it. Nothing runs before the first result is
    asked for; what a task raises is raised here.
    """
    if (found := cluster()) is not None:
        yield from found.run(_alone, ((function, task, _HOME) for task in tasks))
        return
    joblib: Any = import_module("joblib")  # 0.2 s that a planning answered by its cache does not spend
    os.environ.setdefault(*_PASSIVE)
    with threadpool_limits(limits=1):
        run = joblib.Parallel(
            n_jobs=_job_count(jobs), prefer="threads", return_as="generator", max_nbytes=None
        )
        yield from run(joblib.delayed(_alone)(function, task, _HOME) for task in tasks)


def most_at_once() -> int:
    """Return how many tasks run at once where nobody says it: the cores here, or the cluster's."""
    found = cluster()
    return usable_cores() if found is None else found.jobs


def _job_count(jobs: int | None) -> int | None:
    """Return the number joblib is told: the outer configuration's, its cluster's own (None), or ours."""
    backend, outer = import_module("joblib.parallel").get_active_backend()
    if outer is not None:
        return int(outer)
    spans_machines = backend.default_n_jobs != 1
    return None if spans_machines else jobs or usable_cores()


def _alone(function: Callable[[Task], Result], task: Task, home: str) -> Result:
    """Run a task on one thread of every library: OpenMP keeps its limit for each thread, so here again."""
    if home != _HOME:  # another process
        os.environ.setdefault(*_PASSIVE)
        for name in _ONE_THREAD:
            os.environ[name] = "1"  # for libraries that the task is the first to load
    with threadpool_limits(limits=1):
        return function(task)
