"""How networks are computed: the schedule of the learning rate, precision, compiling, determinism."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from executor_fits import bundle_of, killed_after_every_checkpoint
from network_loops import LinearRecipe, loop_of, session_of

from executors.contract import FitSpec
from executors.gpu import numerics, torch_loop
from executors.gpu.lstm_family import LSTMRecipe
from executors.gpu.numerics import LONG_FIT_STEPS, Numerics, chosen_numerics, set_up
from executors.gpu.schedule import rate_share

SpecMaker = Callable[..., FitSpec]

COMPILED = Numerics(device="cpu", precision="float32", compiles=True)


def test_the_rate_rises_and_falls_as_a_function_of_the_step() -> None:
    """Linear over the warm-up, then half a cosine that ends just above nothing."""
    shares = [rate_share(step, steps=100, warmup_share=0.1) for step in range(1, 101)]
    assert shares[:10] == [pytest.approx(number / 10) for number in range(1, 11)]
    assert shares[10] == 1.0
    assert shares[55] == pytest.approx(0.5)
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert 0.0 < shares[-1] < 0.001


def test_a_fit_without_warm_up_or_of_a_single_step_has_a_rate() -> None:
    """Nothing is divided by zero, and no step is wasted."""
    assert rate_share(1, steps=1, warmup_share=0.0) == 1.0
    assert rate_share(1, steps=1, warmup_share=0.9) == 1.0
    assert rate_share(1, steps=50, warmup_share=0.0) == 1.0


def test_the_loop_takes_the_rate_of_its_step(make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resumed fit needs no schedule's state: the step says it all."""
    taken: list[float] = []
    loop = loop_of(session_of(make_spec(family="LSTM"), warmup_share=0.25), LinearRecipe())
    step = torch_loop.AdamW.step

    def noted(optimiser: Any, number: int, share: float) -> None:
        taken.append(share)
        step(optimiser, number, share)

    monkeypatch.setattr(torch_loop.AdamW, "step", noted)
    loop.train()
    assert taken == [rate_share(number, steps=12, warmup_share=0.25) for number in range(1, 13)]


def test_gradients_are_cut_to_the_largest_norm(make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """One bad batch cannot throw the weights away."""
    norms: list[float] = []
    loop = loop_of(session_of(make_spec(family="LSTM"), gradient_norm=0.01), LinearRecipe())
    step = torch_loop.AdamW.step

    def noted(optimiser: Any, number: int, share: float) -> None:
        squares = [(parameter.grad**2).sum() for parameter in optimiser.parameters]
        norms.append(float(torch.stack(squares).sum().sqrt()))
        step(optimiser, number, share)

    monkeypatch.setattr(torch_loop.AdamW, "step", noted)
    loop.train()
    assert max(norms) == pytest.approx(0.01, rel=1e-3)


def gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    """Let torch see a GPU of this compute capability."""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda number: capability)


@pytest.mark.parametrize(
    ("device", "capability", "precision", "expected"),
    [
        ("cpu", (9, 0), "auto", "float32"),
        ("cpu", (9, 0), "bfloat16", "bfloat16"),
        ("cuda:0", (8, 0), "auto", "bfloat16"),
        ("cuda:0", (7, 5), "auto", "float32"),
        ("cuda:0", (9, 0), "float32", "float32"),
    ],
)
def test_products_are_in_bfloat16_where_the_device_is_made_for_them(
    make_spec: SpecMaker,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    capability: tuple[int, int],
    precision: str,
    expected: str,
) -> None:
    """What was asked for is done; "auto" takes it on GPUs that have it."""
    gpu(monkeypatch, capability)
    spec = make_spec(family="MLP", precision=precision)
    assert chosen_numerics(spec, device=device, steps=1, may_compile=True).precision == expected


@pytest.mark.parametrize(
    ("device", "wanted", "steps", "may", "expected"),
    [
        ("cuda:0", "auto", LONG_FIT_STEPS, True, True),
        ("cuda:0", "auto", LONG_FIT_STEPS - 1, True, False),
        ("cpu", "auto", LONG_FIT_STEPS, True, False),
        ("cpu", "always", 1, True, True),
        ("cuda:0", "always", 1, False, False),
        ("cuda:0", "never", LONG_FIT_STEPS, True, False),
    ],
)
def test_networks_are_compiled_where_it_pays(
    make_spec: SpecMaker,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    wanted: str,
    steps: int,
    may: bool,
    expected: bool,
) -> None:
    """For a GPU and a long fit, or when asked; never where the recipe knows better."""
    gpu(monkeypatch, (9, 0))
    spec = make_spec(family="MLP", compile_network=wanted)
    assert chosen_numerics(spec, device=device, steps=steps, may_compile=may).compiles == expected


