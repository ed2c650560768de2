"""Networks as ONNX: torch traces the bundle's own network with its preprocessing and decoding around it."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import torch

from executors.bundle import Bundle
from executors.errors import BadInput
from executors.exporting.graph import (
    INPUT,
    OPSET,
    PREDICTION,
    PROBABILITIES,
    PROBABILITY,
    QUANTILES,
    Model,
)
from executors.gpu.gan_family import NARROWEST, sorted_draws
from executors.gpu.prediction import LoadedNetwork
from executors.preprocessing import CLIP
from executors.trainers import trainer_of

Tensor = Any  # torch is not followed by the type checker; the name says what is meant

_TRACED_ROWS = 3  # no number that a shape could be mistaken for


def network_model(bundle: Bundle) -> Model:
    """Return the graph of a bundle whose model is a network.

    Raises:
        BadInput: torch cannot write one of its operators.
    """
    trainer: Any = trainer_of(bundle.card["family"])
    loaded: LoadedNetwork = trainer.loaded(bundle.files, bundle.outline)
    levels = bundle.card["quantile_levels"] if bundle.card["family"] == "GAN" else ()
    whole = Whole(loaded, levels, bundle.outline.get("shifts", ()))
    shape = loaded.shape
    window = () if shape.window == 1 else (shape.window,)
    rows = torch.zeros((_TRACED_ROWS, *window, shape.features))
    written, names = io.BytesIO(), whole.names
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns of its age, and of recurrences of another batch size
            torch.onnx.export(
                whole.eval(),
                (rows,),
                written,
                dynamo=False,
                opset_version=OPSET,
                input_names=[INPUT],
                output_names=names,
                dynamic_axes={name: {0: "rows"} for name in (INPUT, *names)},
            )
    except (torch.onnx.errors.OnnxExporterError, RuntimeError) as error:
        problem = f"torch cannot write it as ONNX ({str(error).splitlines()[0]})"
        raise BadInput(f"bundle {bundle.path}", problem, "use it with trainwright models predict") from error
    made = onnx.load_from_string(written.getvalue())
    made.producer_name = "trainwright"
    return made


class Whole(torch.nn.Module):  # type: ignore[misc]  # the library is untyped
    """From raw features to what the bundle predicts: preprocessing, network, decoding."""

    def __init__(self, loaded: LoadedNetwork, levels: Sequence[float], shifts: Sequence[float]) -> None:
        super().__init__()
        self.network = loaded.network
        self._recipe, self._shape, self._labels = loaded.recipe, loaded.shape, loaded.labels
        self._levels = tuple(levels)
        self.register_buffer("shifts", torch.tensor(shifts, dtype=torch.float64))
        for name in ("median", "mean", "scale"):
            self.register_buffer(name, torch.from_numpy(getattr(loaded.standardisation, name)))
        weights = np.array(loaded.labels.class_weights or (1.0,) * max(1, len(loaded.labels.classes)))
        self.register_buffer("class_weights", torch.from_numpy(weights))

    @property
    def names(self) -> list[str]:
        """What the outputs are called."""
        kinds = {"regression": PREDICTION, "binary": PROBABILITY, "multiclass": PROBABILITIES}
        return [kinds[self._labels.task], *([QUANTILES] if self._levels else [])]

    def forward(self, features: Tensor) -> Tensor:
        """Return the outputs for `features`, (rows, features) or (rows, window, features)."""
        filled = torch.where(torch.isfinite(features), features, self.median)
        values = torch.clamp((filled - self.mean) / self.scale, -CLIP, CLIP)
        windows = values if self._shape.window > 1 else values[:, None]
        answers = self._recipe.answers(self.network, windows, self._shape).float()
        if self._labels.task == "regression":
            said = self._in_unit(answers[:, 0])
            return (said, self._in_unit(self._quantiles(windows))) if self._levels else said
        if self._labels.task == "binary":
            likely = torch.sigmoid(answers[:, 0]).double()
            low, high = (1.0 - likely) / self.class_weights[0], likely / self.class_weights[1]
            return (high / (low + high)).float()
        shares = torch.softmax(answers, dim=1) / self.class_weights
        return (shares / shares.sum(dim=1, keepdim=True)).float()

    def _in_unit(self, answers: Tensor) -> Tensor:
        return (answers.double() * self._labels.scale + self._labels.mean).float()

    def _quantiles(self, windows: Tensor) -> Tensor:
        """Return the draws' quantiles, between two of them as torch.quantile does, shifted in their width."""
        draws = sorted_draws(self.network, windows)
        last = int(self.network.noise.shape[1]) - 1
        columns = []
        for level in self._levels:
            place = level * last
            low = int(place)
            high = min(low + 1, last)
            columns.append(draws[:, low] + (draws[:, high] - draws[:, low]) * (place - low))
        said = torch.stack(columns, dim=1).double()
        width = torch.clamp(said[:, -1:] - said[:, :1], min=NARROWEST)
        return torch.sort(said + self.shifts * width, dim=1).values
