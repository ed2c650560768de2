"""Products of two features: sums by brute force, planted pairs and squares first, leaks never looked at."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from screen_samples import grid_panel, remembering

from panel.aligned import Panel
from planner.products import (
    Product,
    leading_pairs,
    product_series,
    screen_products,
    weighted_grams,
)
from planner.scores import TIME, axis_of, channels_of
from planner.screens import Screened, screen
from planner.spectra import Spread, degrees_of, gaps_of, padded, power_of, spectrum, z_scores

Floats = npt.NDArray[np.float64]
FEATURES = ("a", "b", "c", "d", "e", "f")
LAWS = ("class", "pair", "square", "noise")
SYMBOLS, TIMES, UNTIL = 5, 900, 800


def _columns() -> dict[str, Floats]:
    """Six features, two of them slow; a law of a product, one of a square, a product's sign, and luck."""
    rng = np.random.default_rng(1)
    shape = (SYMBOLS, TIMES)
    x = {name: remembering(rng, shape, 0.9 if name in "ae" else 0.0) for name in FEATURES}
    pair = -0.25 * x["a"] * x["b"] + rng.standard_normal(shape)
    return {
        **x,
        "y_pair_1d": pair,
        "y_class_1d": (pair > 0.0).astype(np.float64),
        "y_square_1d": 0.2 * x["d"] ** 2 + rng.standard_normal(shape),
        "y_noise_1d": rng.standard_normal(shape),
    }


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """Five symbols of 900 bars, the last of them listed after a third."""
    bars = np.ones((SYMBOLS, TIMES), dtype=np.bool_)
    bars[4, :300] = False
    return grid_panel(_columns(), tmp_path_factory.mktemp("products"), bars=bars)


def _screened(panel: Panel, features: tuple[str, ...] = FEATURES) -> Screened:
    channels = channels_of(panel, [panel.column(f"y_{law}_1d") for law in LAWS])
    return screen(axis_of(panel, UNTIL), features, channels)


@pytest.fixture(scope="module")
def found(panel: Panel) -> Screened:
    """Screened before the last ninth."""
    return _screened(panel)


def _named(screened: Screened, products: tuple[Product, ...]) -> list[str]:
    return [
        "".join(sorted(screened.features[place] for place in (one.first, one.second))) for one in products
    ]


def _everything(screened: Screened) -> npt.NDArray[np.bool_]:
    return np.ones((len(screened.features), len(screened.channels)), dtype=np.bool_)


def test_sums_of_products_equal_their_definition() -> None:
    """One weighted matrix product per label sums both features times the label over symbols and time."""
    rng = np.random.default_rng(2)
    scores, labels = rng.standard_normal((3, 4, 50)), rng.standard_normal((3, 2, 50)).astype(np.float32)
    made = weighted_grams(scores, labels)
    np.testing.assert_allclose(
        made, np.einsum("sit,sjt,sct->cij", scores, scores, labels), rtol=1e-3, atol=1e-3
    )


def test_a_planted_pair_comes_first(found: Screened) -> None:
    """For numbers and for classes, with its sign, far ahead of every other product."""
    by_law = dict(zip(LAWS, screen_products(found, _everything(found)), strict=True))
    for law in ("pair", "class"):
        names = _named(found, by_law[law])
        assert names[0] == "ab"
        assert by_law[law][0].z < -7.0
        assert abs(by_law[law][1].z) < 4.5
    assert abs(by_law["noise"][0].z) < 4.5


def test_a_square_is_a_product_with_itself(found: Screened) -> None:
    """A law of a feature's square is found as that pair."""
    top = screen_products(found, _everything(found))[LAWS.index("square")][0]
    assert (found.features[top.first], found.features[top.second]) == ("d", "d")
    assert top.z > 7.0


def test_what_may_not_explain_a_target_is_never_in_its_products(found: Screened) -> None:
    """A leak is hidden from the target it knows, also as half of a pair, and from no other."""
    usable = _everything(found)
    pair, square = LAWS.index("pair"), LAWS.index("square")
    usable[FEATURES.index("b"), pair] = False
    made = screen_products(found, usable)
    assert len(made[pair]) == 15
    assert not any("b" in name for name in _named(found, made[pair]))
    assert abs(made[pair][0].z) < 4.5
    assert _named(found, made[square][:1]) == ["dd"]
    assert made[square] == screen_products(found, _everything(found))[square]


