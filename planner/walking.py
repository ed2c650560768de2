"""The expensive half of ranking: screens, then out-of-sample predictions of what they kept.

Screens look at all targets, features and views at once. Predictions come from purged, embargoed walk-forward
folds only, split by time, all before the final segment; what a fold needs is made once for all targets. The
result depends on data and settings, not on thresholds: judging is done in ranking.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel
from planner.closing import closed
from planner.config import RankingConfig
from planner.confirming import Cell, learn
from planner.finding import Law, Laws, channel_places, find_laws, with_rest
from planner.grids import Edges, FoldGrid
from planner.products import screen_products
from planner.scores import TIME, Axis, axis_of, channels_of, label_grid
from planner.screens import Screened, screen
from planner.skill import Measured
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC

Float32s = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


def measure_targets(
    panel: Panel,
    features_by_target: Mapping[str, Sequence[str]],
    config: RankingConfig,
    *,
    until: int,
    seed: int,
    tell: Callable[[str], None],
) -> Iterator[Measured]:
    """Yield the measured skill of each target, using only what is known before time code `until`.

    `features_by_target` says which features may explain a target. `tell` is called with each target as it is
    done.
    """
    names = sorted({name for features in features_by_target.values() for name in features})
    columns = [panel.column(target) for target in sorted(features_by_target)]
    walk = _Walk(panel, columns, names, features_by_target, config, until, seed)
    walk.screen()
    walk.learn()
    for column in columns:
        tell(column.name)
        yield walk.measured(column)


@dataclass(slots=True)
class _Walk:
    """One measurement under way."""

    panel: Panel
    columns: Sequence[Column]
    names: Sequence[str]
    features_by_target: Mapping[str, Sequence[str]]
    config: RankingConfig
    until: int
    seed: int
    axis: Axis = field(init=False)
    screened: Screened | None = field(init=False, default=None)
    laws: dict[str, Laws] = field(init=False, default_factory=dict)
    cells: dict[str, list[Cell]] = field(init=False, default_factory=dict)

    def screen(self) -> None:
        """Screen all features against all targets and read off the laws."""
        self.axis = axis_of(self.panel, self.until)
        channels = channels_of(self.panel, self.columns)
        places = channel_places(channels)
        usable = self._usable()
        if self.names and self.until > 2:
            mask = np.stack([usable[one.target] for one in channels], axis=1)
            screened = screen(self.axis, self.names, channels)
            products = screen_products(screened, mask)
            for target, of_target in places.items():
                laws = find_laws(screened, products, of_target, usable[target])
                self.laws[target] = with_rest(laws, screened, self.axis, of_target, usable[target])
            self.screened = screened
        raw = label_grid(self.axis, channels)
        for column in self.columns:
            self.cells[column.name] = [
                self._cell(column, view, symbol, raw, places[column.name], usable[column.name])
                for view, symbol in self._views()
            ]

    def learn(self) -> None:
        """Fit every fold; a fold's features are standardised once for all."""
        if self.screened is None:
            return
        cells = [cell for group in self.cells.values() for cell in group if not cell.reason]
        for edges in self._folds():
            grid = FoldGrid(self.axis, self.screened, edges)
            learn(grid, cells, self.config, seed=self.seed)

    def measured(self, column: Column) -> Measured:
        """Score the cells of one target."""
        cells = self.cells[column.name]
        pooled = next((cell for cell in cells if cell.view == CROSS_SECTIONAL), None)
        laws = self.laws.get(column.name)
        return Measured(
            target=column.name,
            cells=tuple(closed(self.panel, self.axis, cell, laws, pooled, self.config) for cell in cells),
        )

    def _usable(self) -> dict[str, Mask]:
        return {
            target: np.isin(np.array(self.names), list(features))
            for target, features in self.features_by_target.items()
        }

    def _views(self) -> list[tuple[str, str | None]]:
        symbols = sorted(self.panel.symbols)
        pooled: list[tuple[str, str | None]] = [(CROSS_SECTIONAL, None)] if len(symbols) > 1 else []
        if len(symbols) > self.config.max_symbols_alone:
            return pooled
        return pooled + [(SYMBOL_SPECIFIC, symbol) for symbol in symbols]

    def _folds(self) -> list[Edges]:
        """Equal parts of the timestamps before the final segment; the first only trains."""
        parts = np.array_split(np.arange(self.until), self.config.folds + 1)
        return [Edges(int(part[0]), int(part[-1]) + 1) for part in parts[1:] if len(part)]

    def _cell(
        self,
        column: Column,
        view: str,
        symbol: str | None,
        raw: Float32s,
        places: Sequence[int],
        usable: Mask,
    ) -> Cell:
        symbols = tuple(range(len(self.panel.symbols)))
        kind = TIME
        laws, screened = self.laws.get(column.name), self.screened
        law = None if laws is None else laws.pooled
        inflation = np.ones(len(self.names))
        if symbol is not None:
            symbols = (self.panel.symbols.index(symbol),)
            law = None if laws is None else laws.alone.get(symbol)
            if screened is not None:
                inflation = screened.alone.inflation[symbols[0]][:, list(places)].max(axis=1)
        elif screened is not None:
            kind = screened.channels[places[0]].pooled
            inflation = screened.pooled.inflation[:, list(places)].max(axis=1)
        return Cell.opened(
            self.axis,
            column,
            view=view,
            symbol=symbol,
            symbols=symbols,
            kind=kind,
            raw=raw[list(symbols)][:, list(places)],
            features=tuple(name for name, own in zip(self.names, usable, strict=True) if own),
            usable=np.flatnonzero(usable),
            law=law,
            inflation=inflation,
            confirmed=self._confirmed(laws, law, symbol),
        )

    def _confirmed(self, laws: Laws | None, law: Law | None, symbol: str | None) -> bool:
        """Whether the full set of models is worth fitting: the screens found something of this view's own."""
        line = self.config.confirm_p_value
        if laws is None or law is None or law.p > line:
            return False
        if symbol is None or laws.pooled is None or laws.pooled.p > line:
            return True
        return symbol in laws.deviations and laws.deviations[symbol].p <= line
