"""``models promote``: a name of its own for a model, in the log, and used in the model's place."""

from __future__ import annotations

import getpass
from pathlib import Path

import pytest
from cli_samples import GPU, TRAINED, Call

from daemon.cli.bundles import bundle_of
from store import PlanStore


def test_a_model_gets_a_name_and_is_found_by_it(call: Call, filled: PlanStore) -> None:
    """Rehearsed, recorded with who and why, listed, and taken for the model's bundle."""
    assert "no model has a name of its own yet" in call("models", "promote").out
    head = filled.head_seq()
    assert call("models", "promote", TRAINED, "--as", "champion", "--dry-run").out.startswith(
        f"champion would be {TRAINED}  rank_ic +0.200"
    )
    assert filled.head_seq() == head
    done = call("models", "promote", TRAINED, "--as", "champion", "--reason", "the best so far")
    assert done.out.startswith(f"champion is {TRAINED}  rank_ic +0.200")
    (event,) = filled.events(kinds=("ModelPromoted",))
    assert (event.actor, event.data["reason"]) == (getpass.getuser(), "the best so far")
    assert (
        f"champion is {TRAINED} already, since " in call("models", "promote", TRAINED, "--as", "champion").out
    )
    (listed,) = call("models", "promote", "--json").document["models"]
    assert (listed["alias"], listed["name"], listed["bundle"]) == ("champion", TRAINED, "models/b")
    assert "the best so far" in call("models", "promote").out
    assert bundle_of("champion", {}) == Path("models/b")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ((TRAINED,), 2, "--as NAME"),
        ((TRAINED, "--as", "a/b"), 2, "--as NAME"),
        ((TRAINED, "--as", "f_0123"), 2, "--as NAME"),
        (("--as", "champion"), 2, "name the fit"),
        ((GPU, "--as", "champion"), 4, "it has no model"),
        (("cs_y_range_5d/LightGMB", "--as", "champion"), 4, f"did you mean {TRAINED}?"),
    ],
)
def test_what_is_no_model_or_no_name_is_refused(
    call: Call, filled: PlanStore, words: tuple[str, ...], code: int, told: str
) -> None:
    """In a sentence, and nothing is recorded."""
    done = call("models", "promote", *words)
    assert done.code == code
    assert told in done.err
    assert filled.events(kinds=("ModelPromoted",)) == ()
