"""The planner's memory of arrays, and how it is kept from growing without end."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from planner.cache import Cache
from planner.errors import ArtifactUnwritable

ARRAYS = {
    "scores": np.array([[1.5, np.nan], [-0.0, np.inf]]),
    "codes": np.arange(6, dtype=np.int32).reshape(2, 3),
    "none": np.empty((0, 4), dtype=np.float32),
}
DAY = 86_400


def aged(cache: Cache, step: str, number: int, *, days: float, size: int = 1_000) -> Path:
    """An entry of about so many bytes that was last used so many days ago."""
    before = set(cache.folder.glob("*/*"))
    cache.keep(step, {"number": number}, {"text": "x" * size})
    (path,) = set(cache.folder.glob("*/*")) - before
    stamp = path.stat().st_mtime - days * DAY
    os.utime(path, (stamp, stamp))
    return path


def test_arrays_come_back_bit_for_bit(tmp_path: Path) -> None:
    """Shapes, types, missing values and signs of zero are kept; other parts, and a refresh, find nothing."""
    cache = Cache(tmp_path)
    cache.keep_arrays("screen", {"a": 1}, ARRAYS)
    found = cache.find_arrays("screen", {"a": 1})
    assert found is not None
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
    assert cache.find_arrays("screen", {"a": 2}) is None
    assert cache.find("screen", {"a": 1}) is None
    assert Cache(tmp_path, refresh=True).find_arrays("screen", {"a": 1}) is None
    assert (cache.hits["screen"], cache.misses["screen"]) == (1, 2)


def test_the_same_arrays_make_the_same_bytes(tmp_path: Path) -> None:
    """No clock in the file: two runs leave equal caches."""
    for place in ("one", "two"):
        Cache(tmp_path / place).keep_arrays("s", {"a": 1}, ARRAYS)
    (one,), (two,) = ((tmp_path / place / "s").iterdir() for place in ("one", "two"))
    assert (one.name, one.read_bytes()) == (two.name, two.read_bytes())


@pytest.mark.parametrize("damage", ["empty", "cut", "flipped", "other"])
def test_damaged_arrays_are_no_entry(tmp_path: Path, damage: str) -> None:
    """What a power cut may leave is measured again, not believed and not fatal."""
    cache = Cache(tmp_path)
    cache.keep_arrays("s", {"a": 1}, ARRAYS)
    (file,) = (tmp_path / "s").iterdir()
    whole = file.read_bytes()
    place = whole.index(ARRAYS["codes"].tobytes())
    flipped = whole[:place] + b"\xff" + whole[place + 1 :]
    file.write_bytes({"empty": b"", "cut": whole[:-40], "flipped": flipped, "other": b"{}"}[damage])
    assert cache.find_arrays("s", {"a": 1}) is None


def test_an_unwritable_cache_is_told(tmp_path: Path) -> None:
    """Something in the way is an error with a place and a next step, and leaves no half file."""
    (tmp_path / "s").write_text("a file where a folder should be")
    with pytest.raises(ArtifactUnwritable) as caught:
        Cache(tmp_path).keep("s", {"a": 1}, {"x": 1})
    assert caught.value.where == str(tmp_path / "s")
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_what_was_not_used_for_long_is_removed(tmp_path: Path) -> None:
    """Old entries go, recent ones stay, and reading an old one makes it recent."""
    cache = Cache(tmp_path)
    gone, read, kept = (aged(cache, "s", number, days=days) for number, days in enumerate((61, 61, 59)))
    assert cache.find("s", {"number": 1}) is not None
    assert cache.trim() == 1
    assert (gone.exists(), read.exists(), kept.exists()) == (False, True, True)


def test_beyond_its_size_the_least_recently_used_go_first(tmp_path: Path) -> None:
    """Of all steps together as many as fit are kept, the latest used."""
    cache = Cache(tmp_path)
    ages = {"a": 3, "b": 9, "c": 1, "d": 6}
    paths = {step: aged(cache, step, 0, days=days) for step, days in ages.items()}
    size = paths["a"].stat().st_size
    assert cache.trim(most_bytes=2 * size + size // 2) == 2
    assert {step for step, path in paths.items() if path.exists()} == {"a", "c"}
    assert cache.trim(most_bytes=2 * size + size // 2) == 0


def test_leftovers_of_killed_processes_are_removed_and_files_under_way_are_not(tmp_path: Path) -> None:
    """A temporary file of yesterday belongs to nobody; one of now may be about to be renamed."""
    cache = Cache(tmp_path)
    entry = aged(cache, "s", 0, days=0)
    old, new = (entry.with_name(f".{word}.json.0a.tmp") for word in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"{")
    os.utime(old, (0, entry.stat().st_mtime - 2 * DAY))
    assert cache.trim() == 1
    assert (old.exists(), new.exists(), entry.exists()) == (False, True, True)


def test_an_empty_or_missing_cache_is_trimmed_to_nothing(tmp_path: Path) -> None:
    """The first planning of all has nothing to remove."""
    assert Cache(tmp_path / "nowhere").trim() == 0
