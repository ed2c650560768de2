"""The expensive half of ranking: screens, then out-of-sample predictions of what they kept.

Screens look at all targets, features and views at once. Predictions come from purged, embargoed walk-forward
folds only, split by time, all before the final segment; what a fold needs is made once for all targets. The
result depends on data and settings, not on thresholds: judging is done in ranking.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from panel.aligned import Column, Panel, open_panel
from planner.cells import Cell
from planner.closing import closed
from planner.cluster import Bring, bringing, cluster
from planner.config import RankingConfig
from planner.confirming import learn
from planner.finding import Law, Laws, channel_places, find_laws, with_rest
from planner.grids import Edges, FoldGrid
from planner.parallel import most_at_once, spread
from planner.products import screen_products
from planner.scores import TIME, Axis, axis_of, channels_of, label_grid
from planner.screens import Screened, screen
from planner.skill import Measured
from planner.tables import CROSS_SECTIONAL, SYMBOL_SPECIFIC

Float32s = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Advance = Callable[[str, float], None]  # words, share of the work done

_SCREENING_SHARE = 0.25  # of the time a measurement takes, as measured
_BYTES_PER_VALUE = 8  # two kinds of scores at half precision, one fold's features at single
_MOST_BYTES = 2**30
_FEWEST_IN_GROUP = 4


def _say_nothing(words: str, share: float) -> None:
    del words, share


def _say_nothing_of(target: str) -> None:
    del target


def measure_targets(
    panel: Panel,
    features_by_target: Mapping[str, Sequence[str]],
    config: RankingConfig,
    *,
    until: int,
    seed: int,
    tell: Callable[[str], None] = _say_nothing_of,
    advance: Advance = _say_nothing,
    names: Sequence[str] | None = None,
) -> Iterator[Measured]:
    """Yield the measured skill of each target, using only what is known before time code `until`.

    `features_by_target` says which features may explain a target; `names` are all features that are screened,
    theirs by default. Targets are measured in as many groups beside each other as `config.jobs` says and
    memory allows; the numbers do not depend on it. `tell` is called with each target as it is done, `advance`
    with words and the share of all work done.
    """
    if not features_by_target:
        return
    screened = sorted(names or {name for own in features_by_target.values() for name in own})
    groups = _grouped(sorted(features_by_target), _group_count(panel, screened, until, config))
    bring = bringing(panel.path) if len(groups) > 1 else None
    tasks = [
        Group(
            path=panel.path,
            bring=bring,
            features={target: tuple(features_by_target[target]) for target in group},
            names=tuple(screened),
            config=config,
            until=until,
            seed=seed,
        )
        for group in groups
    ]
    if len(tasks) == 1:
        done: Iterator[list[Measured]] = iter([measure_group(tasks[0], advance)])
    else:
        done = spread(measure_group, tasks, jobs=len(tasks))
    for number, found in enumerate(done, start=1):
        for measured in found:
            tell(measured.target)
            yield measured
        advance(f"{number} of {len(tasks)} groups", number / len(tasks))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Targets that are measured together, wherever that happens: small, and all that is needed."""

    path: Path
    features: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    config: RankingConfig
    until: int
    seed: int
    bring: Bring | None = None  # what brings the panel to the machine of the task, where it may lack it


def measure_group(group: Group, advance: Advance = _say_nothing) -> list[Measured]:
    """Measure a group of targets on the panel at its path, brought there first where that must be."""
    panel = open_panel(group.path if group.bring is None else group.bring(group.path))
    columns = [panel.column(target) for target in sorted(group.features)]
    walk = _Walk(panel, columns, group.names, group.features, group.config, group.until, group.seed, advance)
    walk.screen()
    walk.learn()
    return [walk.measured(column) for column in columns]


def _grouped(targets: Sequence[str], count: int) -> list[Sequence[str]]:
    return [targets[place::count] for place in range(min(count, len(targets)))]


def _group_count(panel: Panel, names: Sequence[str], until: int, config: RankingConfig) -> int:
    """As many groups as asked for; by default one for each core, of four targets at least, within memory."""
    if config.jobs is not None:
        return max(1, config.jobs)
    size = len(panel.symbols) * len(names) * until * _BYTES_PER_VALUE
    found = cluster()
    room = _MOST_BYTES * (1 if found is None else found.machines)
    return max(1, min(most_at_once(), len(panel.targets) // _FEWEST_IN_GROUP, room // max(1, size)))


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
    advance: Advance
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
            by_symbol = len(self.panel.symbols) <= self.config.max_symbols_alone
            screened = screen(self.axis, self.names, channels, by_symbol=by_symbol)
            products = screen_products(screened, mask)
            for target, of_target in places.items():
                laws = find_laws(screened, products, of_target, usable[target])
                self.laws[target] = with_rest(laws, screened, self.axis, of_target, usable[target])
            self.screened = screened
        self.advance(f"{len(self.columns)} targets screened", _SCREENING_SHARE)
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
        folds = self._folds()
        for number, edges in enumerate(folds, start=1):
            # Held by no name, so that a fold's features are gone before the next fold's are read.
            learn(FoldGrid(self.axis, self.screened, edges), cells, self.config, seed=self.seed)
            self.panel.let_go()
            # A fold's cost grows with the time it trains on.
            share = number * (number + 1) / (len(folds) * (len(folds) + 1))
            words = f"fold {number} of {len(folds)}"
            self.advance(words, _SCREENING_SHARE + (1.0 - _SCREENING_SHARE) * share * 0.95)

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
        return Cell(
            axis=self.axis,
            column=column,
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
