"""The training loop of the networks: order, patience, the best epoch, and what a batch is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from network_loops import NormedRecipe, RivalsRecipe, loop_of, session_of

from executors.checkpoint import Checkpoint
from executors.contract import Checkpointed, FitSpec, Report, Started
from executors.errors import BadInput, StopAsked
from executors.gpu.losses import row_losses
from executors.gpu.lstm_family import TRAINER
from executors.gpu.torch_loop import Progress, TorchLoop

SpecMaker = Callable[..., FitSpec]


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
    losses = iter([1.0, 0.9, 0.5, 0.7, 0.8, 0.1])  # the first is that of the beginning
    weights: list[dict[str, Any]] = []

    def valid_loss(loop: TorchLoop) -> float:
        weights.append({name: value.clone() for name, value in loop._network.state_dict().items()})
        return next(losses)

    monkeypatch.setattr(TorchLoop, "_valid_loss", valid_loss)
    loop = loop_of(session_of(make_spec(family="LSTM"), epochs=9, patience=2))
    kept = loop.train()
    assert loop.progress.valid_losses == [0.9, 0.5, 0.7, 0.8]
    assert loop.progress.best_epoch == 2
    assert all(torch.equal(kept[name], weights[2][name]) for name in kept)
    assert any(not torch.equal(kept[name], weights[4][name]) for name in kept)


@pytest.mark.parametrize("overlap_weights", [0, 1])
def test_the_loss_of_an_epoch_is_the_weighted_mean_over_its_rows(
    make_spec: SpecMaker, overlap_weights: int
) -> None:
    """A smaller batch counts by its rows: with weights that hardly move it is the loss of them all."""
    spec = make_spec(family="LSTM", target="y_up_1d")
    session = session_of(
        spec,
        epochs=1,
        learning_rate=1e-7,
        batch_rows=300,
        dropout=0.0,
        class_balance=1.0,
        overlap_weights=overlap_weights,
    )
    loop = loop_of(session)
    batch = loop._rows.batch(loop._rows.places_of(session.data.train))
    with torch.no_grad():
        answers = loop._recipe.answers(loop._network, batch.windows, loop._shape)
        losses = row_losses(answers, batch.labels, "binary").numpy()
    expected = float((losses * session.weights()).mean())
    loop.train()
    assert loop.progress.step == -(-len(session.data.train) // 300)
    assert loop.progress.train_losses == [pytest.approx(expected, rel=1e-4)]


def test_losses_fall_while_there_is_a_signal_to_learn(make_spec: SpecMaker) -> None:
    """A planted signal is learnt on rows of training and carries over to those of validation."""
    loop = loop_of(session_of(make_spec(family="LSTM"), epochs=6, learning_rate=0.02, batch_rows=150))
    loop.train()
    assert loop.progress.train_losses[-1] < 0.95 * loop.progress.train_losses[0]
    assert min(loop.progress.valid_losses) < 0.95


def test_a_loss_that_is_no_number_ends_the_fit_with_a_sentence(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights without meaning are never bundled."""
    monkeypatch.setattr(TorchLoop, "_valid_loss", lambda loop: float("nan"))
    with pytest.raises(BadInput, match=r"no longer a number after epoch 1; lower its learning_rate"):
        loop_of(session_of(make_spec(family="LSTM"))).train()


def test_progress_knows_its_epoch_and_the_best_one() -> None:
    """Before any epoch there is no best; the first of equals counts."""
    assert (Progress().epoch, Progress().best_epoch) == (0, 0)
    assert Progress(valid_losses=[0.3, 0.2, 0.2]).best_epoch == 2
    assert Progress(valid_losses=[0.3, 0.2, 0.2], loss_before=0.2).best_epoch == 0


