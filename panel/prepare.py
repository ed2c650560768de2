"""From data files to an opened panel, built once."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from panel.aligned import Panel


def prepare_panel(
    data_dir: Path,
    *,
    symbols: Sequence[str] | None,
    cache_dir: Path,
    target_patterns: Sequence[str] = (),
    horizons: Mapping[str, int] | None = None,
    interval: str | None = None,
    force_refresh: bool = False,
) -> Panel:
    """The aligned panel of a data directory (signature only at this moment; the body follows)."""
    raise NotImplementedError
