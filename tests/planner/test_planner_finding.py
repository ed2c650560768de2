"""From screens to laws: what was found, how it was paid for, how old, whose it is, what the rest has left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from screen_samples import grid_panel, remembering, symbol_names

import planner.finding
from panel.aligned import Panel
from planner.finding import (
    FOLDED,
    LAG,
    PRODUCT,
    RANK,
    Law,
    Laws,
    channel_places,
    find_laws,
    with_rest,
)
from planner.products import Product, screen_products
from planner.scores import TIME, Axis, Channel, axis_of, channels_of
from planner.screens import LAGS, WINDOWS, Own, Screened, Sums, screen
from planner.spectra import two_sided

Floats = npt.NDArray[np.float64]
FEATURES = ("f0", "f1", "f2", "f3")
SHARES = {RANK: 0.5, FOLDED: 0.15, PRODUCT: 0.175, LAG: 0.175}
DEPTH = len(LAGS) + len(WINDOWS)


def _sums(*lead: int, channels: int = 1) -> Sums:
    """Screens that found next to nothing: a z of a tenth everywhere."""
    shape = (*lead, len(FEATURES), channels)
    return Sums(
        rank=np.full(shape, 0.1),
        fold=np.full(shape, 0.1),
        lag=np.full((*shape, DEPTH), 0.1),
        correlation=np.zeros(shape),
        inflation=np.ones(shape),
    )


def _screened(symbols: int = 3, levels: tuple[float | None, ...] = (None,)) -> Screened:
    """A screened target `y` with a channel for each level, to be filled in."""
    shape = (symbols, len(FEATURES), len(levels))
    return Screened(
        features=FEATURES,
        channels=tuple(Channel(target="y", horizon_bars=1, pooled=TIME, level=level) for level in levels),
        symbols=symbol_names(symbols),
        present=np.full((symbols, len(levels)), 500),
        pooled=_sums(channels=len(levels)),
        alone=_sums(symbols, channels=len(levels)),
        own=Own(z=np.zeros(shape), gap=np.zeros(shape), rest=np.zeros(shape), own_z=np.zeros(shape)),
        labels={},
        scores={},
    )


def _laws(screened: Screened, *pairs: Product, usable: tuple[bool, ...] = (True,) * 4) -> Laws:
    places = range(len(screened.channels))
    products = [tuple(pairs) if place == 0 else () for place in places]
    return find_laws(screened, products, list(places), np.array(usable))


def _pooled(screened: Screened, *pairs: Product, **options: Any) -> Law:
    law = _laws(screened, *pairs, **options).pooled
    assert law is not None
    return law


def test_a_rank_law_is_paid_for_by_all_features_and_families() -> None:
    """Bonferroni over the features, then over the families by the share that plain laws have: one half."""
    screened = _screened()
    screened.pooled.rank[2, 0] = -6.0
    law = _pooled(screened, Product(first=0, second=1, z=0.1))
    assert (law.found_by, law.leading, law.z, law.sign) == (RANK, ("f2",), -6.0, -1)
    assert (law.bars, law.window) == (None, False)
    assert law.by_family[RANK] == pytest.approx(4 * float(two_sided(6.0)))
    assert law.p == pytest.approx(4 * float(two_sided(6.0)) / 0.5)
    assert law.tests == 4 + 4 + 4 * DEPTH + 10


@pytest.mark.parametrize(("family", "tests"), [(RANK, 4), (FOLDED, 4), (LAG, 4 * DEPTH), (PRODUCT, 10)])
def test_every_family_pays_its_tests_and_its_share(family: str, tests: int) -> None:
    """The shares add up to one, so the chance of any false law is that of the p-value."""
    screened = _screened()
    z = 5.5
    if family == RANK:
        screened.pooled.rank[1, 0] = z
    elif family == FOLDED:
        screened.pooled.fold[1, 0] = z
    elif family == LAG:
        screened.pooled.lag[1, 0, 3] = z
    law = _pooled(screened, Product(first=1, second=3, z=z if family == PRODUCT else 0.1))
    assert law.found_by == family
    assert law.by_family[family] == pytest.approx(tests * float(two_sided(z)))
    assert law.p == pytest.approx(tests * float(two_sided(z)) / SHARES[family])
    assert law.z == z
    assert sum(SHARES.values()) == pytest.approx(1.0)


def test_of_equal_evidence_the_plain_law_is_told() -> None:
    """A rank as clear as a folded size, a product or a lag is what was found, or a little less clear."""
    screened = _screened()
    for table in (screened.pooled.rank, screened.pooled.fold):
        table[1, 0] = 5.0
    screened.pooled.lag[1, 0, 0] = 5.0
    assert _pooled(screened, Product(first=1, second=1, z=5.0)).found_by == RANK
    screened.pooled.fold[1, 0] = 5.15
    assert _pooled(screened).found_by == RANK
    screened.pooled.fold[1, 0] = 5.5
    assert _pooled(screened).found_by == FOLDED


def test_p_is_never_above_one() -> None:
    """Of noise nothing is sure, and no more than that."""
    law = _pooled(_screened())
    assert law.p == 1.0
    assert max(law.by_family.values()) == 1.0


def test_classes_are_paid_for_and_their_clearest_counts() -> None:
    """Three classes are three times the tests; the law is the one of the class where it is clearest."""
    screened = _screened(levels=(0.0, 1.0, 2.0))
    screened.pooled.rank[1] = [5.0, 0.1, -7.0]
    law = _pooled(screened, Product(first=0, second=0, z=0.5))
    assert (law.leading, law.z, law.sign) == (("f1",), -7.0, -1)
    assert law.by_family[RANK] == pytest.approx(12 * float(two_sided(7.0)))
    assert law.tests == 12 + 12 + 12 * DEPTH + 30


def test_the_leading_features_are_the_clear_ones_strongest_first() -> None:
    """Those of four standard deviations and more, or the single best; the sign is that of the first."""
    screened = _screened()
    screened.pooled.rank[:, 0] = [4.5, -9.0, 3.9, 6.0]
    law = _pooled(screened)
    assert (law.leading, law.sign) == (("f1", "f3", "f0"), -1)
    screened.pooled.rank[:, 0] = [3.0, 3.5, 2.0, 1.0]
    assert _pooled(screened).leading == ("f1",)


@pytest.mark.parametrize(
    ("step", "bars", "window"),
    [(0, 1, False), (4, 5, False), (12, 20, False), (13, 3, True), (15, 10, True), (16, 20, True)],
)
def test_the_age_of_the_leading_value_is_told(step: int, bars: int, window: bool) -> None:
    """So many bars old, or the sum of so many."""
    screened = _screened(levels=(0.0, 1.0))
    screened.pooled.lag[3, 1, step] = -8.0
    law = _pooled(screened)
    assert (law.found_by, law.leading, law.sign) == (LAG, ("f3",), -1)
    assert (law.bars, law.window) == (bars, window)


def test_a_product_names_its_features_and_a_square_one() -> None:
    """With the sign of the product's sum."""
    law = _pooled(_screened(), Product(first=1, second=3, z=-7.0), Product(first=0, second=0, z=6.0))
    assert (law.found_by, law.leading, law.z, law.sign) == (PRODUCT, ("f1", "f3"), -7.0, -1)
    law = _pooled(_screened(), Product(first=2, second=2, z=7.0))
    assert (law.leading, law.sign) == (("f2",), 1)


