"""The filter and the smoother of a hidden state, and mixtures whose component lasts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from executors.cpu.filters import Floats, evidence, filtered, relative, smoothed, sticky
from executors.cpu.mixtures import Mixture


def likely(seed: int, bars: int, states: int) -> tuple[Floats, Floats, Floats]:
    """Return likelihoods, transition and start of no particular model."""
    random = np.random.default_rng(seed)
    transition = random.dirichlet(np.ones(states), size=states)
    return random.random((bars, states)) ** 4, transition, random.dirichlet(np.ones(states))


def bar_by_bar(likelihoods: Floats, transition: Floats, start: Floats) -> tuple[Floats, float]:
    """The recursion as Hamilton writes it, and the log-likelihood."""
    states, total, before = [], 0.0, start
    for seen in likelihoods:
        both = before * seen
        total += float(np.log(both.sum()))
        states.append(both / both.sum())
        before = states[-1] @ transition
    return np.array(states), total


@pytest.mark.parametrize(("bars", "states"), [(1, 3), (63, 2), (64, 2), (65, 4), (1000, 3), (40, 1)])
def test_the_filter_in_blocks_is_the_recursion_bar_by_bar(bars: int, states: int) -> None:
    """Whatever the number of bars, states and evidence are those of the plain recursion."""
    model = likely(bars, bars, states)
    expected, total = bar_by_bar(*model)
    found = filtered(*model)
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)
    assert evidence(*model, found) == pytest.approx(total)
    assert filtered(model[0][:0], *model[1:]).shape == (0, states)


def test_later_bars_change_no_bit_of_earlier_ones() -> None:
    """What is known at a bar is the same with a hundred bars after it, other bars, or none."""
    likelihoods, transition, start = likely(3, 400, 4)
    whole = filtered(likelihoods, transition, start)
    for bars in (1, 64, 129, 300):
        np.testing.assert_array_equal(filtered(likelihoods[:bars], transition, start), whole[:bars])


def test_impossible_observations_do_not_end_in_nothing() -> None:
    """States of probability zero at many bars in a row leave numbers, and a sure state is recognised."""
    sure = np.zeros((500, 2))
    sure[:250, 0] = sure[250:, 1] = 1.0
    states = filtered(sure, sticky(2, 1e-6), np.array([0.5, 0.5]))
    np.testing.assert_allclose(states[:250, 0], 1.0)
    np.testing.assert_allclose(states[250:, 1], 1.0)


def test_the_smoother_adds_up_all_paths() -> None:
    """On six bars of three states: probabilities and expected moves of all 729 paths, one by one."""
    likelihoods, transition, start = likely(5, 6, 3)
    share, moves, total = np.zeros((6, 3)), np.zeros((3, 3)), 0.0
    for path in itertools.product(range(3), repeat=6):
        weight = start[path[0]] * likelihoods[0, path[0]]
        for bar, (one, two) in enumerate(itertools.pairwise(path), start=1):
            weight *= transition[one, two] * likelihoods[bar, two]
        total += weight
        for bar, state in enumerate(path):
            share[bar, state] += weight
        for one, two in itertools.pairwise(path):
            moves[one, two] += weight
    found, found_moves = smoothed(likelihoods, transition, start)
    np.testing.assert_allclose(found, share / total)
    np.testing.assert_allclose(found_moves, moves / total)
    known = filtered(likelihoods, transition, start)
    np.testing.assert_allclose(found[-1], known[-1])
    assert np.abs(found[:-1] - known[:-1]).max() > 0.01  # elsewhere it knows what came after


def test_likelihoods_are_told_relative_to_the_best_state() -> None:
    """Log-likelihoods far below what a float can hold stay apart."""
    found, best = relative(np.array([[-2000.0, -2001.0], [5.0, -9000.0]]))
    np.testing.assert_allclose(found, [[1.0, np.exp(-1.0)], [1.0, 0.0]])
    np.testing.assert_array_equal(best, [-2000.0, 5.0])


def planted(seed: int, bars: int = 600) -> tuple[Floats, Floats]:
    """Return bars of a mixture of two lasting components in two directions, and the components."""
    random = np.random.default_rng(seed)
    state = np.cumsum(random.random(bars) < 0.03) % 2
    spread = np.where(state[:, None] == 1, [1.0, 0.6], [0.5, 1.4])
    return 1.5 * state[:, None] * [1.0, 0.0] + spread * random.standard_normal((bars, 2)), state


def after(mixture: Mixture, values: Floats, iterations: int) -> tuple[Mixture, list[float]]:
    """Return the mixture after some iterations, and the log-likelihood before each."""
    totals = []
    for _ in range(iterations):
        mixture, total = mixture.improved(values)
        totals.append(total)
    return mixture, totals


def test_iterations_climb_and_find_what_was_planted() -> None:
    """The likelihood never falls; means, spreads and moves come out; bars are told apart on-line."""
    values, state = planted(1)
    guess = Mixture.of_labels(values, (values[:, 0] > 0.7).astype(np.int64), 2)
    mixture, totals = after(guess, values, 40)
    assert all(later > earlier - 0.05 for earlier, later in itertools.pairwise(totals))
    assert totals[-1] > totals[0] + 10
    np.testing.assert_allclose(mixture.means, [[0.0, 0.0], [1.5, 0.0]], atol=0.2)
    np.testing.assert_allclose(
        np.diagonal(mixture.covariances, axis1=1, axis2=2) ** 0.5, [[0.5, 1.4], [1.0, 0.6]], atol=0.15
    )
    np.testing.assert_allclose(np.diag(mixture.transition), 0.97, atol=0.02)
    told = mixture.states_of(values)[:, 1] > 0.5
    assert float((told == (state == 1)).mean()) > 0.93


@pytest.mark.parametrize("seed", range(5))
def test_the_criterion_takes_two_where_two_are_and_one_where_one_is(seed: int) -> None:
    """Schwarz's criterion does not buy components that are not there."""
    random = np.random.default_rng(seed)
    chosen = []
    for values in (planted(seed)[0], random.standard_normal((600, 2))):
        criteria = []
        for states in (1, 2, 3):
            labels = (np.argsort(np.argsort(values[:, 0])) * states // len(values)).astype(np.int64)
            mixture, totals = after(Mixture.of_labels(values, labels, states), values, 40)
            criteria.append(mixture.criterion(totals[-1], len(values)))
        chosen.append(int(np.argmin(criteria)) + 1)
    assert chosen == [2, 1]


def test_a_mixture_survives_the_way_through_arrays_and_empty_components() -> None:
    """The same bits after saving; a component that no bar is of has a shape all the same."""
    values, _ = planted(2, 50)
    mixture, _ = after(Mixture.of_labels(values, np.zeros(50, dtype=np.int64), 3), values, 3)
    again = Mixture.from_arrays(mixture.arrays())
    np.testing.assert_array_equal(again.states_of(values), mixture.states_of(values))
    assert np.isfinite(mixture.log_densities(values)).all()
