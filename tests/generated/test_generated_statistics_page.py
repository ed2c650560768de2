"""The page on the statistics names only what exists: modules, settings, its picture and its two tables."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

from generated.report import CALIBRATION, STUDY, UNSEEN

from planner.config import LeakageConfig, RankingConfig

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "explanation" / "statistics.md").read_text(encoding="utf-8")


def test_every_module_on_the_page_exists() -> None:
    """Each path in backticks is a file of the repository, or a folder."""
    named = set(re.findall(r"`((?:planner|panel|tests)/[\w/.]*)`", PAGE))
    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_every_setting_on_the_page_exists() -> None:
    """A word in backticks with underscores and no path is a setting of the planner, or a table."""
    settings = {
        item.name for section in (RankingConfig, LeakageConfig) for item in dataclasses.fields(section)
    }
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE)) - {"target_ranking"}
    assert named - settings == set()


def test_the_tables_and_the_picture_are_there() -> None:
    """The blocks that the study writes are filled, and the picture beside them is no other page's."""
    for name in (STUDY, UNSEEN, CALIBRATION):
        block = PAGE.partition(f"<!-- {name} -->")[2].partition(f"<!-- end of {name} -->")[0]
        assert block.count("\n|") > 5, name
    picture = ROOT / "docs" / "explanation" / "statistics.svg"
    panels = re.search(r"\| (\d+) panels \|", PAGE)
    assert panels is not None
    assert f"{panels.group(1)} generated panels" in picture.read_text(encoding="utf-8")
