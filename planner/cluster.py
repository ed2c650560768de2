"""Planning on a Ray cluster: the same tasks on its machines, and the panel once on each of them.

The process that plans runs on a machine of the cluster. What is spread (see `planner.parallel`) becomes
Ray's tasks; the results are those of planning here, byte for byte, on processors of one kind. A task opens
the panel by its path. Where a machine does not have it there, the panel travels through Ray's own store of
objects, and the first task on that machine puts it in its place while the others wait.

Tasks and not joblib's own backend for Ray: that one cannot give results one by one, and waits for ever for a
worker that has died. A task is a function of what it is given, so one whose machine is gone is done again.
"""

import fcntl
import http.client
import os
import re
import secrets
import shutil
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from panel.aligned import open_panel
from panel.storing import intact
from planner.errors import ClusterAway, ClusterRefused

OLDEST = (2, 52)  # before it whoever reaches its port runs code there (CVE-2025-62593, CVE-2023-48022)
TOKEN_FILE, TOKEN, MODE = "RAY_AUTH_TOKEN_PATH", "RAY_AUTH_TOKEN", "RAY_AUTH_MODE"
PIECE_BYTES = 64 << 20  # of one object: a large panel is never in memory as a whole

AHEAD = 2  # tasks handed over beyond those that can run at once
KNOCK_SECONDS = 5.0
LOST_MAX = 3  # times a task is done again whose worker or machine was lost
JOIN = "join this machine to it with: ray start --address HOST:6379; or plan here: planning_engine = 'own'"

Result = TypeVar("Result")
Bring = Callable[[Path], Path]  # a panel's path, and where it is on the machine of whoever calls


@dataclass(frozen=True, slots=True)
class Cluster:
    """The cluster that tasks are spread over: how many run at once, on how many machines."""

    jobs: int
    machines: int
    ray: ModuleType

    def run(self, work: Callable[..., Result], tasks: Iterable[tuple[Any, ...]]) -> Iterator[Result]:
        """Yield `work(*task)` for each task, in order, a few handed over ahead; raises what a task raises."""
        remote = self.ray.remote(work).options(
            num_cpus=1, scheduling_strategy="SPREAD", max_retries=LOST_MAX, retry_exceptions=False
        )
        waiting: deque[Any] = deque()
        coming = iter(tasks)
        while True:
            ahead = islice(coming, self.jobs + AHEAD - len(waiting))
            waiting.extend(remote.remote(*task) for task in ahead)
            if not waiting:
                return
            yield self.ray.get(waiting.popleft())


_CLUSTER: ContextVar[Cluster | None] = ContextVar("cluster", default=None)


def cluster() -> Cluster | None:
    """Return the cluster that this planning is spread over, None where it runs here."""
    return _CLUSTER.get()


@contextmanager
def on_ray(address: str = "auto", *, token_file: Path | None = None) -> Iterator[Cluster]:
    """Spread what is planned inside over the cluster that this machine belongs to.

    Raises:
        ClusterRefused: Ray is missing or too old, or there is no token, or it is not asked for.
        ClusterAway: there is no cluster at the address.
    """
    with _with_token(token_file):
        ray = _sound_ray()  # it reads how it is let in as it is loaded
        try:
            _join(ray, os.environ.get("RAY_ADDRESS", address))
            found = Cluster(jobs=_free_cpus(ray), machines=len(_nodes(ray)), ray=ray)
            before = _CLUSTER.set(found)
            try:
                yield found
            finally:
                _CLUSTER.reset(before)
        finally:
            ray.shutdown()


