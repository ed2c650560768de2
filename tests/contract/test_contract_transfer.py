"""A log goes from engine to engine through a file, every hash, id and payload as it was."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from keeping_samples import ROUTE, finished, forge, history, opened, rows_of, unguarded
from store_samples import Clock, projected_rows

from store import DatabaseUnavailable, LogDamaged, PlanStore, open_store
from store.database import connect
from store.errors import KeepingRefused
from store.schema import upgrade
from store.seals import seal_log, seals_of
from store.transfer import check_transfer, export_log, import_log

Edit = Callable[[list[str]], None]


def exported(url: str, path: Path) -> Path:
    """The log of an address as a file."""
    with opened(url) as database:
        return export_log(database, path).path


def test_a_log_keeps_every_byte_from_sqlite_to_postgres_and_back(
    sqlite_url: str, postgres_url: str, tmp_path: Path, clock: Clock
) -> None:
    """SQLite to Postgres to SQLite: the same rows, seals and projections, and the same file again."""
    with open_store(sqlite_url, clock=clock) as store:
        history(store, clock)
    seal_log(sqlite_url, tmp_path / "seals.jsonl", every=10)
    first = exported(sqlite_url, tmp_path / "first.jsonl")
    with opened(postgres_url) as there:
        import_log(there, first)
    second = exported(postgres_url, tmp_path / "second.jsonl.gz")
    back_url = f"sqlite:///{tmp_path}/back.db"
    upgrade(back_url)
    with opened(back_url) as back:
        import_log(back, second)
    third = exported(back_url, tmp_path / "third.jsonl")
    assert rows_of(sqlite_url) == rows_of(postgres_url) == rows_of(back_url)
    with opened(sqlite_url) as here, opened(postgres_url) as there, opened(back_url) as back:
        assert projected_rows(here) == projected_rows(there) == projected_rows(back)
        with here.snapshot() as one, there.snapshot() as other:
            assert seals_of(one) == seals_of(other) != ()
    assert gzip.decompress(second.read_bytes()).splitlines()[1:] == first.read_bytes().splitlines()[1:]
    assert third.read_bytes().splitlines()[1:] == first.read_bytes().splitlines()[1:]
    for url in (postgres_url, back_url):
        with open_store(url) as store:
            assert store.verify().problems == ()
            finished(store, "y9")
            assert store.verify().problems == ()


def test_how_far_each_duty_has_come_goes_with_the_log(
    sqlite_url: str, postgres_url: str, tmp_path: Path, clock: Clock
) -> None:
    """A channel that was down is told the rest by the host that has the log next; old files know of none."""
    with open_store(sqlite_url, clock=clock) as store:
        history(store, clock)
        store.bookmark("telling webhook", seq=7, data={"v": 1, "event": "é", "told_at": {}})
        store.bookmark("schedule safe", seq=9, data={"began_at": "2026-11-24"})
        marks = store.reading.bookmarks()
    first = exported(sqlite_url, tmp_path / "first.jsonl")
    with opened(postgres_url) as there:
        import_log(there, first)
    with open_store(postgres_url) as store:
        assert store.reading.bookmarks() == marks != ()
    lines = first.read_text(encoding="utf-8").splitlines()
    header = {name: value for name, value in json.loads(lines[0]).items() if name != "cursors"}
    first.write_text("\n".join([json.dumps(header), *lines[1:], ""]), encoding="utf-8")
    older = f"sqlite:///{tmp_path}/older.db"
    upgrade(older)
    with opened(older) as there:
        import_log(there, first)
    with open_store(older) as store:
        assert store.reading.bookmarks() == ()


def test_the_header_and_the_lines_are_what_the_format_says(
    plan_store: PlanStore, database_url: str, tmp_path: Path, clock: Clock
) -> None:
    """The first line names format, version, counts and head; each event is an array in the columns' order."""
    history(plan_store, clock)
    lines = exported(database_url, tmp_path / "log.jsonl").read_text().splitlines()
    header, last = json.loads(lines[0]), json.loads(lines[-1])
    assert (header["format"], header["version"]) == ("trainwright-log", 1)
    assert header["events"] == len(lines) - 1 == plan_store.head_seq()
    assert header["head"] == {"seq": last[0], "hash": last[15]}
    assert (header["log_start"], header["seals"]) == (None, 0)
    assert json.loads(last[14]) == plan_store.events(after=last[0] - 1)[0].data


def test_only_an_empty_log_takes_a_file(plan_store: PlanStore, database_url: str, tmp_path: Path) -> None:
    """A log with one event refuses, says so, and stays as it is."""
    plan_store.record("n_1", [ROUTE])
    path = exported(database_url, tmp_path / "log.jsonl")
    with opened(database_url) as database, pytest.raises(KeepingRefused, match="has events already"):
        import_log(database, path)
    assert plan_store.head_seq() == 1


def test_a_file_of_an_empty_log_is_taken(plan_store: PlanStore, database_url: str, tmp_path: Path) -> None:
    """No events are a log too."""
    path = exported(database_url, tmp_path / "log.jsonl")
    with opened(database_url) as database:
        assert import_log(database, path).events == 0


def _change_payload(lines: list[str]) -> None:
    lines[5] = lines[5].replace("y1", "y7")


def _drop_a_line(lines: list[str]) -> None:
    del lines[5]


def _cut_the_end(lines: list[str]) -> None:
    del lines[-3:]


def _swap(lines: list[str]) -> None:
    lines[5], lines[6] = lines[6], lines[5]


