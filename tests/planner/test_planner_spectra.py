"""The circular-shift null: right by brute force, standard normal on noise, honest about late symbols."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from screen_samples import coming, grid_panel, remembering

from panel.aligned import Panel
from panel.ranks import rank_rows
from planner.scores import axis_of, channels_of, cross, past_centred
from planner.screens import Screened, screen
from planner.spectra import (
    Overlap,
    Spread,
    degrees_of,
    gaps_of,
    inverse,
    of_many,
    overlap_of,
    padded,
    power_of,
    spectrum,
    spectrum_of,
    two_sided,
    z_scores,
)

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
MEMORIES, HORIZONS = (0.0, 0.9, 0.98, 0.995), (1, 5, 20)


def _white(*shape: int, seed: int = 0) -> npt.NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def _noise(
    seed: int, folder: Path, *, symbols: int = 6, times: int = 1_500, bars: Mask | None = None, each: int = 8
) -> Panel:
    """Features of four persistences and labels of three horizons that have nothing to do with each other."""
    rng = np.random.default_rng(seed)
    shape = (symbols, times)
    features = {
        f"f{1000 * memory:03.0f}_{number}": remembering(rng, shape, memory)
        for memory in MEMORIES
        for number in range(each)
    }
    labels = {
        f"y_n{number}_{horizon}d": coming(rng.standard_normal(shape), horizon)
        for horizon in HORIZONS
        for number in range(each)
    }
    return grid_panel({**features, **labels}, folder, bars=bars)


def _screened(panel: Panel) -> Screened:
    axis = axis_of(panel, len(panel.timestamps) - 25)
    return screen(axis, panel.feature_names, channels_of(panel, panel.targets))


def test_the_curve_holds_the_sum_of_products_at_every_shift() -> None:
    """Place s is the sum of x(t) y(t + s), both on a circle padded with zeros."""
    x, y = _white(3, 97), _white(97, seed=1)
    length = padded(97)
    assert length >= 97
    curve = inverse(spectrum(x).conj() * spectrum(y), length)
    wide = [np.pad(one, (0, length - 97)) for one in x]
    ahead = np.pad(y, (0, length - 97))
    for own, padded_out in zip(curve, wide, strict=True):
        expected = [float(padded_out @ np.roll(ahead, -shift)) for shift in range(length)]
        np.testing.assert_allclose(own, expected, atol=1e-3)
    np.testing.assert_allclose(spectrum_of(curve), spectrum(x).conj() * spectrum(y), atol=1e-2)


def test_the_variance_is_that_of_all_far_shifts(tmp_path: Path) -> None:
    """By brute force over np.roll beyond the gap, for one symbol, over time and pooled across symbols."""
    panel = _noise(1, tmp_path, symbols=4, times=150, each=1)
    found = _screened(panel)
    length, times = padded(125), 125
    gaps = gaps_of([one.horizon_bars for one in found.channels], length)
    widen = [(0, 0), (0, 0), (0, length - times)]
    for kind in ("cross", "time"):
        x = np.pad(_exact_scores(panel, found.features, kind), widen)
        y = np.pad(found.labels[kind].astype(np.float64), widen)
        for channel, gap in enumerate(gaps):
            shifts = range(int(gap) + 1, length - int(gap))
            sums = np.array(
                [np.einsum("sft,st->sf", x, np.roll(y[:, channel], -shift, axis=-1)) for shift in shifts]
            )
            rows = found.present[:, channel]
            there = (y[:, channel] != 0.0).astype(np.float64)
            bars = np.pad(np.ones((4, times)), widen[1:])
            shared = np.array([(bars * np.roll(there, -shift, axis=-1)).sum(axis=-1) for shift in shifts])
            fix = rows / shared.mean(axis=0)
            if kind == "cross":
                expected = (sums.sum(axis=1) ** 2).mean(axis=0) * (rows.sum() / shared.sum(axis=1).mean())
                made = found.pooled.inflation[:, channel] * rows.sum()
            else:
                expected = (sums[:, 1] ** 2).mean(axis=0) * fix[1]
                made = found.alone.inflation[1, :, channel] * rows[1]
            np.testing.assert_allclose(made, expected, rtol=0.02)


def _exact_scores(panel: Panel, features: tuple[str, ...], kind: str) -> Floats:
    axis = axis_of(panel, len(panel.timestamps) - 25)
    raw = axis.grid(features)
    if kind == "cross":
        return cross(axis, raw).astype(np.float64)
    ranked = np.stack([rank_rows(own) for own in raw])
    return past_centred(axis, ranked, np.isfinite(raw)).astype(np.float64)


@pytest.mark.parametrize(
    ("horizons", "length", "expected"),
    [([1, 2], 400, [20, 20]), ([1, 5, 9], 1_000, [50, 50, 90]), ([60], 1_000, [250]), ([1], 30, [7])],
)
def test_near_shifts_are_left_out(horizons: list[int], length: int, expected: list[int]) -> None:
    """Ten horizons, at least a twentieth and at most a quarter of the whole."""
    assert gaps_of(horizons, length).tolist() == expected


def test_white_noise_has_as_many_degrees_of_freedom_as_bars() -> None:
    """Summed over eight symbols every frequency counts; for one symbol chance makes half of them small."""
    x, y = _white(40, 8, 2_000), _white(40, 8, 2_000, seed=1)
    crossing = spectrum(x).conj() * spectrum(y)
    assert np.median(degrees_of(power_of(crossing.sum(axis=1)))) == pytest.approx(2_000, rel=0.15)
    assert np.median(degrees_of(power_of(crossing[:, 0]))) == pytest.approx(1_000, rel=0.15)


def test_slow_series_have_few_degrees_of_freedom() -> None:
    """The slower both sides, the fewer frequencies carry the variance; never fewer than three are told."""
    rng = np.random.default_rng(3)
    found = []
    for memory in (0.0, 0.9, 0.99, 0.999):
        x = remembering(rng, (60, 2_000), memory).astype(np.float32)
        y = remembering(rng, (60, 2_000), memory).astype(np.float32)
        x -= x.mean(axis=1, keepdims=True)
        y -= y.mean(axis=1, keepdims=True)
        found.append(float(np.median(degrees_of(power_of(spectrum(x).conj() * spectrum(y))))))
    assert found == sorted(found, reverse=True)
    assert found[2] < 40
    assert found[3] < 10
    assert degrees_of(np.zeros((1, 50)))[0] == 3.0


def test_a_z_is_what_students_t_says() -> None:
    """The tail of t with the estimate's degrees, on the normal scale; nothing is known without a variance."""
    sums = np.array([3.0, -3.0, 3.0, 0.0, 7.0])
    made = z_scores(sums, Spread(np.array([1.0, 1.0, 1.0, 1.0, 0.0]), np.array([5.0, 5.0, 1e9, 5.0, 5.0])))
    expected = stats.norm.isf(stats.t.sf(3.0, 5))
    assert made == pytest.approx([expected, -expected, 3.0, 0.0, 0.0], abs=1e-6)


