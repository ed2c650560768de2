"""``logs``: the log of an attempt, whole, since a time, as it grows."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import GPU, STOPPED, TRAINED, Call, start

from daemon.cli import tailing
from daemon.cli.tailing import Growing, followed
from daemon.views.attempt_logs import NoAttemptLog
from store import PlanStore


def test_the_newest_attempt_is_printed_and_any_other_on_request(
    call: Call, filled: PlanStore, folder: Path
) -> None:
    """Each attempt has a log of its own."""
    start(filled, filled.claim("w", stage="cpu")[0], folder)
    assert call("logs", STOPPED).out == "attempt 2 of LightGBM\n"
    assert call("logs", STOPPED, "--attempt", "1").out == "attempt 1 of LightGBM\n"


def test_a_log_that_is_not_there_says_why(call: Call, filled: PlanStore, folder: Path) -> None:
    """Not started, no such attempt, or removed: exit code 4 and the command that lists the attempts."""
    assert "not started yet" in call("logs", GPU).err
    assert "there is no attempt 7" in call("logs", TRAINED, "--attempt", "7").err
    (folder / "cs_y_range_5d.LightGBM.1.log").unlink()
    done = call("logs", TRAINED)
    assert done.code == 4
    assert f"trainwright job {TRAINED}" in done.err
    assert call("logs", "cs_nothing/LSTM").code == 4


def test_following_goes_on_until_the_attempt_has_ended(
    call: Call, filled: PlanStore, folder: Path, log_here: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written later is printed too, once, and the end of the attempt is the end."""
    claim = filled.claim("w", stage="cpu")[0]
    start(filled, claim, folder)
    log = folder / "cs_y_up_1d.LightGBM.2.log"
    looks = iter(("a line\n", "the last\n"))

    def while_waiting(_seconds: float) -> None:
        with log.open("a") as file:
            file.write(text := next(looks))
        if text == "the last\n":
            filled.cancel(claim.fit_id)

    monkeypatch.setattr(tailing.time, "sleep", while_waiting)
    assert call("logs", "-f", STOPPED).out == "attempt 2 of LightGBM\na line\nthe last\n"


def test_where_a_log_was_shortened_is_told(tmp_path: Path) -> None:
    """One line in its place, then its end."""
    log = tmp_path / "log"
    log.write_text("short\n", encoding="utf-8")
    growing = Growing(log, position=1000)
    told = growing.more()
    with log.open("a", encoding="utf-8") as file:
        file.write("the end\n")
    told += growing.more()
    assert told == "... the log was shortened; what follows is its end ...\nthe end\n"


def test_lines_are_told_since_a_time(call: Call, filled: PlanStore, folder: Path) -> None:
    """From the first line of that time on; a traceback belongs to the line before it."""
    log = folder / "cs_y_range_5d.LightGBM.1.log"
    early = ["2026-01-01T00:00:00Z Started", "Traceback", "2026-01-01T00:00:05Z Progressed"]
    late = ["2026-01-01T00:10:00Z Progressed", "  an indented line", "2026-01-01T00:11:00Z Failed"]
    log.write_text("\n".join([*early, *late]) + "\n", encoding="utf-8")
    assert call("logs", TRAINED, "--since", "2026-01-01T00:05").lines == late
    assert call("logs", TRAINED, "--since", "2026-01-02").out == ""
    assert call("logs", TRAINED, "--since", "lately").code == 2


def test_following_goes_on_over_attempts_and_says_why_it_waits(
    filled: PlanStore, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A fit that was let go is waited for, its next attempt is told and followed."""
    fit = filled.reading.fit(STOPPED)

    def begin() -> None:
        claim = filled.claim("w", stage="cpu")[0]
        start(filled, claim, folder)

    steps = [begin, lambda: filled.cancel(fit.id)]

    def step() -> None:
        steps.pop(0)()

    texts = list(followed(filled.reading, fit.id, None, None, wait=step))
    assert "".join(texts) == "attempt 1 of LightGBM\nattempt 2 of LightGBM\n"
    told = capsys.readouterr().err.splitlines()
    assert told[0].startswith(f"{STOPPED} waits: no daemon is at work")
    assert told[1] == f"attempt 2 of {STOPPED}"


def test_a_fit_that_ends_without_a_log_is_told(filled: PlanStore) -> None:
    """Following what was cancelled before it began ends with the reason."""
    filled.cancel(filled.reading.fit(GPU).id)
    with pytest.raises(NoAttemptLog, match="it has ended without a log"):
        list(followed(filled.reading, GPU, None, None, wait=lambda: None))


def test_a_job_of_several_fits_names_them(call: Call, filled: PlanStore) -> None:
    """The fit of a job of one is meant; of several each has logs of its own."""
    assert call("logs", "cs_y_up_1d").out == "attempt 1 of LightGBM\n"
    done = call("logs", "cs_y_range_5d")
    assert done.code == 4
    assert "is a job of 4 fits" in done.err
    assert f"trainwright logs {TRAINED}" in done.err
