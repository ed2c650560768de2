"""What is done to features and labels before a model sees them, fitted on training rows and saved with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CLIP = 8.0  # standard deviations; a bad tick must not drown a batch


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardisation:
    """Median for what is missing, then (value - mean) / scale, cut at 8 scales; one entry per feature.

    Trees need none of it and take missing values as they are.
    """

    median: NDArray[np.float32]  # (features,)
    mean: NDArray[np.float32]  # (features,)
    scale: NDArray[np.float32]  # (features,)

    @classmethod
    def fitted(cls, training: NDArray[np.float32]) -> Standardisation:
        """Fit on the training rows alone, (rows, features) float32 with NaN for missing.

        A feature with no value among them gets median 0, one that never varies gets scale 1.
        """
        fitted = np.array([_column_facts(column) for column in training.T], dtype=np.float32).reshape(-1, 3)
        return cls(median=fitted[:, 0].copy(), mean=fitted[:, 1].copy(), scale=fitted[:, 2].copy())

    def applied(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return `values` (rows, features) filled, standardised and cut; a new array, all finite."""
        filled = np.where(np.isfinite(values), values, self.median)
        scaled = (filled - self.mean) / self.scale
        return np.asarray(np.clip(scaled, -CLIP, CLIP), dtype=np.float32)

    def to_json(self) -> dict[str, list[float]]:
        """Return plain lists; a float32 survives the way through JSON bit for bit."""
        return {name: getattr(self, name).tolist() for name in ("median", "mean", "scale")}

    @classmethod
    def from_json(cls, values: Mapping[str, list[float]]) -> Standardisation:
        """Read what `to_json` wrote."""
        return cls(
            median=np.array(values["median"], dtype=np.float32),
            mean=np.array(values["mean"], dtype=np.float32),
            scale=np.array(values["scale"], dtype=np.float32),
        )


def _column_facts(column: NDArray[np.float32]) -> tuple[float, float, float]:
    """Return (median, mean, scale) of one feature, column by column so that little memory is needed."""
    known = np.isfinite(column)
    median = float(np.median(column[known])) if known.any() else 0.0
    filled = np.where(known, column, np.float32(median)).astype(np.float64)
    mean, scale = float(filled.mean()), float(filled.std())
    # Rounding leaves a constant column a scale of about 1e-17 of its size.
    return median, mean, 1.0 if scale <= 1e-7 * max(1e-30, abs(mean)) else scale


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCode:
    """How labels become what a model learns, and its answers become labels again.

    Regression: (label - mean) / scale of the training rows, because XGBoost takes no split that gains less
    than 1e-6, which would silence it on returns. Classes: their place in `classes`, ascending; of two, the
    larger is the one whose probability is predicted. Where classes were weighted for training, the answers
    are divided by `class_weights` again, so that they are probabilities of the data as it is (Elkan, IJCAI
    2001).
    """

    task: str
    classes: tuple[float, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    class_weights: tuple[float, ...] = ()

    @classmethod
    def fitted(cls, task: str, classes: tuple[float, ...], training: NDArray[np.float32]) -> LabelCode:
        """Fit on the training labels alone, (rows,) float32, all finite."""
        if task != "regression":
            return cls(task=task, classes=tuple(sorted(float(value) for value in classes)))
        spread = float(training.std(dtype=np.float64))
        return cls(task=task, mean=float(training.mean(dtype=np.float64)), scale=spread or 1.0)

    @property
    def outputs(self) -> int:
        """Numbers a model gives per row: one, or one per class of a multiclass target."""
        return len(self.classes) if self.task == "multiclass" else 1

    def encoded(self, labels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what the model learns, (rows,) float32: standardised labels or class places."""
        if self.task == "regression":
            return ((labels.astype(np.float64) - self.mean) / self.scale).astype(np.float32)
        places = np.searchsorted(np.array(self.classes, dtype=np.float32), labels)
        return np.clip(places, 0, len(self.classes) - 1).astype(np.float32)

    def decoded(self, answers: NDArray[Any]) -> NDArray[np.float32]:
        """Return predictions in the label's own unit, or probabilities, as float32."""
        if self.task != "regression":
            return np.asarray(self._unweighted(np.asarray(answers)), dtype=np.float32)
        return (np.asarray(answers, dtype=np.float64) * self.scale + self.mean).astype(np.float32)

    def _unweighted(self, answers: NDArray[Any]) -> NDArray[Any]:
        """Return the probabilities without the weights that the classes had in training."""
        if not self.class_weights:
            return answers
        if self.task == "binary":
            low, high = (1.0 - answers) / self.class_weights[0], answers / self.class_weights[1]
            return np.asarray(high / (low + high))
        shares = answers / np.array(self.class_weights)
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        values = {"task": self.task, "classes": list(self.classes), "mean": self.mean, "scale": self.scale}
        return {**values, "class_weights": list(self.class_weights)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> LabelCode:
        """Read what `to_json` wrote."""
        lists = {name: tuple(values.get(name, ())) for name in ("classes", "class_weights")}
        return cls(**{**values, **lists})
