"""Data, plans and places for the tests of the training host."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from daemon.settings import Settings
from store import EventRow, PlanStore

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
