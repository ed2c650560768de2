"""What a measurement's key names: the columns it read and nothing else."""

from __future__ import annotations

from pathlib import Path

import planner_samples as samples
import pytest

from planner.keys import features_key, target_key


def test_a_key_survives_what_the_measurement_did_not_read(tmp_path: Path) -> None:
    """One more target and a changed feature that is not used leave it; any column that is read changes it."""
    before = samples.panel_of(samples.frames(300), tmp_path / "before")
    data = samples.frames(300)
    for frame in data.values():
        frame["y_more_1d"] = frame["y_luck_1d"] * 2
    data["BBB"].loc[7, "delta"] += 1.0
    after = samples.panel_of(data, tmp_path / "after")
    assert before.key != after.key

    def keys(target: str, features: tuple[str, ...]) -> list[object]:
        return [target_key(panel, panel.column(target), features) for panel in (before, after)]

    one, two = keys("y_luck_1d", ("alpha", "beta"))
    assert one == two
    one, two = keys("y_luck_1d", ("alpha", "delta"))
    assert one != two


def test_a_key_knows_target_features_and_horizon_but_not_their_order(tmp_path: Path) -> None:
    """Every part that a number depends on makes another key; the order features are named in does not."""
    data = samples.write(samples.frames(300), tmp_path / "data")
    panel = samples.prepare_panel(data, symbols=None, cache_dir=tmp_path / "cache")
    longer = samples.prepare_panel(
        data, symbols=None, cache_dir=tmp_path / "cache", horizons={"y_luck_1d": 3}
    )
    made = [
        target_key(panel, panel.column("y_luck_1d"), ("alpha", "beta")),
        target_key(panel, panel.column("y_luck_1d"), ("alpha", "gamma")),
        target_key(panel, panel.column("y_luck_1d"), ("alpha",)),
        target_key(panel, panel.column("y_linear_1d"), ("alpha", "beta")),
        target_key(longer, longer.column("y_luck_1d"), ("alpha", "beta")),
    ]
    assert len({str(key) for key in made}) == len(made)
    assert features_key(panel, ("beta", "alpha")) == features_key(panel, ("alpha", "beta", "alpha"))


def test_a_panel_without_digests_gives_no_key(tmp_path: Path) -> None:
    """A panel stored by an older version names nothing by content, so nothing is taken for it."""
    panel = samples.panel_of(samples.frames(300), tmp_path)
    panel.digests = {}
    with pytest.raises(KeyError):
        target_key(panel, panel.column("y_luck_1d"), ("alpha",))
