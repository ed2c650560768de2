"""Requests that nobody would think of: every answer is as the description says, and none is a defect.

Half of the names are real ones, so that requests come through. The long form (`make torture`) goes on for ten
minutes.
"""

from __future__ import annotations

import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import reporting
from daemon_samples import settings_in
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from many_jobs import small_log

from daemon.settings import Settings
from daemon.web.app import create_app
from store import open_store

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of its own parts
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.generation import GenerationMode
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_headers_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)
LONG_SECONDS = 600.0
EXAMPLES, EXAMPLES_LONG = 3, 60  # of each address, right and wrong ones each, in one round
NAMES_KEPT = 40

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    """A host whose plan has hostile names."""
    small_log(tmp_path / "results", hostile=True)
    return settings_in(tmp_path, inbox_dir=tmp_path / "inbox")


def known_names(place: Settings) -> dict[str, list[str]]:
    """Names that the log knows, by what addresses call them."""
    with open_store(place.database_url) as store:
        fits = store.reading.fits(limit=NAMES_KEPT)
        plans = [plan.id for plan in store.reading.plans()]
    return {
        "fit": [fit.id for fit in fits],
        "plan": plans,
        "other": plans,
        "name": [name for fit in fits for name in (fit.job_id, fit.target, fit.name)],
    }


@pytest.mark.slow
@pytest.mark.timeout(LONG_SECONDS * 3)
def test_no_request_finds_a_defect(place: Settings) -> None:
    """Right and wrong requests to every address: no 500, nothing that the description does not say."""
    app = create_app(place)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers={"host": "localhost"})
    answers: Counter[int] = Counter()
    names = known_names(place)
    began_at = time.monotonic()
    for number in rounds(began_at):
        for operation in schema.get_all_operations():
            for mode in modes_of(operation.ok()):
                ask(operation.ok(), mode, names, answers, number)
    asked = sum(answers.values())
    reporting.figure(
        "API: fuzzed requests, answers of 500",
        f"{asked:,} in {time.monotonic() - began_at:.0f} s, {answers[500]}",
        bar="0 in 10 min",
        met=not answers[500],
    )
    assert answers[200] > asked // 20
    assert answers[422]


def rounds(began_at: float) -> Iterator[int]:
    """Count rounds: one, or in the long form as many as there is time for."""
    yield 0
    number = 1
    while reporting.LONG and time.monotonic() - began_at < LONG_SECONDS:
        yield number
        number += 1


def modes_of(operation: Any) -> tuple[Any, ...]:
    """Right requests, and wrong ones where there is more than names of the path to be wrong about."""
    takes = operation.query or operation.body
    return tuple(GenerationMode) if takes else (GenerationMode.POSITIVE,)


def ask(operation: Any, mode: Any, names: dict[str, list[str]], answers: Counter[int], number: int) -> None:
    """Ask one address in many ways, each answer checked."""

    @seed(time.time_ns() if reporting.LONG else number)
    @settings(
        max_examples=EXAMPLES_LONG if reporting.LONG else EXAMPLES,
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode), data=st.data())
    def asks(case: Any, data: st.DataObject) -> None:
        for name in case.path_parameters or ():
            if name in names and data.draw(st.booleans(), label="a real name"):
                case.path_parameters[name] = data.draw(st.sampled_from(names[name]))
        if (
            isinstance(case.body, dict)
            and "names" in case.body
            and data.draw(st.booleans(), label="real names")
        ):
            case.body["names"] = data.draw(
                st.lists(st.sampled_from(names["name"] + names["fit"]), max_size=5)
            )
        case.headers = {**(case.headers or {}), "host": "localhost"}
        if case.method == "POST" and case.path.endswith("/plans"):
            case.query = {**(case.query or {}), "wait_seconds": 0}
        response = case.call()
        answers[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    asks()