def test_without_usable_features_there_are_no_products(found: Screened) -> None:
    """Nothing to multiply, for that target alone."""
    usable = _everything(found)
    usable[:, 0] = False
    assert [len(products) for products in screen_products(found, usable)] == [0, 21, 21, 21]


def test_strongest_first_and_each_pair_once(found: Screened) -> None:
    """Of 21 pairs of six features all are looked into, none twice."""
    for products in screen_products(found, _everything(found)):
        sizes = [abs(one.z) for one in products]
        assert sizes == sorted(sizes, reverse=True)
        assert all(one.first <= one.second for one in products)
        assert len({(one.first, one.second) for one in products}) == len(products) == 21


def test_a_products_z_is_that_of_its_own_shifts(found: Screened) -> None:
    """By brute force over np.roll beyond the gap, scaled to the rows shared at no shift."""
    place = LAWS.index("class")
    top = screen_products(found, _everything(found))[place][0]
    length = padded(UNTIL)
    gap = int(gaps_of([1], length)[0])
    wide = [(0, 0), (0, length - UNTIL)]
    series = product_series(found.scores[TIME], top.first, top.second)
    label = found.labels[TIME][:, place]
    x, y = np.pad(series, wide).astype(np.float64), np.pad(label, wide).astype(np.float64)
    shifts = range(gap + 1, length - gap)
    sums = np.array([(x * np.roll(y, -shift, axis=1)).sum() for shift in shifts])
    here, there = x != 0.0, y != 0.0
    shared = np.mean([(here & np.roll(there, -shift, axis=1)).sum() for shift in shifts])
    variance = np.array([(sums**2).mean() * (here & there).sum() / shared])
    crossing = sum(spectrum(own).conj() * spectrum(other) for own, other in zip(series, label, strict=True))
    degrees = degrees_of(power_of(np.asarray(crossing)[None]))
    expected = z_scores(np.array([(x * y).sum()]), Spread(variance, degrees))[0]
    assert top.z == pytest.approx(expected, rel=0.01)


def test_products_of_noise_have_standard_normal_z(tmp_path: Path) -> None:
    """All 21 pairs of six features, slow and fast, with each of forty labels that follow nothing."""
    rng = np.random.default_rng(3)
    shape = (4, 700)
    x = {name: remembering(rng, shape, 0.9 if name in "ae" else 0.0) for name in FEATURES}
    labels = {f"y_n{number:02d}_1d": rng.standard_normal(shape) for number in range(40)}
    panel = grid_panel({**x, **labels}, tmp_path)
    made = screen(axis_of(panel, 650), FEATURES, channels_of(panel, panel.targets))
    z = np.array([one.z for products in screen_products(made, _everything(made)) for one in products])
    assert z.shape == (840,)
    assert z.std() == pytest.approx(1.0, abs=0.08)
    assert abs(z.mean()) < 0.12
    assert np.mean(np.abs(z) > 3.0) < 0.009


def test_the_order_of_features_changes_nothing(panel: Panel, found: Screened) -> None:
    """The same pairs by name with the same numbers."""
    back = _screened(panel, FEATURES[::-1])
    for one, two in zip(
        screen_products(found, _everything(found)), screen_products(back, _everything(back)), strict=True
    ):
        mine = dict(zip(_named(found, one), [product.z for product in one], strict=True))
        other = dict(zip(_named(back, two), [product.z for product in two], strict=True))
        assert mine.keys() == other.keys()
        assert [other[name] for name in mine] == pytest.approx(list(mine.values()), abs=2e-3)


def test_the_series_of_a_product_is_around_each_symbols_mean(found: Screened) -> None:
    """Where a symbol has no bar, and at its first, it is 0; else both scores multiplied, less their mean."""
    series = product_series(found.scores[TIME], 0, 4)
    np.testing.assert_allclose(series.sum(axis=1), 0.0, atol=0.05)
    assert not series[4, :300].any()
    scores = found.scores[TIME].astype(np.float32)
    plain = scores[4, 0, 301:] * scores[4, 4, 301:]
    np.testing.assert_allclose(series[4, 301:], plain - plain.mean(), atol=1e-4)


def test_the_largest_sums_lead_and_a_square_counts_by_its_own_spread() -> None:
    """The square of ranks varies less than the product of two: four fifths."""
    sums = np.array([[9.0, -2.0, 3.0], [-2.0, 1.0, 9.5], [3.0, 9.5, 0.0]])
    assert leading_pairs(sums, 3) == [(0, 0), (1, 2), (0, 2)]
    assert leading_pairs(sums, 99)[-1] == (1, 1)
    assert len(leading_pairs(sums, 99)) == 5
