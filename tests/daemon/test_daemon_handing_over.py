"""Handing plans over that are no directories yet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_samples import living_daemon
from store_samples import cs_job
from store_samples import document as document_of

from daemon.handing_over import NotHandedOver, drop_document, find_receipt, is_at_work, wait_for_receipt
from daemon.shelves import ACCEPTED, REASON_JSON, REASON_TEXT, RECEIPT, REJECTED
from store import load_plan_directory, open_store


def test_a_document_lands_whole_under_a_safe_name(tmp_path: Path) -> None:
    """It is a plan directory like any other, whatever its name was; nothing hidden is left beside it."""
    document = document_of(cs_job("y"))
    dropped = drop_document(document, tmp_path / "inbox", name="../../evil name")
    assert dropped.parent == tmp_path / "inbox"
    assert [path.name for path in (tmp_path / "inbox").iterdir()] == [dropped.name]
    assert not dropped.name.startswith(".")
    assert load_plan_directory(dropped)[0] == document


def test_a_document_that_is_no_json_leaves_nothing_behind(tmp_path: Path) -> None:
    """Not a number is none of JSON's numbers."""
    with pytest.raises(ValueError, match="JSON"):
        drop_document({"jobs": [float("nan")]}, tmp_path / "inbox")
    assert not (tmp_path / "inbox").exists()


def test_a_drop_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """A file stands in its place: the error says what and where."""
    (tmp_path / "inbox").write_text("", encoding="utf-8")
    with pytest.raises(NotHandedOver) as told:
        drop_document({"jobs": []}, tmp_path / "inbox")
    assert "the plan could not be put into the drop folder" in str(told.value)


def test_the_receipt_of_a_document_is_found_by_what_it_was_dropped_as(tmp_path: Path) -> None:
    """As for a directory: once it is gone from the folder its shelf says what became of it."""
    dropped = drop_document({"jobs": []}, tmp_path)
    assert wait_for_receipt(dropped, is_late=lambda: True) is None
    shelf = tmp_path / ACCEPTED / "p_1"
    shelf.parent.mkdir()
    dropped.rename(shelf)
    (shelf / ".dropped-as").write_text(f"{dropped.name}\n", encoding="utf-8")
    (shelf / RECEIPT).write_text(json.dumps({"plan": "p_1", "new": True, "jobs": 1, "fits": 2}))
    found = find_receipt(tmp_path, dropped.name)
    assert found is not None
    assert (found.accepted, found.plan, found.lines) == (True, "p_1", ("accepted as p_1: 1 job, 2 fits",))


def test_half_a_receipt_is_none_yet(tmp_path: Path) -> None:
    """What cannot be moved gets its receipt where it is looked for, file by file: the whole is waited for."""
    place = tmp_path / REJECTED / "odd"
    place.mkdir(parents=True)
    (place / REASON_TEXT).write_text("it is empty\n", encoding="utf-8")
    reason = json.dumps({"sentence": "it is empty"})
    parts = ["", reason[:5], reason]

    def is_late() -> bool:
        (place / REASON_JSON).write_text(parts.pop(0), encoding="utf-8")
        return False

    found = wait_for_receipt(tmp_path / "odd", is_late=is_late)
    assert found is not None
    assert (found.accepted, found.lines, parts) == (False, ("it is empty",), [])


def test_nobody_is_at_work_in_a_fresh_log(sqlite_url: str) -> None:
    """Until a daemon starts; this very process stands for one."""
    with open_store(sqlite_url) as store:
        assert not is_at_work(store.reading)
        store.daemon_started(living_daemon())
        assert is_at_work(store.reading)
