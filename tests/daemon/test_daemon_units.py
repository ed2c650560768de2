"""The units of this machine are those of the distribution with this machine's places in them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
from unit_samples import files_of, place_of

from daemon.units import (
    GPU,
    NETWORK,
    ON_DEMAND,
    POSTGRES,
    ServiceImpossible,
    enabled_units,
    needed_paths,
    read_config,
    templates_dir,
    unit_files,
)

PLACES = "trainwright.service.d/50-places.conf"
HOME = PurePosixPath("/home/alice/.config")


def text_of(name: str, **fields: object) -> str:
    """The text of a file for a place."""
    return files_of(**fields)[name].text


def test_in_the_default_place_every_file_is_as_it_was_published() -> None:
    """Nothing is added or taken away where environment, account and folder are the usual ones."""
    files = files_of(variants=frozenset((GPU, ON_DEMAND)))
    for name, file in files.items():
        published = {path.name: path for path in templates_dir().rglob("*") if "user" not in path.parts}
        wanted = {"trainwright.conf": templates_dir() / file.path.parent.name / "trainwright.conf"}
        key = name.rpartition("/")[2].lstrip("0123456789-")
        assert file.text == wanted.get(name, published.get(key, Path())).read_text(), name
    assert PLACES not in files


def test_no_default_place_is_left_where_the_places_are_others() -> None:
    """Program, folder, inbox and account stand in every file that names them; no unit asks for /var/lib."""
    files = files_of(
        program=PurePosixPath("/srv/tw/bin/trainwright"),
        folder=PurePosixPath("/srv/work"),
        inbox=PurePosixPath("/srv/drop"),
        account="train",
        group="staff",
        shown=(),
        variants=frozenset((GPU, ON_DEMAND)),
    )
    for name, file in files.items():
        said = "\n".join(line for line in file.text.splitlines() if not line.startswith("#"))
        assert "/opt/trainwright" not in said, name
        assert "/var/lib/trainwright" not in said, name
    service = files["trainwright.service"].text.splitlines()
    assert {
        "ExecStart=/usr/bin/env /srv/tw/bin/trainwright daemon",
        "User=train",
        "Group=staff",
        "WorkingDirectory=/srv/work",
    } <= set(service)
    assert "PathChanged=/srv/drop" in files["trainwright.path"].text.splitlines()
    folders = files_of(account="train", group="staff", folder=PurePosixPath("/srv/work"))
    assert "d /srv/work 0751 train staff -" in folders["trainwright.conf"].text.splitlines()
    assert "ReadWritePaths=/srv/work\nStateDirectory=\n" in files[PLACES].text


@pytest.mark.parametrize(
    ("shown", "lines"),
    [
        (("/opt/venv", "/usr"), []),
        (("/tmp/venv", "/tmp/venv/lib"), ["BindReadOnlyPaths=-/tmp/venv"]),
        (
            ("/root/python", "/home/alice/venv", "/srv/data"),
            ["ProtectHome=tmpfs", "BindReadOnlyPaths=-/home/alice/venv -/root/python"],
        ),
    ],
)
def test_what_the_sandbox_would_hide_is_shown(shown: tuple[str, ...], lines: list[str]) -> None:
    """An environment or a Python in a home or a temporary folder can be read, and nothing else of it."""
    files = files_of(shown=tuple(PurePosixPath(path) for path in shown))
    found = files[PLACES].text.splitlines() if PLACES in files else []
    assert [line for line in found if line.startswith(("Protect", "Bind"))] == lines
    assert (f"trainwright-backup.{PLACES.removeprefix('trainwright.')}" in files) == bool(lines)


def test_what_the_configuration_names_is_written_and_read() -> None:
    """Results, log, inbox and data outside of the folder are seen to; what lies inside needs nothing."""
    said = read_config(
        '[daemon]\nresults_dir = "/data/results"\noutput_dir = "output"\ninbox_dir = "/srv/drop"\n'
        'database_url = "sqlite:////data/log/tw.db"\ndata_dir = "/home/alice/bars"\n',
        "trainwright.toml",
    )
    place = needed_paths(said, place_of())
    assert [str(path) for path in place.written] == ["/data/results", "/srv/drop", "/data/log"]
    assert str(place.inbox) == "/srv/drop"
    files = {file.path.name: file.text for file in unit_files(place)}
    assert "ReadWritePaths=/data/log /data/results /srv/drop\n" in files["50-places.conf"]
    assert "BindReadOnlyPaths=-/home/alice/bars\n" in files["50-places.conf"]
    assert "d /srv/drop 2770 root plans -\n" in files["trainwright.conf"]
    assert "d /data/results :0750 :trainwright :trainwright -\n" in files["trainwright.conf"]


def test_backups_and_keys_elsewhere_can_be_reached() -> None:
    """A scheduled backup is written where it is wanted, and a key in a home is shown to the service."""
    said = read_config(
        '[daemon]\nwebhook_secret_file = "/home/alice/key"\n'
        '[daemon.schedule.nightly]\ncron = "0 2 * * *"\ndo = "backup"\nto = "/mnt/backup"\n'
        '[daemon.schedule.inside]\ncron = "0 3 * * *"\ndo = "backup"\nto = "copies"\n',
        "trainwright.toml",
    )
    place = needed_paths(said, place_of())
    text = text_of(PLACES, written=place.written, shown=place.shown)
    assert "ReadWritePaths=/mnt/backup\n" in text
    assert "BindReadOnlyPaths=-/home/alice/key\n" in text


def test_the_directory_of_artefacts_is_written_to_where_it_is_there() -> None:
    """It is mounted before the start and never made: a file system that is away is no folder of ours."""
    said = read_config('[daemon]\nartefacts = "file:///mnt/shared/t%77"\nray_token_file = "/home/a/t"\n', "x")
    place = needed_paths(said, place_of())
    files = {file.path.name: file.text for file in unit_files(place)}
    lines = files["50-places.conf"].splitlines()
    assert {"ReadWritePaths=-/mnt/shared/tw", "BindReadOnlyPaths=-/home/a/t"} <= set(lines)
    assert "RequiresMountsFor=/home/a/t /mnt/shared/tw" in "\n".join(lines)
    assert "/mnt/shared" not in files["trainwright.conf"]
    hidden = needed_paths({"daemon": {"artefacts": "file:///home/shared"}}, place_of())
    text = files_of(shared=hidden.shared)[PLACES].text
    assert "ProtectHome=tmpfs\n" in text
    assert "BindPaths=-/home/shared\n" in text
    for inside in ("file:///var/lib/trainwright/kept", "s3://bucket/x", 3):
        assert needed_paths({"daemon": {"artefacts": inside}}, place_of()).shared is None
    with pytest.raises(ServiceImpossible, match="no words for this path"):
        unit_files(place_of(shared=PurePosixPath("/mnt/our files")))


def test_a_configuration_that_names_nothing_changes_nothing() -> None:
    """Neither an empty file nor one with other settings has any effect on the units."""
    for text in (
        "",
        "[daemon]\ncpu_slots = 2\nschedule = 3\n",
        "[routing]\nmin_score = 0.1\n",
        "daemon = 3\n",
    ):
        assert needed_paths(read_config(text, "x"), place_of()) == place_of()
    with pytest.raises(ServiceImpossible, match="no TOML"):
        read_config("[daemon", "trainwright.toml")


def test_the_network_is_opened_for_named_addresses_only() -> None:
    """An address opens the network for itself; Postgres needs secret and network, and so does its backup."""
    assert not any("network" in name for name in files_of())
    text = text_of("trainwright.service.d/10-network.conf", addresses=("10.0.0.5", "fd00::/8"))
    assert text.endswith("\nIPAddressAllow=10.0.0.5\nIPAddressAllow=fd00::/8\n")
    files = files_of(variants=frozenset((POSTGRES, GPU)))
    assert sorted(name for name in files if ".service.d/" in name) == [
        "trainwright-backup.service.d/10-network.conf",
        "trainwright-backup.service.d/20-postgres.conf",
        "trainwright.service.d/10-network.conf",
        "trainwright.service.d/20-postgres.conf",
        "trainwright.service.d/30-gpu.conf",
    ]
    assert place_of(addresses=("any",)).networked
    assert not place_of(variants=frozenset((GPU,))).networked


def test_only_what_is_asked_for_is_enabled() -> None:
    """Backups may be left out, and the units that wake the host come with the host that sleeps."""
    assert enabled_units(place_of()) == ("trainwright.service", "trainwright-backup.timer")
    assert enabled_units(place_of(backup=False)) == ("trainwright.service",)
    assert not any("backup" in name for name in files_of(backup=False))
    waking = enabled_units(place_of(backup=False, variants=frozenset((ON_DEMAND,))))
    assert waking == ("trainwright.service", "trainwright.path", "trainwright.timer")


def test_the_service_of_a_person_lies_in_their_home() -> None:
    """No file of it is the machine's; the configuration lies where the daemon works."""
    files = files_of(home=HOME, folder=PurePosixPath("/home/alice/tw"), variants=frozenset((ON_DEMAND,)))
    assert {str(file.path.parent) for file in files.values()} == {
        "/home/alice/tw",
        "/home/alice/.config/systemd/user",
        "/home/alice/.config/systemd/user/trainwright.service.d",
    }
    assert "User=" not in files["trainwright.service"].text
    assert "systemctl --user reload trainwright" in files["trainwright.toml"].text