def _join(ray: ModuleType, address: str) -> None:
    """Become part of a cluster that lets in nobody without its token."""
    try:
        _knock(address)
        context = ray.init(
            address=address,
            log_to_driver=False,
            configure_logging=False,
            namespace=f"trainwright-{secrets.token_hex(4)}",
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise ClusterAway(f"the Ray cluster does not answer: {_line(error)}", fix=JOIN) from error
    if _is_open(str(context.address_info.get("webui_url") or "")):
        raise ClusterRefused(
            "this Ray answers without a token: whoever reaches it runs code there (CVE-2023-48022)",
            fix="Start it with RAY_AUTH_MODE=token on every machine",
        )


def _is_open(dashboard: str) -> bool:
    """Whether a cluster answers one who shows no token; one without a dashboard is not asked."""
    if not dashboard:
        return False
    host, _, port = dashboard.rpartition(":")
    asking = http.client.HTTPConnection(host, int(port), timeout=KNOCK_SECONDS)
    try:
        asking.request("GET", "/api/jobs/")
        return asking.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def bringing(path: Path) -> Bring | None:
    """Return what brings a panel to the machine of a task; None where each has it at its path.

    That is so where nothing is spread over a cluster, and where the machines share a file system.
    """
    found = _CLUSTER.get()
    if found is None or all(_at_every_machine(found, path)):
        return None
    pieces = [
        (file.name, tuple(found.ray.put(piece) for piece in _pieces(file)))
        for file in sorted(path.iterdir())
        if file.is_file()
    ]
    return Shipment(tuple(pieces))


@dataclass(frozen=True, slots=True)
class Shipment:
    """A panel's files in Ray's store of objects, in pieces."""

    files: Sequence[tuple[str, Sequence[Any]]]

    def __call__(self, path: Path) -> Path:
        """Return the panel's place on this machine, where it is put by whoever comes first."""
        if (path / "meta.json").is_file():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with (path.parent / f".{path.name}.lock").open("w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # the kernel lets go of it with the process
            if not (path / "meta.json").is_file():
                self._write(path)
        return path

    def _write(self, path: Path) -> None:
        ray: Any = import_module("ray")
        partial = path.with_name(f".{path.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)  # of one that was killed
        partial.mkdir()
        for name, pieces in self.files:
            with (partial / name).open("wb") as file:
                for piece in pieces:
                    file.write(ray.get(piece))
        if not intact(open_panel(partial)):
            raise ClusterRefused(f"the panel did not arrive whole: {path}", fix="Plan again")
        shutil.rmtree(path, ignore_errors=True)  # what lies there is no panel
        partial.replace(path)


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_BYTES):
            yield piece


def _has_panel(path: str) -> bool:
    return (Path(path) / "meta.json").is_file()


def _at_every_machine(found: Cluster, path: Path) -> list[bool]:
    """Return for each machine whether it has a panel at its path."""
    asked = found.ray.remote(_has_panel)
    pinned = import_module("ray.util.scheduling_strategies").NodeAffinitySchedulingStrategy
    return list(
        found.ray.get(
            [
                asked.options(num_cpus=0, scheduling_strategy=pinned(node["NodeID"], soft=False)).remote(
                    str(path)
                )
                for node in _nodes(found.ray)
            ]
        )
    )


def _nodes(ray: ModuleType) -> list[Any]:
    return [node for node in ray.nodes() if node["Alive"]]


def _free_cpus(ray: ModuleType) -> int:
    """Return how many CPUs of the cluster nobody uses now, at least one: fits may be at work there."""
    return max(1, int(ray.available_resources().get("CPU", 0)))


def _sound_ray() -> ModuleType:
    """Return the library, once it is known to be safe."""
    try:
        ray = import_module("ray")
    except ImportError as error:
        raise ClusterRefused(
            "planning on a cluster needs Ray, which is not installed", fix="pip install 'trainwright[ray]'"
        ) from error
    numbers = re.match(r"(\d+)\.(\d+)", ray.__version__)
    if numbers is None or (int(numbers[1]), int(numbers[2])) < OLDEST:
        raise ClusterRefused(
            f"Ray {ray.__version__} lets whoever reaches its port run code (CVE-2025-62593, CVE-2023-48022)",
            fix="Install Ray 2.52 or newer on every machine of the cluster",
        )
    return ray


@contextmanager
def _with_token(token_file: Path | None) -> Iterator[None]:
    """Let Ray find its token, in the environment and nowhere else, as long as this lasts."""
    given = {TOKEN_FILE: str(token_file)} if token_file is not None else {}
    if not (given or os.environ.get(TOKEN_FILE) or os.environ.get(TOKEN)):
        raise ClusterRefused(
            "planning on a cluster needs its token: without one anybody who reaches it runs code there",
            fix="Write its file into ray_token_file, or into the environment as RAY_AUTH_TOKEN_PATH",
        )
    before = {name: os.environ.get(name) for name in (TOKEN_FILE, MODE)}
    os.environ.update({**given, MODE: "token"})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _knock(address: str) -> None:
    """Raise OSError where nobody listens at ``HOST:PORT``: Ray itself asks for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdigit() and "/" not in host:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
