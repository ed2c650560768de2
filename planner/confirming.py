"""Models confirm what the screens found: one fold, every target and view, from shared features.

A model of a fold sees training bars only: its columns are chosen, its scales measured and its coefficients
fitted on labels that ended, embargo included, before the first bar it is judged on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import numpy.typing as npt

from planner.cells import FEWEST_TRAIN_ROWS, Cell, FoldFacts
from planner.config import RankingConfig
from planner.grids import FoldGrid, Term
from planner.importances import bin_codes, mutual_information, permutation_importance
from planner.learners import Boosted, binned, boost, ridge
from planner.redundancy import correlations_of, fold_order
from planner.scores import CROSS
from planner.size_path import path_sizes
from planner.terms import extra_terms, features_of, ranked_terms

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Places = npt.NDArray[np.intp]

FEWEST_TEST_ROWS = 20

_FEWEST_TRAIN_SHARE = 0.1  # of a cell's rows: a symbol listed late is not judged by a model of its first days
_LEVELS = 10  # of the clearest features boosting also sees the level, not only the rank of the moment
_TWIN_LINE = 0.98
_INFORMATION_BINS = 16
_INFORMATION_ROWS = 20_000
_PERMUTATION_ROWS = 2_000
_SCALE_ROWS = 4_000  # training rows on which the spread of boosting's predictions is measured


def learn(grid: FoldGrid, cells: Sequence[Cell], config: RankingConfig, *, seed: int) -> None:
    """Fit one fold of every cell; cells of the same symbols and kind of score share their sums."""
    ordered = sorted(cells, key=lambda cell: (cell.kind, cell.symbols))
    for (kind, symbols), group in groupby(ordered, key=lambda cell: (cell.kind, cell.symbols)):
        ready = [one for one in (_Lesson.of(grid, cell, config) for cell in group) if one is not None]
        if not ready:
            continue
        gram = grid.gram(kind, symbols)
        moments = grid.moments(kind, symbols, [one.centred for one in ready])
        for lesson, of_lesson in zip(ready, moments, strict=True):
            lesson.fit(gram, of_lesson, seed)


@dataclass(slots=True)
class _Lesson:
    """One cell in one fold."""

    grid: FoldGrid
    cell: Cell
    config: RankingConfig
    centred: Float32s
    plain: Float32s
    known: Mask  # (symbols, test_from)
    test: Mask  # (symbols, timestamps)

    @classmethod
    def of(cls, grid: FoldGrid, cell: Cell, config: RankingConfig) -> "_Lesson | None":
        """The lesson of a cell, or None where the fold is too small for it."""
        edges = grid.edges
        centred, plain, known = cell.train_labels(edges.test_from, _embargo(cell, config))
        test = np.asarray(np.isfinite(cell.raw).all(axis=1))
        test[:, : edges.test_from] = test[:, edges.test_until :] = False
        labels = np.moveaxis(plain, 1, 0)[:, known]  # (outputs, rows)
        needed = max(FEWEST_TRAIN_ROWS, int(_FEWEST_TRAIN_SHARE * cell.rows))
        if labels.shape[1] < needed or int(test.sum()) < FEWEST_TEST_ROWS:
            return None
        if not np.ptp(labels, axis=1).any():
            return None
        return cls(grid, cell, config, centred, plain, known, test)

    def fit(self, gram: Floats, moments: Floats, seed: int) -> None:
        """Choose columns, fit the learners, keep predictions and what the fold thinks of the features."""
        cell, config, usable = self.cell, self.config, self.cell.usable
        z = self._studentised(gram, moments)
        strongest = np.abs(z).max(axis=1)
        terms = ranked_terms(strongest, usable, config)
        extras = extra_terms(self.grid, cell.kind, cell.symbols, self.centred, usable, cell.law)
        places = np.array([term.first for term in terms], dtype=np.intp)
        if cell.confirmed or extras:
            terms += extras
            columns = self.grid.columns(terms, cell.kind, cell.symbols)
            self._predict_linear(columns)
            gain, lost = self._boosted(columns, terms, seed) if cell.confirmed else (None, None)
        else:
            self._keep_linear(self._rank_columns(places), gram[np.ix_(places, places)], moments[places])
            gain = lost = None
        cell.tested |= self.test
        self._remember(gram, moments, z, gain, lost)

    def _studentised(self, gram: Floats, moments: Floats) -> Floats:
        """Z of each feature on the training rows, (features, outputs); luck's inflation is the screens'."""
        size = np.einsum("skt,skt->k", self.centred, self.centred, dtype=np.float64)
        scale = np.sqrt(np.maximum(np.outer(np.diag(gram), size), 1e-12))
        rows = float(self.known.sum())
        return np.asarray(moments / scale * np.sqrt(rows / np.maximum(self.cell.inflation, 1.0))[:, None])

    def _rank_columns(self, places: Places) -> Float32s:
        edges, cell = self.grid.edges, self.cell
        span = slice(edges.test_from, edges.test_until)
        return np.stack([self.grid.part(cell.kind, symbol, places, span) for symbol in cell.symbols])

    def _predict_linear(self, columns: Float32s) -> None:
        stop = self.grid.edges.test_from
        train = columns[..., :stop] * self.known[:, None, :]
        gram = np.einsum("sft,sgt->fg", train, train, optimize=True).astype(np.float64)
        moments = np.einsum("sft,skt->fk", train, self.centred, optimize=True).astype(np.float64)
        self._keep_linear(columns[..., stop:], gram, moments)

    def _keep_linear(self, test: Float32s, gram: Floats, moments: Floats) -> None:
        """Fit ridge regression from sums over the training bars and keep what it says of the test bars."""
        coefficients = ridge(gram, moments, self.config.ridge_penalty)
        said = np.einsum("fk,fg,gk->", coefficients, gram, coefficients) / coefficients.shape[1]
        spread = float(np.sqrt(max(said, 0.0) / max(1, int(self.known.sum()))))
        found = np.einsum("sft,fk->skt", test, coefficients.astype(np.float32))
        self._put(self.cell.linear, found / max(spread, 1e-12))

    def _put(self, to: Float32s, predicted: npt.NDArray[np.floating]) -> None:
        """Put predictions (symbols, outputs, test timestamps) where the cell has something to judge."""
        edges = self.grid.edges
        span = slice(edges.test_from, edges.test_until)
        to[..., span] = np.where(self.test[:, None, span], predicted, to[..., span])

    def _boosted(self, columns: Float32s, terms: tuple[Term, ...], seed: int) -> tuple[Floats, Floats]:
        """Boost the same columns; return gain and what shuffling costs, both by feature, (features,)."""
        cell, stop = self.cell, self.grid.edges.test_from
        seen = terms
        if cell.kind == CROSS:
            levels = tuple(Term("level", term.first) for term in terms[:_LEVELS] if term.kind == "rank")
            seen = terms + levels
            columns = np.concatenate([columns, self.grid.columns(levels, cell.kind, cell.symbols)], axis=1)
        places, times = self._thinned()
        rows = np.ascontiguousarray(columns[places, :, times])  # (rows, columns)
        label = self._boosting_label(places, times)
        model = boost(
            binned(rows, self.config),
            label,
            task=cell.task,
            outputs=cell.raw.shape[1],
            config=self.config,
            seed=seed,
        )
        symbols, when = np.nonzero(self.test)
        test = np.ascontiguousarray(columns[symbols, :, when])
        found = np.full((len(cell.raw), cell.raw.shape[1], cell.raw.shape[-1]), np.nan, dtype=np.float32)
        known = model.predict(rows[:: max(1, len(rows) // _SCALE_ROWS)])
        spread = float(np.sqrt(known.var(axis=0).mean()))
        found[symbols, :, when] = (model.predict(test) - known.mean(axis=0)) / max(spread, 1e-12)
        self._put(cell.boosted, found[..., stop : self.grid.edges.test_until])
        return self._by_feature(seen, model.gain), self._permuted(model, test, symbols, when, seen, seed)

    def _thinned(self) -> tuple[Places, Places]:
        """Places of training rows, every so many timestamps where there are more than are needed."""
        step = max(1, -(-int(self.known.sum()) // self.config.boosting_rows))
        kept = self.known.copy()
        kept[:, np.arange(kept.shape[1]) % step != 0] = False
        places, times = np.nonzero(kept)
        return places, times

    def _boosting_label(self, places: Places, times: Places) -> Floats:
        rows = self.plain[places, :, times].astype(np.float64)
        return np.asarray(rows.argmax(axis=1) if self.cell.task == "multiclass" else rows[:, 0])

    def _by_feature(self, terms: tuple[Term, ...], worth: Floats) -> Floats:
        found = np.zeros(len(self.grid.screened.features))
        for feature, value in features_of(terms, worth).items():
            found[feature] = value
        return found[self.cell.usable]

    def _permuted(
        self,
        model: Boosted,
        test: Float32s,
        symbols: Places,
        times: Places,
        terms: tuple[Term, ...],
        seed: int,
    ) -> Floats:
        """Skill lost on test rows when a column is shuffled in blocks of time, by feature.

        The next fold may hear of it, so labels that end too late for its training are left out.
        """
        cell = self.cell
        over = cell.ends[symbols, times] + _embargo(cell, self.config) < self.grid.edges.test_until
        test, symbols, times = test[over], symbols[over], times[over]

        def score_of(predicted: Floats, rows: Places) -> float:
            truth = cell.raw[symbols[rows], :, times[rows]]
            found = predicted.reshape(len(rows), -1)
            found, truth = found - found.mean(axis=0), truth - truth.mean(axis=0)
            size = float(np.sqrt((found**2).sum() * (truth**2).sum()))
            return float((found * truth).sum()) / size if size > 0 else 0.0

        lost = permutation_importance(
            model.predict,
            test,
            score_of,
            seed=seed,
            block_rows=2 * cell.horizon_bars,
            columns=[int(place) for place in np.flatnonzero(model.gain)],
            max_rows=_PERMUTATION_ROWS,
        )
        return self._by_feature(terms, lost)

    def _remember(
        self, gram: Floats, moments: Floats, z: Floats, gain: Floats | None, lost: Floats | None
    ) -> None:
        cell, usable = self.cell, self.cell.usable
        own = gram[np.ix_(usable, usable)]
        coefficients = ridge(own, moments[usable], self.config.ridge_penalty)
        output = np.abs(z[usable]).argmax(axis=1)
        nothing = np.zeros(0)
        information = nothing
        order: tuple[int, ...] = ()
        if cell.confirmed:
            cell.alike = correlations_of(own)
            information = self._information()
            methods = {
                "correlation": z[usable, output],
                "ridge": np.abs(coefficients).sum(axis=1),
                "gain": nothing if gain is None else gain,
                "permutation": _mean_before(cell.folds),
                "information": information,
            }
            order = fold_order(methods, cell.alike, twin_line=_TWIN_LINE)
            self._path(gram, moments, order)
        cell.folds.append(
            FoldFacts(
                test_from=self.grid.edges.test_from,
                test_until=self.grid.edges.test_until,
                train_rows=int(self.known.sum()),
                train_timestamps=int(self.known.any(axis=0).sum()),
                correlation=z[usable, output],
                ridge=np.abs(coefficients).sum(axis=1),
                gain=nothing if gain is None else gain,
                permutation=nothing if lost is None else lost,
                information=information,
                order=order,
            )
        )

    def _information(self) -> Floats:
        """Mutual information of each feature with the label on training rows thinned by the overlap."""
        cell = self.cell
        step = max(cell.horizon_bars, -(-int(self.known.sum()) // _INFORMATION_ROWS), 1)
        kept = self.known.copy()
        kept[:, np.arange(kept.shape[1]) % step != 0] = False
        parts = [
            self.grid.matrix(cell.kind, symbol)[cell.usable][:, : kept.shape[1]][:, own]
            for symbol, own in zip(cell.symbols, kept, strict=True)
        ]
        labels = [own[:, mask] for own, mask in zip(self.plain, kept, strict=True)]
        bins = _INFORMATION_BINS
        features = bin_codes(np.concatenate(parts, axis=1), bins)
        found = mutual_information(features, bin_codes(np.concatenate(labels, axis=1), bins), bins)
        return np.asarray(found.max(axis=1))

    def _path(self, gram: Floats, moments: Floats, order: tuple[int, ...]) -> None:
        """Predict with the first few features of the fold's order, for each size of the path."""
        cell, usable = self.cell, self.cell.usable
        columns = self._rank_columns(usable)
        for size in path_sizes(len(usable)):
            chosen = np.array(order[:size] if size < len(usable) else range(len(usable)), dtype=np.intp)
            places = usable[chosen]
            coefficients = ridge(gram[np.ix_(places, places)], moments[places], self.config.ridge_penalty)
            to = cell.path.setdefault(size, np.full(cell.raw.shape, np.nan, dtype=np.float32))
            self._put(to, np.einsum("sft,fk->skt", columns[:, chosen], coefficients.astype(np.float32)))


def _embargo(cell: Cell, config: RankingConfig) -> int:
    return cell.horizon_bars if config.embargo_bars is None else config.embargo_bars


def _mean_before(folds: Sequence[FoldFacts]) -> Floats:
    """What shuffling cost in the earlier folds, whose test rows are this fold's past."""
    known = [fold.permutation for fold in folds if len(fold.permutation)]
    return np.asarray(np.mean(known, axis=0)) if known else np.zeros(0)
