"""Each family finds the kind of signal it is made for; the whole of it is `make study-executors`."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generated.signals import KINDS, TARGET, signal
from generated.skill import MADE_FOR, RIVALS, Found, Task, ceiling, found, known_families, place_of
from generated.skill_report import SKILL, failures, false_share, missed, report

from panel.aligned import open_panel

SLOW = ("GAN", "Transformer")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where panels and fits lie."""
    return tmp_path_factory.mktemp("skill")


@pytest.mark.parametrize(
    "family", [pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in known_families()]
)
def test_a_family_finds_what_it_is_made_for(family: str, folder: Path) -> None:
    """Its score is above none by its interval, it takes away error, its quantiles are where they say."""
    one = found(Task(family=family, kind=MADE_FOR[family], seed=0, target=TARGET, folder=folder))
    assert missed([one], []) == []
    assert one.score > 0.6 * one.ceiling


@pytest.mark.parametrize(
    "family", ["LightGBM", "XGBoost", "RewardBased", "GMMRegime", "ChangePoint", "FTRLProximal", "MLP"]
)
def test_a_family_finds_nothing_in_nothing(family: str, folder: Path) -> None:
    """On labels that no feature knows of there is no skill and no error taken away."""
    one = found(Task(family=family, kind="noise", seed=0, target=TARGET, folder=folder))
    assert not one.has_skill
    assert one.error_reduction < 0.02


@pytest.mark.parametrize("kind", ["interaction", "order", "regimes"])
def test_who_does_not_look_for_the_signal_does_not_find_it(kind: str, folder: Path) -> None:
    """Lines see no product and no change of sign, rows no order: half of the ceiling is beyond the rival."""
    one = found(Task(family=RIVALS[kind], kind=kind, seed=0, target=TARGET, folder=folder))
    assert one.score < 0.5 * one.ceiling


@pytest.mark.parametrize("kind", KINDS)
def test_a_panel_holds_the_signal_it_says(kind: str, folder: Path) -> None:
    """The expectation that made the labels has skill on the judged rows; that of nothing has none."""
    made = signal(kind, 0)
    again = signal(kind, 0)
    np.testing.assert_array_equal(made.labels, again.labels)
    panel = open_panel(place_of(kind, 0, folder))
    np.testing.assert_allclose(panel.values(TARGET), made.labels.reshape(-1), rtol=1e-5)
    best = ceiling(panel, made, TARGET)
    assert best == 0.0 if kind == "noise" else best > 0.2
    assert made.expected.std() < made.labels.std()


def good(**changes: object) -> Found:
    """Return what a fit that meets every bar found."""
    task = Task(family="NGBoost", kind="spread", seed=0, target=TARGET, folder=Path())
    one = Found(
        task=task,
        score=0.3,
        low=0.2,
        none=0.0,
        ceiling=0.4,
        error_reduction=0.1,
        off=0.01,
        off_in_part=0.03,
        cpu_seconds=1.0,
    )
    return replace(one, **changes)  # type: ignore[arg-type]


def test_what_misses_a_bar_is_named() -> None:
    """No skill, more error, quantiles off, error taken away from nothing: each is a line."""
    assert failures([good()]) == []
    assert len(failures([good(low=-0.01), good(error_reduction=0.0), good(off=0.03)])) == 3
    nothing = replace(good().task, kind="noise")
    seeming = good(task=nothing, error_reduction=0.05, low=0.1)
    assert "noise" in failures([seeming])[0]
    assert false_share([seeming, good(task=nothing, low=-0.1, error_reduction=0.0)]) == 0.5
    assert failures([seeming])[-1].startswith("all:")


def test_the_table_has_a_line_a_family_and_says_what_is_missed() -> None:
    """Families without a fit are left out; bars missed are listed below."""
    text = report([good(), good(low=-0.5)])
    assert text.count("\n| NGBoost |") == 1
    assert "| LightGBM |" not in text
    assert "Bars missed:" in text
    assert "No bar is missed." in report([good()])


def test_the_page_has_a_line_for_every_family_and_every_signal() -> None:
    """The table of the last study is on the page, and each kind of signal is explained."""
    page = (ROOT / "docs" / "explanation" / "executors.md").read_text(encoding="utf-8")
    block = page.partition(f"<!-- {SKILL} -->")[2].partition(f"<!-- end of {SKILL} -->")[0]
    assert [name for name in known_families() if f"\n| {name} |" not in block] == []
    assert [kind for kind in KINDS if f"\n| {kind.replace('_', ' ')} |" not in page] == []
    assert set(re.findall(r"`(tests/[\w/.]+)`", page)) >= {"tests/executors_study.py"}
