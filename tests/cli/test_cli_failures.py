"""Errors as people meet them: six lines, the user's thing, and the exit code of the contract."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from cli_samples import Call

from daemon.cli import failures
from daemon.cli.bundles import NoModel
from daemon.cli.configuring import NoSetting
from daemon.cli.workspace import NoLogHere
from daemon.errors import AlreadyServing, DaemonError, Fault, SettingsInvalid
from daemon.handing_over import NoReceipt
from executors.errors import BadInput, BundleDamaged, UnknownFamily
from panel.errors import DataNotFound, NoTargets, UnknownColumn, UnknownSymbol
from planner.errors import ConfigInvalid, NotInResults, PlanUnreadable, RequestInvalid
from store.errors import DatabaseUnavailable, DatabaseUnsafe, LogDamaged, NotFound, PlanRejected, SchemaBehind

REJECTED = PlanRejected(source="results", place="jobs[3].target", sentence="it is empty", fix="Name it")
CASES = [
    (REJECTED, 3, ["it is empty", "results: jobs[3].target", "Name it"]),
    (NotFound(noun="fit", name="cs_x", nearest="cs_y"), 4, ["'cs_x'", "cs_y", "trainwright jobs"]),
    (NotFound(noun="plan", name="p_1"), 4, ["'p_1'", "trainwright status"]),
    (SchemaBehind(url="sqlite:///x", found=None, wanted="r2"), 2, ["trainwright db upgrade"]),
    (DatabaseUnsafe(url="u", sentence="no WAL", fix="Move it"), 2, ["no WAL", "Move it"]),
    (DatabaseUnavailable(url="u", cause="locked\nhint"), 75, ["locked", "kept", "trainwright doctor"]),
    (LogDamaged(seq=3, sentence="it is gone"), 3, ["event 3", "trainwright db verify"]),
    (
        DataNotFound(Path("data"), "no such directory", "Give one"),
        3,
        ["no such directory", "data", "Give one"],
    ),
    (NoTargets(Path("bars")), 3, ["trainwright label --data-dir bars"]),
    (UnknownSymbol(["APL"], ["AAPL"]), 3, ["APL", "AAPL"]),
    (UnknownColumn("f9", ["f0"]), 4, ["f9"]),
    (UnknownFamily("lgb", "LightGBM"), 3, ["lgb", "LightGBM"]),
    (BadInput("label", "one class", "take another"), 3, ["label: one class", "take another"]),
    (BundleDamaged(Path("m"), "a file is missing"), 3, ["a file is missing"]),
    (ConfigInvalid("unknown key", where="x.toml", fix="spell it"), 2, ["unknown key", "x.toml", "spell it"]),
    (NotInResults("no target 'y'", where="results", fix="did you mean y_1?"), 4, ["results", "y_1?"]),
    (PlanUnreadable("it is cut", where="results/x.json", fix="plan again"), 3, ["it is cut", "x.json"]),
    (NoSetting("routin", "routing"), 4, ["'routin'", "routing"]),
    (RequestInvalid("no such target", where="--targets", fix="y_1"), 3, ["no such target", "--targets"]),
    (NoLogHere("sqlite:///x"), 4, ["trainwright demo"]),
    (NoModel("cs_x/LSTM", "it has none"), 4, ["trainwright models ls"]),
    (NoReceipt(Path("inbox/a"), "no daemon"), 5, ["trainwright daemon", "inbox/a"]),
    (AlreadyServing(Path("results"), "pid 3"), 75, ["pid 3", "results"]),
    (DaemonError("broken", where="here", fix="mend"), 3, ["broken", "here", "mend"]),
]


@pytest.mark.parametrize(("error", "code", "words"), CASES, ids=lambda case: type(case).__name__)
def test_every_expected_error_has_its_code_and_its_words(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int, words: list[str]
) -> None:
    """At most six lines on stderr, none on stdout; the thing, the place and the way out are in them."""
    assert isinstance(error, failures.expected())
    assert failures.exit_code(error) == code
    failures.show(error)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) <= 6
    assert all(word in printed.err for word in words)


def test_many_faults_are_cut_at_six_lines_and_the_rest_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """Settings name all faults at once; the screen shows as many as there is room for."""
    faults = [Fault(place=f"line {number}", problem="unknown key", fix="spell it") for number in range(12)]
    failures.show(SettingsInvalid(faults))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[-1] == "  ... and 9 more lines"


def test_a_wrong_call_names_the_help_of_its_command(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a context it is the help of the whole."""
    failures.show_usage(click.UsageError("wrong"))
    assert capsys.readouterr().err == "error: wrong\n  next  trainwright --help\n"


def test_a_kept_traceback_is_for_its_owner_alone() -> None:
    """It may hold paths and values: nobody else may read it, and two of them do not meet."""
    first, second = failures.keep_traceback(["one\n", "two\n"]), failures.keep_traceback([])
    assert first.read_text() == "one\ntwo\n"
    assert first.stat().st_mode & 0o077 == 0
    assert first != second
    first.unlink()
    second.unlink()


def test_verbose_shows_the_traceback_wherever_it_stands(call: Call) -> None:
    """Without it there is none."""
    assert "Traceback" not in call("status").err
    assert "Traceback" in call("-v", "status").err
    assert "Traceback" in call("status", "--verbose").err


def test_a_service_keeps_the_traceback_where_it_outlives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the first folder its manager made for it; a folder that is not there is no reason to fail again."""
    for named, folder in ((f"{tmp_path}:/other", tmp_path), (str(tmp_path / "none"), None), ("", None)):
        monkeypatch.setenv("STATE_DIRECTORY", named)
        kept = failures.keep_traceback(["one\n"])
        assert kept.read_text() == "one\n"
        assert (kept.parent == tmp_path) == (folder is not None)
        assert kept.stat().st_mode & 0o077 == 0
        kept.unlink()
