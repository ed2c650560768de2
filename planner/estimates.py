"""Rough cost of one fit, for the eye and for packing: orders of magnitude, not promises."""

from typing import TypedDict

from executors.families import Family


class Estimate(TypedDict):
    """Seconds on one core (or one device) and resident bytes of one fit."""

    seconds: float | None
    memory_bytes: int | None


# Seconds per million cells (rows x features) of a whole fit, measured on a 2 GHz server core for the first
# two (500 rounds of 31 leaves); the rest are multiples that published benchmarks suggest.
_SECONDS_PER_MEGACELL = {
    "LightGBM": 4.0,
    "QuantileLightGBM": 6.0,
    "XGBoost": 6.0,
    "NGBoost": 60.0,
    "LSTM": 40.0,
    "TabLSTM": 40.0,
    "Transformer": 80.0,
    "TabTransformer": 80.0,
}
_BASE_BYTES = {"cpu": 150 * 2**20, "gpu": 900 * 2**20}


def estimate_fit(family: Family, *, rows: int | None, features: int | None) -> Estimate:
    """Return the rough cost of fitting `family` on rows x features; None where the size is unknown."""
    if rows is None or features is None:
        return Estimate(seconds=None, memory_bytes=None)
    megacells = rows * features / 1e6
    seconds = 1.0 + _SECONDS_PER_MEGACELL.get(family.name, 15.0) * megacells
    base = _BASE_BYTES[family.stage]
    return Estimate(seconds=round(seconds, 1), memory_bytes=int(base + 3 * 4 * rows * features))
