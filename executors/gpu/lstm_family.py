"""LSTM: a recurrent network over the last rows of each symbol (Hochreiter and Schmidhuber, 1997)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as bytes_from_tensors

from executors.dataset import feature_matrix
from executors.gpu.device import chosen_device
from executors.gpu.torch_loop import Network, Tensor, TorchLoop, WindowBatches
from executors.parameters import Number, Parameter
from executors.preprocessing import LabelCode, Standardisation
from executors.session import Session, Trained
from executors.windows import with_full_window
from panel.aligned import Panel

MODEL = "model.safetensors"
SHAPE = "model.json"
LIBRARIES = ("torch", "safetensors")

PARAMETERS: Mapping[str, Parameter] = {
    "hidden": Parameter(default=32, low=1, high=8192),
    "layers": Parameter(default=1, low=1, high=8),
    "window": Parameter(default=20, low=2, high=10_000),
    "dropout": Parameter(default=0.1, low=0.0, high=0.95),
    "epochs": Parameter(default=8, low=1, high=10_000),
    "patience": Parameter(default=3, low=1, high=10_000),
    "batch_rows": Parameter(default=256, low=1, high=1_000_000),
    "learning_rate": Parameter(default=2e-3, low=1e-7, high=1.0),
    "weight_decay": Parameter(default=1e-2, low=0.0, high=10.0),
}

_PREDICT_ROWS = 256  # always full batches: the kernels, and with them the last bits, depend on the shape


def window_rows(params: Mapping[str, Number]) -> int:
    """Return how many rows of a symbol one prediction looks at, itself included."""
    return int(params["window"])


def train(session: Session) -> Trained:
    """Train on windows of the training rows, keep the weights of the best epoch on the validation rows.

    Raises:
        StopAsked: SIGTERM came and the state is saved.
        DeviceUnavailable: the GPU asked for is missing and the CPU is not allowed.
    """
    device, torch_device = chosen_device(session.spec)
    torch.set_num_threads(session.spec.threads)
    if torch_device != "cpu":  # on the CPU all we use is deterministic, and the call costs 2 s of imports
        torch.use_deterministic_algorithms(mode=True)
    data, window = session.data, window_rows(session.params)
    standardisation = Standardisation.fitted(data.features_at(data.train))
    own = _rows_between(data.panel, session.spec.symbol)
    matrix = standardisation.applied(data.features_at(own))
    batches = WindowBatches.of(matrix, window=window, first_row=own.start, device=torch_device)
    shape = {name: session.params[name] for name in ("hidden", "layers", "dropout", "window")}
    shape |= {"features": len(data.features), "outputs": data.code.outputs}
    torch.manual_seed(session.seed("weights"))
    loop = TorchLoop(session, network_of(shape).to(torch_device), forward, batches)
    loop.resume(session.begin(device))
    weights = loop.train()
    return Trained(
        files={MODEL: bytes_from_tensors(weights), SHAPE: json.dumps(shape, sort_keys=True).encode()},
        steps=loop.progress.step,
        best_step=loop.progress.best_epoch,
        curve={"train_loss": loop.progress.train_losses, "valid_loss": loop.progress.valid_losses},
        importances={},
        device=device,
        outline={
            "features": list(data.features),
            "labels": data.code.to_json(),
            "standardisation": standardisation.to_json(),
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes).

    Rows without a full window are NaN. Always on the CPU and on one thread, for the same bits everywhere.
    """
    shape = json.loads(files[SHAPE])
    labels = LabelCode.from_json(outline["labels"])
    network = network_of(shape)
    network.load_state_dict(tensors_from_bytes(files[MODEL]))
    network.eval()
    known = with_full_window(panel, rows, shape["window"])
    answers = np.full((len(rows), labels.outputs), np.nan, dtype=np.float32)
    if known.any():
        batches = _prediction_batches(panel, outline, rows[known], shape["window"])
        answers[known] = _answers(network, batches, rows[known], labels.task)
    return labels.decoded(answers if labels.task == "multiclass" else answers[:, 0])


def network_of(shape: Mapping[str, Number]) -> Network:
    """Return the network of `shape` with fresh weights from torch's generator."""
    hidden, layers = int(shape["hidden"]), int(shape["layers"])
    return torch.nn.ModuleDict(
        {
            "lstm": torch.nn.LSTM(
                int(shape["features"]),
                hidden,
                layers,
                batch_first=True,
                dropout=float(shape["dropout"]) if layers > 1 else 0.0,
            ),
            "dropout": torch.nn.Dropout(float(shape["dropout"])),
            "head": torch.nn.Linear(hidden, int(shape["outputs"])),
        }
    )


def forward(network: Network, windows: Tensor) -> Tensor:
    """Return answers (batch, outputs) for `windows` (batch, window, features): the last state, read out."""
    states, _ = network["lstm"](windows)  # (batch, window, hidden)
    return network["head"](network["dropout"](states[:, -1]))


def _rows_between(panel: Panel, symbol: str | None) -> slice:
    return slice(0, panel.rows) if symbol is None else panel.rows_of(symbol)


def _prediction_batches(
    panel: Panel, outline: Mapping[str, Any], rows: NDArray[np.int64], window: int
) -> WindowBatches:
    """Return windows over the panel rows from the first window's begin to the last of `rows`."""
    first = int(rows.min()) - window + 1
    features = feature_matrix(panel, tuple(outline["features"]), slice(first, int(rows.max()) + 1))
    matrix = Standardisation.from_json(outline["standardisation"]).applied(features)
    return WindowBatches.of(matrix, window=window, first_row=first, device="cpu")


def _answers(
    network: Network, batches: WindowBatches, rows: NDArray[np.int64], task: str
) -> NDArray[np.float32]:
    """Return the network's answers for `rows`, (rows, outputs) float32, probabilities for classes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    parts: list[NDArray[np.float32]] = []
    try:
        with torch.no_grad():
            for begin in range(0, len(rows), _PREDICT_ROWS):
                batch = rows[begin : begin + _PREDICT_ROWS]
                padded = np.concatenate([batch, np.repeat(batch[:1], _PREDICT_ROWS - len(batch))])
                answers = _as_probability(forward(network, batches.at(padded)), task)
                parts.append(answers[: len(batch)].numpy())
    finally:
        torch.set_num_threads(threads)
    return np.concatenate(parts)


def _as_probability(answers: Tensor, task: str) -> Tensor:
    if task == "binary":
        return torch.sigmoid(answers)
    return torch.softmax(answers, dim=1) if task == "multiclass" else answers
