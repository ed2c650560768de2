"""What each feature is worth, by several methods at once: pure functions over arrays.

Mutual information comes from histograms of small codes, permutation importance from one prediction of many
permuted copies. The methods speak different units; `combined_importance` brings them to shares.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Float32s = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

Predict = Callable[[Float32s], npt.NDArray[np.float64]]  # (rows, features) -> (rows,) or (rows, outputs)
ScoreOf = Callable[[Floats, Ints], float]  # predictions of some rows, and which rows -> skill

_SAMPLE_ROWS = 20_000
_CHUNK_ROWS = 8_192
_TABLE_CELLS = 40_000  # cells of one histogram: its counts stay in the cache of a core
_COPY_CELLS = 8_000_000  # float32 values of permuted copies held at a time: 32 MB
_SQUARED = frozenset({"correlation", "ridge"})  # in units of explained variance only when squared


def bin_codes(values: Float32s, bins: int) -> Bytes:
    """Return quantile codes 1..bins of each feature, 0 where missing or infinite: (features, rows) uint8.

    `values` is (features, rows) in any memory order. The edges are quantiles of at most about 20,000 evenly
    spaced rows; equal values always share a code, so a feature of few values uses few codes.

    Raises:
        ValueError: `bins` is not 2..255.
    """
    if not 2 <= bins <= 255:
        raise ValueError(f"{bins} bins: 2 to 255 fit a byte beside the code of a missing value")
    features, rows = values.shape
    edges = _quantile_edges(values, bins)  # (features, bins - 1), infinite where there are fewer
    codes = np.empty((features, rows), dtype=np.uint8)
    for start in range(0, rows, _CHUNK_ROWS):
        chunk = np.ascontiguousarray(values[:, start : start + _CHUNK_ROWS])
        above = np.ones(chunk.shape, dtype=np.uint8)
        for edge in edges.T:
            above += chunk > edge[:, None]
        codes[:, start : start + _CHUNK_ROWS] = np.where(np.isfinite(chunk), above, 0)
    return codes


def _quantile_edges(values: Float32s, bins: int) -> Float32s:
    """Upper edges of all bins but the last: each the largest value that still belongs to its bin."""
    stride = max(1, values.shape[1] // _SAMPLE_ROWS)
    sample = np.array(values[:, ::stride], dtype=np.float32, order="C")
    sample[~np.isfinite(sample)] = np.nan
    sample.sort(axis=1)  # missing values last
    counts = np.isfinite(sample).sum(axis=1)
    shares = np.arange(1, bins) / bins
    places = np.maximum(np.ceil(shares[None, :] * counts[:, None]).astype(np.intp) - 1, 0)
    edges = np.take_along_axis(sample, places, axis=1) if sample.shape[1] else np.empty((len(sample), 0))
    repeated = np.zeros(edges.shape, dtype=bool)
    repeated[:, 1:] = edges[:, 1:] == edges[:, :-1]  # of a value that fills several bins only the last counts
    return np.where(repeated | (counts[:, None] == 0), np.inf, edges).astype(np.float32)


def mutual_information(feature_codes: Bytes, label_codes: Bytes, bins: int) -> Floats:
    """Return the mutual information of every feature with every target in nats, (features, targets).

    `feature_codes` (features, rows) and `label_codes` (targets, rows) hold 0 for missing and 1..bins. A pair
    is judged on the rows where both are there. The plug-in estimate is corrected for its bias after Miller
    (1955): (K_xy - K_x - K_y + 1) / 2n is taken off, K counting occupied cells; without dependence the
    result is about 0 and may lie below. Rows are taken as independent: labels that overlap raise what slow
    features seem to know, so thin the rows by the horizon where that matters.

    Raises:
        ValueError: a code is larger than `bins`.
    """
    if max(feature_codes.max(initial=0), label_codes.max(initial=0)) > bins:
        raise ValueError(f"a code is larger than the {bins} bins")
    width = bins + 1
    together = 1  # targets counted in one pass: their codes make one number
    while width ** (together + 2) <= _TABLE_CELLS:
        together += 1
    found = np.zeros((len(feature_codes), len(label_codes)))
    for first in range(0, len(label_codes), together):
        group = label_codes[first : first + together]
        tables = _tables(feature_codes, group, width)
        for place in range(len(group)):
            others = tuple(1 + other for other in range(len(group)) if other != place)
            joint = tables.sum(axis=others)  # (features, width, width): the label, then the feature
            found[:, first + place] = _information(joint[:, 1:, 1:])
    return found


def _tables(feature_codes: Bytes, group: Bytes, width: int) -> npt.NDArray[np.int64]:
    """Counts of each feature with the joint code of the group's targets, (features, width, ..., width)."""
    label = np.zeros(group.shape[1], dtype=np.intp)
    for codes in group:
        label = (label + codes) * width
    cells = width ** (len(group) + 1)
    joint = np.empty_like(label)
    counts = np.empty((len(feature_codes), cells), dtype=np.int64)
    for place, codes in enumerate(feature_codes):
        np.add(label, codes, out=joint)
        counts[place] = np.bincount(joint, minlength=cells)
    return counts.reshape(len(feature_codes), *(width,) * (len(group) + 1))


