"""Directories that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from executors.durable import write_directory

FILES = {"a": b"one", "b": b""}


def test_a_directory_appears_with_all_its_files(tmp_path: Path) -> None:
    """Parents are made, nothing else is left."""
    write_directory(tmp_path / "deep" / "er" / "final", FILES, unique="1")
    final = tmp_path / "deep" / "er" / "final"
    assert {path.name: path.read_bytes() for path in final.iterdir()} == FILES
    assert [path.name for path in final.parent.iterdir()] == ["final"]


def test_everything_is_on_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and their directory are synced, then renamed, then the parent is synced."""
    story: list[str] = []
    fsync, rename = os.fsync, Path.rename

    def syncing(descriptor: int) -> None:
        story.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def renaming(path: Path, target: Path) -> Path:
        story.append(f"rename {path.name} {target.name}")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", syncing)
    monkeypatch.setattr(Path, "rename", renaming)
    write_directory(tmp_path / "final", FILES, unique="1")
    assert story == [
        "sync a",
        "sync b",
        "sync .final.1",
        "rename .final.1 final",
        f"sync {tmp_path.name}",
    ]


def test_a_draft_left_by_a_death_is_in_nobody_s_way(tmp_path: Path) -> None:
    """The same writer begins anew, another one has a draft of its own."""
    draft = tmp_path / ".final.1"
    draft.mkdir()
    (draft / "stale").write_bytes(b"x")
    write_directory(tmp_path / "final", FILES, unique="1")
    assert sorted(path.name for path in (tmp_path / "final").iterdir()) == ["a", "b"]


def test_a_full_disk_leaves_nothing_under_the_final_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is the disk's own, and the name stays free."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_directory(tmp_path / "final", FILES, unique="1")
    assert not (tmp_path / "final").exists()
