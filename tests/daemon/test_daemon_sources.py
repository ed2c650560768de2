"""One configuration from file, environment and command line, and the source of every setting."""

from __future__ import annotations

import dataclasses
import tomllib
from typing import Any

import pytest

from daemon.errors import SettingsInvalid
from daemon.settings import Settings
from daemon.settings_reading import SHARED, TABLE
from daemon.sources import Configuration, Origin, all_keys, configuration
from daemon.toml_lines import key_lines
from planner.config import SECTIONS, PlannerConfig


def read(text: str = "", environ: dict[str, str] | None = None, **options: Any) -> Configuration:
    """The configuration of a file's text and other sources."""
    return configuration(
        tomllib.loads(text), source="host.toml", lines=key_lines(text), environ=environ, **options
    )


def value_of(found: Configuration, key: str) -> tuple[object, str]:
    """A setting's value and its source in words."""
    setting = next(setting for setting in found.listed() if setting.key == key)
    return setting.value, setting.origin.words


def faults_of(text: str = "", environ: dict[str, str] | None = None, **options: Any) -> list[str]:
    """The faults of a configuration, one line each."""
    with pytest.raises(SettingsInvalid) as caught:
        read(text, environ, **options)
    return [str(fault) for fault in caught.value.faults]


def test_nothing_said_gives_every_default_with_its_source() -> None:
    """Both halves of the configuration are there, complete, each setting once."""
    found = read()
    assert (found.settings, found.planner) == (Settings.from_sources({}), PlannerConfig())
    assert {setting.origin for setting in found.listed()} == {Origin(kind="default")}
    assert [setting.key for setting in found.listed()] == list(all_keys())
    assert len(set(all_keys())) == len(all_keys())


def test_every_field_is_one_setting() -> None:
    """Whatever host or planner can be told is listed; what they share is listed where the planner has it."""
    fields = {(TABLE, item.name) for item in dataclasses.fields(Settings) if item.name not in SHARED}
    fields |= {
        (section, item.name) for section, kind in SECTIONS.items() for item in dataclasses.fields(kind)
    }
    assert {tuple(key.split(".")) for key in all_keys()} == fields
    assert {(section, name) for name, section in SHARED.items()} <= fields


@pytest.mark.parametrize(
    ("key", "line", "variable"),
    [
        ("routing.cs_min_auc", "[routing]\ncs_min_auc = {}", "TRAINWRIGHT_ROUTING__CS_MIN_AUC"),
        ("data.test_share", "[data]\ntest_share = {}", "TRAINWRIGHT_DATA__TEST_SHARE"),
        ("daemon.lease_seconds", "[daemon]\nlease_seconds = {}", "TRAINWRIGHT_LEASE_SECONDS"),
        ("daemon.lease_seconds", "[daemon]\nlease_seconds = {}", "TRAINWRIGHT_DAEMON__LEASE_SECONDS"),
    ],
)
def test_the_nearer_source_wins_and_is_named(key: str, line: str, variable: str) -> None:
    """Default, file with its line, environment with its variable, command line: each over the one before."""
    text, said, environ = line.format("0.6"), f"{key}=0.8", {variable: "0.7"}
    assert value_of(read(), key)[1] == "default"
    assert value_of(read(text), key) == (0.6, "file host.toml:2")
    assert value_of(read(text, environ), key) == (0.7, f"environment {variable}")
    assert value_of(read(text, environ, assignments=[said]), key) == (0.8, "command line --set")


def test_an_option_lies_between_the_environment_and_an_assignment() -> None:
    """`--seed 5` wins over the variable, `--set daemon.seed=6` over both."""
    environ = {"TRAINWRIGHT_SEED": "4"}
    assert value_of(read("", environ, overrides={"seed": 5, "symbols": None}), "daemon.seed") == (
        5, "command line",
    )  # fmt: skip
    found = read("", environ, overrides={"seed": 5}, assignments=["daemon.seed=6"])
    assert (found.settings.seed, value_of(found, "daemon.symbols")) == (6, ([], "default"))


def test_what_host_and_planner_share_is_one_setting() -> None:
    """Said in any way, by its short variable or in the host's table, both halves take it."""
    for found in (
        read("[data]\ntest_share = 0.3"),
        read("[daemon]\ntest_share = 0.3"),
        read("", {"TRAINWRIGHT_TEST_SHARE": "0.3"}),
        read("", overrides={"test_share": 0.3}),
        read("[daemon]\ntest_share = 0.1", assignments=["data.test_share=0.3"]),
    ):
        assert (found.settings.test_share, found.planner.data.test_share) == (0.3, 0.3)
    assert value_of(read("[daemon]\ntest_share = 0.3"), "data.test_share")[1] == "file host.toml:2"


def test_said_twice_in_the_file_is_a_fault() -> None:
    """Which of the two would hold is not for us to guess."""
    (fault,) = faults_of("[daemon]\ntest_share = 0.3\n[data]\ntest_share = 0.2")
    assert fault == "host.toml: [daemon] test_share: is said twice; say it once, in [data]"


