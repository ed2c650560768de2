"""What was installed is known, replaced by newer versions, and removed; what others wrote is theirs."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

import pytest
from unit_samples import RECORD

from daemon.installing import FilesInTheWay, Installation, NotInImage, NotInstalled, below
from daemon.units import UnitFile

UNIT, OTHER = PurePosixPath("/etc/systemd/a.service"), PurePosixPath("/etc/systemd/a.service.d/b.conf")
CONFIG, LINK = PurePosixPath("/etc/tw/config.toml"), PurePosixPath("/var/lib/tw/config.toml")


def files(unit: str = "one", other: str | None = "two") -> list[UnitFile]:
    """A unit, perhaps a drop-in, and a configuration that is the person's."""
    found = [UnitFile(path=UNIT, text=unit), UnitFile(path=CONFIG, text="first", yours=True)]
    return found if other is None else [*found, UnitFile(path=OTHER, text=other)]


def everything(image: Path) -> list[str]:
    """All that lies in an image."""
    return sorted(str(path.relative_to(image)) for path in image.rglob("*"))


def changes(image: Path, *wanted: UnitFile, force: bool = False) -> dict[str, str]:
    """What writing these files would do, by name."""
    planned = Installation(RECORD, root=image).planned(wanted, force=force)
    return {change.path.name: change.what for change in planned}


def write(image: Path, *wanted: UnitFile, **options: object) -> None:
    """Write files as another run of the command does."""
    Installation(RECORD, root=image).write(wanted, **options)  # type: ignore[arg-type]


def test_installing_twice_changes_nothing(tmp_path: Path) -> None:
    """The second time every file is unchanged and is not even written."""
    assert set(changes(tmp_path, *files()).values()) == {"written"}
    write(tmp_path, *files(), units=["a.service"])
    before = [below(tmp_path, file.path).stat().st_mtime_ns for file in files()]
    assert set(changes(tmp_path, *files()).values()) == {"unchanged"}
    write(tmp_path, *files(), units=["a.service"])
    assert before == [below(tmp_path, file.path).stat().st_mtime_ns for file in files()]
    assert below(tmp_path, UNIT).stat().st_mode & 0o777 == 0o644


def test_removing_leaves_what_was_there_before(tmp_path: Path) -> None:
    """Files, the folders made for them and the record go; a folder that others use stays as it was."""
    (tmp_path / "etc/systemd").mkdir(parents=True)
    (tmp_path / "etc/systemd/theirs.service").write_text("x")
    before = everything(tmp_path)
    write(tmp_path, *files())
    assert len(everything(tmp_path)) > len(before)
    Installation(RECORD, root=tmp_path).remove()
    assert everything(tmp_path) == before
    with pytest.raises(NotInstalled):
        Installation(RECORD, root=tmp_path).remove()


def test_a_newer_version_replaces_ours_and_takes_away_what_it_has_no_more(tmp_path: Path) -> None:
    """A drop-in that is no longer asked for goes with the next installation."""
    write(tmp_path, *files())
    wanted = files("newer", other=None)
    assert changes(tmp_path, *wanted) == {
        "a.service": "replaced", "config.toml": "unchanged", "b.conf": "removed",
    }  # fmt: skip
    write(tmp_path, *wanted)
    assert below(tmp_path, UNIT).read_text() == "newer"
    assert not below(tmp_path, OTHER).exists()
    assert str(OTHER) not in Installation(RECORD, root=tmp_path).record.files


@pytest.mark.parametrize("kind", ["changed", "foreign", "masked"])
def test_what_is_not_ours_is_in_the_way(tmp_path: Path, kind: str) -> None:
    """A unit changed by hand, one copied by hand or a masked one stops the installation before it writes."""
    if kind == "changed":
        write(tmp_path, *files())
    below(tmp_path, UNIT).parent.mkdir(parents=True, exist_ok=True)
    if kind == "masked":
        below(tmp_path, UNIT).symlink_to("/dev/null")
    else:
        below(tmp_path, UNIT).write_text("by hand")
    before = everything(tmp_path)
    with pytest.raises(FilesInTheWay, match=r"a\.service"):
        write(tmp_path, *files("newer"))
    assert everything(tmp_path) == before
    write(tmp_path, *files("newer"), force=True)
    assert below(tmp_path, UNIT).read_text() == "newer"
    saved = below(tmp_path, UNIT).with_name("a.service.saved")
    assert saved.is_symlink() if kind == "masked" else saved.read_text() == "by hand"


