"""Settings come from four sources, are checked as a whole, and name every fault at once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from daemon import settings_reading as module
from daemon.errors import SettingsInvalid
from daemon.settings import Settings
from store.retries import RetryPolicy


def test_every_setting_can_be_set() -> None:
    """There is a reader for every field of the settings and for nothing else."""
    assert {item.name for item in fields(Settings)} == set(module._READERS)


def test_places_follow_from_the_results_directory(tmp_path: Path) -> None:
    """Without further words output and inbox lie beside the results, the event log inside."""
    settings = Settings.from_sources({}, {}, {"results_dir": tmp_path / "results"})
    assert settings.output_dir == tmp_path / "output"
    assert settings.inbox_dir == tmp_path / "inbox"
    assert settings.database_url == f"sqlite:///{tmp_path}/results/trainwright.db"


def test_relative_paths_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path is taken from where the command was given."""
    monkeypatch.chdir(tmp_path)
    assert Settings.from_sources({"daemon": {"data_dir": "data"}}).data_dir == tmp_path / "data"


def test_the_nearer_source_wins() -> None:
    """The command line stands over the environment, that over the file, that over the default."""
    config = {"daemon": {"seed": 1, "cpu_slots": 1, "gpu_slots": 5}}
    environ = {"TRAINWRIGHT_SEED": "2", "TRAINWRIGHT_CPU_SLOTS": "2"}
    settings = Settings.from_sources(config, environ, {"seed": 3, "cpu_slots": None})
    assert (settings.seed, settings.cpu_slots, settings.gpu_slots, settings.threads_per_fit) == (3, 2, 5, 1)


def test_shared_tables_are_read() -> None:
    """What the planner's tables say about data and training holds for plans that do not say it."""
    config = {
        "data": {"interval": "5m", "horizons": {"y_x": 7}, "test_share": 0.3},
        "training": {"valid_share": 0.1, "stage_barrier": "job", "params": {"light_gbm": {"rounds": 5}}},
    }
    settings = Settings.from_sources(config)
    assert (settings.interval, settings.horizons, settings.test_share) == ("5m", {"y_x": 7}, 0.3)
    assert (settings.valid_share, settings.stage_barrier) == (0.1, "job")
    assert settings.params == {"LightGBM": {"rounds": 5}}


def test_words_of_an_environment_are_split() -> None:
    """A list in a variable is written with blanks or commas; families are taken in any spelling."""
    environ = {"TRAINWRIGHT_SYMBOLS": "AAPL,MSFT GOOGL", "TRAINWRIGHT_FAMILIES": "lightgbm tab_lstm"}
    settings = Settings.from_sources({}, environ)
    assert settings.symbols == ("AAPL", "MSFT", "GOOGL")
    assert settings.families == ("LightGBM", "TabLSTM")


def test_windows_are_read_from_a_variable_too() -> None:
    """A semicolon is between them, for a comma is between days; they come back as they would be written."""
    settings = Settings.from_sources({}, {"TRAINWRIGHT_WINDOWS": "22:00-06:00 mon,tue; GPU  8:00-9:00"})
    assert settings.windows == ("22:00-06:00 mon,tue", "gpu 8:00-9:00")


def test_labels_are_read_and_what_follows_is_added() -> None:
    """Each label counts once, in any order; a host with places for the GPU has the label gpu by itself."""
    settings = Settings.from_sources({"daemon": {"labels": ["nvme", "bigmem", "nvme"], "gpu_slots": 0}})
    assert settings.labels == settings.own_labels == ("bigmem", "nvme")
    settings = Settings.from_sources({"daemon": {"gpu_slots": 1}}, {"TRAINWRIGHT_LABELS": "nvme, a-1"})
    assert settings.own_labels == ("a-1", "gpu", "nvme")


def test_labels_of_families_are_read() -> None:
    """A family is taken in any spelling, a single label as a word."""
    settings = Settings.from_sources({"daemon": {"family_labels": {"xgboost": ["b", "a"], "LSTM": "gpu"}}})
    assert settings.family_labels == {"XGBoost": ("a", "b"), "LSTM": ("gpu",)}


def test_a_switch_is_read_from_a_variable() -> None:
    """True and false are written in words in an environment."""
    settings = Settings.from_sources({}, {"TRAINWRIGHT_WARM_CHILDREN": "no", "TRAINWRIGHT_PIN_CPUS": "True"})
    assert (settings.warm_children, settings.pin_cpus) == (False, True)


