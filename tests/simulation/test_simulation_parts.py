"""The parts of a simulated fleet end with whoever asked for them, and say how far they are."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.scale.course import Point, drawn, rates
from benchmarks.scale.parts import Far, Progress

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60.0
# Two parts that have far more to do than anybody waits for; they tell that they are at it.
_LONG = """
import sys
from benchmarks.scale import __main__ as page
from benchmarks.scale.options import Scenario
if __name__ == "__main__":
    page.QUICK = Scenario(hosts=4, slots=4, plans=20, plan_fits=2000, turn_seconds=5.0)
    sys.exit(page.main(["--quick"]))
"""


def parts_of(parent: int) -> list[int]:
    """The processes that a process has started and that still are."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(words[1]) == parent and words[0] != "Z":
            found.append(int(status.parent.name))
    return found


def holds_a_log_without_a_name(pid: int) -> bool:
    """Whether a process has a log open that no folder names: it goes with the process, however that ends."""
    held = {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return any(name.endswith("log.db (deleted)") for name in held)


@contextmanager
def simulation(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A simulation of two parts, from the moment that fits have ended in it."""
    page = folder / "long.py"
    page.write_text(_LONG)
    paths = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, str(page)], cwd=ROOT, env=paths, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stderr is not None
        assert select.select([process.stderr], [], [], PATIENCE_SECONDS)[0]
        assert "fits have ended" in process.stderr.readline()
        yield process
    finally:
        process.kill()
        process.wait()


def ended(pid: int) -> bool:
    """Wait until a process has ended, which the kernel tells; whether it did in time."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], PATIENCE_SECONDS)[0])
    finally:
        os.close(descriptor)


def test_parts_end_with_their_parent(tmp_path: Path) -> None:
    """A simulation that is killed leaves nothing behind that goes on."""
    with simulation(tmp_path) as process:
        parts = parts_of(process.pid)
        assert sum(holds_a_log_without_a_name(pid) for pid in parts) == 2
        process.kill()
        assert all(ended(pid) for pid in parts)


def test_an_interrupted_simulation_ends_at_once_and_says_so(tmp_path: Path) -> None:
    """One clear line, the exit status of ^C, and no traceback of anybody."""
    with simulation(tmp_path) as process:
        parts = parts_of(process.pid)
        for pid in (process.pid, *parts):  # as a terminal does it
            os.kill(pid, signal.SIGINT)
        said = process.communicate(timeout=PATIENCE_SECONDS)[1]
        assert process.returncode == 130
        assert "the simulation was stopped" in said
        assert "Traceback" not in said
        assert all(ended(pid) for pid in parts)


def test_what_is_left_is_foretold_by_the_last_minute() -> None:
    """A slow beginning is forgotten: 10 a second at first, then 100, of 20,000."""
    now, said = 0.0, list[str]()
    progress = Progress(20_000, parts=2, clock=lambda: now, say=said.append)
    progress.tell(1, Far(0, 0.0))
    for _ in range(100):
        now += 1.0
        progress.tell(0, Far(int(now * 10), now))
    for _ in range(100):
        now += 1.0
        progress.tell(1, Far(int((now - 100) * 100), now - 100))
    assert said[1] == "60 of 20,000 fits have ended after 6 s, 10/s, ~1994 s left"
    assert said[-1] == "10,600 of 20,000 fits have ended after 196 s, 100/s, ~94 s left"


def test_the_course_tells_how_fast_each_slice_went() -> None:
    """A thousand fits at 10 a second, then a thousand at 20, on one processor."""
    course = [Point(0, 0.0, 0.0), Point(1000, 100.0, 100.0), Point(2000, 150.0, 150.0)]
    by_clock, by_processor = rates(course)
    assert [round(rate) for rate in by_clock] == [10] * 5 + [20] * 5
    assert by_processor == by_clock
    assert "2,000" in drawn(course, parts=2)
