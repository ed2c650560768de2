"""`service install|status|logs|remove`: into an image by systemd's own tools, for a person by false ones."""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest
from cli_samples import Call

from daemon.cli.servicing_notes import notes_on
from daemon.units import NETWORK, POSTGRES, Place, needed_paths, read_config

needs_systemctl = pytest.mark.skipif(shutil.which("systemctl") is None, reason="systemctl is not installed")
UNITS = "etc/systemd/system"
RUNNING = """LoadState=loaded
ActiveState=active
SubState=running
StatusText=waiting for plans in /x
MainPID=7
NRestarts=2
Result=success
ExecMainStatus=0
ActiveEnterTimestamp=Mon 2026-01-05 03:04:05 UTC
MemoryCurrent=62914560
TasksCurrent=9
UnitFileState=enabled
DropInPaths=/etc/systemd/system/trainwright.service.d/override.conf"""


class Tools:
    """False tools of systemd that note how they were called, and say what they are told to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        for name in ("systemctl", "journalctl", "loginctl", "systemd-sysusers", "systemd-tmpfiles"):
            self.says(name, "")

    def says(self, name: str, answer: str, *, code: int = 0) -> None:
        """From now on the tool of this name answers so."""
        (self._folder / f"{name}.answer").write_text(answer)
        script = self._folder / name
        script.write_text(
            f'#!/bin/sh\necho "{name} $*" >> {self._folder}/calls\n'
            f"cat {self._folder}/{name}.answer\nexit {code}\n"
        )
        script.chmod(script.stat().st_mode | stat.S_IXUSR)

    def calls(self) -> list[str]:
        """How they were called since the last time."""
        noted = self._folder / "calls"
        found = noted.read_text().splitlines() if noted.exists() else []
        noted.unlink(missing_ok=True)
        return found


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    """False tools before all others, and a home of one's own."""
    made = Tools(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return made


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """An empty image of a machine."""
    (tmp_path / "image").mkdir()
    return tmp_path / "image"


def links(image: Path) -> list[str]:
    """What the image starts when it boots."""
    return sorted(path.name for path in image.rglob("*.wants/*"))


@needs_systemctl
def test_an_image_boots_with_the_service_and_is_clean_again_without(call: Call, image: Path) -> None:
    """Installed twice it is the same; the units of this environment are enabled; removed, nothing is left."""
    done = call("service", "install", "--root", str(image), "--data-dir", "/srv/bars")
    assert done.code == 0, done.err
    service = (image / UNITS / "trainwright.service").read_text()
    assert f"ExecStart=/usr/bin/env {sys.prefix}/bin/trainwright daemon\n" in service
    assert 'data_dir = "/srv/bars"' in (image / "etc/trainwright/trainwright.toml").read_text()
    assert links(image) == ["trainwright-backup.timer", "trainwright.service"]
    again = call("service", "install", "--root", str(image), "--data-dir", "/srv/bars")
    assert "written" not in again.err
    assert again.err.count("unchanged") == done.err.count("written")
    removed = call("service", "remove", "--root", str(image))
    assert removed.code == 0
    assert links(image) == []
    assert not [path for path in image.rglob("*trainwright*") if path.is_file()]
    assert call("service", "remove", "--root", str(image)).code == 4


@needs_systemctl
def test_an_update_without_options_keeps_those_of_the_last_time(call: Call, image: Path) -> None:
    """Variants and addresses stay until others are named; those that are named replace all of them."""
    call("service", "install", "--root", str(image), "--variant", "postgres", "--allow", "10.0.0.5")
    drop_ins = image / UNITS / "trainwright.service.d"
    assert call("service", "install", "--root", str(image)).code == 0
    assert "IPAddressAllow=10.0.0.5\n" in (drop_ins / "10-network.conf").read_text()
    done = call("service", "install", "--root", str(image), "--variant", "on-demand", "--no-backup")
    assert done.code == 0, done.err
    assert not (image / UNITS / "trainwright-backup.timer").exists()
    assert (drop_ins / "40-on-demand.conf").exists()
    assert not (drop_ins / "10-network.conf").exists()
    assert links(image) == ["trainwright.path", "trainwright.service", "trainwright.timer"]


@needs_systemctl
@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes accounts")
def test_an_image_has_the_account_and_the_drop_folder(call: Call, image: Path) -> None:
    """Folders and their rights are those of the unit's account, made with systemd's own tools."""
    assert call("service", "install", "--root", str(image)).code == 0
    accounts = [line.split(":") for line in (image / "etc/passwd").read_text().splitlines()]
    uid = next(int(account[2]) for account in accounts if account[0] == "trainwright")
    work = image / "var/lib/trainwright"
    assert (work.stat().st_uid, stat.S_IMODE(work.stat().st_mode)) == (uid, 0o751)
    inbox = (work / "inbox").stat()
    assert (inbox.st_uid, stat.S_IMODE(inbox.st_mode)) == (0, 0o2770)
    assert (work / "trainwright.toml").readlink() == Path("/etc/trainwright/trainwright.toml")
    assert stat.S_IMODE((image / "etc/credstore").stat().st_mode) == 0o700


@needs_systemctl
def test_a_unit_changed_by_hand_is_not_written_over(call: Call, image: Path) -> None:
    """It is named, and what was to be written is not; with --force it is kept beside the new one."""
    call("service", "install", "--root", str(image))
    unit = image / UNITS / "trainwright.slice"
    unit.write_text("by hand")
    refused = call("service", "install", "--root", str(image), "--variant", "gpu")
    assert refused.code == 3
    assert "trainwright.slice" in refused.err
    assert not (image / UNITS / "trainwright.service.d/30-gpu.conf").exists()
    assert call("service", "install", "--root", str(image), "--variant", "gpu", "--force").code == 0
    assert unit.with_name("trainwright.slice.saved").read_text() == "by hand"


def test_a_dry_run_shows_everything_and_does_nothing(call: Call, image: Path, tools: Tools) -> None:
    """Each file is printed with its path, in an image as well as on the machine; no tool is called."""
    done = call("service", "install", "--root", str(image), "--variant", "gpu", "--dry-run")
    assert done.code == 0
    assert "# /etc/systemd/system/trainwright.service.d/30-gpu.conf\n" in done.out
    assert "DeviceAllow=char-nvidia* rw" in done.out
    assert "enable     trainwright.service, trainwright-backup.timer" in done.err
    assert list(image.iterdir()) == []
    assert tools.calls() == []


def test_only_root_installs_for_the_machine(
    call: Call, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Anybody else is told of sudo and of a service of their own, before anything is done."""
    monkeypatch.setattr("daemon.cli.servicing.os.geteuid", lambda: 1000)
    done = call("service", "install", "--dir", "/nowhere/at/all")
    assert done.code == 2
    assert "sudo" in done.err
    assert "--user" in done.err
    assert tools.calls() == []


def test_a_service_of_a_person_is_started_and_taken_away(call: Call, tools: Tools, tmp_path: Path) -> None:
    """Its units lie in the person's configuration, its work in their data, which stays."""
    done = call("service", "install", "--user")
    assert done.code == 0, done.err
    assert tools.calls() == [
        f"loginctl show-user {os.getuid()} --property=Linger",
        "systemctl --user enable trainwright.service trainwright-backup.timer",
        "systemctl --user daemon-reload",
        "systemctl --user is-active trainwright.service",
        "systemctl --user start trainwright.service trainwright-backup.timer",
    ]
    assert "loginctl enable-linger" in done.err
    work, units = tmp_path / "data/trainwright", tmp_path / "config/systemd/user"
    assert (work / "inbox").stat().st_mode & 0o777 == 0o700
    assert f"WorkingDirectory={work}\n" in (units / "trainwright.service").read_text()
    assert call("service", "remove", "--user").code == 0
    assert "systemctl --user disable --now trainwright.service trainwright-backup.timer" in tools.calls()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bin", "data"]
    assert (work / "inbox").is_dir()


def test_a_running_service_is_not_interrupted(call: Call, tools: Tools) -> None:
    """When its files change it is told how to restart it; nothing is restarted unasked."""
    call("service", "install", "--user", "--no-start")
    assert not [line for line in tools.calls() if " start " in line]
    tools.says("systemctl", "active")
    done = call("service", "install", "--user", "--variant", "on-demand", "--no-start")
    assert "still runs as it was; in a quiet hour: systemctl --user restart trainwright" in done.err
    assert not [line for line in tools.calls() if "restart" in line]
    assert "still runs" not in call("service", "install", "--user").err


def test_what_systemd_refuses_is_told(call: Call, tools: Tools) -> None:
    """The tool's own first line, its call, and what to look at; the files stay, and it may be repeated."""
    tools.says("systemctl", "Failed to connect to bus: No medium found", code=1)
    done = call("service", "install", "--user")
    assert done.code == 5
    assert "Failed to connect to bus: No medium found" in done.err
    assert "--root DIR" in done.err
    tools.says("systemctl", "")
    assert call("service", "install", "--user").code == 0


def test_without_systemd_the_commands_say_so(
    call: Call, tools: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine without systemctl or journalctl is no defect of ours."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for words in (("status", "--user"), ("logs", "--user"), ("install", "--user")):
        done = call("service", *words)
        assert done.code == 5
        assert "is not installed" in done.err


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (RUNNING, 0, "active (running) since Mon 2026-01-05 03:04:05 UTC, enabled"),
        (
            RUNNING.replace("=active", "=failed").replace("=success", "=watchdog"),
            5,
            "last end: watchdog, exit 0",
        ),
        ("LoadState=not-found\nActiveState=inactive", 4, "is not installed: sudo"),
    ],
)
def test_status_says_how_the_service_is(call: Call, tools: Tools, answer: str, code: int, said: str) -> None:
    """In a few lines, or as a document; the exit code tells a script."""
    tools.says("systemctl", answer)
    done = call("service", "status")
    assert (done.code, said in done.out) == (code, True)
    document = call("service", "status", "--json")
    assert (document.code, json.loads(document.out)["unit"]) == (code, "trainwright.service")


def test_status_names_the_process_its_memory_and_what_was_changed(
    call: Call, tools: Tools, tmp_path: Path
) -> None:
    """What an on-call person asks first stands there, with drop-ins and files that are not as installed."""
    call("service", "install", "--user")
    (tmp_path / "config/systemd/user/trainwright.slice").write_text("by hand")
    tools.says("systemctl", RUNNING)
    found = call("service", "status", "--user").out
    assert "process    7, 60 MiB, 9 tasks and threads" in found
    assert "restarts   2" in found
    assert "drop-in    /etc/systemd/system/trainwright.service.d/override.conf" in found
    assert f"changed    {tmp_path}/config/systemd/user/trainwright.slice" in found


def test_logs_are_those_of_the_unit(call: Call, tools: Tools) -> None:
    """The journal is asked for this unit, with what the person wants of it."""
    assert call("service", "logs", "--user", "-n", "5", "-f", "--since", "1 hour ago", "--errors").code == 0
    asked = "--lines=5 --follow --since=1 hour ago --priority=warning"
    assert tools.calls() == [f"journalctl --user --unit=trainwright.service {asked}"]


@pytest.mark.parametrize(
    ("text", "variants", "note"),
    [
        ('database_url = "postgresql://me@db/x"', (), "the event log is on another machine"),
        ('database_url = "postgresql:///x?host=/run/postgresql"', (), None),
        ('database_url = "postgresql://%2Frun%2Fpostgresql/x"', (), None),
        (
            'database_url = "postgresql://me@db:5433/x"',
            (NETWORK,),
            "it speaks to db: --allow their addresses",
        ),
        ('database_url = "postgresql://me@[::1]:5433/x"', (NETWORK,), None),
        ('artefacts = "s3://bucket/x"', (), "the artefacts lie in object storage, which it may not speak to"),
        ('artefacts = "gs://bucket/x"', (NETWORK,), "it speaks to the storage of gs: --allow"),
        (
            'artefacts = "file:///mnt/x"',
            (),
            "the directory of the artefacts is not there: mount it, chown tr",
        ),
        ('artefacts = "file:///etc"', (), None),
        ('engine = "ray"', (), "the Ray cluster is reached by the network, which it may not use"),
        (
            'engine = "ray"\nray_address = "http://10.0.0.9:8265"',
            (NETWORK,),
            "it speaks to 10.0.0.9: --allow",
        ),
        ('planning_engine = "ray"', (), "its scheduled plans do not see Ray"),
        ('webhook_url = "https://example.com"', (), "the webhook is on another machine"),
        ('mlflow_uri = "http://127.0.0.1:5000"', (), "the tracking server is reached by the network"),
        ('mlflow_uri = "http://127.0.0.1:5000"', (NETWORK,), None),
        ('inbox_users = ["alice"]', (NETWORK,), "inbox_users lets nobody in"),
        ('inbox_users = ["alice"]', (), None),
        ("", (POSTGRES,), "it cannot start without the log's address"),
        ("", (), None),
    ],
)
def test_what_will_not_work_is_said_at_once(
    image: Path, text: str, variants: tuple[str, ...], note: str | None
) -> None:
    """A sandbox that would keep the daemon from its log, its webhook or its secret is named with its cure."""
    place = Place(program=image / "bin/trainwright", folder=image, variants=frozenset(variants), home=None)
    (image / "etc").mkdir()
    said = read_config(f"[daemon]\n{text}\n", "x")
    found = [line for line in notes_on(needed_paths(said, place), said, image) if "drop plans" not in line]
    found = [line for line in found if "does not outlive" not in line]
    assert [line for line in found if note and note in line] == found
    assert bool(found) == bool(note)


def test_machines_that_may_be_spoken_to_are_not_asked_for(image: Path) -> None:
    """Of several servers only those are named that no --allow covers; names are nobody's number."""
    text = (
        'database_url = "postgresql://me@10.0.0.1:5432,10.0.1.2,db/x"\nartefacts = "s3://bucket"\n'
        'artefact_options = { endpoint_url = "https://storage.example:9000" }\n'
    )
    said = read_config(f"[daemon]\n{text}", "x")
    folder = image / "work"
    (folder / ".aws").mkdir(parents=True)
    for addresses, named in (
        (("10.0.0.0/24", "localhost"), "it speaks to 10.0.1.2, db, storage.example: "),
        (("10.0.0.0/16",), "it speaks to db, storage.example: "),
        (("any",), "credentials of S3 come from"),
    ):
        place = Place(program=folder / "bin/trainwright", folder=folder, addresses=addresses)
        found = [line for line in notes_on(place, said, Path("/")) if "speaks" in line or "S3" in line]
        assert found[0].startswith(named)
        assert found[-1].startswith("credentials of S3 come from")
    (folder / ".aws/credentials").touch()
    assert not [line for line in notes_on(place, said, Path("/")) if "S3" in line]
