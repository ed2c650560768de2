"""The log of an attempt stays within its size while its fit writes on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from daemon_samples import await_that

from daemon.attempt_log import AttemptLog, shorten

MARK = "bytes left out, the log was too long"


def test_beginning_and_end_stay_at_the_borders_of_lines(tmp_path: Path) -> None:
    """What was left out is counted, so nothing is lost unsaid."""
    log = tmp_path / "log"
    lines = [f"line {number}" for number in range(10_000)]
    log.write_text("\n".join(lines) + "\n")
    size = log.stat().st_size
    shorten(log, 1000)
    kept = log.read_text().splitlines()
    middle = next(number for number, line in enumerate(kept) if MARK in line)
    assert kept[:middle] == lines[:middle]
    assert kept[middle + 1 :] == lines[-len(kept) + middle + 1 :]
    left_out = int(kept[middle].split()[1].replace(",", ""))
    assert left_out == size - sum(len(line) + 1 for line in kept if MARK not in line)
    assert log.stat().st_size < 2200


@pytest.mark.parametrize("content", [b"x" * 9000, b"x" * 9000 + b"\n", b"\n" * 9000, b"\xff\x00\n" * 3000])
def test_any_content_can_be_shortened_again_and_again(content: bytes, tmp_path: Path) -> None:
    """One line without an end, empty lines, bytes that are no text."""
    log = tmp_path / "log"
    for _ in range(3):
        with log.open("ab") as file:
            file.write(content)
        shorten(log, 1000)
        assert log.stat().st_size < 2200
        assert MARK.encode() in log.read_bytes()


def test_a_process_that_writes_on_goes_on_at_the_end(tmp_path: Path) -> None:
    """The file is shortened under its hands; its next words stand behind what was kept, without a hole."""
    log = tmp_path / "log"
    script = (
        "import sys\n"
        "print('the beginning', flush=True)\n"
        "for number in range(20_000):\n"
        "    print('line', number)\n"
        "print('long enough', flush=True)\n"
        "sys.stdin.read(1)\n"
        "print('x' * 5000, flush=True)\n"
        "print('the end', flush=True)\n"
    )
    with log.open("ab") as output:
        writer = subprocess.Popen(
            [sys.executable, "-S", "-c", script], stdin=subprocess.PIPE, stdout=output, stderr=output
        )
    await_that(lambda: log.read_bytes().endswith(b"long enough\n"), "long log")
    mine = AttemptLog(log, bytes_max=80_000, now=0.0)
    mine.keep(1.0)
    assert log.stat().st_size < 30_000
    writer.communicate(b"!")
    words = log.read_bytes()
    assert words.startswith(b"the beginning\n")
    assert words.endswith(b"long enough\n" + b"x" * 5000 + b"\nthe end\n")
    assert MARK.encode() in words
    assert b"\0" not in words


def test_a_log_is_looked_at_from_time_to_time_only(tmp_path: Path) -> None:
    """Not at each turn of the loop; one that is gone stops nothing."""
    log = tmp_path / "log"
    mine = AttemptLog(log, bytes_max=4096, now=0.0)
    log.write_bytes(b"x\n" * 5000)
    mine.keep(0.5)
    assert log.stat().st_size == 10_000
    mine.keep(1.0)
    assert log.stat().st_size < 4096
    log.unlink()
    mine.keep(9.0)
