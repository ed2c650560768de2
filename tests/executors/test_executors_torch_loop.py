"""The training loop of the networks: order, patience, the best epoch, and what a batch is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from executors.contract import Checkpointed, FitSpec, Report, Started
from executors.dataset import fit_data
from executors.errors import StopAsked
from executors.gpu.lstm_family import PARAMETERS, forward, network_of, train
from executors.gpu.torch_loop import Progress, TorchLoop, WindowBatches
from executors.parameters import settings
from executors.preprocessing import Standardisation
from executors.session import Session

SpecMaker = Callable[..., FitSpec]

SMALL = {"hidden": 4, "window": 3, "epochs": 3, "batch_rows": 500}


def session_of(spec: FitSpec, reports: list[Report] | None = None, **params: Any) -> Session:
    """Return a session with the LSTM's settings."""
    given = settings("LSTM", PARAMETERS, {**SMALL, **params})
    return Session(
        spec=spec,
        data=fit_data(spec, window=int(given["window"])),
        params=given,
        versions={},
        tell=(reports if reports is not None else []).append,
        should_stop=lambda: False,
    )


def loop_of(session: Session) -> TorchLoop:
    """Return a loop at its beginning on the CPU."""
    data = session.data
    matrix = Standardisation.fitted(data.features_at(data.train)).applied(
        data.features_at(slice(0, data.panel.rows))
    )
    window = int(session.params["window"])
    batches = WindowBatches.of(matrix, window=window, first_row=0, device="cpu")
    shape: dict[str, float] = {"features": len(data.features), "hidden": 4, "layers": 1, "outputs": 1}
    shape["dropout"] = float(session.params["dropout"])
    torch.manual_seed(1)
    return TorchLoop(session, network_of(shape), forward, batches)


def test_every_epoch_has_all_training_rows_once_in_an_order_of_its_own(make_spec: SpecMaker) -> None:
    """The order is a function of seed and epoch: it can be made again without having been kept."""
    session = session_of(make_spec(family="LSTM"))
    loop = loop_of(session)
    first, second = loop._order_of_epoch(0), loop._order_of_epoch(1)
    assert np.array_equal(np.sort(first), session.data.train)
    assert not np.array_equal(first, second)
    assert np.array_equal(first, loop_of(session)._order_of_epoch(0))


def test_training_ends_when_no_epoch_has_been_better_for_patience_epochs(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights returned are those of the best epoch, not of the last one."""
    losses = iter([0.9, 0.5, 0.7, 0.8, 0.1])
    weights: list[dict[str, Any]] = []

    def valid_loss(loop: TorchLoop) -> float:
        weights.append({name: value.clone() for name, value in loop._network.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(TorchLoop, "_valid_loss", valid_loss)
    loop = loop_of(session_of(make_spec(family="LSTM"), epochs=9, patience=2))
    kept = loop.train()
    assert loop.progress.valid_losses == [0.9, 0.5, 0.7, 0.8]
    assert loop.progress.best_epoch == 2
    assert all(torch.equal(kept[name], weights[1][name]) for name in kept)
    assert any(not torch.equal(kept[name], weights[3][name]) for name in kept)


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows(make_spec: SpecMaker) -> None:
    """A smaller last batch counts by its rows: with weights that hardly move it is the loss of them all."""
    session = session_of(make_spec(family="LSTM"), epochs=1, learning_rate=1e-7, batch_rows=300, dropout=0.0)
    loop = loop_of(session)
    rows = session.data.train
    with torch.no_grad():
        expected = float(loop._loss(forward(loop._network, loop._batches.at(rows)), rows))
    loop.train()
    assert loop.progress.step == -(-len(rows) // 300)
    assert loop.progress.train_losses == [pytest.approx(expected, rel=1e-4)]


def test_losses_fall_while_there_is_a_signal_to_learn(make_spec: SpecMaker) -> None:
    """A planted signal is learnt on rows of training and carries over to those of validation."""
    loop = loop_of(session_of(make_spec(family="LSTM"), epochs=6, learning_rate=0.02))
    loop.train()
    assert loop.progress.train_losses[-1] < 0.9 * loop.progress.train_losses[0]
    assert min(loop.progress.valid_losses) < 0.95


def test_progress_knows_its_epoch_and_the_best_one() -> None:
    """Before any epoch there is no best; the first of equals counts."""
    assert (Progress().epoch, Progress().best_epoch) == (0, 0)
    assert Progress(valid_losses=[0.3, 0.2, 0.2]).best_epoch == 2


def test_an_lstm_stops_after_any_batch_with_its_state_saved(make_spec: SpecMaker) -> None:
    """SIGTERM in the midst of an epoch costs nothing: the state is that of the last batch."""
    reports: list[Report] = []
    session = session_of(make_spec(family="LSTM"), reports)
    asked = iter(range(100))
    session.should_stop = lambda: next(asked) >= 6
    with pytest.raises(StopAsked) as stop:
        train(session)
    assert stop.value.step == 6  # four batches an epoch: in the second
    assert [report.step for report in reports if isinstance(report, Checkpointed)] == [6]
    later: list[Report] = []
    successor = session_of(make_spec(family="LSTM", fence=2), later)
    trained = train(successor)
    assert isinstance(later[0], Started)
    assert later[0].resumed_from_step == 6
    assert trained.steps == 3 * 4


def test_symbols_train_on_their_own_windows(make_spec: SpecMaker) -> None:
    """A symbol's own network needs its own slice of the panel alone."""
    spec = make_spec(family="LSTM", training_type="symbol_specific", symbol="DDD")
    session = session_of(spec, epochs=1)
    trained = train(session)
    assert trained.steps == 1
    assert set(trained.files) == {"model.safetensors", "model.json"}
