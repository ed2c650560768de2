"""A host whose fits run on a real cluster, with data, plans and a loop that a test turns."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from daemon_samples import PATIENCE_SECONDS, all_events, document, job, write_data
from ray_cluster import RayCluster

from daemon.cli.configuration import settings_for
from daemon.engine.dispatcher import EngineDispatcher
from daemon.host import Host
from daemon.service import submit_plan
from daemon.settings import Settings
from store import PlanStore, open_store

PROGRAM = Path(sys.executable).parent / "trainwright"
LONG_FIT = {"LightGBM": {"n_estimators": 400, "learning_rate": 0.01, "early_stopping_rounds": 0}}
TURNS_SECONDS = 3 * PATIENCE_SECONDS


class RaySite:
    """A folder with data, settings and a log; its host is turned in the test's own thread."""

    def __init__(self, folder: Path, cluster: RayCluster, **settings: Any) -> None:
        self.folder, self.cluster = folder, cluster
        write_data(folder / "data", rows=1500)
        self.config = folder / "trainwright.toml"
        given = {
            "engine": "ray",
            "ray_address": cluster.address,
            "ray_token_file": str(cluster.token_file),
            "ray_command": [str(PROGRAM)],
            "ray_config": str(self.config),
            "results_dir": str(folder / "results"),
            "data_dir": str(folder / "data"),
            "web_listen": "off",
            "poll_seconds": 0.05,
            "lease_seconds": 10.0,
            "checkpoint_rounds": 5,
            "checkpoint_seconds": 0.2,
            **settings,
        }
        lines = (f"{name} = {_toml(value)}" for name, value in given.items())
        self.config.write_text("[daemon]\n" + "\n".join(lines) + "\n", encoding="utf-8")
        self.settings: Settings = settings_for(self.config)
        self.store: PlanStore = open_store(self.settings.database_url, policy=self.settings.retry_policy)

    def accept(self, *targets: str, params: Mapping[str, Any] | None = None, **metadata: Any) -> str:
        """Accept a plan of one fit for each target; returns its id."""
        training = {} if params is None else {"params": dict(params)}
        jobs = [job(target=target) for target in targets]
        plan = {**document(*jobs, **metadata), **({"training": training} if training else {})}
        return submit_plan(self.settings, self.store, plan).plan_id

    def turned(self, until: Callable[[], Any], what: str) -> Any:
        """Turn a host's loop until a condition holds, and return its answer; the host is stopped then."""
        with closing(Host(self.settings, self.store)) as host:
            assert isinstance(host.dispatcher, EngineDispatcher)
            host.start()
            try:
                return turned(host, until, what)
            finally:
                host.stop("the test is over")

    def count(self, kind: str) -> int:
        """How many events of a kind the log has."""
        return len(all_events(self.store, kind))


def turned(host: Host, until: Callable[[], Any], what: str) -> Any:
    """Turn a loop until a condition holds; its answer."""
    late = threading.Event()
    timer = threading.Timer(TURNS_SECONDS, late.set)
    timer.daemon = True
    timer.start()
    try:
        while not late.is_set():
            host.turn()
            if found := until():
                return found
            host.wait(0.05)
    finally:
        timer.cancel()
    raise AssertionError(f"in {TURNS_SECONDS} s there was no {what}")


def _toml(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