def test_p_values_are_two_sided_and_never_zero() -> None:
    """Also forty standard deviations out, where the tail is below any number."""
    assert two_sided([1.959964, -1.959964, 0.0]) == pytest.approx([0.05, 0.05, 1.0], rel=1e-5)
    far = float(two_sided(60.0))
    assert 0.0 < far < 1e-290
    assert float(np.abs(z_scores(np.array([1e9]), Spread(np.ones(1), np.full(1, 1e3)))[0])) < 40


@pytest.mark.parametrize(("p", "tests", "expected"), [(0.01, 5, 0.05), (0.3, 5, 1.0), (0.2, 0, 0.2)])
def test_the_best_of_many_is_paid_for(p: float, tests: int, expected: float) -> None:
    """Bonferroni, at most 1."""
    assert of_many(p, tests) == pytest.approx(expected)


@pytest.mark.parametrize("seed", [11, 12])
def test_noise_has_standard_normal_z(seed: int, tmp_path: Path) -> None:
    """Whatever memory the features have and however the labels overlap: spread, and tails by count."""
    found = _screened(_noise(seed, tmp_path))
    for z in (found.pooled.rank, found.pooled.fold):  # 32 features x 24 labels
        assert z.std() == pytest.approx(1.0, abs=0.09)
        assert abs(z.mean()) < 0.15
    for z in (found.alone.rank, found.alone.fold, found.own.z, found.own.own_z):  # of 6 symbols each
        assert z.std() == pytest.approx(1.0, abs=0.06)
        assert np.mean(np.abs(z) > 2.0) == pytest.approx(0.0455, abs=0.015)
        assert np.mean(np.abs(z) > 3.0) < 0.006
        assert np.abs(z).max() < 5.0
    for z in (found.pooled.lag, found.alone.lag):
        assert z.std() == pytest.approx(1.0, abs=0.08)
        assert np.mean(np.abs(z) > 3.0) < 0.006
    horizons = np.array([one.horizon_bars for one in found.channels])
    slow = np.array([name.startswith("f995") for name in found.features])
    for horizon in HORIZONS:
        part = found.alone.rank[:, :, horizons == horizon]
        assert part[:, slow].std() == pytest.approx(1.0, abs=0.15)
        assert part[:, ~slow].std() == pytest.approx(1.0, abs=0.1)


