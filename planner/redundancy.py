"""Features that add something: an order in which each next one is relevant and says little that was said.

Minimum redundancy, maximum relevance (Peng, Long and Ding 2005) in its difference form, from one matrix of
correlations; features that are all but copies of a chosen one are left out altogether.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from planner.importances import combined_importance

Floats = npt.NDArray[np.float64]

_DIGITS = 12  # scores that agree so far are equal: the lower place wins, whatever the last bits say


def correlations_of(gram: Floats) -> Floats:
    """Return the correlations, (features, features), of centred features from their Gram matrix.

    A feature without spread correlates with nothing, itself included.
    """
    scale = np.sqrt(np.diag(gram))
    product = np.outer(scale, scale)
    return np.asarray(np.divide(gram, product, out=np.zeros(gram.shape), where=product > 0))


def choose(relevance: Floats, alike: Floats, most: int, *, twin_line: float = 1.0) -> tuple[int, ...]:
    """Return the places of at most `most` features in the order they are chosen.

    `relevance` (features,) is in units of explained variance, 0 or more; `alike` (features, features) holds
    correlations. The first is the most relevant; each next one has the greatest relevance (the greatest of
    all is 1) less the mean squared correlation with those chosen. The square is what two normal features
    share of their variance: Peng's mutual information to first order, and in the units of relevance, so that
    a feature that is relevant only through a chosen one comes out near 0. A feature that correlates with a
    chosen one by more than `twin_line` is never chosen. Equal scores go to the lower place.
    """
    count = len(relevance)
    greatest = relevance.max(initial=0.0)
    worth = relevance / greatest if greatest > 0 else np.zeros(count)
    free = np.ones(count, dtype=bool)
    shared = np.zeros(count)  # sum of squared correlations with the chosen
    chosen: list[int] = []
    while len(chosen) < most and free.any():
        scores = np.round(worth - shared / max(1, len(chosen)), _DIGITS)
        place = int(np.where(free, scores, -np.inf).argmax())
        chosen.append(place)
        shared += np.square(alike[place])
        free &= np.abs(alike[place]) <= twin_line
        free[place] = False
    return tuple(chosen)


def fold_order(
    methods: Mapping[str, Sequence[float] | Floats],
    alike: Floats,
    *,
    twin_line: float,
) -> tuple[int, ...]:
    """Return the order in which one training fold would take its features, all of them, as places.

    `methods` are as in `combined_importance` and must come from the fold's training rows alone:
    "permutation" is the mean of the earlier folds', whose test rows lie in this fold's past, and empty in the
    first fold. `alike` (features, features) are correlations on the training rows. Of twins only the better
    is in the order.
    """
    return choose(combined_importance(methods), alike, len(alike), twin_line=twin_line)
