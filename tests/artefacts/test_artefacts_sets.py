"""An artefact is somewhere whole or not at all, and comes back as it was, whatever the address."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from pathlib import Path
from typing import Any

import pytest
from artefact_samples import KEY, content, made, overwrite, remove
from daemon_samples import FakeClock
from object_server import REFUSE, TEAR, ObjectServer

from daemon.artefacts import Absent, Away, Damaged, opened
from daemon.artefacts.keys import bundle_key, checkpoint_key, log_key, panel_key
from daemon.artefacts.sets import DRAFT, DRAFT_SECONDS, STALLED_SECONDS, Artefacts
from executors.durable import sync_directory

Place = tuple[str, dict[str, Any]]


def test_a_directory_comes_back_as_it_was(place: Place, tmp_path: Path) -> None:
    """Every file, byte for byte; one that is called like our manifest too."""
    source = made(tmp_path / "a", **{"manifest.json": b"own", "values.npy": bytes(range(256)) * 99, "e": b""})
    artefacts = opened(*place)
    artefacts.put(KEY, source)
    assert artefacts.has(KEY)
    artefacts.get(KEY, tmp_path / "b" / "c")
    assert content(tmp_path / "b" / "c") == content(source)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["c"]


def test_the_same_twice_is_put_once(place: Place, tmp_path: Path) -> None:
    """The second time nothing is written: what another wrote under the same digests stays."""
    artefacts = opened(*place)
    artefacts.put(KEY, made(tmp_path / "a"))
    overwrite(place, f"{KEY}/files/model.txt", b"written by nobody else")
    artefacts.put(KEY, tmp_path / "a")
    with pytest.raises(Damaged):
        artefacts.get(KEY, tmp_path / "b")


def test_what_was_never_finished_is_absent(place: Place, tmp_path: Path) -> None:
    """Without its manifest, which comes last, an artefact is none; then it is put there after all."""
    artefacts = opened(*place)
    artefacts.put(KEY, made(tmp_path / "a"))
    remove(place, f"{KEY}/manifest.json")
    assert not artefacts.has(KEY)
    with pytest.raises(Absent):
        artefacts.get(KEY, tmp_path / "b")
    artefacts.put(KEY, tmp_path / "a")
    artefacts.get(KEY, tmp_path / "b")
    assert content(tmp_path / "b") == content(tmp_path / "a")


@pytest.mark.parametrize("damage", ["changed", "missing", "manifest"])
def test_damage_is_found_out_and_nothing_appears(place: Place, tmp_path: Path, damage: str) -> None:
    """A changed file, a missing one, a manifest that is none: said, and no directory is left here."""
    artefacts = opened(*place)
    artefacts.put(KEY, made(tmp_path / "a"))
    match damage:
        case "changed":
            overwrite(place, f"{KEY}/files/model.txt", b"tree" * 999 + b"tref")
        case "missing":
            remove(place, f"{KEY}/files/model.txt")
        case _:
            overwrite(place, f"{KEY}/manifest.json", b"{")
    (tmp_path / "here").mkdir()
    with pytest.raises(Damaged):
        artefacts.get(KEY, tmp_path / "here" / "b")
    assert list((tmp_path / "here").iterdir()) == []


def test_the_comparison_is_what_finds_damage(shared: Place, tmp_path: Path, monkeypatch: Any) -> None:
    """The mutant that believes every file lets a changed model appear."""
    artefacts = opened(*shared)
    artefacts.put(KEY, made(tmp_path / "a"))
    overwrite(shared, f"{KEY}/files/model.txt", b"another")
    facts = json.loads((tmp_path / "shared" / KEY / "manifest.json").read_bytes())["files"]["model.txt"]
    monkeypatch.setattr("daemon.artefacts.sets.digest_of", lambda _path: facts["sha256"])
    manifest = {"version": 1, "files": {"model.txt": facts}}
    overwrite(shared, f"{KEY}/manifest.json", json.dumps(manifest).encode())
    artefacts.get(KEY, tmp_path / "b")
    assert content(tmp_path / "b") == {"model.txt": b"another"}


@pytest.mark.parametrize("name", ["../escape", "/etc/x", "a/b", "", "..", ".hidden", "x\n"])
def test_no_name_of_a_manifest_leads_out(shared: Place, tmp_path: Path, name: str) -> None:
    """A manifest is foreign text: what is no plain name of a file makes it damaged."""
    facts = {"version": 1, "files": {name: {"sha256": 64 * "0", "bytes": 1}}}
    (tmp_path / "shared" / KEY).mkdir(parents=True)
    (tmp_path / "shared" / KEY / "manifest.json").write_text(json.dumps(facts), encoding="utf-8")
    with pytest.raises(Damaged):
        opened(*shared).get(KEY, tmp_path / "b")


@pytest.mark.parametrize("told", [b"", b'{"files": {"a": {"sha256": "0"}}, "version": 1}'])
def test_a_manifest_without_what_it_must_say_is_damaged(place: Place, tmp_path: Path, told: bytes) -> None:
    """One of no bytes too, and no place is away for it: that would be asked again for ever."""
    overwrite(place, f"{KEY}/manifest.json", told)
    with pytest.raises(Damaged, match="cannot be read"):
        opened(*place).get(KEY, tmp_path / "b")


def test_no_object_is_read_beyond_what_its_manifest_says(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An object that somebody made larger would fill the disk before its digest is compared."""
    artefacts = opened(*place)
    artefacts.put(KEY, made(tmp_path / "a"))
    overwrite(place, f"{KEY}/files/model.txt", b"x" * 5_000_000)
    compared: list[Path] = []
    monkeypatch.setattr("daemon.artefacts.sets.digest_of", lambda path: compared.append(path) or "")
    with pytest.raises(Damaged, match=r"card.json"):
        artefacts.get(KEY, tmp_path / "b")
    compared.clear()
    overwrite(place, f"{KEY}/files/card.json", b"x" * 5_000_000)
    with pytest.raises(Damaged, match="larger than 2 bytes"):
        artefacts.get(KEY, tmp_path / "b")
    assert compared == []


