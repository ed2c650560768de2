"""Models side by side: those of one target, of all symbols or of one, that are judged by the same metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from daemon.report.material import Material
from daemon.views.foreign import finite
from store.records import FitRow

UNNAMED = "score"  # a metric that an older log does not name


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The finished models of one target, the best score first; `symbol` is None for those of all symbols."""

    target: str
    symbol: str | None
    metric: str
    fits: Sequence[FitRow]

    @property
    def best(self) -> FitRow:
        """The model with the best score."""
        return self.fits[0]

    @property
    def title(self) -> str:
        """What the models foretell, and for whom."""
        return self.target if self.symbol is None else f"{self.target} of {self.symbol}"

    @property
    def key(self) -> str:
        """A name for links, safe whatever the target is called; single symbols of a target share one."""
        told = f"{self.target} alone" if self.symbol is not None else f"{self.target} {self.metric}"
        return f"models-{sha256(told.encode()).hexdigest()[:12]}"


def boards_of(material: Material) -> tuple[Board, ...]:
    """Return the boards in the plan's order of targets, that of all symbols before those of single ones."""
    groups: dict[tuple[str, str | None, str], list[FitRow]] = {}
    for fit in material.fits:
        if fit.metrics is not None and fit.state == "succeeded":
            metric = str(metrics_of(fit).get("metric") or UNNAMED)
            groups.setdefault((fit.target, fit.symbol, metric), []).append(fit)
    order = {target: place for place, target in enumerate(material.targets)}
    keys = sorted(groups, key=lambda key: (order.get(key[0], len(order)), key[1] is not None, key[1] or ""))
    return tuple(
        Board(target=key[0], symbol=key[1], metric=key[2], fits=sorted(groups[key], key=_standing))
        for key in keys
    )


def metrics_of(fit: FitRow) -> Mapping[str, Any]:
    """The metrics of a finished fit; empty for one without a model."""
    return fit.metrics or {}


def _standing(fit: FitRow) -> tuple[float, str]:
    return -(finite(metrics_of(fit).get("skill")) or 0.0), fit.name
