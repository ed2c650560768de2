"""The panel of the settings' data, prepared for a command that reads it in its own process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from daemon.settings import Settings
from daemon.workplace import Workplace
from panel import Panel, prepare_panel


def panel_of(settings: Settings, *, symbols: Sequence[str] | None = None) -> Panel:
    """Return the panel of the settings' data; `symbols` serve where the settings name none.

    Raises:
        PanelError: the data cannot be read or has no targets.
    """
    return prepare_panel(
        settings.data_dir or Path(),
        symbols=settings.symbols or symbols,
        cache_dir=Workplace.of(settings).cache_dir,
        target_patterns=settings.target_patterns,
        horizons=settings.horizons,
        interval=settings.interval,
    )
