"""``config show``: every setting with its value and its source, on a screen and as a document."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import Call

from daemon.sources import all_keys

TEXT = """[daemon]
database_url = "postgresql://me:s3same@db/x"

[routing]
# higher than usual
cs_min_auc = 0.55
"""


@pytest.fixture
def file(folder: Path) -> Path:
    """A configuration file where commands look for it."""
    path = folder / "trainwright.toml"
    path.write_text(TEXT)
    return path


def test_every_setting_is_printed_with_its_value(call: Call, folder: Path) -> None:
    """One line each, in the order of the published example, none wider than the screen."""
    done = call("config", "show")
    assert [line.split()[0] for line in done.lines[1:]] == list(all_keys())
    assert done.lines[0].split() == ["setting", "value"]
    assert max(map(len, done.lines)) <= 100
    assert list(folder.iterdir()) == []


def test_the_origin_names_option_variable_and_line(
    call: Call, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file with its line, the variable by its name, the command line, and the default."""
    monkeypatch.setenv("TRAINWRIGHT_SELECTION__MAX_FEATURES", "30")
    done = call("config", "show", "--origin", "--set", "ranking.folds=5", "--results-dir", "r")
    shown = {line.split()[0]: line for line in done.lines}
    assert shown["routing.cs_min_auc"].split() == ["routing.cs_min_auc", "0.55", "file", "trainwright.toml:6"]
    assert shown["selection.max_features"].endswith("environment TRAINWRIGHT_SELECTION__MAX_FEATURES")
    assert shown["ranking.folds"].endswith("command line --set")
    assert shown["daemon.results_dir"].endswith("command line")
    assert shown["routing.min_score"].endswith("default")
    assert max(map(len, done.lines)) <= 100


def test_the_document_holds_values_sources_and_no_password(call: Call, file: Path) -> None:
    """Whole, where the screen cuts; a password of an address is in neither."""
    document = call("config", "show", "--json").document
    found = {setting["key"]: setting for setting in document["settings"]}
    assert found["routing.cs_min_auc"] == {
        "key": "routing.cs_min_auc",
        "value": 0.55,
        "origin": {"kind": "file", "place": "trainwright.toml:6"},
    }
    assert found["routing.min_score"]["origin"] == {"kind": "default", "place": None}
    assert found["daemon.database_url"]["value"] == "postgresql://me@db/x"
    assert "s3same" not in call("config", "show", "--origin").out


def test_sections_and_single_settings_can_be_asked_for(call: Call, folder: Path) -> None:
    """A slip is answered with the nearest name; not found."""
    done = call("config", "show", "training", "routing.min_score")
    assert {line.split()[0].partition(".")[0] for line in done.lines[1:]} == {"training", "routing"}
    assert sum("routing." in line for line in done.lines) == 1
    wrong = call("config", "show", "routin")
    assert (wrong.code, wrong.out) == (4, "")
    assert "did you mean routing?" in wrong.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--set", "routing.cs_min_au=0.6"), "did you mean routing.cs_min_auc?"),
        (("--set", "routing.cs_min_auc=2"), "use 0.5 to 1"),
        (("--set", "routing"), "write section.key=value"),
        (("--config", "nowhere.toml"), "nowhere.toml"),
    ],
)
def test_a_configuration_that_cannot_hold_exits_with_two(
    call: Call, folder: Path, words: tuple[str, ...], told: str
) -> None:
    """The words, what is wrong, and what was meant, in at most six lines."""
    done = call("config", "show", *words)
    assert (done.code, done.out) == (2, "")
    assert told in done.err
    assert len(done.err.splitlines()) <= 6
