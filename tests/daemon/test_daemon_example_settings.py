"""The published example of all settings is what the program really defaults to."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

from daemon.settings import Settings
from daemon.settings_reading import TABLE
from planner.config import SECTIONS, PlannerConfig, planner_config

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "trainwright.toml"
TEXT = EXAMPLE.read_text(encoding="utf-8")
TABLES = tomllib.loads(TEXT)


def test_the_example_changes_nothing() -> None:
    """Read as a configuration, the example gives the defaults."""
    assert Settings.from_sources(TABLES) == Settings.from_sources({})
    assert planner_config(TABLES, other_sections=(TABLE,)) == PlannerConfig()


@pytest.mark.parametrize(
    ("section", "name"),
    [
        *((TABLE, item.name) for item in dataclasses.fields(Settings) if item.name != "params"),
        *((section, item.name) for section, kind in SECTIONS.items() for item in dataclasses.fields(kind)),
    ],
)
def test_every_setting_is_in_the_example(section: str, name: str) -> None:
    """A new setting is shown with its default, or as a comment where it has none."""
    in_planner = any(name in {item.name for item in dataclasses.fields(kind)} for kind in SECTIONS.values())
    own = TEXT.partition(f"[{section}]")[2].partition("\n[")[0]
    wanted = TEXT if section == TABLE and in_planner else own
    assert re.search(rf"^(# )?{name} =", wanted, re.MULTILINE), f"[{section}] {name} is missing"
