"""When memory runs out the batch is cut in two: the same training, said aloud, and part of the state."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from executor_fits import bundle_of, killed_after_every_checkpoint, outcome_of
from network_loops import GreedyRecipe, LinearRecipe, NormedRecipe, loop_of, session_of

from executors.contract import FitSpec
from executors.gpu import batches
from executors.gpu.batches import WindowBatches
from executors.gpu.lstm_family import LSTMRecipe
from executors.gpu.memory import cuts, halved, is_out_of_memory
from executors.gpu.torch_loop import TorchLoop
from executors.training import failure

SpecMaker = Callable[..., FitSpec]

NO_MEMORY = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 1.00 GiB"
TINY = {"epochs": 2, "hidden": 4, "window": 3, "batch_rows": 500}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError(NO_MEMORY), True),
        (RuntimeError(NO_MEMORY), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
    ],
)
def test_errors_of_memory_are_told_from_others(error: RuntimeError, expected: bool) -> None:
    """For its own allocator torch has an error of its own, for all others there are words."""
    assert is_out_of_memory(error) == expected


def test_what_this_machine_says_without_memory_is_understood() -> None:
    """More than any machine has is refused in words we know."""
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46)
    assert is_out_of_memory(caught.value)


def test_cuts_are_as_few_and_as_even_as_can_be() -> None:
    """No part is larger than allowed, and none is a single row left over."""
    assert cuts(10, 4) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert cuts(257, 256) == [slice(0, 128), slice(128, 257)]
    assert cuts(5, 5) == [slice(0, 5)]
    assert cuts(3, 1) == [slice(0, 1), slice(1, 2), slice(2, 3)]


def test_a_batch_of_one_row_is_not_halved() -> None:
    """There the fit ends, and says where there was no memory."""
    assert [halved(rows, device="cpu", problem="") for rows in (7, 2)] == [4, 1]
    with pytest.raises(MemoryError, match=r"not even a batch of one row fits on cuda:0: no room"):
        halved(1, device="cuda:0", problem="no room\nmore words")


def test_a_batch_cut_in_parts_teaches_the_same(
    make_spec: SpecMaker, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gradients of the parts add up to the batch's, weights of rows included; only rounding differs."""
    session = session_of(make_spec(family="LSTM", target="y_up_1d"), batch_rows=333, class_balance=0.5)
    whole, cut = loop_of(session, LinearRecipe()), loop_of(session, GreedyRecipe(100))
    expected, found = whole.train(), cut.train()
    assert whole.progress.train_rows_at_once > 200
    assert cut.progress.train_rows_at_once == -(-whole.progress.train_rows_at_once // 4)
    assert found.keys() == expected.keys()
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2  # halved twice, once and for all
    assert said[1].startswith("WARNING: memory of cpu ran out in training; going on ")


def test_parts_that_count_wrongly_are_found_out(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison above has teeth: parts that leave out rows teach something else."""
    session = session_of(make_spec(family="LSTM", target="y_up_1d"), batch_rows=333, class_balance=0.5)
    expected = loop_of(session, LinearRecipe()).train()
    loop = loop_of(session, GreedyRecipe(100))
    monkeypatch.setattr("executors.gpu.torch_loop.cuts", lambda rows, most: cuts(rows, most)[:1])
    found = loop.train()
    assert not torch.allclose(found["head.weight"], expected["head.weight"], rtol=1e-3)


def test_memory_that_runs_out_in_validation_is_saved_there(
    make_spec: SpecMaker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loss is the same mean, taken over smaller batches."""
    session = session_of(make_spec(family="LSTM"), epochs=1)
    loop = loop_of(session, LinearRecipe())
    expected = loop._valid_loss()
    valid_losses = LinearRecipe.valid_losses

    def greedy(recipe: Any, network: Any, batch: Any, shape: Any) -> Any:
        if len(batch.labels) > 100:
            raise torch.OutOfMemoryError(NO_MEMORY)
        return valid_losses(recipe, network, batch, shape)

    monkeypatch.setattr(LinearRecipe, "valid_losses", greedy)
    assert loop._valid_loss() == pytest.approx(expected, rel=1e-6)
    assert loop.progress.valid_rows_at_once == 64
    assert "ran out in validation" in capsys.readouterr().err


def test_other_errors_are_not_taken_for_a_lack_of_memory(make_spec: SpecMaker) -> None:
    """A mistake in a network ends the fit at once."""
    recipe = GreedyRecipe(100, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        loop_of(session_of(make_spec(family="LSTM")), recipe).train()
    assert len(recipe.asked) == 1


def greedy_lstm(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    """Let the LSTM run out of memory with more than `most` rows."""
    loss = LSTMRecipe.loss

    def greedy(recipe: Any, network: Any, batch: Any, player: str, shape: Any) -> Any:
        if len(batch.labels) > most:
            raise torch.OutOfMemoryError(NO_MEMORY)
        return loss(recipe, network, batch, player, shape)

    monkeypatch.setattr(LSTMRecipe, "loss", greedy)


def test_the_bundle_says_that_batches_were_cut(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who wonders why a fit took long finds how many rows were computed at once."""
    greedy_lstm(monkeypatch, 200)
    bundle = bundle_of(make_spec(family="LSTM", params=TINY), tmp_path)
    training = json.loads(bundle.files["preprocessing.json"])["training"]
    assert training["rows_at_once"] < 200 < training["batch_rows"]


def test_a_fit_short_of_memory_resumes_to_the_same_bytes_and_does_not_try_again(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """How far batches are cut is part of the state: the successor begins where its forerunner had to go."""
    greedy_lstm(monkeypatch, 200)
    spec = make_spec(family="LSTM", params={**TINY, "dropout": 0.3}, checkpoint_rounds=3)
    expected = bundle_of(spec, tmp_path / "whole").files
    capsys.readouterr()
    found, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths >= 2
    assert capsys.readouterr().err.count("ran out") == 2
    assert {name: found[name] for name in expected} == expected


def test_a_fit_that_forgets_how_far_it_cut_tries_again(
    make_spec: SpecMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The test above has teeth: every successor of a forgetful fit runs out of memory once more."""
    resume = TorchLoop.resume

    def forgetful(loop: TorchLoop, found: Any) -> None:
        rows = loop.progress.train_rows_at_once
        resume(loop, found)
        loop.progress.train_rows_at_once = rows

    monkeypatch.setattr(TorchLoop, "resume", forgetful)
    greedy_lstm(monkeypatch, 200)
    spec = make_spec(family="LSTM", params=TINY, checkpoint_rounds=3)
    _, deaths = killed_after_every_checkpoint(spec, tmp_path)
    assert capsys.readouterr().err.count("ran out") > 2 * deaths


def test_a_network_of_which_no_row_fits_fails_for_lack_of_memory(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The host hears the cause, which may be over when the fit is tried again."""
    greedy_lstm(monkeypatch, 0)
    with pytest.raises(MemoryError) as caught:
        outcome_of(make_spec(family="LSTM", params=TINY))
    failed = failure(caught.value)
    assert (failed.cause, failed.retryable) == ("out_of_memory", True)
    assert "not even a batch of one row fits on cpu: CUDA out of memory" in failed.sentence


def test_statistics_of_batch_norm_survive_a_cut(make_spec: SpecMaker) -> None:
    """No part of a batch is a single row, of which there are no statistics."""
    session = session_of(make_spec(family="LSTM"), epochs=1, batch_rows=len_train(make_spec) - 1)
    loop = loop_of(session, NormedRecipe())
    loop.train()
    assert loop.progress.step == 2


def len_train(make_spec: SpecMaker) -> int:
    """Return how many training rows there are."""
    return len(session_of(make_spec(family="LSTM")).data.train)


def test_features_too_large_for_the_device_stay_on_the_host(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each batch is gathered there and sent by itself; what the network sees is the same."""

    class Full:
        def to(self, device: str) -> Any:
            raise torch.OutOfMemoryError(NO_MEMORY)

        def pin_memory(self) -> str:
            return "pinned"

    assert batches._placed(Full(), "cuda:0") == "pinned"
    assert "do not fit on cuda:0; each batch is sent there" in capsys.readouterr().err
    matrix = torch.arange(12, dtype=torch.float32).reshape(6, 2).numpy()
    windows = WindowBatches.of(matrix, window=2, first_row=0, device="cpu").ending_at(torch.tensor([3, 1]))
    assert windows.tolist() == [[[4, 5], [6, 7]], [[0, 1], [2, 3]]]
