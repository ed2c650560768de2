"""What a measurement is made from, named by content: the part of a cache key that comes from the data.

A key names the digests of the columns that were read, not the panel's own key: one more target, or one
changed column, leaves every other measurement valid.
"""

from collections.abc import Iterable
from typing import Any

from panel.aligned import Column, Panel
from planner.cache import fingerprint


def target_key(panel: Panel, column: Column, features: Iterable[str]) -> dict[str, Any]:
    """Return what one target's measurement reads of the panel: its rows, its own column, its features.

    Plain JSON values, the same for any order of `features`. Settings, seed, the first hidden time code and
    the version of the step are the caller's to add.

    Raises:
        KeyError: a feature is not a stored column, or the panel was stored before digests were kept.
    """
    return {
        "layout": panel.layout_digest,
        "target": column.name,
        "target_digest": panel.digests[column.name],
        "task": column.task,
        "horizon_bars": column.horizon_bars,
        "classes": list(column.classes),
        "features": features_key(panel, features),
    }


def features_key(panel: Panel, features: Iterable[str]) -> str:
    """Return 32 hex digits of the names and digests of features, whatever their order.

    Raises:
        KeyError: a feature is not a stored column, or the panel was stored before digests were kept.
    """
    return fingerprint(sorted((name, panel.digests[name]) for name in set(features)))
