"""A bundle as an ONNX file that was seen to predict what the bundle has on record."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.bundle import Bundle
from executors.durable import sync_directory
from executors.errors import BadInput, ReplayFailed
from executors.families import availability, resolve
from executors.replaying import answers_of, recorded_rows
from executors.windows import with_full_window
from panel.aligned import Float32s, Int64s, Panel

#: Largest difference allowed: of numbers in standard deviations of the training labels, of probabilities as
#: they are.
TOLERANCE = 1e-5
REPLAYED_ROWS = 1_000
_NUMBERS_MAX = 20_000_000  # of the windows in memory at once
_INSTEAD = "nothing was written; use trainwright models predict"
_PARTS = (1, 7)  # sizes of the first batches: a graph must not count on one size

_TREES, _ARRAYS, _NETWORKS = (f"executors.exporting.{name}" for name in ("trees", "arrays", "networks"))
_MAKERS = {
    "LightGBM": (_TREES, "lightgbm_model"),
    "QuantileLightGBM": (_TREES, "quantile_model"),
    "XGBoost": (_TREES, "xgboost_model"),
    "NGBoost": (_TREES, "ngboost_model"),
    "FTRLProximal": (_ARRAYS, "ftrl_model"),
    "RewardBased": (_ARRAYS, "reward_model"),
    "MetaLearning": (_ARRAYS, "meta_model"),
    **dict.fromkeys(
        (
            *("MLP", "VAE", "GAN", "MultiTask", "CNN1D", "LSTM", "Transformer"),
            *("TabCNN", "TabLSTM", "TabTransformer"),
        ),
        (_NETWORKS, "network_model"),
    ),
}
_MIXED = frozenset({"Ensemble", "Blend"})
_WITHOUT = {
    "GMMRegime": "its regimes are filtered over all bars before a row, and a graph sees the row alone",
    "ChangePoint": "it looks for changes in all bars before a row, and a graph sees the row alone",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A file that was written, and how its answers compared with the bundle's.

    Attributes:
        sha256: of the file.
        shape: of the input `features`: ("rows", features) or ("rows", window, features).
        outputs: names of the answers.
        rows: recorded predictions that were made again with onnxruntime.
        tolerance: largest difference allowed, in the unit of TOLERANCE.
        largest: largest difference found, in the same unit.
    """

    sha256: str
    shape: tuple[int | str, ...]
    outputs: tuple[str, ...]
    rows: int
    tolerance: float
    largest: float


def export_onnx(bundle: Bundle, panel: Panel, file: Path) -> Exported:
    """Write the bundle's model to `file` once onnxruntime says the same of recorded rows of `panel`.

    The same rows are also asked with a tenth of their features missing.

    Raises:
        BadInput: the libraries are not installed, or the family cannot be written as ONNX.
        ReplayFailed: the answers differ by more than TOLERANCE, or none can be compared; nothing is written.
        OSError: the place cannot be written to.
    """
    for name in ("onnx", "onnxruntime"):
        if importlib.util.find_spec(name) is None:
            problem = f"library {name} not installed"
            raise BadInput("export to ONNX", problem, "install with: pip install 'trainwright[onnx]'")
    model = onnx_model(bundle)
    _describe(model, bundle)
    content: bytes = model.SerializeToString()
    runtime: Any = importlib.import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    try:
        answers = _Answers(content, bundle.outline.get("symbols"))
        rows, largest = _compared(bundle, panel, answers)
    except (runtime.Fail, runtime.InvalidArgument, runtime.InvalidGraph, runtime.NotImplemented) as error:
        problem = f"onnxruntime cannot run its graph ({str(error).splitlines()[0]})"
        raise ReplayFailed(
            bundle.path, problem, "nothing was written; use trainwright models predict"
        ) from error
    _write(file, content)
    return Exported(
        sha256=sha256(content).hexdigest(),
        shape=answers.shape,
        outputs=answers.outputs,
        rows=rows,
        tolerance=TOLERANCE,
        largest=largest,
    )


def onnx_model(bundle: Bundle) -> Any:  # noqa: ANN401 -- onnx is not followed by the type checker
    """Return the bundle's model as an ONNX model, not yet compared with anything.

    Raises:
        BadInput: the family cannot be written as ONNX; says why.
    """
    family = bundle.card["family"]
    if family in _MIXED:
        mixing = importlib.import_module("executors.exporting.mixing")
        return mixing.mixed_model(bundle, onnx_model)
    if family not in _MAKERS:
        reason = _WITHOUT.get(family, "nobody has written its graph yet")
        raise BadInput(f"{family} as ONNX", reason, "use it with trainwright models predict")
    problem = availability(resolve(family))
    if problem is not None:
        raise BadInput(f"{family} as ONNX", problem, "or export it where it was trained")
    module, name = _MAKERS[family]
    maker: Callable[[Bundle], Any] = getattr(importlib.import_module(module), name)
    return maker(bundle)