def _no_row(lines: list[str]) -> None:
    lines[5] = '["one", 2]'


def _other_head(lines: list[str]) -> None:
    header = json.loads(lines[0])
    header["head"]["hash"] = "00" * 32
    lines[0] = json.dumps(header)


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (_change_payload, "event 5: its hash does not follow"),
        (_drop_a_line, "event 6: it follows event 4"),
        (_cut_the_end, "ends before it: the file was cut off"),
        (_swap, "event 6: it follows event 4"),
        (_no_row, r"event 5: its line 6 in .* is no row"),
        (_other_head, "names another last event"),
    ],
)
def test_the_first_bad_row_stops_an_import_and_nothing_is_kept(
    database_url: str, sqlite_url: str, tmp_path: Path, clock: Clock, edit: Edit, complaint: str
) -> None:
    """A file that was changed anywhere is refused with the event it shows at; the log stays empty."""
    source = f"sqlite:///{tmp_path}/source.db"
    with open_store(source, clock=clock) as store:
        history(store, clock)
    path = exported(source, tmp_path / "log.jsonl")
    lines = path.read_text().splitlines()
    edit(lines)
    path.write_text("\n".join(lines) + "\n")
    with opened(database_url) as database:
        with pytest.raises(LogDamaged, match=complaint):
            import_log(database, path)
        with pytest.raises(LogDamaged, match=complaint):
            check_transfer(path)
        with database.snapshot() as tx:
            assert tx.query("SELECT COUNT(*) FROM event") == [(0,)]
            assert tx.query("SELECT COUNT(*) FROM plan") == [(0,)]


def test_a_forged_log_is_taken_for_what_its_chain_says(sqlite_url: str, tmp_path: Path, clock: Clock) -> None:
    """A chain computed anew is a chain: what finds the forgery are the seals outside."""
    with open_store(sqlite_url, clock=clock) as store:
        history(store, clock)
    forge(sqlite_url, 5)
    path = exported(sqlite_url, tmp_path / "log.jsonl")
    assert check_transfer(path).events == len(rows_of(sqlite_url))


def test_a_damaged_log_is_not_exported(
    plan_store: PlanStore, database_url: str, tmp_path: Path, clock: Clock
) -> None:
    """A row that does not fit stops the export, and no file appears."""
    history(plan_store, clock)
    with unguarded(database_url) as tx:
        tx.execute("UPDATE event SET actor = 'mallory' WHERE seq = 4")
    with pytest.raises(LogDamaged, match="event 4"):
        exported(database_url, tmp_path / "log.jsonl")
    assert list(tmp_path.glob("*jsonl*")) == []
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize("content", [b"", b"{}\n", b"not json\n", b"\x1f\x8b garbage", b"[1, 2]\n"])
def test_a_file_that_is_no_export_is_refused(sqlite_url: str, tmp_path: Path, content: bytes) -> None:
    """Whatever the file holds, the answer is a sentence that names it."""
    path = tmp_path / "wrong.jsonl"
    path.write_bytes(content)
    with opened(sqlite_url) as database, pytest.raises(KeepingRefused, match=r"wrong\.jsonl"):
        import_log(database, path)


def test_a_compressed_file_that_was_cut_is_refused(sqlite_url: str, tmp_path: Path, clock: Clock) -> None:
    """A half of a compressed file is damage, not an end."""
    with open_store(sqlite_url, clock=clock) as store:
        history(store, clock)
    path = exported(sqlite_url, tmp_path / "log.jsonl.gz")
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(KeepingRefused, match="damaged"):
        check_transfer(path)


def test_a_format_of_another_version_is_named(sqlite_url: str, tmp_path: Path) -> None:
    """A file of a later version says which version wrote it."""
    path = tmp_path / "later.jsonl"
    path.write_text('{"format": "trainwright-log", "version": 9}\n')
    with opened(sqlite_url) as database, pytest.raises(KeepingRefused, match="version 9"):
        import_log(database, path)


def test_an_export_never_replaces_a_file(plan_store: PlanStore, database_url: str, tmp_path: Path) -> None:
    """A name that is taken stays what it is."""
    path = tmp_path / "log.jsonl"
    path.write_text("mine")
    with pytest.raises(KeepingRefused, match="there already"):
        exported(database_url, path)
    assert path.read_text() == "mine"


def test_leases_are_not_carried(
    plan_store: PlanStore, database_url: str, tmp_path: Path, clock: Clock
) -> None:
    """A fit that was running is taken back on the new side and ends there."""
    history(plan_store, clock)
    plan_store.claim("w", stage="cpu")
    path = exported(database_url, tmp_path / "log.jsonl")
    copy = f"sqlite:///{tmp_path}/copy.db"
    with open_store(copy, clock=clock) as store:
        import_log(connect(copy), path)
        assert [rescue.cause for rescue in store.rescue()] == ["lease ran out"]
        assert store.verify().ok


def test_a_disk_that_refuses_is_said(sqlite_url: str, tmp_path: Path) -> None:
    """A folder that cannot be made is a sentence, not a traceback."""
    (tmp_path / "file").write_text("")
    with pytest.raises(KeepingRefused, match="cannot be read or written"):
        exported(sqlite_url, tmp_path / "file" / "log.jsonl")
    with opened(sqlite_url) as database, pytest.raises(KeepingRefused, match="cannot be read or written"):
        import_log(database, tmp_path / "missing.jsonl")
    assert not isinstance(KeepingRefused, DatabaseUnavailable)
