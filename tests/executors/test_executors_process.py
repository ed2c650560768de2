"""Children from the parent's side: reports, stopping, killing, dying together, words for the silent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from executor_children import Starter, await_end, await_outcome, await_report, group_of

from executors import process
from executors.contract import Checkpointed, Failed, FitSpec, Progressed, Started, Stopped, Succeeded, encode
from executors.lives import OwnProcess
from executors.process import Child, child_environment

SpecMaker = Callable[..., FitSpec]

#: A fit that would go on for hours.
ENDLESS = {"rounds": 100_000, "patience": 100_000, "chunk_rounds": 10, "learning_rate": 1e-4}


@pytest.fixture
def endless(make_spec: SpecMaker, tmp_path: Path, started: Starter) -> Iterator[Child]:
    """A child in the midst of a fit that would go on for hours."""
    child = started(make_spec(params=ENDLESS, checkpoint_rounds=1_000_000), tmp_path)
    await_report(child, Progressed)
    yield child
    child.kill()
    await_outcome(child)


def test_a_fit_in_a_child_reports_its_way_and_ends_with_a_bundle(
    make_spec: SpecMaker, tmp_path: Path, started: Starter
) -> None:
    """Started, progress, checkpoints and Succeeded come up the pipe; the log tells the same in words."""
    spec = make_spec(params={"rounds": 30, "chunk_rounds": 10}, checkpoint_rounds=10)
    child = started(spec, tmp_path)
    begun = await_report(child, Started)
    assert isinstance(begun, Started)
    assert (begun.pid, begun.device_used, begun.resumed_from_step) == (child.pid, "cpu", None)
    assert begun.rows_train > 1000
    outcome = await_outcome(child)
    assert isinstance(outcome, Succeeded)
    assert outcome.bundle == str(spec.bundle_path)
    assert child.returncode == 0
    log = (tmp_path / "fit.log").read_text()
    assert " Started " in log
    assert f"Succeeded bundle={spec.bundle_path}" in log


def test_sigterm_saves_the_state_and_the_next_attempt_goes_on_from_it(
    make_spec: SpecMaker, tmp_path: Path, endless: Child, started: Starter
) -> None:
    """Stop() ends with Stopped and a checkpoint though none was due; the next lease resumes there."""
    await_report(endless, Progressed)  # the second one: beyond the first chunk
    endless.stop()
    outcome = await_outcome(endless)
    assert isinstance(outcome, Stopped)
    assert outcome.step > 0
    assert endless.returncode == 0
    successor = started(make_spec(params=ENDLESS, fence=2), tmp_path)
    begun = await_report(successor, Started)
    successor.kill()
    await_outcome(successor)
    assert isinstance(begun, Started)
    assert (begun.resumed_from_step, begun.resumed_from_fence) == (outcome.step, 1)


def test_kill_ends_the_whole_process_group_and_is_named_as_ours(endless: Child) -> None:
    """A killed child is retryable, and not taken for one that ran out of memory."""
    group = group_of(endless.pid)
    endless.kill()
    outcome = await_outcome(endless)
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("internal", True)
    assert "ended by the process that started it" in outcome.sentence
    assert all(await_end(pid) for pid in group)


@pytest.mark.parametrize(
    ("kills", "cause"), [((3, 4), "out_of_memory"), ((3, 3), "lost_worker"), ((None, None), "out_of_memory")]
)
def test_sigkill_from_outside_is_out_of_memory_when_the_kernel_has_counted_one(
    endless: Child, monkeypatch: pytest.MonkeyPatch, kills: tuple[int | None, int | None], cause: str
) -> None:
    """The kernel's own count decides; where there is none, memory is what is suspected."""
    endless._memory_kills = kills[0]
    monkeypatch.setattr(process, "memory_kills", lambda: kills[1])
    os.kill(endless.pid, signal.SIGKILL)
    outcome = await_outcome(endless)
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == (cause, True)
    assert "SIGKILL" in outcome.sentence
    assert "fit.log" in outcome.where


