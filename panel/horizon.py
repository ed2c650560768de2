"""How far a target looks ahead: one grammar for names, one rule from time to bars.

A name carries its horizon as a token of its own between underscores: `10m`, `2h`, `5d` or `same_day`
(`fwd_ret_60m`, `y_will_peak_60m_0.8`, `y_range_5d`). Letters inside other words mean nothing: the d of
`fwd` is no day.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

MINUTE_NS = 60_000_000_000
DAY_NS = 1_440 * MINUTE_NS
SESSION_MINUTES = 390

_TOKEN = re.compile(r"(?:^|_)(?:(\d+)([mhd])(?=_|$)|(same_day)(?=_|$))")
_UNIT_MINUTES = {"m": 1, "h": 60, "d": 1_440, "same_day": 1_440}


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """A distance ahead as a name states it: `amount` of `unit` (`m`, `h`, `d` or `same_day`)."""

    amount: int
    unit: str

    @property
    def minutes(self) -> int:
        """Calendar minutes, a day counting 1440: for names and order only, never for bars."""
        return self.amount * _UNIT_MINUTES[self.unit]


def parse_horizon(name: str) -> Horizon | None:
    """The horizon a column name states; the longest when it states several; None without one.

    The longest is taken because purging too much costs a few rows and purging too little leaks.
    """
    found = [
        Horizon(amount=1 if same_day else int(amount), unit=same_day or unit)
        for amount, unit, same_day in _TOKEN.findall(name)
    ]
    return max(found, key=lambda horizon: horizon.minutes, default=None)


def horizon_bars(
    name: str,
    interval_ns: int,
    *,
    session_minutes: int = SESSION_MINUTES,
    overrides: Mapping[str, int] | None = None,
) -> int | None:
    """Bars a target looks ahead, or None when its name does not say so exactly.

    An override always wins. On daily bars `5d` is 5 bars. On intraday bars a day is one session:
    round(session_minutes / interval); `10m` and `2h` must divide by the interval exactly.
    """
    if overrides and name in overrides:
        return int(overrides[name])
    horizon = parse_horizon(name)
    if horizon is None or horizon.amount < 1 or interval_ns < 1:
        return None
    if horizon.unit in {"d", "same_day"} and interval_ns < DAY_NS:
        return horizon.amount * max(1, round(session_minutes * MINUTE_NS / interval_ns))
    if horizon.unit == "same_day":
        return 1
    bars, rest = divmod(horizon.minutes * MINUTE_NS, interval_ns)
    return bars if bars >= 1 and rest == 0 else None


def horizon_name(bars: int, interval_ns: int) -> str:
    """The token for `bars` ahead in the data's own unit: `5d` on daily bars, `25m` on 5-minute bars.

    horizon_bars reads it back to the same number. Bars of part of a minute are named in whole minutes.
    """
    if interval_ns % DAY_NS == 0:
        return f"{bars * interval_ns // DAY_NS}d"
    if interval_ns % (60 * MINUTE_NS) == 0:
        return f"{bars * interval_ns // (60 * MINUTE_NS)}h"
    return f"{max(1, bars * interval_ns // MINUTE_NS)}m"
