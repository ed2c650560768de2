"""The catalogue of families."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from executors.errors import UnknownFamily
from executors.families import BLEND, FAMILIES, availability, resolve


def test_the_catalogue_holds_the_twenty_families_cpu_stage_first() -> None:
    """Ten families of the CPU stage come before ten of the GPU stage, in the contract's order."""
    names = [family.name for family in FAMILIES]
    assert names[:3] == ["LightGBM", "QuantileLightGBM", "XGBoost"]
    assert names[-3:] == ["TabCNN", "TabLSTM", "TabTransformer"]
    assert [family.stage for family in FAMILIES] == ["cpu"] * 10 + ["gpu"] * 10
    assert [family.name for family in FAMILIES if family.group == "sequential"] == names[-6:]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_family_is_found_by_all_its_spellings(family: object) -> None:
    """Camel case, snake case, lower case, dashes and aliases all lead to the same family."""
    assert family in FAMILIES
    name = family.name
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)
    for spelling in (name, name.lower(), name.upper(), snake, snake.replace("_", "-"), *family.aliases):
        assert resolve(spelling) is family


@pytest.mark.parametrize(
    ("spelling", "name"),
    [("light_gbm", "LightGBM"), ("tab_lstm", "TabLSTM"), ("gmm_regime", "GMMRegime"), ("xgb", "XGBoost")],
)
def test_spellings_of_older_plans_are_taken(spelling: str, name: str) -> None:
    """What plans of the older system write is understood."""
    assert resolve(spelling).name == name


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    """A typing error is answered with what was probably meant."""
    with pytest.raises(UnknownFamily, match="did you mean LightGBM") as caught:
        resolve("LigtGBM")
    assert caught.value.nearest == "LightGBM"
    with pytest.raises(UnknownFamily, match="trainwright families"):
        resolve("???")


def test_availability_says_why_a_family_cannot_be_trained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Installed is None, missing is a sentence with the command that installs it."""
    assert availability(resolve("LightGBM")) is None
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'trainwright[torch]'" in str(availability(resolve("LSTM")))
    assert "pip install 'trainwright[ngboost]'" in str(availability(resolve("NGBoost")))
    assert availability(resolve("FTRLProximal")) is None


def test_every_family_is_resumable_and_says_why_it_refuses_a_task() -> None:
    """All twenty resume; those that do not learn every kind of target have a reason."""
    assert all(family.resumable for family in FAMILIES)
    assert {family.name for family in FAMILIES if family.refusal} == {
        "QuantileLightGBM",
        "RewardBased",
        "GAN",
    }
    assert all(bool(family.refusal) == (len(family.tasks) < 3) for family in FAMILIES)


def test_the_blend_is_found_by_its_name_and_is_none_of_the_twenty() -> None:
    """Blend can be resolved for a plan's blends, and no spelling of a family leads to it."""
    assert resolve("Blend") is BLEND
    assert BLEND not in FAMILIES
    with pytest.raises(UnknownFamily):
        resolve("blend")


def test_the_light_modules_load_no_numeric_library() -> None:
    """The catalogue, the contract, the process face and the cards are read without numpy."""
    code = (
        "import sys, executors\n"
        "from executors import FAMILIES, FitSpec, start, cards, availability, resolve\n"
        "[availability(f) for f in FAMILIES]\n"
        "heavy = {'numpy', 'pandas', 'lightgbm', 'xgboost', 'torch', 'pyarrow', 'sklearn'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_face_offers_exactly_what_it_lists() -> None:
    """Every name of `__all__` can be had, and no other."""
    import executors

    assert all(getattr(executors, name) is not None for name in executors.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = executors.nothing