def test_what_is_damaged_here_never_takes_the_place_of_what_is_whole_there(
    place: Place, tmp_path: Path
) -> None:
    """A panel goes by its content: a host whose disk changed a bit of its copy does not hand that to all."""
    artefacts, source = opened(*place), made(tmp_path / "a")
    artefacts.put(panel_key("d_1"), source)
    before = content(source)
    (source / "model.txt").write_bytes(b"tree" * 999 + b"tref")
    artefacts.put(panel_key("d_1"), source)
    artefacts.get(panel_key("d_1"), tmp_path / "b")
    assert content(tmp_path / "b") == before


def test_a_state_that_is_saved_anew_is_none_until_it_is_whole(
    shared: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that dies between its files leaves a state that is not there, instead of a damaged one."""
    artefacts, source, key = opened(*shared), made(tmp_path / "a"), checkpoint_key("p_1", "f_1", 3, 10)
    artefacts.put(key, source)
    (source / "model.txt").write_bytes(b"another")

    def dies(_self: object, _path: Path, _name: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("daemon.artefacts.directory.DirectoryObjects.put", dies)
        with pytest.raises(KeyboardInterrupt):
            artefacts.put(key, source)
    assert artefacts.states("p_1", "f_1") == []
    artefacts.put(key, source)
    artefacts.get(key, tmp_path / "b")
    assert content(tmp_path / "b") == content(source)


def test_a_directory_that_cannot_be_listed_is_not_taken_for_an_empty_one(
    shared: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fit that is told that there is no state begins anew, though its states lie there."""
    artefacts = opened(*shared)
    artefacts.put(checkpoint_key("p_1", "f_1", 3, 10), made(tmp_path / "a"))
    assert opened(*shared).states("p_1", "f_2") == []

    def stale(path: Any) -> None:
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    with monkeypatch.context() as patch:
        patch.setattr("os.scandir", stale)
        with pytest.raises(Away, match="Stale"):
            artefacts.states("p_1", "f_1")
    assert artefacts.states("p_1", "f_1") == [(3, 10)]


def test_a_full_disk_leaves_nothing_and_the_same_works_later(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The refusal of the disk here is no fault of the place, and is told as what it is."""
    artefacts = opened(*place)
    artefacts.put(KEY, made(tmp_path / "a"))

    def full(_path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "here").mkdir()
    with monkeypatch.context() as patch:
        patch.setattr("daemon.artefacts.sets.sync_directory", full)
        with pytest.raises(OSError, match="No space") as refused:
            artefacts.get(KEY, tmp_path / "here" / "b")
    assert refused.value.errno == errno.ENOSPC
    assert list((tmp_path / "here").iterdir()) == []
    artefacts.get(KEY, tmp_path / "here" / "b")
    assert content(tmp_path / "here" / "b") == content(tmp_path / "a")


def test_what_came_meanwhile_is_left_as_it_is(
    shared: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that fetch the same at once: the second finds it there and says nothing."""
    artefacts = opened(*shared)
    artefacts.put(KEY, made(tmp_path / "a"))

    def and_another_comes_first(path: Path) -> None:
        if not (tmp_path / "b").exists():
            made(tmp_path / "b", first=b"1")
        sync_directory(path)

    monkeypatch.setattr("daemon.artefacts.sets.sync_directory", and_another_comes_first)
    artefacts.get(KEY, tmp_path / "b")
    assert content(tmp_path / "b") == {"first": b"1"}


def test_of_two_that_appear_at_once_the_second_is_no_error(
    shared: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Agents side by side fetch the same part or state: neither may fail over the other."""
    artefacts, rename = opened(*shared), Path.rename
    artefacts.put(KEY, made(tmp_path / "a"))

    def and_another_just_before(path: Path, target: Path) -> Path:
        if target == tmp_path / "b":
            made(tmp_path / "b", first=b"1")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", and_another_just_before)
    artefacts.get(KEY, tmp_path / "b")
    assert content(tmp_path / "b") == {"first": b"1"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "shared"]


def test_one_that_is_frozen_while_it_fetches_is_waited_for_no_longer(shared: Place, tmp_path: Path) -> None:
    """As long as bytes come it is; a suspended agent would else keep the others of its machine for ever."""
    clock, into = FakeClock(), tmp_path / "here" / "d_1"
    draft = into.with_name(f".d_1{DRAFT}a")
    draft.mkdir(parents=True)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        clock.now += STALLED_SECONDS - 1
        if len(waits) <= 5:
            (draft / "values.npy").write_bytes(b"x" * len(waits))

    artefacts = Artefacts(opened(*shared)._objects, clock=clock, pause=wait)
    artefacts.put(panel_key("d_1"), made(tmp_path / "a"))
    with into.with_name(".d_1.lock").open("wb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        artefacts.get_once(panel_key("d_1"), into)
    assert content(into) == content(tmp_path / "a")
    assert len(waits) == 7


def test_states_are_listed_furthest_first_and_removed_together(place: Place, tmp_path: Path) -> None:
    """Whole ones only, of this fit only."""
    artefacts = opened(*place)
    state = made(tmp_path / "a")
    for fence, step in ((3, 10), (3, 20), (7, 20)):
        artefacts.put(checkpoint_key("p_1", "f_1", fence, step), state)
    artefacts.put(checkpoint_key("p_1", "f_2", 3, 99), state)
    overwrite(place, f"{checkpoint_key('p_1', 'f_1', 9, 30)}/files/torn", b"off")
    assert artefacts.states("p_1", "f_1") == [(7, 20), (3, 20), (3, 10)]
    artefacts.remove("checkpoints/p_1/f_1")
    assert artefacts.beneath("checkpoints/p_1/f_1") == []
    assert artefacts.states("p_1", "f_2") == [(3, 99)]


def test_what_a_dead_host_wrote_by_half_goes_with_its_fit_or_after_a_day(
    shared: Place, tmp_path: Path
) -> None:
    """Drafts are under no name that is ever asked for: nobody else would remove them, large as they are."""
    artefacts, root = opened(*shared), tmp_path / "shared"
    for key in (panel_key("d_1"), checkpoint_key("p_1", "f_1", 3, 10)):
        (root / key / "files").mkdir(parents=True)
    old, new = (root / "panels/d_1/files" / f".values.npy.{number * 32}" for number in "ab")
    of_fit = root / "checkpoints/p_1/f_1/3/step-10/files" / f".state.{'c' * 32}"
    for path in (old, new, of_fit):
        path.write_bytes(b"half")
    os.utime(old, (0, old.stat().st_mtime - DRAFT_SECONDS - 1))
    artefacts.sweep()
    assert (old.exists(), new.exists(), of_fit.exists()) == (False, True, True)
    artefacts.remove("checkpoints/p_1/f_1")
    assert [path.name for path in root.iterdir()] == ["panels"]


def test_a_single_file_is_replaced_whole(place: Place, tmp_path: Path) -> None:
    """A log that has grown takes the place of what was there of it."""
    artefacts, log = opened(*place), tmp_path / "1.log"
    for text in ("one\n", "one\ntwo\n"):
        log.write_text(text, encoding="utf-8")
        artefacts.put_file(log_key("p_1", "f_1", 1), log)
    artefacts.get_file(log_key("p_1", "f_1", 1), tmp_path / "x" / "log")
    assert (tmp_path / "x" / "log").read_text(encoding="utf-8") == "one\ntwo\n"
    with pytest.raises(Absent):
        artefacts.get_file(log_key("p_1", "f_1", 2), tmp_path / "x" / "other")
    assert [path.name for path in (tmp_path / "x").iterdir()] == ["log"]


def test_a_directory_that_is_not_mounted_is_never_written_to(tmp_path: Path) -> None:
    """It is away, whatever is asked, and is not made."""
    artefacts = opened(f"file://{tmp_path / 'not-mounted'}", {})
    for ask in (
        lambda: artefacts.put(KEY, made(tmp_path / "a")),
        lambda: artefacts.has(KEY),
        lambda: artefacts.beneath("panels"),
    ):
        with pytest.raises(Away, match="mount"):
            ask()
    assert not (tmp_path / "not-mounted").exists()


@pytest.mark.parametrize("fault", [REFUSE, TEAR])
def test_a_torn_upload_is_no_artefact_and_is_made_good(
    server: ObjectServer, storage: Place, tmp_path: Path, fault: str
) -> None:
    """A server that refuses, or breaks off, is away: nothing half is ever taken for whole."""
    artefacts = opened(*storage)
    source = made(tmp_path / "a")
    server.break_with(fault)
    with pytest.raises(Away):
        artefacts.put(KEY, source)
    server.break_with("")
    assert not artefacts.has(KEY)
    artefacts.put(KEY, source)
    artefacts.get(KEY, tmp_path / "b")
    assert content(tmp_path / "b") == content(source)


def test_a_bucket_that_is_not_there_is_away_and_no_secret_is_said(
    server: ObjectServer, storage: Place, tmp_path: Path
) -> None:
    """The words name the address, and nothing of the credentials."""
    artefacts: Artefacts = opened("s3://no-such-bucket/x", storage[1])
    with pytest.raises(Away) as away:
        artefacts.put(KEY, made(tmp_path / "a"))
    words = str(away.value)
    assert "s3://no-such-bucket/x" in words
    assert not any(value in words for value in server.environment.values() if value != "us-east-1")


def test_an_address_nobody_speaks_names_what_is_missing() -> None:
    """The library, and what to install."""
    with pytest.raises(Away, match="pip install"):
        opened("nobody-speaks-this://bucket", {})


@pytest.mark.parametrize("bad", ["", "../x", "a/b", "a b", ".a", "a" * 200])
def test_no_key_is_made_of_what_is_no_id(bad: str) -> None:
    """Names of targets and jobs are data, and never part of a key."""
    for make in (panel_key, lambda one: bundle_key("p_1", "f_1", one), lambda one: log_key(one, "f_1", 1)):
        with pytest.raises(ValueError, match="is no id"):
            make(bad)