def _information(joint: npt.NDArray[np.int64]) -> Floats:
    """Bias-corrected mutual information of tables of counts (features, labels, values), (features,)."""
    rows, columns = joint.sum(axis=2), joint.sum(axis=1)
    total = np.maximum(joint.sum(axis=(1, 2)), 1)
    plain = _entropy_sum(rows, total) + _entropy_sum(columns, total) - _entropy_sum(joint, total)
    occupied = [np.count_nonzero(table.reshape(len(table), -1), axis=1) for table in (joint, rows, columns)]
    bias = (occupied[0] - occupied[1] - occupied[2] + 1) / (2.0 * total)
    return np.where(occupied[0] > 0, plain - bias, 0.0)


def _entropy_sum(counts: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> Floats:
    """Plug-in entropy in nats of each table of counts."""
    flat = counts.reshape(len(counts), -1).astype(np.float64)
    logs = np.log(flat, out=np.zeros_like(flat), where=flat > 0)
    return np.asarray(np.log(total) - (flat * logs).sum(axis=1) / total)


def permutation_importance(
    predict: Predict,
    test: Float32s,
    score: ScoreOf,
    *,
    seed: int,
    block_rows: int,
    columns: Sequence[int] | None = None,
    repeats: int = 1,
    max_rows: int = 5_000,
) -> Floats:
    """Return how much skill is lost when a feature is shuffled in time on rows the model has not seen.

    `test` is (rows, features) in order of time within each symbol; at most `max_rows` evenly spaced rows are
    used, and `score` is told which. A feature is shuffled in blocks of at least `block_rows` rows, every
    block going to another's place: with more than the horizon, overlapping labels and slow features do not
    find themselves beside their old place. All features are shuffled alike, so the order of columns does not
    matter. Only `columns` are shuffled (those the model uses), the others get 0. Copies are predicted
    together. The result is (features,), the mean over `repeats`; below 0 means that the feature made
    predictions worse; all zeros when the rows make fewer than two blocks. Source: Breiman (2001), with blocks
    after Künsch (1989).
    """
    step = max(1, -(-len(test) // max_rows))
    block = max(1, -(-block_rows // step))
    kept = np.arange(0, len(test), step)
    kept = kept[: len(kept) // block * block]
    lost = np.zeros(test.shape[1])
    if len(kept) < 2 * block:
        return lost
    rows = np.ascontiguousarray(test[kept])
    base = score(predict(rows), kept)
    shuffled = range(test.shape[1]) if columns is None else columns
    together = max(1, _COPY_CELLS // rows.size)
    rng = np.random.default_rng(seed)
    for _repeat in range(repeats):
        source = _other_blocks(len(rows), block, rng)
        for first in range(0, len(shuffled), together):
            group = list(shuffled[first : first + together])
            predicted = predict(_copies(rows, group, source))
            for column, part in zip(group, np.split(predicted, len(group)), strict=True):
                lost[column] += (base - score(part, kept)) / repeats
    return lost


def _other_blocks(rows: int, block: int, rng: np.random.Generator) -> Ints:
    """Return where each row's value comes from: a random circle of all blocks, none keeps its place."""
    circle = rng.permutation(rows // block)
    origin = np.empty_like(circle)
    origin[circle] = np.roll(circle, 1)
    return np.asarray((origin[:, None] * block + np.arange(block)).reshape(-1))


def _copies(rows: Float32s, columns: Sequence[int], source: Ints) -> Float32s:
    """One copy of the rows per column, that column shuffled, one below the other: (all rows, features)."""
    copies = np.repeat(rows[None], len(columns), axis=0)  # (columns, rows, features)
    for copy, column in zip(copies, columns, strict=True):
        copy[:, column] = rows[source, column]
    return copies.reshape(-1, rows.shape[1])


def share_of(values: Sequence[float] | Floats) -> Floats:
    """Return values scaled to sum 1, those below 0 counted as 0; even shares when nothing is left."""
    size = np.maximum(np.asarray(values, dtype=np.float64), 0.0)
    total = size.sum()
    return size / total if total > 0 else np.full(len(size), 1.0 / max(1, len(size)))


def combined_importance(methods: Mapping[str, Sequence[float] | Floats]) -> Floats:
    """Return the mean of the methods' shares, (features,) summing to 1.

    `methods` maps a name to (features,) values. "correlation" and "ridge" (z or coefficient) are squared
    first, so that they count explained variance as gain, permutation and information do. A method that says
    nothing (empty, or nowhere above 0) is passed over; when none says anything all features are equal.
    """
    features = max((len(values) for values in methods.values()), default=0)
    shares = []
    for name, given in methods.items():
        values = np.asarray(given, dtype=np.float64) ** (2 if name in _SQUARED else 1)
        if (values > 0).any():
            shares.append(share_of(values))
    return np.asarray(np.mean(shares, axis=0)) if shares else share_of(np.zeros(features))