def test_the_kernel_s_count_of_memory_kills_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The number comes from the kernel's counters, and is unknown where there are none."""
    counters = tmp_path / "vmstat"
    monkeypatch.setattr(process, "_KERNEL_COUNTERS", counters)
    assert process.memory_kills() is None
    counters.write_text("nr_free_pages 12\noom_kill 5\n")
    assert process.memory_kills() == 5
    counters.write_text("nr_free_pages 12\n")
    assert process.memory_kills() is None


def test_a_crash_is_named_by_its_signal(endless: Child) -> None:
    """A segmentation fault is the library's, retryable, and named."""
    os.kill(endless.pid, signal.SIGSEGV)
    outcome = await_outcome(endless)
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("library", True)
    assert "SIGSEGV" in outcome.sentence


def test_a_sigterm_that_nobody_here_sent_lost_the_worker(
    make_spec: SpecMaker, tmp_path: Path, started: Starter
) -> None:
    """A child that SIGTERM ended though it was not asked to stop was ended from outside."""
    child = started(make_spec(), tmp_path)
    child._memory_kills = 3
    outcome = child._outcome_of_silence(-signal.SIGTERM)
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("lost_worker", True)
    assert "SIGTERM" in outcome.sentence
    child.kill()
    await_outcome(child)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this process may mount one."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(place)], check=False)
    if mounted.returncode != 0:
        pytest.skip("no right to mount a file system here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_is_its_own_cause(
    make_spec: SpecMaker, tmp_path: Path, small_disk: Path, started: Starter
) -> None:
    """A bundle that the disk has no room for fails the attempt as disk_full, to be tried again."""
    spec = make_spec(params={"rounds": 300, "chunk_rounds": 100}, bundle_path=small_disk / "bundle")
    outcome = await_outcome(started(spec, tmp_path))
    assert isinstance(outcome, Failed)
    assert (outcome.cause, outcome.retryable) == ("disk_full", True)
    assert "the disk is full" in outcome.sentence
    assert not spec.bundle_path.exists()


def test_letting_go_of_a_child_ends_it(endless: Child) -> None:
    """Closing the pipes is, for the child, the death of its parent."""
    endless.close()
    assert endless.wait(60)
    assert endless.returncode == -signal.SIGKILL


def test_what_a_child_leaves_behind_in_its_group_ends_with_it(tmp_path: Path, make_spec: SpecMaker) -> None:
    """A grandchild does not outlive the fit that started it."""
    code = "import subprocess; print(subprocess.Popen(['sleep', '1000']).pid, flush=True)"
    leader = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, start_new_session=True)
    assert leader.stdout is not None
    grandchild = int(leader.stdout.readline())
    leader.stdout.close()
    report_read, report_write = os.pipe()
    os.close(report_write)
    child = Child(
        make_spec(),
        OwnProcess(leader),
        report_fd=report_read,
        lifeline_fd=os.dup(report_read),
        log_path=tmp_path / "x",
    )
    assert child.wait(60)
    assert await_end(grandchild)
    outcome = child.outcome()
    assert isinstance(outcome, Failed)
    assert "exit code 0 and no last word" in outcome.sentence