def test_a_configuration_is_a_persons_own_once_they_changed_it(tmp_path: Path) -> None:
    """Until then a newer one takes its place; then it is never replaced, not by force either, nor removed."""
    write(tmp_path, *files())
    write(tmp_path, UnitFile(path=CONFIG, text="newer", yours=True), *files()[2:])
    assert below(tmp_path, CONFIG).read_text() == "newer"
    below(tmp_path, CONFIG).write_text("mine")
    assert changes(tmp_path, *files())["config.toml"] == "kept"
    write(tmp_path, *files(), force=True)
    assert below(tmp_path, CONFIG).read_text() == "mine"
    Installation(RECORD, root=tmp_path).remove()
    assert everything(tmp_path) == ["etc", "etc/tw", "etc/tw/config.toml"]


def test_what_was_changed_by_hand_stays(tmp_path: Path) -> None:
    """It is named, kept when the rest is removed, and kept when it is no longer asked for."""
    write(tmp_path, *files())
    below(tmp_path, OTHER).write_text("by hand")
    installation = Installation(RECORD, root=tmp_path)
    assert installation.changed_by_hand() == (OTHER,)
    assert {change.path.name: change.what for change in installation.ending()} == {
        "a.service": "removed", "config.toml": "removed", "b.conf": "kept",
    }  # fmt: skip
    write(tmp_path, *files(other=None))
    assert below(tmp_path, OTHER).read_text() == "by hand"
    Installation(RECORD, root=tmp_path).remove()
    assert everything(tmp_path)[-1] == "etc/systemd/a.service.d/b.conf"


def test_a_link_that_was_made_for_us_goes_and_a_file_in_its_place_stays(tmp_path: Path) -> None:
    """The link to the configuration is ours as long as it is a link."""
    below(tmp_path, LINK).parent.mkdir(parents=True)
    for put, left in (
        (lambda place: place.symlink_to("/x"), False),
        (lambda place: place.write_text("x"), True),
    ):
        write(tmp_path, *files(), links=[LINK])
        put(below(tmp_path, LINK))
        write(tmp_path, *files(), links=[LINK])
        assert os.path.lexists(below(tmp_path, LINK))
        Installation(RECORD, root=tmp_path).remove()
        assert below(tmp_path, LINK).is_file() == left


def test_an_installation_remembers_what_was_asked_and_enabled(tmp_path: Path) -> None:
    """The next run, perhaps of a newer version, can do the same again."""
    write(tmp_path, *files(), units=["a.service"], asked={"variants": ["gpu"]})
    record = Installation(RECORD, root=tmp_path).record
    assert (record.units, record.asked) == (["a.service"], {"variants": ["gpu"]})


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"files": 3, "links": [], "folders": [], "units": [], "asked": {}}', "\x00"]
)
def test_a_record_that_cannot_be_read_makes_everything_foreign(tmp_path: Path, content: str) -> None:
    """Nothing is removed on a guess; the same files may be written again."""
    write(tmp_path, *files())
    below(tmp_path, RECORD).write_text(content)
    installation = Installation(RECORD, root=tmp_path)
    assert installation.ending() == ()
    assert set(changes(tmp_path, *files()).values()) == {"unchanged"}
    with pytest.raises(FilesInTheWay):
        write(tmp_path, *files("newer"))


def test_an_image_is_not_left_by_a_link(tmp_path: Path) -> None:
    """A link in an image that leads to the machine itself is refused; nothing is written through it."""
    image, machine = tmp_path / "image", tmp_path / "machine"
    (image / "etc").mkdir(parents=True)
    machine.mkdir()
    (image / "etc/systemd").symlink_to(machine)
    with pytest.raises(NotInImage):
        write(image, *files())
    assert list(machine.iterdir()) == []
