"""``models``: listing, showing and using what was trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import GPU, TRAINED, Call

from store import PlanStore

NAME = "cs_fwd_ret_1d/LightGBM"


def test_models_are_listed_with_what_they_are_worth(call: Call, filled: PlanStore) -> None:
    """Only trained fits; the document has the score and the words."""
    assert [line.split()[0] for line in call("models", "ls").lines[1:]] == ["cs_y_range_5d"]
    model = call("models", "ls", "--json").document["models"][0]
    assert (model["name"], model["verdict"], model["metrics"]["score"]) == (TRAINED, "better than naive", 0.2)


def test_no_model_yet_is_no_error_but_an_unknown_plan_is(call: Call, store: PlanStore) -> None:
    """Exit code 0 with the next command, 4 for a plan that does not exist."""
    done = call("models", "ls")
    assert (done.code, done.out.startswith("no model yet")) == (0, True)
    assert call("models", "ls", "--plan", "p_none").code == 4


def test_a_fit_without_a_model_has_no_card(call: Call, filled: PlanStore) -> None:
    """Its state is the answer, exit code 4."""
    done = call("models", "show", GPU)
    assert done.code == 4
    assert "the fit is ready, it has no model" in done.err
    assert "trainwright models ls" in done.err


def test_a_card_is_shown_by_name_or_by_directory(
    trained: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both ways lead to the same card."""
    monkeypatch.chdir(trained)
    document = call("models", "show", NAME, "--json").document
    assert document["card"]["target"] == "fwd_ret_1d"
    assert call("models", "show", document["path"]).out == call("models", "show", NAME).out
    shown = call("models", "show", NAME).out
    assert "fwd_ret_1d (regression, 1 bars ahead), 4 features" in shown
    assert "importance" in shown


def test_a_damaged_bundle_is_refused(
    trained: Path, call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A card that was changed is not believed."""
    monkeypatch.chdir(trained)
    path = Path(call("models", "show", NAME, "--json").document["path"])
    copy = folder / "bundle"
    copy.mkdir()
    (copy / "card.json").write_text((path / "card.json").read_text().replace("fwd_ret_1d", "fwd_ret_9d"))
    done = call("models", "show", str(copy))
    assert done.code == 3
    assert str(copy) in done.err


def test_predictions_are_csv_on_stdout_or_in_a_file(
    trained: Path, call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same lines both ways; the count goes to stderr."""
    monkeypatch.chdir(trained)
    words = ("models", "predict", NAME, "--data-dir", "data", "--last", "2", "--symbols", "AAA")
    done = call(*words)
    assert done.code == 0
    assert done.lines[0] == "symbol,time,prediction"
    assert [line.split(",")[:2] for line in done.lines[1:]] == [
        ["AAA", "2021-02-22T00:00:00Z"],
        ["AAA", "2021-02-23T00:00:00Z"],
    ]
    written = call(*words, "--output", str(folder / "p.csv"))
    assert written.out == ""
    assert written.err.startswith("2 predictions in ")
    assert (folder / "p.csv").read_text() == done.out


def test_data_without_the_features_is_refused_by_name(
    trained: Path, call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The column that is missing is in the error."""
    monkeypatch.chdir(trained)
    other = folder / "other"
    other.mkdir()
    text = (trained / "data" / "AAA.csv").read_text().replace("f3", "g3", 1)
    (other / "AAA.csv").write_text(text)
    done = call("models", "predict", NAME, "--data-dir", str(other))
    assert done.code == 4
    assert "f3" in done.err