def test_all_faults_are_told_at_once() -> None:
    """Five wrong settings give one error with five faults, each with its place and the nearest name."""
    config: dict[str, Any] = {"daemn": {}, "daemon": {"cpu_slot": 1, "seed": -1}}
    environ = {"TRAINWRIGHT_SYMBLS": "A"}
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_sources(config, environ, {"families": ["LigtGBM"]}, source="host.toml")
    faults = caught.value.faults
    assert [fault.fix for fault in faults] == [
        "did you mean 'daemon'?",
        "did you mean 'cpu_slots'?",
        "write a whole number from 0 to 2147483647",
        "did you mean 'symbols'?",
        "did you mean LightGBM?",
    ]
    assert faults[1].place == "host.toml: [daemon]"
    assert all(str(fault.problem) in str(caught.value) for fault in faults)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lease_seconds", 0.0),
        ("poll_seconds", "soon"),
        ("gpu_fallback", "maybe"),
        ("precision", "float16"),
        ("warm_children", "perhaps"),
        ("pin_cpus", 2),
        ("fit_memory_bytes", 0),
        ("fit_seconds_max", 0),
        ("results_dir", ""),
        ("symbols", [1]),
        ("cpu_slots", True),
        ("params", {"LightGBM": 3}),
        ("horizons", {"y": "two"}),
        ("test_share", 1.0),
        ("database_url", ""),
        ("windows", 22),
        ("windows", ["22-6"]),
        ("time_zone", "Europe/Berlim"),
        ("time_zone", "../../etc/passwd"),
        ("time_zone", "Europe"),
        ("schedule", {"a": {"cron": "* * * *", "do": "seal"}}),
        ("schedule", {"a": {"cron": "* * * * *", "do": "sael"}}),
        ("schedule", {"a": 1}),
        ("fit_hung_seconds", -1),
        ("family_seconds_max", {"LSTM": 0}),
        ("disk_floor_bytes", -1),
        ("labels", ["Big"]),
        ("labels", ["-big"]),
        ("labels", ["a b"]),
        ("labels", ["b" * 33]),
        ("labels", [f"label-{number}" for number in range(9)]),
        ("labels", "big/mem"),
        ("labels", 3),
        ("family_labels", ["bigmem"]),
        ("family_labels", {"XGBoost": ["Big"]}),
    ],
)
def test_a_value_of_the_wrong_kind_is_a_fault(key: str, value: object) -> None:
    """A value that cannot be what its key says is named with its place."""
    with pytest.raises(SettingsInvalid) as caught:
        Settings.from_sources({"daemon": {key: value}})
    assert [fault.place for fault in caught.value.faults] == [f"configuration: [daemon] {key}"]


def test_a_key_at_the_top_is_shown_its_table() -> None:
    """A setting outside its table is told where it belongs."""
    with pytest.raises(SettingsInvalid, match=r"write it in the table \[daemon\]"):
        Settings.from_sources({"cpu_slots": 3})


def test_a_wrong_shared_table_is_a_fault_too() -> None:
    """An error in the planner's tables is one of the faults."""
    with pytest.raises(SettingsInvalid, match="did you mean 'valid_share'"):
        Settings.from_sources({"training": {"valid_shar": 0.1}})


def test_variables_of_others_are_passed_over() -> None:
    """A variable that is far from any setting, or not ours, is no fault."""
    Settings.from_sources({}, {"TRAINWRIGHT_REPORT_FD": "4", "PATH": "/bin", "TRAINWRIGHT_X": "1"})


def test_training_holds_what_decides_a_model() -> None:
    """The settings a plan takes over are those that change models, and no others."""
    training = Settings.from_sources({}, {}, {"seed": 7}).training()
    assert training["seed"] == 7
    assert set(training) == {"seed", "test_share", "valid_share", "embargo_bars", "stage_barrier", "params"}


def test_the_retry_policy_is_set_here() -> None:
    """Every number of the store's policy has a setting, and the defaults are the store's own."""
    assert Settings.from_sources().retry_policy == RetryPolicy()
    table = {
        "attempts_max": 7, "expiries_max": 8, "backoff_seconds": 1.5, "backoff_seconds_max": 9.0,
        "memory_wait_seconds": 2.5, "disk_wait_seconds": 3.5,
    }  # fmt: skip
    assert Settings.from_sources({"daemon": table}).retry_policy == RetryPolicy(
        attempts_max=7,
        expiries_max=8,
        backoff_seconds=1.5,
        backoff_seconds_max=9.0,
        memory_seconds=2.5,
        disk_seconds=3.5,
    )


def test_a_host_keeps_its_log_somewhere() -> None:
    """An address that keeps nothing is refused before anything is recorded there."""
    with pytest.raises(SettingsInvalid, match="lost with its process"):
        Settings.from_sources({"daemon": {"database_url": "memory:"}})
