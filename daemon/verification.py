"""Predicting again what a saved model has on record, on the very panel it was trained on."""

from __future__ import annotations

from pathlib import Path

from daemon.errors import DaemonError
from daemon.panels import panel_of
from daemon.settings import Settings
from daemon.workplace import Workplace
from executors.bundle import Bundle
from executors.replaying import Replay, replay
from panel import Panel, open_panel


class NoPanel(DaemonError):
    """The panel that a model was trained on is not here."""

    exit_code = 4

    def __init__(self, bundle: Bundle, place: Path) -> None:
        super().__init__(
            f"the data of {bundle.card['job']}/{bundle.card['family']} is not prepared here",
            where=str(place),
            fix="name the directory of its files with --data-dir",
        )


def verified(
    settings: Settings, bundle: Bundle, *, from_data: bool = False, tolerance: float = 0.0
) -> Replay:
    """Predict the bundle's recorded test rows again and return how many there were.

    On the panel the plan prepared; on the settings' data where that is gone or `from_data` is asked.

    Raises:
        ReplayFailed: a prediction differs by more than `tolerance`, or its row is not in the data.
        NoPanel: the plan's panel is gone and no data is named.
    """
    found = replay(bundle, trained_on(settings, bundle, from_data=from_data))
    found.check(bundle, tolerance=tolerance)
    return found


def trained_on(settings: Settings, bundle: Bundle, *, from_data: bool = False) -> Panel:
    """Return the panel the plan prepared, or that of the settings' data as `verified` chooses.

    Raises:
        NoPanel: the plan's panel is gone and no data is named.
    """
    place = Workplace.of(settings).cache_dir / "panels" / str(bundle.card["panel_key"])
    if place.is_dir() and not from_data:
        return open_panel(place)
    if settings.data_dir is None:
        raise NoPanel(bundle, place)
    symbol = bundle.card["symbol"]
    return panel_of(settings, symbols=(symbol,) if symbol else None)
