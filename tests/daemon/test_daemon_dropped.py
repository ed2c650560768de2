"""A dropped directory is read without leaving it: links, pipes and giants are refused by name."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from daemon_samples import document, write_plan
from hypothesis import given
from hypothesis import strategies as st

from daemon import dropped
from daemon.dropped import look, opened, read_master
from daemon.errors import Refused

SECRET = "outside"


def at(path: Path) -> int:
    """A descriptor of a directory."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan directory; beside it a file that must never be read."""
    (tmp_path / "secret.json").write_text(SECRET)
    return write_plan(tmp_path / "inbox" / "plan", document())


def symlinked_file(plan: Path) -> None:
    (plan / "master_training_plan.json").unlink()
    (plan / "master_training_plan.json").symlink_to(plan.parents[1] / "secret.json")


def symlinked_directory(plan: Path) -> None:
    (plan / "by_target").symlink_to(plan.parents[1])


def foreign_known_link(plan: Path) -> None:
    (plan / "METRICS").mkdir()
    (plan / "METRICS" / "training_plan").symlink_to("/etc")


def pipe(plan: Path) -> None:
    os.mkfifo(plan / "pipe")


def hard_link(plan: Path) -> None:
    os.link(plan.parents[1] / "secret.json", plan / "second.json")


def not_utf8(plan: Path) -> None:
    os.close(os.open(os.fsencode(plan) + b"/\xff\xfe.json", os.O_CREAT | os.O_WRONLY))


def too_deep(plan: Path) -> None:
    plan.joinpath(*["d"] * 14).mkdir(parents=True)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (symlinked_file, "master_training_plan.json is a symbolic link"),
        (symlinked_directory, "by_target is a symbolic link"),
        (foreign_known_link, "METRICS/training_plan is a symbolic link"),
        (pipe, "pipe is no regular file"),
        (hard_link, "second.json is a hard link"),
        (not_utf8, "is not UTF-8"),
        (too_deep, "lie too deep"),
    ],
)
def test_what_is_no_plain_file_is_refused(spoil: Callable[[Path], None], words: str, plan: Path) -> None:
    """Each trick is refused with a sentence that names it, and says what to do."""
    spoil(plan)
    descriptor = at(plan)
    try:
        with pytest.raises(Refused) as caught:
            look(descriptor)
    finally:
        os.close(descriptor)
    assert words in caught.value.what
    assert caught.value.fix
    str(caught.value).encode("utf-8")


@pytest.mark.parametrize("spoil", [symlinked_file, hard_link])
def test_the_read_itself_follows_nothing(spoil: Callable[[Path], None], plan: Path) -> None:
    """Even when the look was passed, a link swapped in afterwards is not read."""
    if spoil is hard_link:
        (plan / "master_training_plan.json").unlink()
        os.link(plan.parents[1] / "secret.json", plan / "master_training_plan.json")
    else:
        spoil(plan)
    descriptor = at(plan)
    with pytest.raises(Refused):
        read_master(descriptor)
    os.close(descriptor)


def test_a_giant_is_refused(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A master plan beyond the limit is refused, however big it says it is."""
    monkeypatch.setattr(dropped, "MASTER_BYTES_MAX", 10)
    descriptor = at(plan)
    with pytest.raises(Refused, match="too big"):
        read_master(descriptor)
    os.close(descriptor)


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("link", lambda path: path.symlink_to("/etc"), "link is a symbolic link"),
        ("file", lambda path: path.write_text("{}"), "file is not a directory"),
        ("pipe", os.mkfifo, "pipe is not a directory"),
        ("gone", lambda _path: None, "gone is not a directory"),
    ],
)
def test_only_a_directory_is_opened(
    name: str, make: Callable[[Path], object], words: str, tmp_path: Path
) -> None:
    """What lies in the drop folder and is no directory is not opened, and never waited for."""
    make(tmp_path / name)
    descriptor = at(tmp_path)
    with pytest.raises(Refused) as caught, opened(descriptor, name):
        raise AssertionError
    assert words in str(caught.value)
    os.close(descriptor)


def test_a_shortage_of_ours_is_no_fault_of_the_plan(plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without descriptors left nothing is refused: the error passes and the plan is looked at again."""
    parent = at(plan.parent)

    def none_left(*_words: object, **_more: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none_left)
        with pytest.raises(OSError, match="Too many open files"), opened(parent, plan.name):
            raise AssertionError
    with opened(parent, plan.name) as descriptor:
        assert look(descriptor).entries
    os.close(parent)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("", "master_training_plan.json"),
        ("", "training_plan.json"),
        ("globals/training_plan", "master_training_plan.json"),
        ("METRICS/training_plan", "training_plan.json"),
    ],
)
def test_the_plan_is_found_where_plans_lie(where: str, name: str, tmp_path: Path) -> None:
    """A bare plan directory and a whole results directory are read alike, the older places too."""
    write_plan(tmp_path / "drop" / where, "content", name=name)
    descriptor = at(tmp_path / "drop")
    assert read_master(descriptor) == (b"content", f"{where}/{name}".lstrip("/"))
    os.close(descriptor)


def test_a_results_directory_with_its_own_link_is_taken(tmp_path: Path) -> None:
    """The link that belongs to the results layout is let be, and not followed."""
    results = tmp_path / "results"
    write_plan(results / "globals" / "training_plan", "content")
    (results / "METRICS").mkdir()
    (results / "METRICS" / "training_plan").symlink_to("../globals/training_plan")
    descriptor = at(results)
    assert look(descriptor) == look(descriptor)
    found = read_master(descriptor)
    assert found is not None
    assert found[1] == "globals/training_plan/master_training_plan.json"
    os.close(descriptor)


def test_nothing_there_is_no_error(tmp_path: Path) -> None:
    """A directory without a plan is not complete yet, which is for others to judge."""
    descriptor = at(tmp_path)
    assert read_master(descriptor) is None
    os.close(descriptor)


def test_a_look_sees_every_change(plan: Path) -> None:
    """A new file, another size, another time, another file under the name: each makes another look."""
    descriptor = at(plan)
    looks = [look(descriptor)]
    (plan / "more").write_text("1")
    looks.append(look(descriptor))
    (plan / "more").write_text("12")
    looks.append(look(descriptor))
    os.utime(plan / "more", (1, 1))
    looks.append(look(descriptor))
    (plan / ".ready").touch()
    looks.append(look(descriptor))
    assert len(set(looks)) == 5
    assert [one.ready for one in looks] == [False] * 4 + [True]
    os.close(descriptor)


@given(st.text(max_size=20))
def test_names_are_shown_harmlessly(name: str) -> None:
    """Whatever a name holds, what is shown of it is one printable line."""
    shown = dropped.shown(name)
    assert shown.isprintable()
