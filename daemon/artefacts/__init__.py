"""Panels, states, models and logs of fits, where every host of an event log finds them.

`opened` gives the one interface to them; what lies behind it is a shared directory or object storage.
"""

from daemon.artefacts.errors import Absent, ArtefactsError, Away, Damaged
from daemon.artefacts.keys import bundle_key, checkpoint_key, log_key, panel_key, states_prefix
from daemon.artefacts.opening import artefacts_of, opened
from daemon.artefacts.sets import Artefacts

__all__ = [
    "Absent",
    "Artefacts",
    "ArtefactsError",
    "Away",
    "Damaged",
    "artefacts_of",
    "bundle_key",
    "checkpoint_key",
    "log_key",
    "opened",
    "panel_key",
    "states_prefix",
]