class BlankedPanel(Panel):
    """A panel in which a tenth of the features' values are missing, always the same ones."""

    def __init__(self, panel: Panel) -> None:
        self.__dict__.update(panel.__dict__)
        self._of = panel

    def matrix(self, names: Sequence[str], rows: Int64s | slice | None = None) -> Float32s:
        """The named columns at the asked rows, as `Panel.matrix`."""
        found = self._of.matrix(names, rows)
        wanted = np.arange(self.rows)[rows] if rows is None or isinstance(rows, slice) else np.asarray(rows)
        for place, name in enumerate(names):
            column = self.feature_names.index(name) if name in self.feature_names else 0
            found[(wanted.reshape(-1) * 7 + column * 3) % 10 == 0, place] = np.nan
        return found


class _Answers:
    """An ONNX model as onnxruntime runs it, on one thread."""

    def __init__(self, content: bytes, symbols: Sequence[str] | None) -> None:
        self._symbols = symbols
        runtime: Any = importlib.import_module("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.shape: tuple[int | str, ...] = tuple(self._session.get_inputs()[0].shape)
        self.outputs: tuple[str, ...] = tuple(output.name for output in self._session.get_outputs())

    @property
    def window(self) -> int:
        """Bars of a row's input."""
        return int(self.shape[1]) if len(self.shape) == 3 else 1

    def of(self, panel: Panel, features: tuple[str, ...], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return all outputs side by side for panel rows that have a full window, (rows, numbers)."""
        bars = rows[:, None] + np.arange(1 - self.window, 1)
        windows = panel.matrix(features, bars.reshape(-1)).reshape(len(rows), self.window, len(features))
        given: dict[str, NDArray[Any]] = {"features": windows[:, 0] if len(self.shape) == 2 else windows}
        if self._symbols is not None:
            place_of = {symbol: place for place, symbol in enumerate(self._symbols)}
            places = np.array([place_of.get(symbol, -1) for symbol in panel.symbols], dtype=np.int64)
            given["symbol"] = places[panel.symbol_codes[rows]]
        starts = [place for place in (0, *np.cumsum(_PARTS)) if place < len(rows)]
        parts = [
            self._session.run(None, {name: values[start:stop] for name, values in given.items()})
            for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True)
        ]
        answers = [np.hstack([out.reshape(len(out), -1) for out in part]) for part in parts]
        return np.concatenate(answers)


def _compared(bundle: Bundle, panel: Panel, answers: _Answers) -> tuple[int, float]:
    """Return (rows compared, largest difference in the unit of TOLERANCE)."""
    features = tuple(bundle.outline["features"])
    recorded = bundle.predictions()
    rows = recorded_rows(panel, recorded)
    places = np.flatnonzero(rows >= 0)
    places = places[with_full_window(panel, rows[places], answers.window)]
    if not len(places):
        problem = "none of its recorded rows is in this data with a full window"
        raise ReplayFailed(bundle.path, problem, "name the data the model was trained on")
    most = max(1, _NUMBERS_MAX // (answers.window * len(features)))
    count = min(len(places), REPLAYED_ROWS, most)
    chosen = places[np.linspace(0, len(places) - 1, count).astype(np.int64)]
    before = np.hstack([recorded.answers.reshape(len(rows), -1), recorded.quantiles])[chosen]
    blanked = BlankedPanel(panel)
    pairs = {
        "recorded": (before, answers.of(panel, features, rows[chosen])),
        "with values missing": (
            answers_of(bundle, blanked, rows[chosen]),
            answers.of(blanked, features, rows[chosen]),
        ),
    }
    largest = 0.0
    for what, (ours, theirs) in pairs.items():
        apart = _apart(bundle, ours[:, : theirs.shape[1]], theirs)
        if not apart <= TOLERANCE:
            problem = f"onnxruntime's answers ({what}) differ by up to {apart:.1e}, more than {TOLERANCE:.0e}"
            raise ReplayFailed(bundle.path, problem, _INSTEAD)
        largest = max(largest, apart)
    return count, largest


def _apart(bundle: Bundle, ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Return the largest difference in the unit of TOLERANCE; NaN where one of both is no number."""
    labels: Mapping[str, Any] = bundle.outline["labels"]
    unit = float(labels.get("scale", 1.0)) if bundle.card["task"] == "regression" else 1.0
    return float(np.abs(ours.astype(np.float64) - theirs).max() / unit)


def _describe(model: Any, bundle: Bundle) -> None:  # noqa: ANN401 -- onnx is not followed by the type checker
    """Write into the model where it comes from and what its input means."""
    card = bundle.card
    facts = {
        "bundle": bundle.sha256,
        "family": card["family"],
        "target": card["target"],
        "task": card["task"],
        "classes": json.dumps(card["classes"]),
        "features": json.dumps(bundle.outline["features"]),
        "quantile_levels": json.dumps(card["quantile_levels"]),
        "horizon_bars": str(card["horizon_bars"]),
        **({"symbols": json.dumps(bundle.outline["symbols"])} if "symbols" in bundle.outline else {}),
    }
    graph = importlib.import_module("executors.exporting.graph")
    graph.describe(model, facts)


def _write(file: Path, content: bytes) -> None:
    """Write, fsync, rename: the file is whole or not there."""
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with draft.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    sync_directory(file.parent)
