"""GMMRegime: a Gaussian mixture of market regimes, an expert in each, weighed by filtered probabilities.

Hamilton (Econometrica 1989) for regimes and their filter; Jacobs, Jordan, Nowlan and Hinton (Adaptive
Mixtures of Local Experts, Neural Computation 1991) for the experts. A regime is a state of the market, so it
is read from all symbols of the fit together: their mean features in each bar, in the few directions that move
slowest; the mean over symbols takes away what is each symbol's own. (A fit of one symbol has that symbol's
market.) How many regimes there are, 1 to `regimes_max`, is chosen by Schwarz's criterion on the bars of the
training part; one regime leaves a plain ridge or logistic regression.

At a bar the regimes' probabilities come from the bars up to it, beginning at the panel's first one, with
transitions learnt on the training part: the same bits for a row whichever rows are asked for with it. Experts
are fitted with filtered probabilities too, the ones they will be asked with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load as arrays_from_bytes
from safetensors.numpy import save as bytes_from_arrays
from threadpoolctl import threadpool_limits

from executors.cpu.expert_path import STEPS, ExpertPath, sample_of
from executors.cpu.experts import Floats, mixed, predicted
from executors.cpu.market import Market, SlowDirections, market_of, rows_in
from executors.cpu.mixtures import Mixture
from executors.dataset import FitData, feature_matrix
from executors.errors import BadInput
from executors.estimating import Arrays, cpu_device, learn, one_blas_thread
from executors.parameters import Parameter, one_row
from executors.preprocessing import LabelCode, Standardisation
from executors.session import Session, Trained
from panel.aligned import Panel

MODEL = "model.safetensors"
LIBRARIES = ("scikit-learn", "scipy", "safetensors")
window_rows = one_row

PARAMETERS: Mapping[str, Parameter] = {
    "regimes_max": Parameter(default=4, low=1, high=8),
    "directions": Parameter(default=3, low=1, high=8),
    "iterations": Parameter(default=100, low=1, high=10_000),
}

_ITERATIONS_PER_STEP = 10
_ENOUGH = 1e-7  # relative gain of log-likelihood below which nothing more is done
_FEWEST_BARS = 20


def train(session: Session) -> Trained:
    """Fit regimes, then experts along a path of penalties; keep the experts of the best validation loss.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
        BadInput: the training part has hardly any bars.
    """
    data = session.data
    device = cpu_device("GMMRegime")
    scaled = Standardisation.fitted(data.features_at(data.train))
    market = market_of(data.panel, rows_in(data.panel, session.spec.symbol), data.features, scaled)
    past = market.codes <= int(data.panel.time_codes[data.train].max())
    if past.sum() < _FEWEST_BARS:
        problem = f"the training part has {past.sum()} bars, regimes need {_FEWEST_BARS}"
        raise BadInput(f"target {data.target.name}", problem, "give more history")
    with one_blas_thread():
        slow = SlowDirections.fitted(market.values[past], int(session.params["directions"]))
    learner = _Regimes(session, market, slow.applied(market.values), int(past.sum()), scaled)
    learned = learn(session, learner, device, steps=learner.mixture_steps + STEPS)
    arrays = {name: np.ascontiguousarray(array) for name, array in learned.model.items()}
    arrays |= {"slow_mean": slow.mean, "slow_directions": np.ascontiguousarray(slow.directions)}
    return Trained(
        files={MODEL: bytes_from_arrays(arrays)},
        steps=learned.steps,
        best_step=learned.best_step,
        curve=learned.curve,
        importances=_importances(data, arrays),
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "standardisation": scaled.to_json(),
            "symbol": session.spec.symbol,
            "regimes": len(arrays["start"]),
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    labels = LabelCode.from_json(outline["labels"])
    shares = regimes_at(files, outline, panel, rows)
    scaled = Standardisation.from_json(outline["standardisation"])
    values = scaled.applied(feature_matrix(panel, tuple(outline["features"]), rows))
    experts = arrays_from_bytes(files[MODEL])["experts"]
    answers = mixed(predicted(values, experts, labels.task), shares)
    return labels.decoded(answers if labels.task == "multiclass" else answers[:, 0])


def regimes_at(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> Floats:
    """Return the probability of each regime at the bars of `rows`, (rows, regimes), from bars up to them.

    Rows of other symbols than those of the fit are read by the fit's market; where it has no bar at a row's
    time, by its bar before.
    """
    arrays = arrays_from_bytes(files[MODEL])
    scaled = Standardisation.from_json(outline["standardisation"])
    market = market_of(panel, rows_in(panel, outline["symbol"]), tuple(outline["features"]), scaled)
    slow = SlowDirections(mean=arrays["slow_mean"], directions=arrays["slow_directions"])
    states = Mixture.from_arrays(arrays).states_of(slow.applied(market.values))
    places = np.searchsorted(market.codes, panel.time_codes[rows], side="right") - 1
    return np.asarray(states[np.maximum(places, 0)])


@dataclass(slots=True, kw_only=True)
class _Candidate:
    """A mixture of some number of components as far as it is fitted."""

    mixture: Mixture
    log_likelihood: float = -np.inf
    settled: bool = False


class _Regimes:
    """Steps: iterations of mixtures with one component, two, ...; then the experts' penalties."""

    def __init__(
        self, session: Session, market: Market, values: Floats, past: int, scaled: Standardisation
    ) -> None:
        data = session.data
        self._session, self._values, self._past = session, values, values[:past]
        self._most = int(session.params["regimes_max"]) if values.shape[1] else 1
        self._steps_each = -(-int(session.params["iterations"]) // _ITERATIONS_PER_STEP)
        self.mixture_steps = self._most * self._steps_each
        self._candidates: list[_Candidate] = []
        self._places = [market.place_of(data.panel.time_codes[rows]) for rows in (data.train, data.valid)]
        samples = [sample_of(data, rows, scaled) for rows in (data.train, data.valid)]
        self._path = ExpertPath(samples[0], samples[1], session.weights(), data.code)
        self._shares: list[Floats] = []  # of training and validation rows, once the regimes are chosen

    def state(self) -> dict[str, NDArray[Any]]:
        found = {f"path.{name}": array for name, array in self._path.state().items()}
        for number, candidate in enumerate(self._candidates):
            found |= {f"{number}.{name}": array for name, array in candidate.mixture.arrays().items()}
            found[f"{number}.progress"] = np.array([candidate.log_likelihood, float(candidate.settled)])
        return found

    def restore(self, state: Arrays) -> None:
        self._path.restore({name: state[f"path.{name}"] for name in self._path.state()})
        count = sum(name.endswith(".progress") for name in state)
        self._candidates = []
        for number in range(count):
            own = {name.partition(".")[2]: array for name, array in state.items() if name[0] == str(number)}
            likelihood, settled = own["progress"].tolist()
            self._candidates.append(
                _Candidate(mixture=Mixture.from_arrays(own), log_likelihood=likelihood, settled=bool(settled))
            )

    def step(self, number: int) -> tuple[float, float | None]:
        if number <= self.mixture_steps:
            return self._fit_mixture((number - 1) // self._steps_each), None
        if not self._shares:
            states = self._chosen().states_of(self._values)
            self._shares = [states[places] for places in self._places]
        train, valid = self._shares
        return self._path.step(number - self.mixture_steps - 1, train, lambda *_: valid)

    def model(self) -> dict[str, NDArray[Any]]:
        if not self._candidates:
            return {}
        return {**self._chosen().arrays(), "experts": self._path.experts()[0]}

    def _fit_mixture(self, place: int) -> float:
        """Improve the mixture of place + 1 components; return its loss, -log-likelihood per bar."""
        if len(self._candidates) <= place:
            self._candidates.append(_Candidate(mixture=self._first_guess(place + 1)))
        candidate = self._candidates[place]
        for _ in range(0 if candidate.settled else _ITERATIONS_PER_STEP):
            improved, total = candidate.mixture.improved(self._past)
            gained = total - candidate.log_likelihood
            candidate.log_likelihood = total
            if gained < _ENOUGH * abs(total):
                candidate.settled = True
                break
            candidate.mixture = improved
        return -candidate.log_likelihood / len(self._past)

    def _first_guess(self, states: int) -> Mixture:
        """Return the mixture to begin from, of clusters of bars (on one thread: the same on any machine)."""
        labels = np.zeros(len(self._past), dtype=np.int64)
        if states > 1:
            from sklearn.cluster import KMeans  # noqa: PLC0415 -- the seam: predictions need none of it

            clusters = KMeans(n_clusters=states, n_init=4, random_state=self._session.seed("regimes", states))
            with threadpool_limits(limits=1):
                labels = clusters.fit_predict(self._past).astype(np.int64)
        return Mixture.of_labels(self._past, labels, states)

    def _chosen(self) -> Mixture:
        """Return the mixture with the best criterion; at equal ones the one with fewer components."""
        bars = len(self._past)
        criteria = [one.mixture.criterion(one.log_likelihood, bars) for one in self._candidates]
        return self._candidates[int(np.argmin(criteria))].mixture


def _importances(data: FitData, arrays: Arrays) -> dict[str, float]:
    """Return the mean absolute coefficient of each feature over experts and outputs."""
    sizes = np.abs(arrays["experts"][:, :-1]).mean(axis=(0, 2))
    return dict(zip(data.features, (float(size) for size in sizes), strict=True))
