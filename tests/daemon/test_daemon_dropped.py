"""A dropped directory is read without leaving it: links, pipes and giants are refused by name."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from daemon_samples import document, write_plan
from hypothesis import given
from hypothesis import strategies as st

from daemon import beneath, dropped
from daemon.beneath import NotRegular, open_beneath, open_regular
from daemon.dropped import copy_master, lacking_words, look, opened
from daemon.errors import Refused

SECRET = "outside"


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan directory; beside it a file that must never be read."""
    (tmp_path / "secret.json").write_text(SECRET)
    return write_plan(tmp_path / "inbox" / "plan", document())


@pytest.fixture
def at() -> Iterator[Callable[[Path], int]]:
    """Opens directories, and closes them in the end."""
    held: list[int] = []

    def hold(path: Path) -> int:
        held.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY))
        return held[-1]

    yield hold
    for descriptor in held:
        os.close(descriptor)


@pytest.fixture(params=["by the kernel", "step by step"])
def both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel keep to the directory, and do without it."""
    monkeypatch.setattr(beneath, "kernel_keeps_beneath", lambda: request.param == "by the kernel")


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
def test_what_is_no_plain_file_is_refused(
    spoil: Callable[[Path], None], words: str, plan: Path, at: Callable[[Path], int]
) -> None:
    """Each trick is refused with a sentence that names it, and says what to do."""
    spoil(plan)
    with pytest.raises(Refused) as caught:
        look(at(plan))
    assert words in caught.value.what
    assert caught.value.fix
    str(caught.value).encode("utf-8")


def test_a_look_into_too_much_ends(
    plan: Path, at: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the files are spread over directories, so many are looked at and no more."""
    monkeypatch.setattr(dropped, "ENTRIES_MAX", 8)
    for number in range(4):
        (plan / f"{number}").mkdir()
        (plan / f"{number}" / "file").touch()
    with pytest.raises(Refused, match="too many files"):
        look(at(plan))


def linked_parent(plan: Path) -> None:
    """Let a directory on the way to the plan be a link to one outside."""
    outside = write_plan(plan.parents[1] / "elsewhere" / "training_plan", SECRET).parent
    (plan / "master_training_plan.json").unlink()
    (plan / "globals").symlink_to(outside)


def linked_outside(plan: Path) -> None:
    """Let the plan be a second name of a file outside."""
    (plan / "master_training_plan.json").unlink()
    os.link(plan.parents[1] / "secret.json", plan / "master_training_plan.json")


def device(plan: Path) -> None:
    """Let the plan be what would never end."""
    (plan / "master_training_plan.json").unlink()
    os.mkfifo(plan / "master_training_plan.json")


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("spoil", [symlinked_file, linked_parent, linked_outside, device])
def test_the_read_itself_follows_nothing(
    spoil: Callable[[Path], None], plan: Path, at: Callable[[Path], int], tmp_path: Path
) -> None:
    """Even when the look was passed, what is swapped in afterwards is not read and never waited for."""
    spoil(plan)
    found: list[object] = []
    with suppress(Refused):
        found.append(copy_master(at(plan), tmp_path / "copy"))
    assert found == ([None] if spoil is linked_parent else [])
    assert not (tmp_path / "copy").exists()


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize(
    "path", ["../secret.json", "/etc/passwd", "inside/../../secret.json", "away/secret.json"]
)
def test_no_path_leads_out(path: str, plan: Path, at: Callable[[Path], int]) -> None:
    """What leads above the directory, from the root or through a link is not opened."""
    (plan / "inside").mkdir()
    (plan / "away").symlink_to(plan.parents[1])
    (plan.parent / "secret.json").write_text(SECRET)
    with pytest.raises(OSError, match=r"."):
        os.close(open_beneath(at(plan), path, os.O_RDONLY))


@pytest.mark.usefixtures("both_ways")
def test_what_is_no_file_is_looked_at_and_not_opened(plan: Path, at: Callable[[Path], int]) -> None:
    """A pipe and a directory are told apart from a file before anything is opened to read."""
    pipe(plan)
    (plan / "directory").mkdir()
    for name in ("pipe", "directory"):
        with pytest.raises(NotRegular):
            open_regular(at(plan), name)
    descriptor = open_regular(at(plan), "master_training_plan.json")
    assert stat.S_ISREG(os.fstat(descriptor).st_mode)
    os.close(descriptor)


