"""Horizons in names, and bars for them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from panel.horizon import DAY_NS, MINUTE_NS, Horizon, horizon_bars, horizon_name, parse_horizon


@pytest.mark.parametrize(
    ("name", "amount", "unit"),
    [
        ("fwd_ret_60m", 60, "m"),
        ("y_will_swing_low_10m_0.20", 10, "m"),
        ("fwd_ret_5d", 5, "d"),
        ("y_range_2h", 2, "h"),
        ("y_hit_2h_1.5", 2, "h"),
        ("fwd_ret_oc_same_day", 1, "same_day"),
        ("10m", 10, "m"),
    ],
)
def test_a_token_between_underscores_is_the_horizon(name: str, amount: int, unit: str) -> None:
    """Minutes, hours, days and the session are read wherever they stand as a word."""
    assert parse_horizon(name) == Horizon(amount=amount, unit=unit)


@pytest.mark.parametrize(
    "name", ["fwd_ret_5", "y_up", "fwd_ret_x5d", "y_5days", "y_5dx", "fwd", "y_rank", "y_5D"]
)
def test_a_name_without_a_token_states_nothing(name: str) -> None:
    """Bare numbers and letters inside words are no horizon: the d of fwd is no day."""
    assert parse_horizon(name) is None


def test_of_several_tokens_the_longest_counts() -> None:
    """Purging too much is safe, purging too little is not."""
    assert parse_horizon("y_ratio_5m_2h") == Horizon(amount=2, unit="h")


@pytest.mark.parametrize(
    ("name", "interval_minutes", "bars"),
    [
        ("fwd_ret_60m", 5, 12),
        ("fwd_ret_60m", 60, 1),
        ("fwd_ret_2h", 5, 24),
        ("fwd_ret_1d", 5, 78),
        ("fwd_ret_5d", 5, 390),
        ("fwd_ret_1d", 60, 6),
        ("fwd_ret_same_day", 5, 78),
        ("fwd_ret_5d", 1440, 5),
        ("fwd_ret_same_day", 1440, 1),
        ("fwd_ret_24h", 1440, 1),
        ("fwd_ret_7d", 7 * 1440, 1),
        ("fwd_ret_10m", 3, None),
        ("fwd_ret_10m", 1440, None),
        ("fwd_ret_5d", 7 * 1440, None),
        ("fwd_ret_0m", 5, None),
        ("fwd_ret_5", 5, None),
    ],
)
def test_a_horizon_becomes_bars_of_the_data(name: str, interval_minutes: int, bars: int | None) -> None:
    """Intraday a day is one session; minutes must divide exactly; otherwise the horizon is unknown."""
    assert horizon_bars(name, interval_minutes * MINUTE_NS) == bars


def test_an_override_beats_the_name() -> None:
    """What the configuration says is never second-guessed."""
    assert horizon_bars("fwd_ret_5d", DAY_NS, overrides={"fwd_ret_5d": 7}) == 7
    assert horizon_bars("y_odd", DAY_NS, overrides={"y_odd": 3}) == 3


def test_the_session_length_can_be_given() -> None:
    """Around the clock, a day of hourly bars is 24 of them."""
    assert horizon_bars("fwd_ret_1d", 60 * MINUTE_NS, session_minutes=1440) == 24


def test_calendar_minutes_order_horizons() -> None:
    """A day counts 1440 minutes where horizons are only compared."""
    assert [Horizon(amount=2, unit=unit).minutes for unit in ("m", "h", "d")] == [2, 120, 2880]


@given(bars=st.integers(1, 500), minutes=st.sampled_from([1, 2, 5, 15, 30, 60, 240, 1440, 7 * 1440]))
def test_a_made_name_reads_back_to_the_same_bars(bars: int, minutes: int) -> None:
    """horizon_name and horizon_bars are each other's inverse on whole minutes."""
    name = f"fwd_ret_{horizon_name(bars, minutes * MINUTE_NS)}"
    assert horizon_bars(name, minutes * MINUTE_NS) == bars