def test_a_hidden_feature_leads_nothing_and_costs_nothing() -> None:
    """A leak is neither looked at nor paid for."""
    screened = _screened()
    screened.pooled.rank[1, 0], screened.pooled.rank[2, 0] = 30.0, 6.0
    screened.alone.rank[0, 1, 0], screened.own.z[0, 1, 0] = 30.0, 30.0
    screened.own.own_z[0, 1, 0], screened.own.gap[0, 1, 0] = 30.0, 0.5
    laws = _laws(screened, usable=(True, False, True, True))
    assert laws.pooled is not None
    assert laws.pooled.leading == ("f2",)
    assert laws.pooled.by_family[RANK] == pytest.approx(3 * float(two_sided(6.0)))
    assert laws.alone["S00"].p == 1.0
    assert laws.deviating == ()


def test_each_symbol_has_a_law_without_products() -> None:
    """Its own screens, its own payment; a symbol without labels has none."""
    screened = _screened()
    screened.alone.rank[1, 2, 0] = 6.5
    screened.present[2] = 0
    laws = _laws(screened, Product(first=0, second=1, z=20.0))
    assert sorted(laws.alone) == ["S00", "S01"]
    assert (laws.alone["S01"].found_by, laws.alone["S01"].leading) == (RANK, ("f2",))
    assert laws.alone["S01"].tests == 4 + 4 + 4 * DEPTH
    assert PRODUCT not in laws.alone["S01"].by_family
    assert laws.pooled is not None
    assert laws.pooled.found_by == PRODUCT
    assert sorted(laws.deviations) == ["S00", "S01"]


