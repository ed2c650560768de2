"""The benchmark of the command line, with few jobs: every call it measures is one that works."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.cli import commands
from benchmarks.cli.commands import Options


@pytest.mark.slow
@pytest.mark.parametrize("section", [commands.reading, commands.completing, commands.changing])
def test_every_measured_call_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, section: object) -> None:
    """None of them ends with an error, but logs, whose files the sample does not have."""
    ended: list[tuple[list[str], int]] = []
    started = subprocess.Popen

    def watched(words: list[str], **options: object) -> subprocess.Popen[bytes]:
        options |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        with started(words, **options) as process:  # type: ignore[call-overload]  # as they were given
            told = process.communicate()[0].decode()
        if process.returncode and words[3:4] != ["logs"]:
            ended.append((words[3:], process.returncode))
            raise AssertionError(told)
        return started(["true"])

    monkeypatch.setattr(commands.subprocess, "Popen", watched)
    assert callable(section)
    figures = list(section(Options(folder=tmp_path, jobs=20, repeats=1)))
    assert ended == []
    assert len(figures) >= 2
    assert all("ms CPU" in figure.ours for figure in figures)