def test_an_lstm_stops_after_any_batch_with_its_state_saved(make_spec: SpecMaker) -> None:
    """SIGTERM in the midst of an epoch costs nothing: the state is that of the last batch."""
    reports: list[Report] = []
    session = session_of(make_spec(family="LSTM"), reports)
    asked = iter(range(100))
    session.should_stop = lambda: next(asked) >= 6
    with pytest.raises(StopAsked) as stop:
        TRAINER.train(session)
    assert stop.value.step == 6  # four batches an epoch: in the second
    assert [report.step for report in reports if isinstance(report, Checkpointed)] == [6]
    later: list[Report] = []
    successor = session_of(make_spec(family="LSTM", fence=2), later)
    trained = TRAINER.train(successor)
    assert isinstance(later[0], Started)
    assert later[0].resumed_from_step == 6
    assert trained.steps == 3 * 4


def test_players_take_turns_and_move_nothing_but_their_own(make_spec: SpecMaker) -> None:
    """What is larger for one is smaller for the other, and no gradient of one lands with the other."""
    loop = loop_of(session_of(make_spec(family="LSTM"), learning_rate=0.02), RivalsRecipe())
    start = {name: value.clone() for name, value in loop._network.state_dict().items()}
    places = loop._rows.places_of(loop._session.data.train[:100])
    loop._with_gradients("down", loop._optimisers["down"], places)
    assert all(parameter.grad is None for parameter in loop._network["up"].parameters())
    loop._optimisers["down"].clear()
    loop.train()
    bias = {name: float(loop._network[name].bias.detach() - start[f"{name}.bias"]) for name in ("down", "up")}
    assert bias["down"] < -0.1
    assert bias["up"] > 0.1


def test_a_state_holds_the_moments_of_every_player(make_spec: SpecMaker) -> None:
    """Each optimiser is a file of its own, and the rivals go on from it to the same bits."""
    session = session_of(make_spec(family="LSTM"))
    whole = loop_of(session, RivalsRecipe())
    whole.train()
    halted = loop_of(session, RivalsRecipe())
    for _ in range(3):
        order = halted._rows.places_of(halted._order_of_epoch(0))
        halted._train_batch(order[halted._batches[halted.progress.step]])
    files = halted.state_files()
    assert {"optimiser-down.safetensors", "optimiser-up.safetensors"} < set(files)
    later = resumed(loop_of(session, RivalsRecipe()), files)
    later.train()
    assert same_weights(later, whole)
    swapped = {**files, "optimiser-up.safetensors": files["optimiser-down.safetensors"]}
    mutant = resumed(loop_of(session, RivalsRecipe()), swapped)
    mutant.train()
    assert not same_weights(mutant, whole)


def test_the_statistics_of_batch_norm_are_part_of_the_state(make_spec: SpecMaker) -> None:
    """Buffers are saved with the weights: the checkpoint, the best epoch and the model have them."""
    session = session_of(make_spec(family="LSTM"))
    whole = loop_of(session, NormedRecipe())
    kept = whole.train()
    assert kept["norm.num_batches_tracked"] > 0
    later = resumed(loop_of(session, NormedRecipe()), halted_after_an_epoch(session))
    later.train()
    assert same_weights(later, whole)


def halted_after_an_epoch(session: Any) -> dict[str, bytes]:
    """Return the state of a loop with normed batches after its first epoch."""
    session.should_stop = lambda: loop.progress.epoch == 1
    loop = loop_of(session, NormedRecipe())
    with pytest.raises(StopAsked):
        loop.train()
    session.should_stop = lambda: False
    return loop.state_files()


def resumed(loop: TorchLoop, files: dict[str, bytes]) -> TorchLoop:
    """Return `loop` after it has taken over the state in `files`."""
    loop.resume(Checkpoint(step=0, fence=1, path=Path(), files=files))
    return loop


def same_weights(loop: TorchLoop, other: TorchLoop) -> bool:
    """Return whether all weights and buffers of both are the same to the bit."""
    mine, theirs = loop._network.state_dict(), other._network.state_dict()
    return all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_symbols_train_on_their_own_windows(make_spec: SpecMaker) -> None:
    """A symbol's own network needs its own slice of the panel alone."""
    spec = make_spec(family="LSTM", training_type="symbol_specific", symbol="DDD")
    session = session_of(spec, epochs=1)
    trained = TRAINER.train(session)
    assert trained.steps == 1
    assert set(trained.files) == {"model.safetensors", "model.json"}
