"""The GPU stage: which device is used, and the optimiser of plain tensors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from executor_children import await_outcome, started

from executors.contract import Failed, FitSpec, Report, Started
from executors.errors import DeviceUnavailable
from executors.gpu import device
from executors.gpu.adamw import AdamW
from executors.training import failure, fit_once

SpecMaker = Callable[..., FitSpec]

TINY = {"epochs": 1, "hidden": 4, "window": 3, "batch_rows": 1000}


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without a GPU, whatever this one has."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "NVIDIA_DEVICE", tmp_path / "no-such-device")


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_an_lstm_goes_to_the_cpu_and_says_so(make_spec: SpecMaker) -> None:
    """Falling back is allowed by default and reported with its reason, never silent."""
    reports: list[Report] = []
    spec = make_spec(family="LSTM", params=TINY, device_requested="cuda:0")
    fit_once(spec, tell=reports.append, should_stop=lambda: False)
    begun = reports[0]
    assert isinstance(begun, Started)
    assert (begun.device_requested, begun.device_used) == ("cuda:0", "cpu")
    assert begun.device_reason == "no CUDA device on this machine"


@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_and_without_falling_back_the_fit_fails_by_its_device(make_spec: SpecMaker) -> None:
    """The sentence names the device, the reason and the two ways out."""
    spec = make_spec(family="LSTM", params=TINY, device_requested="cuda:0", gpu_fallback="never")
    with pytest.raises(DeviceUnavailable) as caught:
        fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    failed = failure(caught.value)
    assert (failed.cause, failed.retryable) == ("device", False)
    assert failed.sentence.startswith("device cuda:0 cannot be used: no CUDA device on this machine")


def test_a_child_that_is_shown_no_gpu_fails_by_its_device(make_spec: SpecMaker, tmp_path: Path) -> None:
    """The whole way through a process: a device number that is not there, and no falling back."""
    spec = make_spec(family="LSTM", params=TINY, device_requested="cuda:99", gpu_fallback="never")
    outcome = await_outcome(started(spec, tmp_path))
    assert isinstance(outcome, Failed)
    assert outcome.cause == "device"
    assert "cuda:99" in outcome.sentence


def test_a_driver_torch_cannot_use_is_told_from_a_missing_gpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With an NVIDIA device in the machine, the reason is torch's build."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "NVIDIA_DEVICE", tmp_path)
    monkeypatch.setattr(torch.version, "cuda", None)
    assert device.missing_gpu_reason() == "the installed torch has no CUDA"
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert device.missing_gpu_reason() == "CUDA 13.0 of torch cannot use the driver"


@pytest.mark.parametrize(("fallback", "used"), [("auto", None), ("never", None), ("always", "cpu")])
def test_a_gpu_that_is_there_and_cannot_be_used_fails_the_fit_unless_the_cpu_is_allowed(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, fallback: str, used: str | None
) -> None:
    """A broken driver is a fault to be mended: only "always" trains on the CPU all the same."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(device, "NVIDIA_DEVICE", tmp_path)
    spec = make_spec(family="LSTM", device_requested="cuda:0", gpu_fallback=fallback)
    if used is None:
        with pytest.raises(DeviceUnavailable, match='gpu_fallback = "always"'):
            device.chosen_device(spec)
    else:
        assert device.chosen_device(spec)[0].used == used


def test_boosting_is_of_the_cpu_stage_whatever_is_asked(make_spec: SpecMaker) -> None:
    """An XGBoost fit is never sent to a GPU that might not be there."""
    reports: list[Report] = []
    spec = make_spec(family="XGBoost", params={"rounds": 2}, device_requested="cuda:0")
    fit_once(spec, tell=reports.append, should_stop=lambda: False)
    begun = reports[0]
    assert isinstance(begun, Started)
    assert (begun.device_used, begun.device_reason) == ("cpu", "XGBoost is a family of the CPU stage")


def test_our_adamw_steps_as_torch_s_does() -> None:
    """Twenty steps on a small problem agree with the library's optimiser to rounding."""
    inputs = torch.linspace(-1, 1, 40).reshape(10, 4)
    results = []
    for ours in (True, False):
        torch.manual_seed(3)
        layer = torch.nn.Linear(4, 2)
        settings = {"weight_decay": 0.1}
        our_optimiser = AdamW(layer.parameters(), learning_rate=0.05, **settings)
        their_optimiser = torch.optim.AdamW(layer.parameters(), lr=0.05, **settings)
        for number in range(1, 21):
            (layer(inputs) ** 2).sum().backward()
            if ours:
                our_optimiser.step(number)
            else:
                their_optimiser.step()
                their_optimiser.zero_grad()
        results.append(torch.cat([parameter.detach().flatten() for parameter in layer.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-6)


def test_a_restored_optimiser_goes_on_to_the_same_bits() -> None:
    """Its state is all there is: a fresh one with it takes the same next step."""
    layers = [torch.nn.Linear(3, 1) for _ in range(2)]
    inputs = torch.ones(5, 3)
    first = AdamW(layers[0].parameters(), learning_rate=0.1, weight_decay=0.0)
    for number in (1, 2):
        layers[0](inputs).sum().backward()
        first.step(number)
    second = AdamW(layers[1].parameters(), learning_rate=0.1, weight_decay=0.0)
    layers[1].load_state_dict(layers[0].state_dict())
    second.restore(first.state())
    for layer, optimiser in zip(layers, (first, second), strict=True):
        (layer(inputs) ** 2).sum().backward()
        optimiser.step(3)
    assert torch.equal(layers[0].weight, layers[1].weight)


def test_a_parameter_without_a_gradient_stays_where_it_is() -> None:
    """What a player's loss does not reach is neither moved nor made smaller."""
    used, unused = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    optimiser = AdamW([unused, used], learning_rate=0.1, weight_decay=0.5)
    used.sum().backward()
    optimiser.step(1)
    assert torch.equal(unused, torch.ones(3))
    assert (used < 0.9).all()
    assert used.grad is None


def test_a_share_of_the_learning_rate_is_a_smaller_rate() -> None:
    """Momentum and decay as well: the schedule is the rate's, not the gradient's."""
    moved = []
    for rate, share in ((0.1, 0.25), (0.025, 1.0)):
        weight = torch.full((4,), 2.0, requires_grad=True)
        optimiser = AdamW([weight], learning_rate=rate, weight_decay=0.5)
        for number in (1, 2, 3):
            (weight**2).sum().backward()
            optimiser.step(number, share)
        moved.append(weight.detach())
    torch.testing.assert_close(moved[0], moved[1])
