"""From data files to an opened panel: recognised by their names, sizes and times, or else built, once."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any

from panel.aligned import Panel
from panel.listing import data_files
from panel.storing import BUILD, building, canonical, indexed_panel, publish, remember


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
    """The aligned panel of a data directory; files seen before are not parsed again.

    `symbols` None means all. `target_patterns` are globs that name targets beyond y_* and fwd_ret_*;
    `horizons` gives bars ahead for targets whose names do not say. `interval` chooses between several bar
    intervals. `force_refresh` parses in any case. The key depends on the content alone: neither on the
    place, order or format of the files nor on the order of symbols and columns.

    Raises:
        DataNotFound, UnknownSymbol, BadData: what is there cannot be read as asked.
        NoTargets: raw bars, or every target was left out.
    """
    options: dict[str, Any] = {
        "symbols": sorted(set(symbols)) if symbols else None,
        "patterns": sorted(set(target_patterns)),
        "horizons": dict(horizons or {}),
        "interval": interval,
    }
    signature = _signature(data_dir, options)
    if not force_refresh and (panel := indexed_panel(cache_dir, signature)) is not None:
        return panel
    with building(cache_dir, signature) as folder:
        if not force_refresh and (panel := indexed_panel(cache_dir, signature)) is not None:
            return panel
        assembly = import_module("panel.assembly")  # the readers take half a second that known files need not
        key: str = assembly.assemble_panel(folder, data_dir, options)
        panel = publish(folder, cache_dir, key)
        remember(cache_dir, signature, key)
    return panel


def _signature(data_dir: Path, options: Mapping[str, Any]) -> str:
    """What makes a second call the same as the first: the files' names, sizes and times, and the options."""
    files = [
        (str(path.resolve()), (state := path.stat()).st_size, state.st_mtime_ns)
        for path in data_files(data_dir)
    ]
    return sha256(canonical({"build": BUILD, "files": files, "options": options})).hexdigest()[:32]
