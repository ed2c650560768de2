"""The library ngboost on one fit's data, growing in chunks that begin with the rows' parameters so far.

The library and scikit-learn, seconds to import, are loaded where a chunk begins: who only predicts needs
neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.boosting import AfterRound
from executors.cpu.ngboost_model import Grown
from executors.cpu.regression_trees import TreeArrays
from executors.dataset import FitData
from executors.errors import BadInput
from executors.session import Session

Boosting = Any  # the library is not followed by the type checker; the names say what is meant
Distribution = Any
Labels = NDArray[Any]

_STATE = "model.safetensors"
_LEAST_COUNT = 0.5  # of a class that no training row has


def batch_share(session: Session) -> float:
    """Return the share of the training rows on which the trees of a round are fitted."""
    params = session.params
    return min(float(params["row_share"]), params["batch_rows"] / len(session.data.train))


class NaturalGradient:
    """The rounds grown so far, and what the distribution's parameters of each row are after them."""

    def __init__(self, session: Session) -> None:
        data = session.data
        self._session = session
        self._features = [data.features_at(rows) for rows in (data.train, data.valid)]
        self._labels = [_as_learnt(data, rows) for rows in (data.train, data.valid)]
        self._weights = session.weights().astype(np.float64)
        initial = _marginal(data, self._labels[0], self._weights)
        self.model = Grown(initial=initial, scalings=np.empty(0), trees=TreeArrays.empty())
        self._parameters = self._parameters_now()

    def grow(self, *, rounds: int, seed: int, after_round: AfterRound) -> None:
        """Add up to `rounds` rounds; samplers start afresh from `seed`.

        Ends early where the library does, at gradients of nearly zero, and before a round after which the
        likelihood of the validation rows is no number.

        Raises:
            BadInput: the library can fit no distribution to these labels.
        """
        watch = _Watch(after_round)
        chunk = _library_chunk(self._session, rounds, seed, begun=iter(self._parameters))
        try:
            chunk.partial_fit(
                self._features[0],
                self._labels[0],
                X_val=self._features[1],
                Y_val=self._labels[1],
                sample_weight=self._weights,
                train_loss_monitor=watch.before_round,
                val_loss_monitor=watch.after_round,
            )
        except _Enough:
            pass
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            name = self._session.data.target.name
            problem = f"NGBoost can fit no distribution to its labels ({str(error).splitlines()[0]})"
            raise BadInput(f"target {name}", problem, "give it to another family") from error
        self._keep(chunk, watch.rounds)

    def state(self) -> dict[str, bytes]:
        """Return the trees; the rows' parameters follow from them, to the same bits."""
        return {_STATE: self.model.to_bytes()}

    def restore(self, state: Mapping[str, bytes]) -> None:
        """Take over what `state` returned."""
        self.model = Grown.from_bytes(state[_STATE])
        self._parameters = self._parameters_now()

    def _parameters_now(self) -> list[NDArray[np.float64]]:
        rate = float(self._session.params["learning_rate"])
        return [self.model.parameters(features, rate) for features in self._features]

    def _keep(self, chunk: Boosting, rounds: int) -> None:
        """Put the chunk's first `rounds` rounds after those before them."""
        before, rate = self.model, float(self._session.params["learning_rate"])
        fitted = zip(chunk.base_models[:rounds], chunk.col_idxs[:rounds], strict=True)
        trees = TreeArrays.fitted([(tree, columns) for of_round, columns in fitted for tree in of_round])
        scalings = np.array(chunk.scalings[:rounds], dtype=np.float64)
        self.model = Grown(
            initial=before.initial,
            scalings=np.concatenate([before.scalings, scalings]),
            trees=before.trees.followed_by(trees),
        )
        self._parameters = [
            self.model.moved(parameters, features, rate, from_round=before.rounds)
            for parameters, features in zip(self._parameters, self._features, strict=True)
        ]


class _Enough(Exception):
    """No error: the way out of the library's loop when no more rounds are wanted."""


class _Watch:
    """Listens to the rounds: the loss of a round's batch before it, of all validation rows after it."""

    def __init__(self, after_round: AfterRound) -> None:
        self._after_round = after_round
        self._training = 0.0
        self.rounds = 0

    def before_round(self, rows: Distribution, labels: Labels, weights: NDArray[np.float64]) -> float:
        """Remember and return the loss of the rows drawn."""
        self._training = float(rows.total_score(labels, weights))
        return self._training

    def after_round(self, rows: Distribution, labels: Labels) -> float:
        """Hand the losses on and return that of the validation rows.

        Raises:
            _Enough: no more rounds are wanted, or this one does not count.
        """
        loss = float(rows.total_score(labels))
        if not (np.isfinite(loss) and np.isfinite(self._training)):
            raise _Enough
        self.rounds += 1
        if self._after_round(self._training, loss):
            raise _Enough
        return loss


def _library_chunk(
    session: Session, rounds: int, seed: int, *, begun: Iterator[NDArray[np.float64]]
) -> Boosting:
    """Return the library's boosting of `rounds` rounds that begins with given parameters of the rows.

    By itself it begins with the labels' marginal parameters and predicts all rounds before once more. It asks
    for the parameters of the training rows first, then for those of the validation rows.
    """
    from ngboost import NGBoost  # noqa: PLC0415 -- the seam: seconds that only training pays
    from ngboost.distns import Normal, k_categorical  # noqa: PLC0415 -- as above
    from sklearn.tree import DecisionTreeRegressor  # noqa: PLC0415 -- as above

    params, data = session.params, session.data
    scaled_leaf = min(2000, max(20, int(len(data.train) * batch_share(session)) // 50))
    base = DecisionTreeRegressor(
        max_depth=params["depth"],
        min_samples_leaf=params["min_leaf_rows"] or scaled_leaf,
        random_state=seed,
    )
    chunk = NGBoost(
        Dist=Normal if data.code.task == "regression" else k_categorical(len(data.code.classes)),
        Base=base,
        n_estimators=rounds,
        learning_rate=params["learning_rate"],
        minibatch_frac=batch_share(session),
        col_sample=params["feature_share"],
        random_state=seed,
        verbose=False,
    )
    chunk.fit_init_params_to_marginal = lambda _labels: None
    chunk.pred_param = lambda _features: next(begun).copy()
    return chunk


def _as_learnt(data: FitData, rows: NDArray[np.int64]) -> Labels:
    """Return labels as the library takes them: float64 values, or the classes' places as integers."""
    return data.encoded_at(rows).astype(np.float64 if data.code.task == "regression" else np.int64)


def _marginal(data: FitData, labels: Labels, weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the weighted marginal parameters of the training labels, (parameters,).

    The library's own count no weights and fail for a class no training row has.
    """
    if data.code.task == "regression":
        mean = np.average(labels, weights=weights)
        spread = np.sqrt(np.average((labels - mean) ** 2, weights=weights))
        return np.array([mean, np.log(spread)])
    counts = np.bincount(labels, weights=weights, minlength=len(data.code.classes))
    logs = np.log(np.maximum(counts, _LEAST_COUNT))
    return np.asarray(logs[1:] - logs[0])
