"""How one fit is done: the family catalogue, the contract with the child process, checkpoints and bundles.

Names load on first use, so that the catalogue costs a caller no training library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from executors.bundle import Bundle, load_bundle
    from executors.cards import FoundCard, cards
    from executors.contract import (
        Checkpointed,
        Failed,
        FitSpec,
        Outcome,
        Progressed,
        Report,
        Started,
        Stopped,
        Succeeded,
        decode,
        encode,
        is_outcome,
    )
    from executors.errors import BundleDamaged, ExecutorsError, UnknownFamily
    from executors.families import FAMILIES, Family, availability, resolve
    from executors.process import Child, start

__all__ = [
    "FAMILIES",
    "Bundle",
    "BundleDamaged",
    "Checkpointed",
    "Child",
    "ExecutorsError",
    "Failed",
    "Family",
    "FitSpec",
    "FoundCard",
    "Outcome",
    "Progressed",
    "Report",
    "Started",
    "Stopped",
    "Succeeded",
    "UnknownFamily",
    "availability",
    "cards",
    "decode",
    "encode",
    "is_outcome",
    "load_bundle",
    "resolve",
    "start",
]

_NAMES_OF_MODULE = {
    "bundle": ("Bundle", "load_bundle"),
    "cards": ("FoundCard", "cards"),
    "contract": (
        *("FitSpec", "Report", "Outcome", "Started", "Progressed", "Checkpointed"),
        *("Succeeded", "Failed", "Stopped", "encode", "decode", "is_outcome"),
    ),
    "errors": ("ExecutorsError", "BundleDamaged", "UnknownFamily"),
    "families": ("FAMILIES", "Family", "resolve", "availability"),
    "process": ("Child", "start"),
}
_MODULE_OF_NAME = {name: module for module, names in _NAMES_OF_MODULE.items() for name in names}


def __getattr__(name: str) -> object:
    """Load the module that holds `name` on first use (PEP 562)."""
    if name not in _MODULE_OF_NAME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULE_OF_NAME[name]}"), name)
    globals()[name] = value
    return value
