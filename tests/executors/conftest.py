"""Small generated panels, and a fit specification to vary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.contract import FitSpec
from panel.aligned import Panel


@pytest.fixture(scope="session")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Six symbols of 500 business days."""
    frames = {symbol: symbol_frame(symbol, place) for place, symbol in enumerate(SYMBOLS)}
    return write_panel(tmp_path_factory.mktemp("panel"), frames)


SpecMaker = Callable[..., FitSpec]


@pytest.fixture
def make_spec(panel: Panel, tmp_path: Path) -> SpecMaker:
    """Return a maker of specs on the shared panel; keyword arguments replace fields."""
    base = FitSpec(
        plan="p_0123456789abcdef",
        job="cs_fwd_ret_1d",
        fit="f_0123456789abcdef",
        family="LightGBM",
        target="fwd_ret_1d",
        training_type="cross_sectional",
        panel_path=panel.path,
        panel_key=panel.key,
        seed=7,
        checkpoint_dir=tmp_path / "checkpoints",
        checkpoint_seconds=3600.0,
        bundle_path=tmp_path / "bundle",
    )
    return lambda **changes: replace(base, **changes)