@pytest.mark.parametrize("way", ["start", "WarmServers().start"])
@pytest.mark.parametrize("thread", ["main", "other"])
def test_a_child_dies_with_its_parent(make_spec: SpecMaker, tmp_path: Path, thread: str, way: str) -> None:
    """SIGKILL of the parent ends the child, from whichever thread and in whichever way it was started."""
    spec = make_spec(params=ENDLESS)
    (tmp_path / "wanted.json").write_text(spec.to_json())
    begin = "go()" if thread == "main" else "t = threading.Thread(target=go); t.start(); t.join()"
    code = (
        "import sys, threading, signal\n"
        "from pathlib import Path\n"
        "from executors import FitSpec, start\n"
        "from executors.warm import WarmServers\n"
        "d = Path(sys.argv[1])\n"
        "def go():\n"
        "    global begin, child\n"
        f"    begin = {way}\n"
        "    spec = FitSpec.from_json((d / 'wanted.json').read_text())\n"
        "    child = begin(spec, log_path=d / 'fit.log', spec_path=d / 'spec.json')\n"
        f"{begin}\n"
        "while not any(type(r).__name__ == 'Progressed' for r in child.reports()):\n"
        "    child.wait(0.05)\n"
        "print(child.pid, flush=True)\n"
        "signal.pause()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    group = group_of(int(parent.stdout.readline()))
    assert len(group) == 2, "the fit and its guard"
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert all(await_end(pid) for pid in group)


def test_waiting_has_an_end(endless: Child) -> None:
    """A wait with a time limit comes back while the child lives."""
    assert not endless.wait(0.0)
    assert endless.outcome() is None


def test_waiting_takes_in_more_reports_than_the_pipe_holds(make_spec: SpecMaker, tmp_path: Path) -> None:
    """A child that reports a lot is never held up by a parent that only waits for its end."""
    line = encode(Progressed(step=1, steps_total=2))
    count = 4 * 65536 // len(line)
    report_read, report_write = os.pipe()
    os.set_blocking(report_read, False)
    code = f"import os; [os.write({report_write}, {line!r}) for _ in range({count})]"
    leader = subprocess.Popen([sys.executable, "-c", code], pass_fds=(report_write,), start_new_session=True)
    os.close(report_write)
    lifeline = os.dup(report_read)
    child = Child(
        make_spec(), OwnProcess(leader), report_fd=report_read, lifeline_fd=lifeline, log_path=tmp_path / "x"
    )
    assert child.wait(60)
    assert len(child.reports()) == count
    child.close()


def test_reports_of_a_torn_line_are_left_out(endless: Child) -> None:
    """Half a line is no report, nor is what a library may print into the pipe."""
    endless.reports()
    endless._unread = b'half a line\n{"report": "Stop'
    assert all(not isinstance(report, Stopped) for report in endless.reports())


def test_silence_after_sigterm_is_a_stop_at_the_last_saved_step(
    make_spec: SpecMaker, tmp_path: Path, started: Starter
) -> None:
    """SIGTERM before the child could listen loses nothing: it stopped where the last state is."""
    child = started(make_spec(), tmp_path)
    child._remember(Checkpointed(step=40, path="x", seconds=0.0))
    child.stop()
    assert child._outcome_of_silence(-signal.SIGTERM) == Stopped(step=40)
    child.kill()
    await_outcome(child)


def test_the_environment_fixes_threads_and_determinism(make_spec: SpecMaker) -> None:
    """Thread counts, passive waiting, hash seed and cuBLAS are settled before a library loads."""
    environment = child_environment(
        make_spec(threads=2), {"PATH": "/bin", "TRAINWRIGHT_DATABASE_URL": "x:secret"}
    )
    assert environment["OMP_NUM_THREADS"] == environment["MKL_NUM_THREADS"] == "2"
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["PYTHONHASHSEED"] == "0"
    assert environment["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    assert environment["PATH"] == "/bin"
    assert "secret" not in str(environment)


@pytest.mark.parametrize(
    ("device", "inherited", "visible"),
    [
        ("cpu", None, ""),
        ("cuda:1", None, "1"),
        ("cuda:1", "4,7", "7"),
        ("cuda:2", "4,7", ""),
        ("cuda:0", "", ""),
    ],
)
def test_a_child_sees_only_the_gpu_it_was_given(
    make_spec: SpecMaker, device: str, inherited: str | None, visible: str
) -> None:
    """GPUs are counted among those the parent may see; a CPU fit sees none."""
    parent = {} if inherited is None else {"CUDA_VISIBLE_DEVICES": inherited}
    assert child_environment(make_spec(device_requested=device), parent)["CUDA_VISIBLE_DEVICES"] == visible


def test_the_kernel_s_death_signal_is_used_from_the_main_thread_only(make_spec: SpecMaker) -> None:
    """It is bound to the thread that forks; another thread's end must not end the fit."""
    found: list[str] = []
    ask = threading.Thread(
        target=lambda: found.append(child_environment(make_spec(), {})["TRAINWRIGHT_DEATH_SIGNAL"])
    )
    ask.start()
    ask.join()
    assert found == ["0"]
    assert child_environment(make_spec(), {})["TRAINWRIGHT_DEATH_SIGNAL"] == "1"
