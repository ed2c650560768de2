"""The trainer around a recipe: rows to the device, the one loop, weights to files, and predictions again.

A bundle of a network is its weights (`model.safetensors`) and its shape (`model.json`); how it was computed
is in the outline under "training".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save as bytes_from_tensors

from executors.gpu.batches import labelled_rows
from executors.gpu.constant_start import begin_at_constant
from executors.gpu.device import chosen_device
from executors.gpu.memory import cuts
from executors.gpu.numerics import chosen_numerics, set_up
from executors.gpu.prediction import MODEL, SHAPE, LoadedNetwork, Outputs
from executors.gpu.recipe import LOOP_PARAMETERS, Further, Recipe, Shape
from executors.gpu.torch_loop import TorchLoop
from executors.parameters import Number, Parameter
from executors.session import Session, Trained
from panel.aligned import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkFamily:
    """A family of networks as the host knows families (executors.trainers.Trainer).

    Attributes:
        recipe: what is the family's own.
        further: finds the targets it learns beside the fit's own, if it does.
    """

    LIBRARIES: ClassVar[tuple[str, ...]] = ("torch", "safetensors")

    recipe: Recipe
    further: Callable[[Session], Further] | None = None

    @property
    def PARAMETERS(self) -> Mapping[str, Parameter]:  # noqa: N802 -- a constant of every other trainer
        """Its settings beside those that all families share."""
        return {**LOOP_PARAMETERS, **self.recipe.PARAMETERS}

    def window_rows(self, params: Mapping[str, Number]) -> int:
        """Return how many rows of a symbol one prediction looks at, itself included."""
        return int(params.get("window", 1))

    def train(self, session: Session) -> Trained:
        """Train on the training rows, keep the weights of the best epoch on the validation rows.

        Raises:
            StopAsked: SIGTERM came and the state is saved.
            DeviceUnavailable: the GPU asked for is missing and the CPU is not allowed.
            BadInput: the loss became something that is no number.
            MemoryError: not even one row fits into the memory.
        """
        device, torch_device = chosen_device(session.spec)
        set_up(session.spec, device=torch_device)
        further = self.further(session) if self.further is not None else None
        shape = self._shape(session, further)
        rows, standardisation = labelled_rows(
            session, window=shape.window, device=torch_device, further=further
        )
        torch.manual_seed(session.seed("weights"))
        network = self.recipe.network(shape)
        begin_at_constant(self.recipe, network, session)
        network = network.to(torch_device)
        batches = len(cuts(len(session.data.train), int(session.params["batch_rows"])))
        numerics = chosen_numerics(
            session.spec,
            device=torch_device,
            steps=int(session.params["epochs"]) * batches,
            may_compile=getattr(self.recipe, "compiles", True),
        )
        loop = TorchLoop(session, self.recipe, shape, network, rows, numerics)
        loop.resume(session.begin(device))
        weights = loop.train()
        return Trained(
            files={MODEL: bytes_from_tensors(weights), SHAPE: shape.to_json().encode()},
            steps=loop.progress.step,
            best_step=loop.progress.best_epoch,
            curve={"train_loss": loop.progress.train_losses, "valid_loss": loop.progress.valid_losses},
            importances={},
            device=device,
            outline={
                "features": list(session.data.features),
                "labels": session.data.code.to_json(),
                "standardisation": standardisation.to_json(),
                "training": loop.account(),
                **({} if further is None else {"others": dict(further.outline)}),
            },
        )

    def predict(
        self, files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes).

        Rows without a full window are NaN. Always on the CPU and on one thread, for the same bits everywhere.
        """
        return self.loaded(files, outline).predictions_at(panel, rows)

    def loaded(self, files: Mapping[str, bytes], outline: Mapping[str, Any]) -> LoadedNetwork:
        """Return the network of a bundle, to be asked more than once."""
        return LoadedNetwork.of(self.recipe, files, outline)

    def outputs_at(
        self,
        files: Mapping[str, bytes],
        outline: Mapping[str, Any],
        panel: Panel,
        rows: NDArray[np.int64],
        outputs: Outputs,
    ) -> NDArray[np.float32]:
        """Return what `outputs` says of the windows of `rows`, (rows, numbers) float32, undecoded."""
        return self.loaded(files, outline).outputs_at(panel, rows, outputs)

    def _shape(self, session: Session, further: Further | None) -> Shape:
        data = session.data
        return Shape(
            features=len(data.features),
            outputs=data.code.outputs,
            window=self.window_rows(session.params),
            task=data.code.task,
            others=() if further is None else further.tasks,
            params=session.params,
        )
