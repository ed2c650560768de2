"""Trainwright from Python and notebooks: what was planned and trained, as tables, curves and models.

    import trainwright as tw

    store = tw.open_store("results")
    store.fits(where="state:succeeded target:y_*").to_pandas()
    store.fit("cs_y_range_5d/LightGBM").curve()

The face is lazy: a name loads its module when it is first asked for, and pandas only when a table of it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.errors import DaemonError
    from executors.errors import ExecutorsError
    from panel.errors import PanelError
    from store.errors import NotFound, PlanRejected, StoreError
    from trainwright.curves import LearningCurve
    from trainwright.fits import Fit
    from trainwright.jobs import Job
    from trainwright.models import Model
    from trainwright.opening import NoStoreHere, open_store
    from trainwright.plans import Plan, StillOpen
    from trainwright.store import Store
    from trainwright.tables import Table
    from trainwright.targets import Target
    from trainwright.words import Done, Why

_HOMES = {
    "daemon.errors": ("DaemonError",),
    "executors.errors": ("ExecutorsError",),
    "panel.errors": ("PanelError",),
    "store.errors": ("NotFound", "PlanRejected", "StoreError"),
    "trainwright.curves": ("LearningCurve",),
    "trainwright.fits": ("Fit",),
    "trainwright.jobs": ("Job",),
    "trainwright.models": ("Model",),
    "trainwright.opening": ("NoStoreHere", "open_store"),
    "trainwright.plans": ("Plan", "StillOpen"),
    "trainwright.store": ("Store",),
    "trainwright.tables": ("Table",),
    "trainwright.targets": ("Target",),
    "trainwright.words": ("Done", "Why"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "DaemonError", "Done", "ExecutorsError", "Fit", "Job", "LearningCurve", "Model", "NoStoreHere",
    "NotFound", "PanelError", "Plan", "PlanRejected", "StillOpen", "Store", "StoreError", "Table", "Target",
    "Why", "open_store",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Return a name of the face, loading its module now; raises AttributeError for any other name."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'trainwright' has no attribute {name!r}")
    found: object = getattr(import_module(home), name)
    return found


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
