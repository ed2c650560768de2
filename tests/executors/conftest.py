"""Small generated panels, and a fit specification to vary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from executor_children import Starter
from executor_children import started as started_cold
from executor_panels import SYMBOLS, symbol_frame, write_panel

from executors.contract import FitSpec
from executors.process import Child
from executors.warm import WarmServers
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


@pytest.fixture(scope="module")
def servers() -> Iterator[WarmServers]:
    """Warm servers that the tests of a module share."""
    made = WarmServers()
    yield made
    made.close()


@pytest.fixture(params=["cold", "warm"])
def started(request: pytest.FixtureRequest, servers: WarmServers) -> Starter:
    """Both ways to start a child, its log and its spec in a directory."""

    def warm(spec: FitSpec, directory: Path, *, log_path: Path | None = None) -> Child:
        spec_path = directory / f"spec-{spec.fence}.json"
        return servers.start(spec, log_path=log_path or directory / "fit.log", spec_path=spec_path)

    return started_cold if request.param == "cold" else warm
