"""Logs of attempts: which file, and its end however long it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import GPU, TRAINED
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.views.attempt_logs import NoAttemptLog, log_of, tail
from store import PlanStore


def test_the_newest_attempt_is_meant_where_none_is_named(filled: PlanStore) -> None:
    """The answer has the file, the fit and all its attempts."""
    found = log_of(filled.reading, TRAINED)
    assert (found.fit.name, found.attempt.attempt, len(found.attempts)) == (TRAINED, 1, 1)
    assert tail(found.path) == "attempt 1 of LightGBM\n"


@pytest.mark.parametrize(
    ("name", "attempt", "words"),
    [(GPU, None, "not started yet"), (GPU, 2, "there is no attempt 2, it was not started yet"),
     (TRAINED, 7, "there is no attempt 7, it has 1")],
)  # fmt: skip
def test_a_missing_log_is_told_in_a_sentence(
    filled: PlanStore, name: str, attempt: int | None, words: str
) -> None:
    """What was never tried has no log; an attempt that was not made is named."""
    with pytest.raises(NoAttemptLog, match=words):
        log_of(filled.reading, name, attempt)


def test_a_removed_file_is_told(filled: PlanStore) -> None:
    """Retention may have taken it."""
    log_of(filled.reading, TRAINED).path.unlink()
    with pytest.raises(NoAttemptLog, match="is gone"):
        log_of(filled.reading, TRAINED)


@settings(max_examples=60)
@given(
    lines=st.lists(st.text("abé\r", max_size=40), max_size=60),
    ended=st.booleans(),
    asked=st.integers(1, 20),
    block=st.integers(1, 50),
)
def test_the_tail_is_the_last_lines_of_the_whole(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], asked: int, block: int, *, ended: bool
) -> None:
    """Whatever the file holds and in whatever pieces it is read."""
    path = tmp_path_factory.mktemp("log") / "log"
    text = "\n".join(lines) + ("\n" if ended and lines else "")
    path.write_bytes(text.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("daemon.views.attempt_logs._BLOCK", block)
        found = tail(path, lines=asked)
    whole = text.split("\n")
    count = asked + 1 if whole[-1] == "" else asked
    assert found == "\n".join(whole[-count:])


def test_a_tail_stays_within_its_bytes(tmp_path: Path) -> None:
    """A line that was cut off at the front is left out, a file of one endless line is not."""
    path = tmp_path / "log"
    path.write_bytes(b"a" * 50 + b"\n" + b"b" * 30 + b"\n")
    assert tail(path, bytes_max=40) == "b" * 30 + "\n"
    path.write_bytes(b"c" * 100)
    assert tail(path, bytes_max=40) == "c" * 40
