"""What one fit will cost: seconds from fits that ended well, else from built-in figures; bytes from its size.

Orders of magnitude for the eye and for packing, not promises; each estimate says where it comes from.
"""

from collections.abc import Mapping
from typing import Any, TypedDict

from executors.families import Family

BUILT_IN = "built-in"

PastCosts = Mapping[str, Mapping[str, float]]
"""Family name -> {fits, seconds_at_least, seconds_per_megacell} of fits that ended well."""


class Estimate(TypedDict):
    """Rows, seconds on one core (or device) and resident bytes of one fit; None where its size is unknown."""

    rows: int | None
    seconds: float | None
    memory_bytes: int | None
    source: str


# Seconds per million cells (rows x features) of a whole fit, measured on a 2 GHz server core for LightGBM and
# XGBoost (500 rounds of 31 leaves). The rest follow from what each does: one booster per quantile, a tree per
# parameter and round, members trained again on every fold, passes of a network over windows of the rows.
_SECONDS_PER_MEGACELL = {
    "LightGBM": 4.0,
    "QuantileLightGBM": 20.0,
    "XGBoost": 6.0,
    "RewardBased": 10.0,
    "NGBoost": 60.0,
    "GMMRegime": 15.0,
    "ChangePoint": 12.0,
    "FTRLProximal": 8.0,
    "Ensemble": 60.0,
    "MetaLearning": 30.0,
    "MLP": 15.0,
    "VAE": 30.0,
    "GAN": 40.0,
    "MultiTask": 25.0,
    "CNN1D": 30.0,
    "LSTM": 40.0,
    "Transformer": 80.0,
    "TabCNN": 40.0,
    "TabLSTM": 50.0,
    "TabTransformer": 90.0,
}
_SECONDS_AT_LEAST = 1.0
_BASE_BYTES = {"cpu": 150 * 2**20, "gpu": 900 * 2**20}


def estimate_fit(
    family: Family, *, rows: int | None, features: int | None, past: PastCosts | None = None
) -> Estimate:
    """Return the cost of fitting `family` on rows x features, by past fits of it where there are any."""
    start, slope, source = _figures(family, past)
    if rows is None or features is None:
        return Estimate(rows=rows, seconds=None, memory_bytes=None, source=source)
    cells = rows * features
    return Estimate(
        rows=rows,
        seconds=round(start + slope * cells / 1e6, 1),
        memory_bytes=_BASE_BYTES[family.stage] + 12 * cells,  # float32 data, and two copies of it
        source=source,
    )


def estimates_source(past: PastCosts | None) -> dict[str, Any]:
    """Return what the estimates of a plan were made from, for its metadata: an input like the data."""
    if not past:
        return {"source": BUILT_IN, "families": {}}
    return {"source": "past fits", "families": {name: dict(past[name]) for name in sorted(past)}}


def _figures(family: Family, past: PastCosts | None) -> tuple[float, float, str]:
    known = (past or {}).get(family.name)
    if known is None:
        return _SECONDS_AT_LEAST, _SECONDS_PER_MEGACELL[family.name], BUILT_IN
    fits = int(known["fits"])
    source = f"{fits} past fit{'s' if fits != 1 else ''}"
    return known["seconds_at_least"], known["seconds_per_megacell"], source
