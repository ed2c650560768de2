"""Which libraries the process of a fit holds: three kinds, from the lightest to the one that may hold all.

A server forks fits of one kind only, so that a fit of the CPU stage never carries torch, and a boosted one
neither scikit-learn nor pandas. Light: nothing beyond the standard library is imported.
"""

from __future__ import annotations

import importlib.abc
import sys

from executors.contract import FitSpec
from executors.errors import UnknownFamily
from executors.families import BLEND, Family, resolve

BOOSTING, SKLEARN, TORCH = "boosting", "sklearn", "torch"

#: Lightest first; whoever needs two of them is given the heavier one.
KINDS = (BOOSTING, SKLEARN, TORCH)

#: What a family's module imports only once it trains, so that predicting does without: for a server to have.
LATE_IMPORTS = {"ngboost": ("ngboost", "sklearn.tree"), "sklearn": ("sklearn.cluster",)}

_KIND_OF_LIBRARY = {"sklearn": SKLEARN, "ngboost": SKLEARN, "torch": TORCH}


def families_of(spec: FitSpec) -> tuple[str, ...]:
    """Return the families whose code `spec` runs: its own, and those of the parts it is made from."""
    return tuple(dict.fromkeys((spec.family, *(part.family for part in spec.parts))))


def kind_of(spec: FitSpec) -> str:
    """Return the kind of process that can do `spec`.

    A family nobody knows gets the lightest kind: its process will say what is wrong.
    """
    return max((_kind(name) for name in families_of(spec)), key=KINDS.index)


def leave_out_slow_interfaces(kind: str) -> None:
    """Make scikit-learn and pandas unimportable in this process, if fits of `kind` never touch them."""
    if kind == BOOSTING and not any(isinstance(one, _WithoutSlowInterfaces) for one in sys.meta_path):
        sys.meta_path.insert(0, _WithoutSlowInterfaces())


def _kind(name: str) -> str:
    try:
        family = resolve(name)
    except UnknownFamily:
        return BOOSTING
    return SKLEARN if _combines(family) else _KIND_OF_LIBRARY.get(family.library or "", BOOSTING)


def _combines(family: Family) -> bool:
    """Whether it trains members of its own, of whichever library of the CPU stage; a Blend trains nothing."""
    return family.stacks and family is not BLEND


class _WithoutSlowInterfaces(importlib.abc.MetaPathFinder):
    """Makes `import lightgbm` and `import xgboost` take 0.3 s instead of 1.8 s.

    Both import scikit-learn and pandas if they can, for interfaces a fit never touches, and do without if
    they cannot; pyarrow does the same with pandas.
    """

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Say that scikit-learn and pandas are not there, and nothing about all others."""
        del path, target
        if fullname in {"sklearn", "pandas"}:
            raise ModuleNotFoundError(f"{fullname} is left out of a fit's process", name=fullname)
