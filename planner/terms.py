"""Which columns a model of one fold gets, decided on its training bars alone.

Features whose correlation with the label stands out of chance, and, where the screens found such a law, what
is made of features: distance from the middle, products, lags, trailing windows.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from planner.config import RankingConfig
from planner.finding import FOLDED, LAG, PRODUCT, RANK, Law
from planner.grids import FoldGrid, Term
from planner.products import leading_pairs, weighted_grams
from planner.screens import LAGS, WINDOWS

Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_CLEAR_Z = 2.6
_FEWEST_RANKED = 2
_EXTRA_Z = 3.0
_MOST_EXTRAS = 4
_BELIEVED_P = 0.05


def ranked_terms(z: Floats, usable: Places, config: RankingConfig) -> tuple[Term, ...]:
    """Return the features that stand out of chance by |z| (features,), clearest first, at least two."""
    size = np.abs(z[usable])
    order = np.argsort(-size, kind="stable")
    clear = int((size >= _CLEAR_Z).sum())
    count = min(max(clear, _FEWEST_RANKED), config.max_screened_features, len(usable))
    return tuple(Term(RANK, int(usable[place])) for place in order[:count])


def extra_terms(
    fold: FoldGrid,
    kind: str,
    symbols: tuple[int, ...],
    labels: Float32s,
    usable: Places,
    law: Law | None,
) -> tuple[Term, ...]:
    """Return the columns made of features that the law's families call for.

    `labels` (symbols, outputs, test_from) around 0 with 0 where they must not be used.
    """
    if law is None:
        return ()
    believed = {name for name, p in law.by_family.items() if p <= _BELIEVED_P}
    found: list[Term] = []
    if FOLDED in believed:
        found += _folded(fold, symbols, labels, usable)
    if PRODUCT in believed:
        found += _products(fold, symbols, labels, usable)
    if LAG in believed and law.by_family[LAG] < law.by_family[RANK]:  # else old values of a slow feature
        found += _lagged(fold, kind, symbols, labels, usable)
    return tuple(found)


def _folded(fold: FoldGrid, symbols: tuple[int, ...], labels: Float32s, usable: Places) -> list[Term]:
    stop = labels.shape[-1]
    sums = np.zeros((len(usable), labels.shape[1]))
    squares = np.zeros(len(usable))
    for place, symbol in enumerate(symbols):
        bent = np.abs(fold.time[symbol][usable, :stop])
        bent -= bent.mean(axis=1, keepdims=True)
        sums += bent @ labels[place].T
        squares += np.einsum("ft,ft->f", bent, bent)
    z = np.abs(_plain_z(sums, squares, labels)).max(axis=1)
    order = [place for place in np.argsort(-z, kind="stable")[:_MOST_EXTRAS] if z[place] >= _EXTRA_Z]
    return [Term("folded", int(usable[place])) for place in order]


def _products(fold: FoldGrid, symbols: tuple[int, ...], labels: Float32s, usable: Places) -> list[Term]:
    stop = labels.shape[-1]
    found: dict[tuple[int, int], float] = {}
    for sums in weighted_grams((fold.time[symbol][usable, :stop] for symbol in symbols), labels):
        for first, second in leading_pairs(sums, _MOST_EXTRAS):
            pair = usable[[first, second]]
            both = np.stack([fold.time[symbol][pair, :stop] for symbol in symbols])
            series = both[:, 0] * both[:, 1]
            series = series - series.mean(axis=-1, keepdims=True)
            size = np.array([np.einsum("st,st->", series, series)])
            for output in range(labels.shape[1]):
                total = np.array([[np.einsum("st,st->", series, labels[:, output])]])
                z = float(abs(_plain_z(total, size, labels[:, [output]])[0, 0]))
                found[first, second] = max(z, found.get((first, second), 0.0))
    order = sorted(found, key=lambda pair: (-found[pair], pair))[:_MOST_EXTRAS]
    return [
        Term("product", int(usable[first]), int(usable[second]))
        for first, second in order
        if found[first, second] >= _EXTRA_Z
    ]


def _lagged(
    fold: FoldGrid, kind: str, symbols: tuple[int, ...], labels: Float32s, usable: Places
) -> list[Term]:
    stop, most = labels.shape[-1], max(*LAGS, WINDOWS[-1] - 1)
    curve = np.zeros((most + 1, len(usable), labels.shape[1]))
    squares = np.zeros(len(usable))
    for place, symbol in enumerate(symbols):
        x, y = fold.matrix(kind, symbol)[usable, :stop], labels[place]
        squares += np.einsum("ft,ft->f", x, x)
        for lag in range(most + 1):
            curve[lag] += x[:, : stop - lag] @ y[:, lag:].T
    found: dict[Term, float] = {}
    steps = [(LAG, bars, curve[bars]) for bars in LAGS]
    steps += [("window", bars, curve[:bars].sum(axis=0) / np.sqrt(bars)) for bars in WINDOWS]
    for name, bars, sums in steps:
        z = np.abs(_plain_z(sums, squares, labels)).max(axis=1)
        for place in np.argsort(-z, kind="stable")[:_MOST_EXTRAS]:
            found[Term(name, int(usable[place]), bars=bars)] = float(z[place])
    order = sorted(found, key=lambda term: (-found[term], term.kind, term.first, term.bars))
    return [term for term in order[: 2 * _MOST_EXTRAS] if found[term] >= _EXTRA_Z]


def _plain_z(sums: Floats, squares: Floats, labels: Float32s) -> Floats:
    """Z of sums of products as if rows were independent, (features, outputs)."""
    size = np.einsum("skt,skt->k", labels, labels, dtype=np.float64)
    rows = np.count_nonzero(labels, axis=(0, 2))
    scale = np.sqrt(np.maximum(squares[:, None] * size[None, :], 1e-12))
    return np.asarray(sums / scale * np.sqrt(rows)[None, :])


def features_of(terms: tuple[Term, ...], worth: Floats) -> Mapping[int, float]:
    """Spread the worth of columns, (terms,), over the features they are made of."""
    found: dict[int, float] = {}
    for term, value in zip(terms, worth, strict=True):
        for feature in term.features:
            found[feature] = found.get(feature, 0.0) + float(value) / len(term.features)
    return found
