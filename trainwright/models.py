"""A finished model: what it says of itself, and its predictions for a DataFrame of bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon import pictures
from daemon.views.models import Importance, ModelTold
from daemon.views.words import bytes_words, legible
from trainwright.tables import Column, Table, facts_html, facts_text

if TYPE_CHECKING:
    import pandas as pd

    from executors.bundle import Bundle

IMPORTANCES: tuple[Column[Importance], ...] = (
    Column(name="feature", value=lambda one: one.feature),
    Column(name="importance", value=lambda one: one.value, right=True),
    Column(
        name="share", value=lambda one: one.share, words=lambda one: f"{100 * one.share:.1f} %", right=True
    ),
)


@dataclass(frozen=True, slots=True, repr=False)
class Model:
    """The bundle of a finished fit; `problem` says what of it cannot be read, None when all is well."""

    told: ModelTold

    @property
    def path(self) -> Path:
        """The bundle's directory."""
        return self.told.path

    @property
    def problem(self) -> str | None:
        """Why something of the bundle cannot be read; None when all is well."""
        return self.told.problem

    @property
    def card(self) -> Mapping[str, Any]:
        """All that the model says of itself: target, features, seed, settings, versions, digests."""
        return self.told.card

    @property
    def metrics(self) -> Mapping[str, Any]:
        """How good it is on the rows no step before has seen, beside a naive forecast."""
        metrics: Mapping[str, Any] = self.card.get("metrics", {})
        return metrics

    @property
    def evaluation(self) -> Mapping[str, Any]:
        """Calibration, scores by period and by symbol."""
        return self.told.evaluation

    @property
    def importances(self) -> Table[Importance]:
        """What each feature does for it, the most important one first."""
        return Table(self.told.importances, IMPORTANCES, "feature")

    def load(self) -> Bundle:
        """Return the model itself, every file checked against its digest.

        Raises:
            BundleDamaged: a file is missing or is not the one that was written.
        """
        from executors.bundle import load_bundle  # noqa: PLC0415 (the training libraries come with it)

        return load_bundle(self.path)

    def predict(self, bars: pd.DataFrame, *, quantiles: bool = False) -> pd.DataFrame:
        """Return what the model says of each bar, in the order and under the index of `bars`.

        One column ``prediction`` (a regression, in the label's unit), ``probability`` (of the larger of two
        classes) or ``probability_CLASS`` each; with `quantiles` those of the label too. `bars` has a time
        column, a symbol column unless the model is of one symbol, and the model's features. A family that
        looks back sees the bars before, so give them too; where it has not enough of them it says NaN, and
        so it does for bars that cannot be (a high below the low).

        Raises:
            BundleDamaged: a file of the model is not the one that was written.
            UnknownColumn: a feature is missing.
            BadData: no times, no symbols, or two bars of a symbol at one time.
            BadInput: quantiles are asked of a model that gives none.
        """
        from trainwright.frames import predicted  # noqa: PLC0415 (pandas and the model's library come with it)

        return predicted(self.load(), bars, quantiles=quantiles)

    def __repr__(self) -> str:
        return facts_text(f"model {legible(self.told.fit)}", self._facts())

    def _repr_html_(self) -> str:
        """What a notebook shows: the facts and the importances as bars."""
        rows = [(one.feature, one.value, None) for one in self.told.importances]
        drawn = pictures.standalone(pictures.bars(rows, label="importance"))
        return facts_html(f"model {self.told.fit}", self._facts(), drawn)

    def _facts(self) -> list[tuple[str, str]]:
        card, facts = self.card, [("path", str(self.path))]
        if self.problem:
            facts.append(("problem", self.problem))
        if not card:
            return facts
        metrics = self.metrics
        ahead = f"{card['horizon_bars']} bars ahead"
        score = f"{metrics['metric']} {metrics['score']:+.3f} ± {metrics['standard_error']:.3f}"
        return [
            *facts,
            ("target", f"{card['target']} ({card['task']}, {ahead})"),
            ("score", f"{score}, {metrics['baseline']} {metrics['baseline_score']:+.3f}"),
            ("features", f"{len(card['features'])}, importance by {card['importance_method']}"),
            ("trained", f"{card['steps']} steps on {card['device']}, seed {card['seed']}"),
            ("identity", f"{card['sha256'][:16]}, {bytes_words(self.told.bytes)}"),
        ]
