"""What `doctor` says of the tracking server."""

from __future__ import annotations

import pytest
from cli_samples import Call

from daemon.cli import tracking_checks
from daemon.cli.configuration import settings_for
from daemon.cli.findings import Asked, Finding
from daemon.cursor import Cursor
from daemon.tracking import tracking_duty
from store import PlanStore

URI = "http://127.0.0.1:5000"


def looked(**given: object) -> list[Finding]:
    """What is found with these settings."""
    return list(tracking_checks.tracking(Asked(settings=settings_for(None, **given), config=None)))


def test_without_a_server_nothing_is_said(filled: PlanStore) -> None:
    """It is an extra that few have."""
    assert looked() == []


def test_what_was_not_told_yet_is_counted(filled: PlanStore) -> None:
    """All that ended before the first start; nothing once the cursor is behind it."""
    (one,) = looked(mlflow_uri=URI)
    assert (one.state, one.words) == ("warn", f"{URI} was not told yet of 2 ends of fits")
    duty = tracking_duty(settings_for(None, mlflow_uri=URI))
    Cursor(duty, filled.head_seq()).save(filled)
    (one,) = looked(mlflow_uri=URI)
    assert (one.state, one.words) == ("ok", f"{URI} was told of every fit that ended")


def test_a_missing_extra_is_told_with_its_fix(filled: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name for pip."""
    monkeypatch.setattr(tracking_checks, "find_spec", lambda name: None)
    (one,) = looked(mlflow_uri=URI)
    assert (one.state, one.fix) == ("warn", "pip install 'trainwright[mlflow]'")


def test_doctor_shows_it(call: Call, filled: PlanStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the others."""
    monkeypatch.setenv("TRAINWRIGHT_MLFLOW_URI", URI)
    findings = call("doctor", "--json").document["findings"]
    assert [one["state"] for one in findings if one["name"] == "tracking"] == ["warn"]