def test_one_symbol_has_nothing_to_be_pooled_with() -> None:
    """No pooled law and nobody to differ from."""
    laws = _laws(_screened(symbols=1))
    assert (laws.pooled, laws.deviations, laws.deviating) == (None, {}, ())
    assert list(laws.alone) == ["S00"]


def test_where_no_symbol_was_screened_alone_there_is_the_pooled_law_only() -> None:
    """Too many symbols: nobody has a law of its own, and nobody deviates."""
    screened = _screened()
    screened.pooled.rank[1, 0] = 7.0
    none = np.zeros((0, len(FEATURES), 1))
    crowd = replace(screened, alone=_sums(0), own=Own(z=none, gap=none, rest=none, own_z=none))
    laws = _laws(crowd)
    assert (laws.alone, laws.deviations, laws.deviating) == ({}, {}, ())
    assert laws.pooled is not None
    assert laws.pooled.leading == ("f1",)


def test_nothing_screened_is_no_law() -> None:
    """Without usable features, or where nothing varies, there is nothing to tell."""
    screened = _screened()
    blind = _laws(screened, usable=(False,) * 4)
    assert (blind.pooled, blind.alone, blind.deviations) == (None, {}, {})
    screened.pooled.rank[:] = 0.0
    assert _laws(screened).pooled is None


@pytest.mark.parametrize(
    ("own", "rest", "deviates"),
    [
        (0.30, 0.00, True),  # a law where the others have none
        (-0.30, 0.10, True),  # the opposite law
        (0.30, 0.10, True),  # a stronger one
        (0.00, 0.20, False),  # the lack of the common law
        (-0.10, 0.20, False),  # a weaker opposite one
        (0.14, 0.10, False),  # nearly the common law
    ],
)
def test_a_symbol_deviates_by_a_law_of_its_own(own: float, rest: float, deviates: bool) -> None:
    """Larger than the law of the rest and apart from it by half of it, however clear the gap is."""
    screened = _screened()
    screened.own.z[1, 2, 0], screened.own.own_z[1, 2, 0] = np.sign(own - rest) * 8.0, 7.0
    screened.own.gap[1, 2, 0], screened.own.rest[1, 2, 0] = own - rest, rest
    laws = _laws(screened)
    assert laws.deviating == (("S01",) if deviates else ())
    found = laws.deviations["S01"]
    if deviates:
        assert found.p == pytest.approx(4 * float(two_sided(7.0)))  # the smaller of gap and own law
        assert (found.feature, found.own, found.rest) == ("f2", pytest.approx(own), rest)
        assert found.z == pytest.approx(np.sign(own - rest) * 8.0)
    else:
        assert found.p == 1.0


def test_an_unsure_law_of_ones_own_is_none() -> None:
    """A clear gap is not enough: the symbol's own correlation must be clear as well."""
    screened = _screened()
    screened.own.z[1, 2, 0], screened.own.own_z[1, 2, 0] = 8.0, 2.0
    screened.own.gap[1, 2, 0] = 0.3
    assert _laws(screened).deviating == ()


def test_deviations_are_judged_together() -> None:
    """Thirty symbols that were looked at raise the bar for each: Benjamini and Hochberg at one percent."""
    z = 3.4  # four features: p 0.0027
    for symbols, deviating in ((3, True), (30, False)):
        screened = _screened(symbols=symbols)
        screened.own.z[1, 2, 0] = screened.own.own_z[1, 2, 0] = z
        screened.own.gap[1, 2, 0] = 0.3
        assert bool(_laws(screened).deviating) is deviating


