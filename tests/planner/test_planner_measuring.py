"""Measurements through the cache: only what changed is measured, and alone it measures the same."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import pandas as pd
import planner_samples as samples
import pytest

from panel.aligned import Panel
from panel.folds import holdout_from
from planner.cache import Cache
from planner.measuring import PROBES, SKILL, probes_of, skills_of
from planner.skill import Measured

Frames = Mapping[str, pd.DataFrame]


def measured(panel: Panel, cache: Cache, features: tuple[str, ...] = samples.FEATURES) -> dict[str, Measured]:
    """The skill of every target of a panel, from some features."""
    wanted = {column.name: features for column in panel.targets}
    found = skills_of(
        panel,
        wanted,
        samples.quick_config().ranking,
        cache,
        until=holdout_from(panel),
        seed=1,
        advance=lambda *_: None,
    )
    return {one.target: one for one in found}


def with_more(data: Frames) -> dict[str, pd.DataFrame]:
    """The same data with one more target and another value in one feature."""
    made = {symbol: table.copy() for symbol, table in data.items()}
    for table in made.values():
        table["y_more_1d"] = table["y_luck_1d"].shift(3)
    made["BBB"].loc[7, "delta"] += 1.0
    return made


@pytest.mark.slow
def test_only_what_changed_is_measured_again(tmp_path: Path) -> None:
    """One more target is one more measurement; a changed feature concerns those who read it."""
    data = samples.frames(rows=500)
    before = samples.panel_of(data, tmp_path / "before")
    after = samples.panel_of(with_more(data), tmp_path / "after")
    three = ("alpha", "beta", "gamma")
    first, more, all_four = (Cache(tmp_path / "cache") for _ in range(3))
    old = measured(before, first, three)
    new = measured(after, more, three)
    measured(after, all_four)
    assert (first.hits[SKILL], first.misses[SKILL]) == (0, 3)
    assert (more.hits[SKILL], more.misses[SKILL]) == (3, 1)
    assert (all_four.hits[SKILL], all_four.misses[SKILL]) == (0, 4)
    assert {target: new[target] for target in old} == old


def test_a_target_alone_measures_as_among_others(tmp_path: Path) -> None:
    """What the cache keeps of a target does not depend on which others were measured with it."""
    data = samples.frames(rows=500)
    panel = samples.panel_of(data, tmp_path / "all")
    together = measured(panel, Cache(tmp_path / "together"))
    for target in together:
        others = [column.name for column in panel.targets if column.name != target]
        one = {symbol: table.drop(columns=others) for symbol, table in data.items()}
        alone = measured(samples.panel_of(one, tmp_path / target), Cache(tmp_path / target / "alone"))
        assert alone[target] == together[target]


def test_a_target_is_measured_again_among_other_features(tmp_path: Path) -> None:
    """The width of a product shows in its last digit; the same bytes need the same company."""
    panel = samples.panel_of(samples.frames(rows=500), tmp_path)
    until, ranking = holdout_from(panel), samples.quick_config().ranking
    own = {"y_linear_1d": ("alpha", "gamma")}
    more, same = {"y_luck_1d": ("beta", "delta")}, {"y_luck_1d": ("gamma",)}
    for others, known in ((more, 0), (same, 1)):
        cache = Cache(tmp_path / str(known))
        skills_of(panel, own, ranking, cache, until=until, seed=1, advance=lambda *_: None)
        again = Cache(tmp_path / str(known))
        skills_of(panel, {**own, **others}, ranking, again, until=until, seed=1, advance=lambda *_: None)
        assert (again.hits[SKILL], again.misses[SKILL]) == (known, 2 - known)


def test_any_number_of_jobs_measures_the_same(tmp_path: Path) -> None:
    """Targets in one group or each in its own: equal to the last digit, and one entry of the cache."""
    panel = samples.panel_of(samples.frames(rows=500), tmp_path)
    wanted = {column.name: samples.FEATURES for column in panel.targets}
    found = []
    for jobs in (1, 3):
        ranking = dataclasses.replace(samples.quick_config().ranking, jobs=jobs)
        found.append(
            skills_of(
                panel,
                wanted,
                ranking,
                Cache(tmp_path / "cache", refresh=True),
                until=holdout_from(panel),
                seed=1,
                advance=lambda *_: None,
            )
        )
    assert found[0] == found[1]
    assert len(list((tmp_path / "cache" / SKILL).iterdir())) == len(wanted)


def test_what_is_read_back_is_what_was_measured(tmp_path: Path) -> None:
    """From the cache come the same records, of skill and of probes; a refresh measures them to the same."""
    panel = samples.panel_of(samples.frames(rows=500), tmp_path)
    until = holdout_from(panel)

    def both(cache: Cache) -> tuple[object, object]:
        found = probes_of(panel, samples.FEATURES, cache, until=until, tell=lambda *_: None)
        return measured(panel, cache), [repr(one) for one in found]

    fresh, known = Cache(tmp_path / "cache"), Cache(tmp_path / "cache")
    anew = Cache(tmp_path / "cache", refresh=True)
    first = both(fresh)
    assert both(known) == first
    assert both(anew) == first
    assert known.answered(SKILL)
    assert known.answered(PROBES)
    assert not anew.answered(SKILL)
