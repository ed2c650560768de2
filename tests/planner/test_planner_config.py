"""Settings of the planner: read, typed, ranged, with the nearest name for a slip."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from planner.config import SECTIONS, PlannerConfig, config_document, planner_config
from planner.errors import ConfigInvalid


def test_an_empty_mapping_gives_the_defaults() -> None:
    """Nothing said means every default."""
    assert planner_config({}) == PlannerConfig()


def test_what_is_said_is_taken_and_the_rest_stays() -> None:
    """A section may name a few keys; lists become tuples, whole numbers fit where fractions are expected."""
    config = planner_config(
        {
            "data": {"target_patterns": ["move_*"], "horizons": {"move_up": 3}, "test_share": 0.3},
            "ranking": {"folds": 6, "ridge_penalty": 1},
            "training": {"stage_barrier": "job", "params": {"LightGBM": {"num_leaves": 15}}},
        }
    )
    assert config.data.target_patterns == ("move_*",)
    assert config.data.horizons == {"move_up": 3}
    assert (config.data.test_share, config.ranking.folds, config.ranking.ridge_penalty) == (0.3, 6, 1.0)
    assert config.training.params == {"LightGBM": {"num_leaves": 15}}
    assert config.selection == PlannerConfig().selection


@pytest.mark.parametrize(
    ("mapping", "where", "hint"),
    [
        ({"rankin": {}}, "configuration", "ranking"),
        ({"ranking": {"fold": 3}}, "[ranking]", "folds"),
        ({"routing": {"cs_min_au": 0.6}}, "[routing]", "cs_min_auc"),
        ({"leakage": {"zzz": 1}}, "[leakage]", "known keys"),
    ],
)
def test_an_unknown_key_names_its_place_and_the_nearest_known_one(
    mapping: dict[str, Any], where: str, hint: str
) -> None:
    """A slip of the finger is answered with what was probably meant."""
    with pytest.raises(ConfigInvalid) as caught:
        planner_config(mapping)
    assert where in caught.value.where
    assert hint in caught.value.fix


@pytest.mark.parametrize(
    "mapping",
    [
        {"ranking": {"folds": "three"}},
        {"ranking": {"folds": True}},
        {"ranking": {"folds": 2.5}},
        {"routing": {"experimental_lane": 1}},
        {"routing": {"cs_stabilities": "STABLE"}},
        {"routing": {"cs_stabilities": ["STABLE", 3]}},
        {"routing": {"both_strong_behavior": "PREFER_ALL"}},
        {"data": {"horizons": {"y": "5"}}},
        {"data": {"horizons": [1]}},
        {"data": {"interval": 5}},
        {"selection": 3},
    ],
)
def test_a_value_of_the_wrong_type_is_refused(mapping: dict[str, Any]) -> None:
    """Types are those of the fields; a truth value is no number and a word is no list."""
    with pytest.raises(ConfigInvalid):
        planner_config(mapping)


@pytest.mark.parametrize(
    ("section", "key", "value"),
    [
        ("routing", "cs_min_auc", 0.49),
        ("routing", "symbol_min_auc", 0.3),
        ("routing", "cs_min_correlation", -0.01),
        ("routing", "symbol_strong_correlation", -0.5),
        ("routing", "experimental_min_correlation", -0.001),
        ("routing", "experimental_min_auc", 0.4),
        ("leakage", "blocked_increment", 1.5),
        ("data", "test_share", 0.0),
        ("ranking", "folds", 1),
        ("ranking", "confirm_p_value", 1.5),
        ("ranking", "min_recent_share", -0.1),
        ("ranking", "recent_z", -1.0),
        ("ranking", "boosting_rows", 10),
        ("routing", "max_rest_p_value", 1.1),
        ("ranking", "false_discovery_rate", 0.9),
    ],
)
def test_no_threshold_may_lie_below_no_skill_or_out_of_range(section: str, key: str, value: float) -> None:
    """A minimum under an AUC of one half or a correlation of zero would let models worse than nothing in."""
    with pytest.raises(ConfigInvalid) as caught:
        planner_config({section: {key: value}})
    assert f"[{section}] {key}" in caught.value.where


def test_tables_of_other_parts_are_passed_over_when_they_are_announced() -> None:
    """One TOML file serves the whole product; only tables nobody knows are an error."""
    assert planner_config({"daemon": {"x": 1}}, other_sections=["daemon"]) == PlannerConfig()
    with pytest.raises(ConfigInvalid):
        planner_config({"daemon": {"x": 1}})


def test_the_document_of_a_configuration_is_plain_and_complete() -> None:
    """Every setting of every section is in the document that is hashed into the plan."""
    document = config_document(planner_config({"data": {"horizons": {"b": 1, "a": 2}}}))
    assert set(document) == set(SECTIONS)
    assert list(document["data"]["horizons"]) == ["a", "b"]
    for name, section in SECTIONS.items():
        assert set(document[name]) == {item.name for item in dataclasses.fields(section)}
    assert isinstance(document["routing"]["cs_stabilities"], list)


def test_settings_are_frozen() -> None:
    """Nobody changes a setting after it was read."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PlannerConfig().ranking.folds = 9  # type: ignore[misc]  # that it cannot be set is the test