def test_channels_are_grouped_by_target_in_order() -> None:
    """Classes of a target lie together."""
    channels = [
        Channel(target=target, horizon_bars=1, pooled=TIME, level=level)
        for target, level in (("b", None), ("a", 0.0), ("a", 1.0), ("c", None))
    ]
    assert channel_places(channels) == {"b": [0], "a": [1, 2], "c": [3]}


SYMBOLS, TIMES, UNTIL = 6, 1_200, 1_000
NAMES = ("e", "g", "n0", "n1", "n2", "n3")


@pytest.fixture(scope="module")
def panel(tmp_path_factory: pytest.TempPathFactory) -> Panel:
    """A law of one symbol alone; a common law that one symbol has the other way round; a common law."""
    rng = np.random.default_rng(7)
    shape = (SYMBOLS, TIMES)
    x = {name: remembering(rng, shape, 0.5) for name in NAMES}
    alone, turned = np.zeros((SYMBOLS, 1)), np.ones((SYMBOLS, 1))
    alone[3], turned[2] = 0.9, -2.0
    columns = {
        **x,
        "y_alone_1d": alone * x["e"] + rng.standard_normal(shape),
        "y_turned_1d": 0.25 * turned * x["g"] + rng.standard_normal(shape),
        "y_common_1d": 0.25 * x["g"] + rng.standard_normal(shape),
    }
    return grid_panel(columns, tmp_path_factory.mktemp("finding"))


def _found(panel: Panel, target: str) -> tuple[Laws, Screened, Axis]:
    axis = axis_of(panel, UNTIL)
    channels = channels_of(panel, [panel.column(f"y_{target}_1d")])
    screened = screen(axis, NAMES, channels)
    products = screen_products(screened, np.ones((len(NAMES), len(channels)), dtype=np.bool_))
    return find_laws(screened, products, [0], np.ones(len(NAMES), dtype=np.bool_)), screened, axis


def _with_rest(panel: Panel, target: str) -> Laws:
    laws, screened, axis = _found(panel, target)
    return with_rest(laws, screened, axis, [0], np.ones(len(NAMES), dtype=np.bool_))


def test_without_the_only_symbol_that_has_a_law_none_is_left(panel: Panel) -> None:
    """The pooled screen sees it, the screen of the rest does not."""
    laws = _with_rest(panel, "alone")
    assert laws.deviating == ("S03",)
    assert laws.deviations["S03"].feature == "e"
    assert laws.pooled is not None
    assert laws.pooled.p < 1e-6
    assert laws.rest is not None
    assert laws.rest.p > 0.05


def test_without_the_symbol_that_turns_it_round_the_common_law_is_clearer(panel: Panel) -> None:
    """The rest goes on as before, and its law says so."""
    laws = _with_rest(panel, "turned")
    assert laws.deviating == ("S02",)
    assert laws.deviations["S02"].own < 0 < laws.deviations["S02"].rest
    assert laws.pooled is not None
    assert laws.rest is not None
    assert laws.rest.leading[0] == "g"
    assert laws.rest.z > abs(laws.pooled.z)


def test_the_rest_is_paid_for_as_if_all_features_had_been_looked_at(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the leading features are screened again; the p-value is that of all of them."""
    whole = _with_rest(panel, "turned").rest
    monkeypatch.setattr(planner.finding, "_REST_FEATURES", 2)
    part = _with_rest(panel, "turned").rest
    assert whole is not None
    assert part is not None
    assert part.leading == whole.leading[: len(part.leading)]
    assert part.by_family[RANK] == pytest.approx(whole.by_family[RANK], rel=1e-3)
    assert part.tests >= whole.tests


def test_where_nobody_deviates_there_is_no_rest(panel: Panel) -> None:
    """The laws stay as they are."""
    laws, screened, axis = _found(panel, "common")
    assert laws.deviating == ()
    assert with_rest(laws, screened, axis, [0], np.ones(len(NAMES), dtype=np.bool_)) is laws


def test_a_hidden_feature_does_not_speak_for_the_rest(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What may not explain the target is not screened again, nor does it take the place of another."""
    monkeypatch.setattr(planner.finding, "_REST_FEATURES", 1)
    laws, screened, axis = _found(panel, "turned")
    usable = np.array([name != "g" for name in NAMES])
    made = with_rest(laws, screened, axis, [0], usable)
    assert made.rest is not None
    assert made.rest.p > 0.05
