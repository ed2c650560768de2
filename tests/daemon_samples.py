"""Data, plans and places for the tests of the training host."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daemon.admission import family_entry
from daemon.settings import Settings
from executors.contract import Failed, Outcome, Report, Started, Succeeded
from store import EventRow, PlanStore, complete_plan

PATIENCE_SECONDS = 120.0
TARGET = "fwd_ret_1d"
SYMBOLS = ("AAA", "BBB")


def write_data(
    directory: Path, *, rows: int = 700, features: int = 5, symbols: Sequence[str] = SYMBOLS
) -> Path:
    """Write one file a symbol with a planted target of each kind, and return the directory."""
    directory.mkdir(parents=True, exist_ok=True)
    for place, symbol in enumerate(symbols):
        random = np.random.default_rng([place, 4])
        values = random.standard_normal((rows, features)).astype(np.float32)
        frame = pd.DataFrame(values, columns=[f"f{number}" for number in range(features)])
        frame.insert(0, "ts", pd.date_range("2015-01-01", periods=rows, freq="D", tz="UTC"))
        frame[TARGET] = (0.4 * frame["f0"] + random.standard_normal(rows)).astype(np.float32)
        frame["y_up_1d"] = (frame[TARGET] > 0).astype(np.float32)
        if place == 0:
            frame["y_only_1d"] = random.standard_normal(rows).astype(np.float32)
        frame.to_parquet(directory / f"{symbol}.parquet")
    return directory


def job(
    families: Sequence[str] | None = ("LightGBM",),
    *,
    target: str = TARGET,
    symbol: str | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """A job as the older system writes it."""
    return {
        "job_id": f"sym_{target}_{symbol}" if symbol else f"cs_{target}",
        "target": target,
        "symbol": symbol,
        "route": "ROUTE_SYMBOL_SPECIFIC" if symbol else "ROUTE_CROSS_SECTIONAL",
        "training_type": "symbol_specific" if symbol else "cross_sectional",
        **({} if families is None else {"model_families": list(families)}),
        "priority": 2,
        "reason": "for a test",
        "metadata": {},
        **fields,
    }


def document(*jobs: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
    """A plan document of these jobs."""
    return {"metadata": metadata, "jobs": [dict(one) for one in jobs or (job(),)]}


def settings_in(directory: Path, **overrides: Any) -> Settings:
    """Settings of an installation in a directory, quick enough for tests."""
    given = {
        "results_dir": directory / "results",
        "data_dir": directory / "data",
        "cpu_slots": 2,
        "settle_seconds": 0.0,
        "rescan_seconds": 0.1,
        "poll_seconds": 0.02,
        "progress_seconds": 0.0,
        "web_listen": "off",
    }
    return Settings.from_sources({}, {}, {**given, **overrides})


def write_plan(
    directory: Path, content: Mapping[str, Any] | str, name: str = "master_training_plan.json"
) -> Path:
    """Write a plan's master file into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    text = content if isinstance(content, str) else json.dumps(content)
    (directory / name).write_text(text, encoding="utf-8")
    return directory


def drop(inbox: Path, name: str, content: Mapping[str, Any] | str) -> Path:
    """Put a plan into the drop folder as a whole: written under a hidden name, renamed."""
    return write_plan(inbox / f".{name}", content).rename(inbox / name)


def await_that(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true answer of a condition; fail when there is none in time."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)  # between two looks at a real condition
    raise AssertionError(f"in {PATIENCE_SECONDS} s there was no {what}")


def all_events(store: PlanStore, *kinds: str) -> list[EventRow]:
    """All events of the log, of these kinds if any are given."""
    found: list[EventRow] = []
    while page := store.events(after=found[-1].seq if found else 0, kinds=kinds or None):
        found.extend(page)
    return found


class FakeClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeChild:
    """A child that says what a test tells it to say; it is nobody's process."""

    pid = 2**22 + 1  # beyond every pid

    def __init__(self) -> None:
        self.said: list[Report] = []
        self.ends_with: Outcome | None = None
        self.returncode: int | None = None
        self.was_asked_to_stop = self.was_killed = self.was_closed = False

    def fileno(self) -> int:
        """No descriptor."""
        return -1

    def says(self, *reports: Report) -> None:
        """Report something."""
        self.said.extend(reports)

    def ends(self, outcome: Outcome) -> None:
        """End with a last word."""
        self.said.append(outcome)
        self.ends_with, self.returncode = outcome, 0

    def reports(self) -> list[Report]:
        """What was said since the last call."""
        said, self.said = self.said, []
        return said

    def outcome(self) -> Outcome | None:
        """The last word."""
        return self.ends_with

    def stop(self) -> None:
        """Remember that it was asked."""
        self.was_asked_to_stop = True

    def kill(self) -> None:
        """End without a word of its own."""
        self.was_killed = True
        if self.returncode is None:
            self.ends(Failed(cause="internal", sentence="ended", where="", retryable=True))

    def wait(self, timeout_seconds: float | None = None) -> bool:
        """Whether it has ended."""
        return self.returncode is not None

    def close(self) -> None:
        """Remember that it was let go."""
        self.was_closed = True


STARTED = Started(
    device_requested="cpu",
    device_used="cpu",
    device_reason="a family of the CPU stage",
    pid=FakeChild.pid,
    rows_train=70,
    rows_valid=10,
    rows_test=20,
)


def succeeded(bundle: Path) -> Succeeded:
    """A success with a bundle somewhere."""
    return Succeeded(bundle=str(bundle), bundle_sha256="0" * 64, metrics={"score": 0.1})


def accept(store: PlanStore, *jobs: Mapping[str, Any], **metadata: Any) -> str:
    """Accept a plan without looking at any data; returns its id."""
    plan = complete_plan(
        document(*jobs, **metadata),
        family_of=family_entry,
        training={"seed": 42},
        data={"panel_key": "d_1", "panel_path": "nowhere", "output": "o"},
    )
    return store.accept(plan, source="test", name="test").plan_id
