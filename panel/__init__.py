"""What the data says: files, labels, the aligned panel, splits in time and scores.

Importing this package loads none of its modules; each name loads its own when first used, so opening a panel
needs numpy alone.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from panel.aligned import Column, Panel, open_panel
    from panel.errors import (
        BadData,
        BadHorizon,
        BadPrediction,
        DataNotFound,
        NoTargets,
        PanelDamaged,
        PanelError,
        TooShort,
        UnknownColumn,
        UnknownSymbol,
    )
    from panel.files import SymbolFiles, find_symbol_files
    from panel.folds import Fold, Holdout, holdout, holdout_from, walk_forward
    from panel.horizon import Horizon, horizon_bars, horizon_name, parse_horizon
    from panel.labels import LabelSummary, label_bars, label_directory
    from panel.metrics import (
        Score,
        error_reduction,
        no_skill,
        persistence,
        rank_ic,
        score,
        score_difference,
        skill,
    )
    from panel.names import safe_file_name
    from panel.prepare import prepare_panel

_MODULES = {
    "panel.aligned": ("Column", "Panel", "open_panel"),
    "panel.errors": (
        "BadData",
        "BadHorizon",
        "BadPrediction",
        "DataNotFound",
        "NoTargets",
        "PanelDamaged",
        "PanelError",
        "TooShort",
        "UnknownColumn",
        "UnknownSymbol",
    ),
    "panel.files": ("SymbolFiles", "find_symbol_files"),
    "panel.folds": ("Fold", "Holdout", "holdout", "holdout_from", "walk_forward"),
    "panel.horizon": ("Horizon", "horizon_bars", "horizon_name", "parse_horizon"),
    "panel.labels": ("LabelSummary", "label_bars", "label_directory"),
    "panel.metrics": (
        "Score",
        "error_reduction",
        "no_skill",
        "persistence",
        "rank_ic",
        "score",
        "score_difference",
        "skill",
    ),
    "panel.names": ("safe_file_name",),
    "panel.prepare": ("prepare_panel",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "BadData",
    "BadHorizon",
    "BadPrediction",
    "Column",
    "DataNotFound",
    "Fold",
    "Holdout",
    "Horizon",
    "LabelSummary",
    "NoTargets",
    "Panel",
    "PanelDamaged",
    "PanelError",
    "Score",
    "SymbolFiles",
    "TooShort",
    "UnknownColumn",
    "UnknownSymbol",
    "error_reduction",
    "find_symbol_files",
    "holdout",
    "holdout_from",
    "horizon_bars",
    "horizon_name",
    "label_bars",
    "label_directory",
    "no_skill",
    "open_panel",
    "parse_horizon",
    "persistence",
    "prepare_panel",
    "rank_ic",
    "safe_file_name",
    "score",
    "score_difference",
    "skill",
    "walk_forward",
]


def __getattr__(name: str) -> object:
    """Load the module a public name lives in, on first use."""
    if name not in _HOME:
        raise AttributeError(f"module 'panel' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """The public names."""
    return sorted(__all__)
