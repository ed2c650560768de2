"""A daemon under measurement: the command itself in a process of its own, its drop folder and its log."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil

from benchmarks.executors.panels import Size, make_panel, target_name
from daemon.settings import Settings
from store import EventRow, PlanStore, open_store

PATIENCE_SECONDS = 600.0
LOOK_SECONDS = 0.01
ROOT = Path(__file__).parents[2]


class Living:
    """A daemon with default settings but for its places and slots; it ends with its context."""

    def __init__(
        self,
        folder: Path,
        size: Size,
        *,
        slots: int,
        params: Mapping[str, Any] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self._size = folder, size
        make_panel(folder, size)
        horizons = {target_name(number): 1 for number in range(size.targets)}
        self._tables: dict[str, dict[str, Any]] = {
            "daemon": {
                "results_dir": str(folder / "results"),
                "output_dir": str(folder / "output"),
                "inbox_dir": str(folder / "inbox"),
                "data_dir": str(folder / size.name / "data"),
                "cpu_slots": slots,
                "gpu_slots": 0,
                "disk_floor_bytes": 1_000_000,
                "web_listen": "off",
                **(more or {}),
            },
            "data": {"horizons": horizons},
            "training": {"params": dict(params or {})},
        }
        self.settings = Settings.from_sources(self._tables)
        self.inbox = self.settings.inbox_dir
        self._number = 0

    def __enter__(self) -> Self:
        config = self.folder / "host.toml"
        config.write_text(toml(self._tables), encoding="utf-8")
        words = [sys.executable, "-m", "daemon", "--config", str(config)]
        with (self.folder / "host.log").open("ab") as log:
            self._process = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)
        self.store: PlanStore = open_store(self.settings.database_url)
        try:
            self.await_event(0, "DaemonStarted")
        except RuntimeError:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.store.close()
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    @property
    def process(self) -> psutil.Process:
        """The daemon's own process."""
        return psutil.Process(self._process.pid)

    def drop(self, document: Mapping[str, Any]) -> float:
        """Write a plan beside the drop folder and rename it in; returns the moment, in seconds of time."""
        self._number += 1
        own = self.folder / f"plan-{self._number}"
        own.mkdir()
        (own / "master_training_plan.json").write_text(json.dumps(document), encoding="utf-8")
        at = time.time()
        own.rename(self.inbox / own.name)
        return at

    def await_event(self, after: int, kind: str) -> EventRow:
        """Wait for the first event of a kind behind a seq.

        Raises:
            RuntimeError: it does not come, or the daemon ended.
        """
        return self._await(lambda: next(iter(self.store.events(after=after, kinds=[kind])), None), kind)

    def _await(self, look: Callable[[], EventRow | None], what: str) -> EventRow:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := look()) is None:
            if self._process.poll() is not None:
                raise RuntimeError(f"the daemon ended: see {self.folder / 'host.log'}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"no {what} in {PATIENCE_SECONDS:.0f} s: see {self.folder / 'host.log'}")
            time.sleep(LOOK_SECONDS)
        return found

    def events(self, *kinds: str, after: int = 0) -> list[EventRow]:
        """All events of these kinds behind a seq, in order."""
        found: list[EventRow] = []
        while page := self.store.events(after=found[-1].seq if found else after, kinds=kinds):
            found.extend(page)
        return found


def job(target: str, families: Sequence[str], symbol: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 (as JSON has them)
    """Return a job as a plan has it."""
    return {
        "job_id": f"sym_{target}_{symbol}" if symbol else f"cs_{target}",
        "target": target,
        "symbol": symbol,
        "route": "ROUTE_SYMBOL_SPECIFIC" if symbol else "ROUTE_CROSS_SECTIONAL",
        "training_type": "symbol_specific" if symbol else "cross_sectional",
        "model_families": list(families),
        "priority": 2,
        "reason": "measured",
        "metadata": more,
    }


def plan_of(*jobs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of a plan of these jobs."""
    return {"metadata": {}, "jobs": list(jobs)}


def toml(tables: Mapping[str, Mapping[str, Any]]) -> str:
    """Return tables as TOML; JSON writes strings, numbers and lists alike."""
    lines = []
    for name, table in tables.items():
        lines.append(f"[{name}]")
        lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_value(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)
