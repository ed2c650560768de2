"""What a person sees on a terminal."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime

import numpy as np
import pytest

from daemon.cli import screen
from daemon.views import words


class Stream(io.StringIO):
    """A stream with a chosen encoding."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]  # the real one is settable, ours is given
        """The encoding this stream claims."""
        return self._encoding


def test_a_terminal_without_utf8_gets_plain_words() -> None:
    """Signs that the stream cannot carry are written out, never as garbage."""
    assert screen.speakable("0.1 ± 0.02 → ok", Stream("ascii")) == "0.1 +/- 0.02 -> ok"
    assert screen.speakable("0.1 ± 0.02 → ok", Stream("UTF-8")) == "0.1 ± 0.02 → ok"
    assert screen.speakable("▁▂▃▄▅▆▇█", Stream("ascii")) == "_.,-=+*#"


def test_control_characters_of_foreign_names_are_shown_not_obeyed() -> None:
    """A target called after an escape sequence cannot repaint the screen."""
    assert screen.speakable("y\x1b[31m_red", Stream("utf-8")) == "y\\x1b[31m_red"


def test_colours_are_printed_where_they_are_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The option wins over NO_COLOR, that over FORCE_COLOR, that over what the stream is."""
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    red, plain = "\x1b[31mfailed\x1b[0m\n", "failed\n"
    for when, environment, shown in (
        ("auto", {}, plain),
        ("auto", {"FORCE_COLOR": "1"}, red),
        ("auto", {"FORCE_COLOR": "0"}, plain),
        ("auto", {"FORCE_COLOR": "1", "NO_COLOR": "1"}, plain),
        ("always", {"NO_COLOR": "1"}, red),
        ("never", {"FORCE_COLOR": "1"}, plain),
    ):
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            screen.use_colour(when)
            screen.say(screen.paint("failed", "bad"))
        assert capsys.readouterr().out == shown
    screen.use_colour("auto")


def test_foreign_text_brings_no_colours_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by an escape nor by the signs that stand for tones in a table; no colour outlasts its line."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = screen.table(("a",), [("y\x1b[31m\ufdd0",)])
    assert screen.line_for(text, Stream("utf-8")).splitlines()[1] == "y\\x1b[31m\\ufdd0"
    assert screen.line_for("\ufdd0y\nz", Stream("utf-8")) == "\x1b[31my\x1b[0m\nz"


def test_wide_letters_take_two_columns() -> None:
    """A name in Chinese keeps the table aligned, and is cut at its columns."""
    assert screen.table(("n", "x"), [("\u4e2d\u6587", 1), ("abc", 2)]).splitlines() == [
        "n     x", "\u4e2d\u6587  1", "abc   2"
    ]  # fmt: skip
    assert screen.cut("\u4e2d\u6587\u4e2d\u6587", 5) in ("\u4e2d\u6587\u2026", "\u4e2d...")


def test_columns_are_aligned_and_numbers_flush_right() -> None:
    """Every column is as wide as its widest cell; missing values are a dash."""
    text = screen.table(("name", "n"), [("a", 1), ("long", 100), ("none", None)], right=("n",))
    assert text.splitlines() == ["name    n", "a       1", "long  100", "none    -"]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.41, "0.4s"), (37.2, "37s"), (250, "4m 10s"), (7500, "2h 05m"), (59.7, "60s"), (590_000, "6d 19h")],
)
def test_durations_read_as_people_say_them(seconds: float, told: str) -> None:
    """Short ones in tenths, long ones in two units."""
    assert words.span(seconds) == told


@pytest.mark.parametrize(
    ("done", "total", "expected"), [(0, 4, "[----]"), (2, 4, "[##--]"), (0, 0, "[####]")]
)
def test_the_bar_is_as_full_as_the_work(done: int, total: int, expected: str) -> None:
    """Nothing to do counts as done."""
    assert screen.bar(done, total, width=4) == expected


def test_an_error_has_at_most_six_lines() -> None:
    """However many details there are, the sentence comes first and six lines are the end."""
    text = screen.error_text("it broke", {str(number): "x" for number in range(9)} | {"empty": None})
    assert text.splitlines()[0] == "error: it broke"
    assert len(text.splitlines()) == screen.ERROR_LINES_MAX


def test_a_detail_of_many_lines_counts_line_by_line() -> None:
    """What does not fit is counted, so that nobody takes six lines for all of them."""
    text = screen.error_text("it broke", {"fix": "\n".join(f"step {number}" for number in range(9))})
    assert len(text.splitlines()) == screen.ERROR_LINES_MAX
    assert text.splitlines()[-1] == "  ... and 5 more lines"


def test_a_cell_is_one_line_of_harmless_text() -> None:
    """A foreign text with line ends and escapes cannot break a table."""
    assert screen.table(("a",), [("one\ntwo\x1b[0m",)]).splitlines()[1] == "one two\\x1b[0m"


def test_times_for_people_are_utc_to_the_second() -> None:
    """No time is a dash; programs get the whole time."""
    at = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert words.moment(at) == "2026-01-02 03:04:05Z"
    assert words.moment(None) == "-"
    assert words.iso(at) == "2026-01-02T03:04:05.678901Z"


def test_json_carries_a_version_and_plain_values(capsys: pytest.CaptureFixture[str]) -> None:
    """Times become ISO text in UTC and numpy numbers plain ones."""
    screen.emit({"at": datetime(2026, 1, 2, tzinfo=UTC), "score": np.float32(0.5)})
    assert json.loads(capsys.readouterr().out) == {"v": 1, "at": "2026-01-02T00:00:00Z", "score": 0.5}


def test_what_has_no_json_form_is_refused() -> None:
    """An object that cannot be written is a defect, not an empty string."""
    with pytest.raises(TypeError, match="object has no JSON form"):
        screen.emit_line({"x": object()})