def test_without_the_shifts_slow_noise_would_look_certain(tmp_path: Path) -> None:
    """Taken for independent rows, the same correlations of slow features and long windows spread widely."""
    found = _screened(_noise(11, tmp_path, each=3))
    slow = np.array([name.startswith("f995") for name in found.features])
    long = np.array([one.horizon_bars == 20 for one in found.channels])
    rows = found.present[:, None, long]
    naive = found.alone.correlation[:, slow][:, :, long] * np.sqrt(rows)
    assert naive.std() > 3.0


def _late(symbols: int = 3, times: int = 1_500, share: float = 0.6) -> Mask:
    """One symbol with all bars, the others with the last ones only."""
    bars = np.ones((symbols, times), dtype=np.bool_)
    bars[1:, : int(share * times)] = False
    return bars


def test_symbols_listed_late_have_standard_normal_z(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shifted, their rows meet fewer rows: the variance is scaled to the rows shared at no shift.

    Without that the same noise would spread by more than one and a half.
    """
    panel = _noise(13, tmp_path, symbols=3, bars=_late(), each=6)
    found = _screened(panel)
    late = [found.alone.rank[1:], found.alone.fold[1:], found.own.z[1:], found.pooled.rank]
    for z in late:
        assert z.std() == pytest.approx(1.0, abs=0.1)
        assert np.mean(np.abs(z) > 3.0) < 0.008
    monkeypatch.setattr(Overlap, "correction", lambda self, _symbols: np.ones(self.unshifted.shape[1]))
    blind = _screened(panel)
    for z in (blind.alone.rank[1:], blind.own.z[1:], blind.pooled.rank):
        assert z.std() > 1.5


def test_one_late_symbol_among_many_does_not_deviate_by_luck(tmp_path: Path) -> None:
    """Its gap to the rest is scaled by its own rows, not by those that all symbols share."""
    bars = np.ones((6, 1_500), dtype=np.bool_)
    bars[5, :900] = False
    found = _screened(_noise(15, tmp_path, bars=bars, each=6))
    assert found.own.z[5].std() == pytest.approx(1.0, abs=0.12)
    assert found.own.z[:5].std() == pytest.approx(1.0, abs=0.08)


def test_a_symbol_with_a_handful_of_bars_is_not_judged(tmp_path: Path) -> None:
    """Its rows meet none of their own beyond the gap: there is no null, so there is no evidence."""
    found = _screened(_noise(14, tmp_path, symbols=3, bars=_late(share=0.94), each=2))
    assert np.abs(found.alone.rank[1:]).max() < 1e-6
    assert np.abs(found.own.own_z[1:]).max() < 1e-6
    assert found.alone.rank[0].std() > 0.5


def test_shared_rows_are_counted_by_shift() -> None:
    """Equal to counting over np.roll, for every symbol and channel, over the shifts beyond each gap."""
    rng = np.random.default_rng(5)
    bars, labelled = rng.random((3, 100)) > 0.3, rng.random((3, 2, 100)) > 0.5
    gaps = np.array([5, 20])
    made = overlap_of(bars, labelled, gaps)
    for symbol in range(3):
        for channel, gap in enumerate(gaps):
            counts = [
                (bars[symbol] & np.roll(labelled[symbol, channel], -shift)).sum()
                for shift in range(gap + 1, 100 - gap)
            ]
            assert made.shifted[symbol, channel] == pytest.approx(np.mean(counts), rel=1e-4)
            assert made.unshifted[symbol, channel] == (bars[symbol] & labelled[symbol, channel]).sum()


def test_the_correction_is_that_of_all_symbols_together() -> None:
    """Sums over the symbols asked for, at least 1, and endless where next to nothing is shared."""
    overlap = Overlap(np.array([[100.0, 10.0], [50.0, 90.0]]), np.array([[80.0, 0.1], [20.0, 99.9]]))
    assert overlap.correction(slice(None)).tolist() == [1.5, 1.0]
    assert overlap.correction(slice(1, 2)).tolist() == [2.5, 1.0]
    assert overlap.correction(slice(0, 1))[1] > 1e20
