"""The ground of a generated panel: which symbol has which rows, and numbers of known dependence in time.

Everything lives in row space: arrays (symbols, bars) in which a symbol owns its last `rows[s]` columns, so
laws run along a symbol's own rows whatever gaps its calendar has. All numbers come from generators that are
named by a word, so a part that is left out changes no other part. Only elementwise operations and recursions
are used, no matrix products: the same seed gives the same bits.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Floats = npt.NDArray[np.float64]
Float32s = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

BARS_IN_SESSION = 78  # of five minutes: 09:30 to 16:00
_FIRST_DAY = np.datetime64("1990-01-01")
_MINUTE_NS = 60_000_000_000
_WILD_MARKET, _WILD_OWN, _WILD_MEMORY = 0.45, 0.3, 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Symbols, their rows and the calendar they lie on."""

    seed: int
    interval: str
    symbols: tuple[str, ...]
    timestamps: Ints  # (bars,) UTC nanoseconds
    rows: Ints  # (symbols,) rows that exist
    calendar: Ints  # (symbols, bars) place of each row among the timestamps; 0 where there is no row
    season: Float32s  # (bars,) size of one-bar noise at each timestamp, mean square 1
    clustered: bool  # whether quiet and wild times take turns, for noise and for some features alike

    @property
    def shape(self) -> tuple[int, int]:
        """Symbols and bars."""
        return len(self.symbols), len(self.timestamps)

    def rng(self, *words: object) -> np.random.Generator:
        """The generator of this seed and these words, whoever asked before."""
        return named_rng(self.seed, *words)

    def calm(self, word: str) -> Float32s:
        """White Gaussian numbers, (symbols, bars)."""
        return self.rng(word).standard_normal(self.shape, dtype=np.float32)

    def own(self, symbol: int) -> slice:
        """The columns of row space that belong to one symbol."""
        bars = len(self.timestamps)
        return slice(bars - int(self.rows[symbol]), bars)

    @property
    def size(self) -> Floats:
        """Size of one-bar noise at each row, (symbols, bars): time of day, and how wild the time is."""
        season = self.season[self.calendar].astype(np.float64)
        return season * self.wildness if self.clustered else season

    @property
    def wildness(self) -> Floats:
        """Persistent size of everything that moves, of all symbols and of each, (symbols, bars)."""
        market = persistent(
            self.rng("wild market").standard_normal(self.shape[1], dtype=np.float32), _WILD_MEMORY
        )
        own = persistent(self.calm("wild symbols"), _WILD_MEMORY)
        together = _WILD_MARKET * market[self.calendar] + _WILD_OWN * own
        return np.exp(together - _WILD_MARKET**2 - _WILD_OWN**2, dtype=np.float64)

    @property
    def listed(self) -> npt.NDArray[np.bool_]:
        """Whether a cell of row space is a row, (symbols, bars)."""
        bars = len(self.timestamps)
        return np.arange(bars)[None, :] >= (bars - self.rows)[:, None]


def named_rng(seed: int, *words: object) -> np.random.Generator:
    """A generator that depends on the seed and the words alone."""
    key = zlib.crc32(" ".join(str(word) for word in words).encode())
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, key])))


def make_world(seed: int, *, symbols: int, bars: int, interval: str, clustered: bool = False) -> World:
    """Two of twelve symbols are listed late, each misses single rows and two blocks of rows."""
    rng = named_rng(seed, "world")
    names = tuple(f"S{place:02d}" for place in range(symbols))
    there = np.ones((symbols, bars), dtype=np.bool_)
    there &= rng.random((symbols, bars)) > 0.005
    for place in range(symbols):
        for start in rng.integers(0, bars, size=2):
            there[place, start : start + int(rng.integers(bars // 400 + 1, bars // 120 + 2))] = False
    for place in rng.permutation(symbols)[: symbols // 6]:
        there[place, : int(rng.integers(bars // 10, 3 * bars // 10))] = False
    there[:, -1] = True
    rows = there.sum(axis=1)
    calendar = np.zeros((symbols, bars), dtype=np.int64)
    for place in range(symbols):
        calendar[place, bars - rows[place] :] = np.flatnonzero(there[place])
    return World(
        seed=seed,
        interval=interval,
        symbols=names,
        timestamps=_timestamps(bars, interval),
        rows=rows.astype(np.int64),
        calendar=calendar,
        season=_season(bars, interval),
        clustered=clustered,
    )


def _timestamps(bars: int, interval: str) -> Ints:
    """Business days, or five-minute bars of business days' sessions; UTC nanoseconds."""
    if interval == "daily":
        days = np.busday_offset(_FIRST_DAY, np.arange(bars), roll="forward")
        return days.astype("datetime64[ns]").astype(np.int64)
    if interval != "5m":
        raise ValueError(f"interval is daily or 5m, not {interval!r}")
    session, place = np.divmod(np.arange(bars), BARS_IN_SESSION)
    days = np.busday_offset(_FIRST_DAY, session, roll="forward").astype("datetime64[ns]").astype(np.int64)
    return np.asarray(days + (870 + 5 * place) * _MINUTE_NS)


def _season(bars: int, interval: str) -> Float32s:
    if interval == "daily":
        return np.ones(bars, dtype=np.float32)
    place = np.arange(bars) % BARS_IN_SESSION
    size = 1.0 + 0.5 * np.cos(2 * np.pi * place / BARS_IN_SESSION)
    return np.asarray(size / np.sqrt(np.mean(size**2)), dtype=np.float32)


def persistent(white: Float32s, phi: float) -> Float32s:
    """White noise of variance 1 as an autoregression of variance 1 along the last axis, stationary."""
    if phi == 0.0:
        return white
    shocks = white * np.float32(np.sqrt(1.0 - phi * phi))
    shocks[..., 0] = white[..., 0]
    return np.asarray(lfilter([1.0], [1.0, -phi], shocks, axis=-1), dtype=np.float32)


def heavy(rng: np.random.Generator, shape: tuple[int, ...], freedom: float = 5.0) -> Floats:
    """Student's t of variance 1."""
    return rng.standard_t(freedom, size=shape) * np.sqrt((freedom - 2.0) / freedom)


def forward_sum(stream: Floats, horizon: int) -> Floats:
    """The sum of the next `horizon` values of each row, rows t+1 .. t+h; NaN where they do not exist."""
    total = np.concatenate([np.zeros((len(stream), 1)), np.cumsum(stream, axis=1)], axis=1)
    bars = stream.shape[1]
    label = np.full(stream.shape, np.nan)
    if horizon < bars:
        label[:, : bars - horizon] = total[:, horizon + 1 :] - total[:, 1 : bars - horizon + 1]
    return label


def earlier(values: npt.NDArray[np.floating], by: int) -> Floats:
    """The value `by` rows before each row, zero before the first."""
    moved = np.zeros(values.shape)
    moved[:, by:] = values[:, : values.shape[1] - by]
    return moved


def trailing_mean(values: npt.NDArray[np.floating], window: int) -> Floats:
    """The mean of the last `window` rows, this one included; shorter at the start."""
    total = np.cumsum(values, axis=1, dtype=np.float64)
    total[:, window:] = total[:, window:] - total[:, :-window]
    return np.asarray(total / np.minimum(np.arange(values.shape[1]) + 1, window))