def test_words_need_no_quotes_and_tables_grow_key_by_key() -> None:
    """Lists by commas, words bare, `none` for no value, a key inside a table beside those of the file."""
    found = read(
        "[training]\nparams = { LightGBM = { rounds = 5, leaves = 7 } }\n[ranking]\nembargo_bars = 3",
        assignments=[
            "routing.cs_stabilities=STABLE,UNKNOWN",
            "training.stage_barrier=job",
            "training.params.LightGBM.rounds=800",
            'data.horizons."y.odd"=4',
            "data.interval=5m",
            "ranking.embargo_bars=none",
            "routing.experimental_lane=false",
            'daemon.families=["xgb"]',
        ],
    )
    assert found.planner.routing.cs_stabilities == ("STABLE", "UNKNOWN")
    assert (found.planner.training.stage_barrier, found.planner.data.interval) == ("job", "5m")
    assert found.planner.training.params == {"LightGBM": {"rounds": 800, "leaves": 7}}
    assert found.settings.params == {"LightGBM": {"rounds": 800, "leaves": 7}}
    assert (found.planner.data.horizons, found.planner.ranking.embargo_bars) == ({"y.odd": 4}, None)
    assert (found.planner.routing.experimental_lane, found.settings.families) == (False, ("XGBoost",))
    assert value_of(found, "training.params")[1] == "command line --set"


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ("routing.cs_min_au=1", "unknown setting 'routing.cs_min_au'; did you mean routing.cs_min_auc?"),
        ("cs_min_auc=0.6", "unknown setting 'cs_min_auc'; did you mean routing.cs_min_auc?"),
        ("daemon.test_share=0.6", "did you mean data.test_share?"),
        ("zzzzzz.qqqqqq=0.6", "see all of them: trainwright config show"),
        ("routing.cs_min_auc", "is no setting; write section.key=value"),
        ("routing cs=3", "is no setting; write section.key=value"),
        ("routing.cs_min_auc=0.4", "0.4 is out of range; use 0.5 to 1"),
        ("routing.cs_min_auc=high", "expected float, got 'high'"),
        ("routing.cs_min_auc.deep=1", "expected float"),
        ("daemon.seed=-1", "'-1' cannot be seed; write a whole number"),
    ],
)
def test_a_wrong_assignment_is_named_with_its_remedy(words: str, fault: str) -> None:
    """The words, what is wrong with them, and what was probably meant."""
    (told,) = faults_of(assignments=[words])
    assert fault in told
    assert told.startswith(("--set", "command line"))


def test_a_wrong_variable_is_named_and_those_of_others_are_passed_over() -> None:
    """A section that is nearly ours is ours; what is far from any is somebody else's."""
    environ = {
        "TRAINWRIGHT_ROUTIN__MIN_SCORE": "1",
        "TRAINWRIGHT_ROUTING__CS_MIN_AUC": "2",
        "TRAINWRIGHT_DAEMON__CPU_SLOT": "1",
        "TRAINWRIGHT_PLUGIN__X": "1",
        "TRAINWRIGHT_REPORT_FD": "3",
        "OTHER__CS_MIN_AUC": "1",
    }
    told = faults_of("", environ)
    assert {line.partition(":")[0] for line in told} == {
        "TRAINWRIGHT_ROUTIN__MIN_SCORE",
        "TRAINWRIGHT_ROUTING__CS_MIN_AUC",
        "TRAINWRIGHT_DAEMON__CPU_SLOT",
    }


def test_faults_of_all_sources_are_told_at_once() -> None:
    """File, environment and command line, host and planner: one error, no fault twice."""
    told = faults_of(
        "[daemon]\ncpu_slot = 1\n[data]\ntest_shar = 0.2\n",
        {"TRAINWRIGHT_SEED": "x"},
        assignments=["routing.cs_min_auc=2"],
    )
    assert len(told) == 4
    assert "did you mean 'cpu_slots'?" in "".join(told)
    assert sum("test_shar" in line for line in told) == 1


@pytest.mark.parametrize(
    "text", ["routing = 3", "daemon = 3", "[daemon]\ntest_share = 1\n[dat]\n", "data = 1"]
)
def test_a_section_that_is_no_table_is_a_fault_like_any_other(text: str) -> None:
    """Nothing that a file may hold is more than a fault."""
    assert faults_of(text, {"TRAINWRIGHT_ROUTING__CS_MIN_AUC": "0.3"}, assignments=["data.test_share=0.2"])


def test_passwords_are_left_out_of_what_is_shown() -> None:
    """The address of a database keeps its user, host and name; the settings themselves keep all."""
    address = "postgresql://me:secret@db/x"
    found = read("", {"TRAINWRIGHT_DATABASE_URL": address})
    assert found.settings.database_url == address
    value, source = value_of(found, "daemon.database_url")
    assert "secret" not in str(value)
    assert (str(value).endswith("@db/x"), source) == (True, "environment TRAINWRIGHT_DATABASE_URL")
