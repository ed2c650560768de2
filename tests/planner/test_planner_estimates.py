"""Estimates: by past fits of the family where there are any, else built-in; each says which."""

from __future__ import annotations

import pytest

from executors.families import FAMILIES, resolve
from planner.estimates import estimate_fit, estimates_source

PAST = {"LightGBM": {"fits": 12, "seconds_at_least": 2.0, "seconds_per_megacell": 3.0}}


def test_past_fits_decide_over_the_built_in_figures() -> None:
    """Start and slope of the family's own past, and how many fits stand behind it."""
    found = estimate_fit(resolve("LightGBM"), rows=100_000, features=20, past=PAST)
    assert found == {
        "rows": 100_000,
        "seconds": 8.0,
        "memory_bytes": 150 * 2**20 + 12 * 2_000_000,
        "source": "12 past fits",
    }


def test_a_family_without_a_past_falls_back() -> None:
    """Another family's fits say nothing of this one."""
    assert estimate_fit(resolve("XGBoost"), rows=10, features=2, past=PAST)["source"] == "built-in"
    assert estimate_fit(resolve("XGBoost"), rows=10, features=2, past={})["source"] == "built-in"


def test_one_fit_is_said_in_the_singular() -> None:
    """A single past fit is a weak witness, and named as one."""
    past = {"LightGBM": {**PAST["LightGBM"], "fits": 1}}
    assert estimate_fit(resolve("LightGBM"), rows=1, features=1, past=past)["source"] == "1 past fit"


@pytest.mark.parametrize(("rows", "features"), [(None, 20), (1000, None)])
def test_what_has_no_size_has_no_estimate(rows: int | None, features: int | None) -> None:
    """A plan of the older system says neither rows nor features."""
    found = estimate_fit(resolve("LightGBM"), rows=rows, features=features)
    assert (found["rows"], found["seconds"], found["memory_bytes"]) == (rows, None, None)


def test_every_family_costs_something_and_more_with_more_cells() -> None:
    """No family is free, and the GPU stage takes the memory of its libraries."""
    for family in FAMILIES:
        small, large = (estimate_fit(family, rows=rows, features=10) for rows in (1_000, 1_000_000))
        assert 0 < (small["seconds"] or 0) < (large["seconds"] or 0)
        assert 0 < (small["memory_bytes"] or 0) < (large["memory_bytes"] or 0)


def test_the_plan_says_what_its_estimates_were_made_from() -> None:
    """Past costs are an input: with the same ones the same bytes, so they are written down."""
    assert estimates_source(None) == estimates_source({}) == {"source": "built-in", "families": {}}
    assert estimates_source(PAST) == {"source": "past fits", "families": PAST}
