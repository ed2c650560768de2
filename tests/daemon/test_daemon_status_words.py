"""The daemon's status is one line: the first thing that matters, then what is wrong beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.status_words import status_words

QUIET: dict[str, Any] = {
    "silent_seconds": None, "drains": None, "running": (), "refuses": None, "judging": (), "aside": (),
    "inbox": Path("inbox"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "waiting for plans in inbox"),
        ({"aside": ("no page", "no artefacts")}, "waiting for plans in inbox; no page; no artefacts"),
        ({"judging": ("a", "b")}, "judging a, b"),
        ({"refuses": "the disk is full", "judging": ("a",)}, "no plan is taken: the disk is full"),
        (
            {"drains": "draining: nothing runs here any more", "judging": ("a",)},
            "draining: nothing runs here any more",
        ),
        ({"running": ("a", "b", "c", "d", "e")}, "training a, b, c and 2 more"),
        ({"running": ("a",), "drains": "draining: 1 fit to end"}, "draining: 1 fit to end; training a"),
        ({"running": ("a",), "aside": ("no page",)}, "training a; no page"),
        ({"silent_seconds": 3.2, "running": ("a",)}, "the event log has not answered for 3 s"),
    ],
)
def test_the_first_thing_that_matters_is_said(given: dict[str, Any], words: str) -> None:
    """A log that does not answer before a host that drains, work before what waits."""
    assert status_words(**QUIET | given) == words