def test_the_copy_is_what_was_hashed_and_nobody_elses(
    plan: Path, at: Callable[[Path], int], tmp_path: Path
) -> None:
    """One read gives the hash and the copy, which nobody else can read; what comes later is not in it."""
    text = (plan / "master_training_plan.json").read_bytes()
    found = copy_master(at(plan), tmp_path / "copy")
    (plan / "master_training_plan.json").write_text(SECRET)
    assert found is not None
    assert (tmp_path / "copy").read_bytes() == text
    assert (found.sha256, found.size, found.uid) == (
        hashlib.sha256(text).hexdigest(),
        len(text),
        os.getuid(),
    )
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600


def test_a_giant_is_refused(plan: Path, at: Callable[[Path], int], tmp_path: Path) -> None:
    """A master plan beyond the limit is refused, however big it says it is."""
    with pytest.raises(Refused, match="too big: more than 10 bytes"):
        copy_master(at(plan), tmp_path / "copy", bytes_max=10)


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
    name: str, make: Callable[[Path], object], words: str, tmp_path: Path, at: Callable[[Path], int]
) -> None:
    """What lies in the drop folder and is no directory is not opened, and never waited for."""
    make(tmp_path / name)
    with pytest.raises(Refused) as caught, opened(at(tmp_path), name):
        raise AssertionError
    assert words in str(caught.value)


def test_a_shortage_of_ours_is_no_fault_of_the_plan(
    plan: Path, at: Callable[[Path], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without descriptors left nothing is refused: the error passes and the plan is looked at again."""
    parent = at(plan.parent)

    def none_left(*_words: object, **_more: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", none_left)
        with pytest.raises(OSError, match="Too many open files"), opened(parent, plan.name):
            raise AssertionError
    with opened(parent, plan.name) as descriptor:
        assert look(descriptor).entries == 1


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("", "master_training_plan.json"),
        ("", "training_plan.json"),
        ("globals/training_plan", "master_training_plan.json"),
        ("METRICS/training_plan", "training_plan.json"),
    ],
)
def test_the_plan_is_found_where_plans_lie(
    where: str, name: str, tmp_path: Path, at: Callable[[Path], int]
) -> None:
    """A bare plan directory and a whole results directory are read alike, the older places too."""
    write_plan(tmp_path / "drop" / where, "content", name=name)
    found = copy_master(at(tmp_path / "drop"), tmp_path / "copy")
    assert found is not None
    assert found.path == f"{where}/{name}".lstrip("/")
    assert (tmp_path / "copy").read_text() == "content"


def test_a_results_directory_with_its_own_link_is_taken(tmp_path: Path, at: Callable[[Path], int]) -> None:
    """The link that belongs to the results layout is let be, and not followed."""
    results = tmp_path / "results"
    write_plan(results / "globals" / "training_plan", "content")
    (results / "METRICS").mkdir()
    (results / "METRICS" / "training_plan").symlink_to("../globals/training_plan")
    assert look(at(results)) == look(at(results))
    found = copy_master(at(results), tmp_path / "copy")
    assert found is not None
    assert found.path == "globals/training_plan/master_training_plan.json"


def test_nothing_there_is_no_error(tmp_path: Path, at: Callable[[Path], int]) -> None:
    """A directory without a plan is not complete yet; the words for it name the view that is no plan."""
    (tmp_path / "plan").mkdir()
    assert copy_master(at(tmp_path / "plan"), tmp_path / "copy") is None
    assert lacking_words(at(tmp_path / "plan")) == "there is no master_training_plan.json in it"
    write_plan(tmp_path / "plan" / "globals" / "training_plan", "jobs: []", name="training_plan.yaml")
    assert "globals/training_plan/training_plan.yaml is a view for people" in lacking_words(
        at(tmp_path / "plan")
    )


def test_a_look_sees_every_change(plan: Path, at: Callable[[Path], int]) -> None:
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


@given(st.text(max_size=20))
def test_names_are_shown_harmlessly(name: str) -> None:
    """Whatever a name holds, what is shown of it is one printable line."""
    shown = dropped.shown(name)
    assert shown.isprintable()
