"""Settings as a person types them: keys and values in TOML, or bare words, by the type of the setting."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from planner.config import SECTIONS
from planner.config_text import hints_of, nearest_key, split_key, value_of
from planner.errors import ConfigInvalid


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("routing.cs_min_auc", ("routing", "cs_min_auc")),
        ('data.horizons."y.1"', ("data", "horizons", "y.1")),
        ("seed", ("seed",)),
    ],
)
def test_a_key_is_a_dotted_toml_key(words: str, path: tuple[str, ...]) -> None:
    """Quotes keep a point inside a name."""
    assert split_key(words) == path


@pytest.mark.parametrize("words", ["", "a b", "a.", "=", "a\nb = 1\nc", "[a]\nb"])
def test_what_is_no_key_is_refused(words: str) -> None:
    """Nothing is taken out of a text that would be more or less than one key."""
    with pytest.raises(ConfigInvalid):
        split_key(words)


@pytest.mark.parametrize(
    ("text", "hint", "value"),
    [
        ("0.02", float, 0.02),
        ("3", int, 3),
        ("true", bool, True),
        ("job", Literal["plan", "job"], "job"),
        ('"job"', Literal["plan", "job"], "job"),
        ("5m", str | None, "5m"),
        ("5", str | None, "5"),
        ("none", int | None, None),
        (" None ", float | None, None),
        ("7", int | None, 7),
        ("STABLE,UNKNOWN", tuple[str, ...], ["STABLE", "UNKNOWN"]),
        ('["STABLE"]', tuple[str, ...], ["STABLE"]),
        ("", tuple[str, ...], []),
        ("{ a = 1 }", dict[str, int], {"a": 1}),
        ("high", float, "high"),
        ("1\nx = 2", float, "1\nx = 2"),
        ("word", None, "word"),
    ],
)
def test_a_value_is_read_by_the_type_of_its_setting(text: str, hint: Any, value: object) -> None:
    """TOML first, bare words where the type wants words, and the text itself where it is neither."""
    assert value_of(text, hint) == value


def test_every_section_has_typed_keys() -> None:
    """Each key of each section has a type that a text can be read for."""
    for section in SECTIONS:
        assert hints_of(section)
    with pytest.raises(KeyError):
        hints_of("nothing")


def test_the_nearest_key_is_found_with_and_without_its_section() -> None:
    """A key in the wrong section, one without a section, one with a slip; what is like nothing gives none."""
    known = ("routing.cs_min_auc", "data.test_share", "ranking.folds")
    assert nearest_key("cs_min_au", known) == "routing.cs_min_auc"
    assert nearest_key("routing.test_share", known) == "data.test_share"
    assert nearest_key("rankin.fold", known) == "ranking.folds"
    assert nearest_key("zzzz", known) is None