def test_an_installed_wheel_has_the_units_beside_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a checkout they are found in share/; another package that is named systemd is not mistaken."""
    (tmp_path / "site/systemd").mkdir(parents=True)
    monkeypatch.setattr("daemon.units.__file__", str(tmp_path / "site/daemon/units.py"))
    monkeypatch.setattr("daemon.units.sys.prefix", str(tmp_path))
    with pytest.raises(ServiceImpossible, match="install Trainwright again"):
        templates_dir()
    shared = tmp_path / "share/trainwright/systemd"
    shared.mkdir(parents=True)
    (shared / "trainwright.service").touch()
    assert templates_dir() == shared


def test_only_the_configuration_is_a_persons_own() -> None:
    """Every other file is replaced by a newer version of itself."""
    assert [name for name, file in files_of().items() if file.yours] == ["trainwright.toml"]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"folder": PurePosixPath("/srv/my work")}, "no words for this path"),
        ({"program": PurePosixPath("/srv/%h/trainwright")}, "no words for this path"),
        ({"shown": (PurePosixPath('/srv/"x'),)}, "no words for this path"),
        ({"written": (PurePosixPath("/srv/$x"),)}, "no words for this path"),
        ({"addresses": ("db.example.com",)}, "is no address"),
        ({"addresses": ("10.0.0.5\nUser=root",)}, "is no address"),
        ({"account": "root:x"}, "is no account's name"),
        ({"home": HOME, "variants": frozenset((GPU,))}, "has no variant 'gpu'"),
        ({"home": HOME, "variants": frozenset((NETWORK,))}, "has no variant 'network'"),
    ],
)
def test_what_a_unit_cannot_say_is_refused(fields: dict[str, object], problem: str) -> None:
    """Blanks, specifiers, quotes and lines of their own never get into a unit."""
    with pytest.raises(ServiceImpossible, match=problem):
        unit_files(place_of(**fields))


@pytest.mark.parametrize(
    ("listen", "lines"),
    [
        ("127.0.0.1:9000", {"ListenStream=127.0.0.1:9000", "IPAddressDeny=any", "IPAddressAllow=localhost"}),
        ("localhost:9000", {"ListenStream=127.0.0.1:9000", "IPAddressDeny=any", "IPAddressAllow=localhost"}),
        ("unix:/run/tw/page.sock", {"ListenStream=/run/tw/page.sock", "SocketUser=train", "SocketMode=0660"}),
        ("0.0.0.0:80", {"ListenStream=0.0.0.0:80"}),
    ],
)
def test_the_page_is_listened_for_where_the_configuration_says(listen: str, lines: set[str]) -> None:
    """Beyond this machine the socket lets others in; what the configuration does not say is the default."""
    place = needed_paths({"daemon": {"web_listen": listen}}, place_of(account="train"))
    text = {file.path.name: file.text for file in unit_files(place)}["trainwright.socket"]
    assert lines <= set(text.splitlines())
    assert ("IPAddressDeny=any" in text) == (listen != "0.0.0.0:80")
    assert "trainwright.socket" not in enabled_units(place), "it comes with the service, never by itself"


def test_no_page_no_socket() -> None:
    """A page that is off has no socket; nor has a host on demand, which an open page would start."""
    off = needed_paths({"daemon": {"web_listen": "off"}}, place_of())
    assert "trainwright.socket" not in {file.path.name for file in unit_files(off)}
    assert "trainwright.socket" not in files_of(variants=frozenset((ON_DEMAND,)))
    assert "trainwright.socket" in files_of()
    named = needed_paths({"daemon": {"web_listen": "trainer.example:80"}}, place_of())
    with pytest.raises(ServiceImpossible, match="systemd cannot listen"):
        unit_files(named)
