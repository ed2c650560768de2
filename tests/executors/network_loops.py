"""The loop of the networks for tests: its session, and small recipes with a fault or a trick built in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from executors.contract import FitSpec, Report
from executors.dataset import fit_data
from executors.gpu.batches import labelled_rows
from executors.gpu.lstm_family import TRAINER
from executors.gpu.numerics import Numerics
from executors.gpu.recipe import Batch, Shape
from executors.gpu.supervised import SupervisedRecipe
from executors.gpu.torch_loop import TorchLoop
from executors.parameters import Parameter, settings
from executors.session import Session
from executors.weights import SHARED_PARAMETERS, weighted

SMALL = {"hidden": 4, "window": 3, "epochs": 3, "batch_rows": 500}
FLOAT32 = Numerics(device="cpu", precision="float32", compiles=False)


def session_of(spec: FitSpec, reports: list[Report] | None = None, **params: Any) -> Session:
    """Return a session with the LSTM's settings."""
    given = settings("LSTM", {**TRAINER.PARAMETERS, **SHARED_PARAMETERS}, {**SMALL, **params})
    return Session(
        spec=spec,
        data=weighted(fit_data(spec, window=int(given["window"])), given),
        params=given,
        versions={},
        tell=(reports if reports is not None else []).append,
        should_stop=lambda: False,
    )


def shape_of(session: Session) -> Shape:
    """Return the shape of the session's network."""
    return Shape(
        features=len(session.data.features),
        outputs=session.data.code.outputs,
        window=int(session.params["window"]),
        task=session.data.code.task,
        params=session.params,
    )


def loop_of(session: Session, recipe: Any = TRAINER.recipe, numerics: Numerics = FLOAT32) -> TorchLoop:
    """Return a loop at its beginning on the CPU."""
    shape = shape_of(session)
    rows, _ = labelled_rows(session, window=shape.window, device="cpu")
    torch.manual_seed(1)
    return TorchLoop(session, recipe, shape, recipe.network(shape), rows, numerics)


class LinearRecipe(SupervisedRecipe):
    """One linear layer on the last bar, batches normed, with nothing drawn at random."""

    PARAMETERS: Mapping[str, Parameter] = {}

    def network(self, shape: Shape) -> Any:
        return torch.nn.ModuleDict(
            {"norm": torch.nn.Identity(), "head": torch.nn.Linear(shape.features, shape.outputs)}
        )

    def answers(self, network: Any, windows: Any, shape: Shape) -> Any:
        return network["head"](network["norm"](windows[:, -1]))


class NormedRecipe(LinearRecipe):
    """The same with the statistics of its batches kept in buffers."""

    def network(self, shape: Shape) -> Any:
        network = super().network(shape)
        network["norm"] = torch.nn.BatchNorm1d(shape.features)
        return network


class GreedyRecipe(LinearRecipe):
    """Needs more memory than there is for more than `most` rows; counts what it was asked."""

    def __init__(self, most: int, error: RuntimeError | None = None) -> None:
        self.most = most
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.asked: list[int] = []

    def loss(self, network: Any, batch: Batch, player: str, shape: Shape) -> Any:
        self.asked.append(len(batch.labels))
        if len(batch.labels) > self.most:
            raise self.error
        return super().loss(network, batch, player, shape)


class RivalsRecipe(LinearRecipe):
    """Two who pull at one answer: one makes it smaller, the other larger; each holds a layer of its own."""

    players = ("down", "up")

    def network(self, shape: Shape) -> Any:
        return torch.nn.ModuleDict({name: torch.nn.Linear(shape.features, 1) for name in self.players})

    def parameters(self, network: Any, player: str) -> list[Any]:
        return list(network[player].parameters())

    def answers(self, network: Any, windows: Any, shape: Shape) -> Any:
        return network["down"](windows[:, -1]) + network["up"](windows[:, -1])

    def loss(self, network: Any, batch: Batch, player: str, shape: Shape) -> Any:
        noise = torch.rand(len(batch.labels))
        value = (torch.tanh(self.answers(network, batch.windows, shape)[:, 0]) + noise).mean()
        return value if player == "down" else -value
