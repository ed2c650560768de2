"""A call of the command line in a folder with an event log."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_samples import Call, Called
from working_folder import filled, folder, log_here, store, trained

from daemon.cli.main import main

__all__ = ["call", "filled", "folder", "log_here", "store", "trained"]


@pytest.fixture
def call(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Call:
    """Call the command line in this process, in the folder."""
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)

    def called(*words: str) -> Called:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(words)
        printed = capsys.readouterr()
        code = ended.value.code
        return Called(code=code if isinstance(code, int) else 0, out=printed.out, err=printed.err)

    return called