def test_bfloat16_trains_to_other_bits_and_nearly_the_same_model(
    make_spec: SpecMaker, tmp_path: Path
) -> None:
    """Products are rounded, weights are not: they are saved in float32 and predict alike."""
    params = {"hidden": 16, "epochs": 4, "dropout": 0.0}
    bundles = {
        precision: bundle_of(
            make_spec(family="MLP", params=params, precision=precision), tmp_path / precision
        )
        for precision in ("auto", "bfloat16")
    }
    exact, rounded = (bundle.predictions().prediction for bundle in bundles.values())
    outlines = [json.loads(bundle.files["preprocessing.json"]) for bundle in bundles.values()]
    assert [outline["training"]["precision"] for outline in outlines] == ["float32", "bfloat16"]
    assert bundles["auto"].files["model.safetensors"] != bundles["bfloat16"].files["model.safetensors"]
    assert b'"BF16"' not in bundles["bfloat16"].files["model.safetensors"][:4096]
    assert float(torch.corrcoef(torch.tensor([exact.tolist(), rounded.tolist()]))[0, 1]) > 0.98


def test_a_fit_in_bfloat16_resumes_to_the_same_bytes(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Rounded products are as much a function of the state as exact ones."""
    params = {"hidden": 8, "epochs": 2, "dropout": 0.3}
    spec = make_spec(family="MLP", params=params, precision="bfloat16", checkpoint_rounds=3)
    expected = bundle_of(spec, tmp_path / "whole").files
    found, deaths = killed_after_every_checkpoint(spec, tmp_path / "killed")
    assert deaths >= 3
    assert {name: found[name] for name in expected} == expected


def test_a_compiled_loss_trains_the_same_network(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tracer of torch takes the recipe's loss as it is, batch and shape included, without a break."""
    eager = functools.partial(torch.compile, backend="eager", fullgraph=True)
    monkeypatch.setattr(torch, "compile", eager)
    session = session_of(make_spec(family="LSTM"), epochs=1)
    plain, traced = loop_of(session, LinearRecipe()), loop_of(session, LinearRecipe(), COMPILED)
    expected, found = plain.train(), traced.train()
    assert traced.account()["compiled"] is True
    assert traced._loss is not traced._recipe.loss
    for name in found:
        torch.testing.assert_close(found[name], expected[name])


def test_a_network_that_cannot_be_compiled_is_trained_without(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A machine without a compiler costs the speed, not the fit; log and bundle say so."""

    def no_compiler(*arguments: Any) -> Any:
        raise RuntimeError("InvalidCxxCompiler: No working C++ compiler found\nand much more")

    monkeypatch.setattr(torch_loop, "compiled", lambda function: no_compiler)
    session = session_of(make_spec(family="LSTM"), epochs=1)
    loop = loop_of(session, LinearRecipe(), COMPILED)
    found, expected = loop.train(), loop_of(session, LinearRecipe()).train()
    assert all(torch.equal(found[name], expected[name]) for name in found)
    assert loop.account()["compiled"] is False
    said = capsys.readouterr().err
    assert said.count("cannot be compiled here (InvalidCxxCompiler: No working C++ compiler found)") == 1


def test_what_fails_without_the_compiler_too_fails(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake in the network is not hidden behind the compiler."""

    def broken(*arguments: Any) -> Any:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(torch_loop, "compiled", lambda function: broken)
    monkeypatch.setattr(LinearRecipe, "loss", broken)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        loop_of(session_of(make_spec(family="LSTM")), LinearRecipe(), COMPILED).train()


def test_a_gpu_is_made_to_repeat_itself_and_float32_to_be_float32(
    make_spec: SpecMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Deterministic kernels, and no TF32 where float32 was asked for; the CPU needs none of it."""
    asked: list[bool] = []

    def noted(*, mode: bool) -> None:
        asked.append(mode)

    monkeypatch.setattr(torch, "use_deterministic_algorithms", noted)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    set_up(make_spec(family="MLP"), device="cpu")
    assert (asked, torch.backends.cudnn.allow_tf32) == ([], True)
    set_up(make_spec(family="MLP"), device="cuda:0")
    assert (asked, torch.backends.cudnn.allow_tf32) == ([True], False)
    assert torch.utils.deterministic.fill_uninitialized_memory is False


def test_a_recurrence_is_left_to_the_library_s_own_kernel() -> None:
    """Compiling takes an LSTM apart that cuDNN computes in one."""
    assert LSTMRecipe.compiles is False
    assert numerics.compiled is torch_loop.compiled
