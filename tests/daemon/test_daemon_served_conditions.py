"""A real daemon under its conditions: a night's plan is made and trained, a closed window holds it back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daemon_samples import all_events, await_that, document, drop, job, settings_in, write_data

from daemon.schedule_state import FOLDER, STATE, read_state
from daemon.settings import Settings
from store import open_store

DAEMON = """
import json, sys
from daemon.service import serve
from daemon.settings import Settings
raise SystemExit(serve(Settings.from_sources({}, {}, json.loads(sys.argv[1]))))
"""
LONG_AGO = {"due_at": "2026-01-01T00:00:00+00:00"}


@contextmanager
def served(settings: Settings, **given: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon in a process of its own; afterwards it is stopped and has ended well."""
    told = {name: getattr(settings, name) for name in ("results_dir", "data_dir", "database_url")}
    words = json.dumps(
        {**told, "cpu_slots": 1, "poll_seconds": 0.02, "settle_seconds": 0, "web_listen": "off", **given},
        default=str,
    )
    with subprocess.Popen([sys.executable, "-P", "-c", DAEMON, words]) as daemon:
        try:
            yield daemon
            os.kill(daemon.pid, signal.SIGTERM)
            assert daemon.wait(120) == 0
        finally:
            daemon.kill()


@pytest.mark.slow
def test_a_plan_that_was_missed_at_night_is_made_and_trained(tmp_path: Path) -> None:
    """The planner runs as a process of its own, its plan is dropped like any other and its fits trained."""
    write_data(tmp_path / "data", rows=1500)
    settings = settings_in(tmp_path)
    (settings.results_dir / FOLDER).mkdir(parents=True)
    (settings.results_dir / FOLDER / STATE).write_text(json.dumps({"anew": LONG_AGO}))
    arguments = ["--data-dir", str(tmp_path / "data"), "--families", "LightGBM", "--auto-features"]
    arguments += ["--targets", "fwd_ret_1d", "--set", 'leakage.trusted=["f0"]']
    arguments += ["--set", "training.params.LightGBM.rounds=10"]
    entry = {"cron": "30 2 1 1 *", "do": "plan", "arguments": arguments, "catch_up": True}
    with served(settings, schedule={"anew": entry}), open_store(settings.database_url) as store:
        await_that(lambda: "ended_at" in read_state(settings.results_dir / FOLDER)["anew"], "planning")
        assert read_state(settings.results_dir / FOLDER)["anew"]["problem"] == ""
        [accepted] = all_events(store, "PlanAccepted")
        assert accepted.data["source"].startswith("inbox/training_plan-")
        await_that(lambda: all_events(store, "PlanCompleted"), "end of the plan")
        assert all_events(store, "FitSucceeded")


@pytest.mark.slow
def test_a_plan_waits_for_its_window_and_starts_when_a_person_opens_it(tmp_path: Path) -> None:
    """It is taken and recorded; its fit is claimed only after `resume`; the stop lifts the host's pause."""
    write_data(tmp_path / "data", rows=300)
    settings = settings_in(tmp_path)
    settings.inbox_dir.mkdir()
    hour = (datetime.now(UTC).hour + 12) % 24
    closed = f"cpu {hour:02}:00-{hour:02}:01"
    with served(settings, windows=[closed], time_zone="UTC"), open_store(settings.database_url) as store:
        drop(settings.inbox_dir, "mine", document(job(), training={}))
        await_that(lambda: all_events(store, "PlanAccepted"), "acceptance")
        [pause] = store.reading.pauses()
        assert f"outside its time windows ({closed})" in pause.reason
        assert all_events(store, "FitClaimed") == []
        store.resume(stage=pause.stage, host=pause.host, actor="alice")
        await_that(lambda: all_events(store, "FitClaimed"), "claim")
    with open_store(settings.database_url) as store:
        assert store.reading.pauses() == ()
