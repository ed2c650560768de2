"""``daemon``: the host as a command."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import Call

from daemon.cli import hosting
from daemon.lock import held_lock
from daemon.settings import Settings


@pytest.mark.parametrize(("words", "until_idle"), [((), False), (("--drain",), True)])
def test_the_options_become_settings(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], until_idle: bool
) -> None:
    """Folders and slots as given, and the exit code of the service."""
    seen: list[tuple[Settings, bool]] = []

    def serve(settings: Settings, *, until_idle: bool, **_more: object) -> int:
        seen.append((settings, until_idle))
        return 0

    monkeypatch.setattr(hosting, "serve", serve)
    monkeypatch.setattr(hosting, "configure_logs", lambda: None)
    done = call("daemon", "--data-dir", "d", "--inbox-dir", "in", "--cpu-slots", "3", *words)
    assert done.code == 0
    settings, idle = seen[0]
    assert (settings.data_dir, settings.inbox_dir, settings.cpu_slots) == (folder / "d", folder / "in", 3)
    assert idle is until_idle


def test_a_second_daemon_on_the_same_results_is_told_to_try_later(
    call: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 75, with who is there."""
    monkeypatch.setattr(hosting, "configure_logs", lambda: None)
    (folder / "results").mkdir()
    with held_lock(folder / "results" / "daemon.lock", "pid 7 on elsewhere"):
        done = call("daemon")
    assert done.code == 75
    assert "pid 7 on elsewhere" in done.err
