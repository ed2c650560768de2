"""Where things lie: whose they are, room on the disks, the drop folder, secrets, the event log."""

from __future__ import annotations

import os
import pwd
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from daemon.cli.findings import FAIL, OK, WARN, Asked, Check, Finding, existing, found, gigabytes
from daemon.settings import Settings
from store.addresses import without_password
from store.database import connect
from store.errors import SchemaBehind, StoreError
from store.plan_store import PlanStore
from store.revision import require_schema

INODES_MIN = 10_000
CLOCKS_APART_SECONDS = 5.0
KEY_BYTES_MIN = 16
VARIABLE = "TRAINWRIGHT_DATABASE_URL"
MOUNTS = Path("/proc/self/mountinfo")
NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs", "fuse.sshfs", "lustre"})


def account(asked: Asked) -> Iterator[Finding]:
    """Look whether the right one asks: rights are those of this account."""
    here, owner = os.geteuid(), existing(asked.settings.results_dir).stat().st_uid
    words = f"{_user(here)}; results belong to {_user(owner)}"
    troubles = []
    if here != owner:
        fix = f"sudo -u {_user(owner)} trainwright doctor"
        troubles.append((WARN, "what is said of rights holds for this account, not for the daemon's", fix))
    elif here == 0:
        fix = "give the daemon an account of its own: trainwright service install"
        troubles.append((WARN, "whoever may drop a plan has work done as root", fix))
    yield found("account", words, *troubles)


def disks(asked: Asked) -> Iterator[Finding]:
    """Look at the room where the host writes: results, models, the drop folder, the event log."""
    seen = set()
    for path in places(asked.settings):
        place = existing(path)
        if place.stat().st_dev in seen:
            continue
        seen.add(place.stat().st_dev)
        yield _disk(place, asked.settings.disk_floor_bytes)


def folders(asked: Asked) -> Iterator[Finding]:
    """Look whether this account may write where the daemon must."""
    for name, path in (("results", asked.settings.results_dir), ("output", asked.settings.output_dir)):
        place = existing(path)
        troubles = []
        if not place.is_dir():
            troubles.append((FAIL, f"{place} is no directory", f"move {place} out of the way"))
        elif not os.access(place, os.W_OK | os.X_OK):
            fix = f"give the account of the daemon the right to write {place}"
            troubles.append((FAIL, "this account may not write there", fix))
        elif file_system(place) in ("tmpfs", "ramfs"):
            troubles.append(
                (WARN, "lies in memory and is lost at the next boot", f"set {name}_dir to a disk")
            )
        yield found(name, str(path), *troubles)


def inbox(asked: Asked) -> Iterator[Finding]:
    """Look at the drop folder as the daemon does at its start."""
    path = asked.settings.inbox_dir
    if not path.exists():
        place = existing(path)
        lacks = not os.access(place, os.W_OK | os.X_OK)
        trouble = (FAIL, "cannot be made", f"give the account of the daemon the right to write {place}")
        yield found("inbox", f"{path}, made at the start", *((trouble,) if lacks else ()))
        return
    status, troubles = path.stat(), []
    if not stat.S_ISDIR(status.st_mode):
        troubles.append((FAIL, "is no directory", f"move {path} out of the way"))
    elif status.st_mode & stat.S_IWOTH:
        troubles.append((FAIL, "everybody on this machine may write into it", f"chmod o-w {path}"))
    elif not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        fix = f"chgrp to a group of the daemon's account and chmod 2770 {path}"
        troubles.append(
            (FAIL, f"belongs to {_user(status.st_uid)}, and this account may not work in it", fix)
        )
    yield found("inbox", str(path), *troubles)


def secrets(asked: Asked) -> Iterator[Finding]:
    """Look who else may read the log's password, the webhook's address and its key."""
    settings, config = asked.settings, asked.config
    told = (
        settings.webhook_url is not None or without_password(settings.database_url) != settings.database_url
    )
    if config is not None and config.exists() and told and _is_open(config):
        fix = f"chmod o-rwx {config}, or hand the address over as a credential of the unit"
        yield Finding(name="secrets", state=FAIL, words=f"everybody may read {config}", fix=fix)
    elif without_password(os.environ.get(VARIABLE, "")) != os.environ.get(VARIABLE, ""):
        fix = "LoadCredential=trainwright.database-url:PATH in the unit"
        yield Finding(name="secrets", state=WARN, words=f"a password stands in {VARIABLE}", fix=fix)
    key = settings.webhook_secret_file
    if key is None:
        return
    troubles = []
    if not os.access(key, os.R_OK):
        troubles.append(
            (FAIL, "cannot be read by this account: nothing is sent", f"chown the daemon's {key}")
        )
    elif _is_open(key):
        troubles.append((FAIL, "everybody may read it", f"chmod 0400 {key}"))
    elif len(key.read_bytes().strip()) < KEY_BYTES_MIN:
        fix = f"openssl rand -base64 24 | sed 's/^/whsec_/' > {key}"
        troubles.append((WARN, f"is shorter than {KEY_BYTES_MIN} bytes", fix))
    yield found("webhook key", str(key), *troubles)


def event_log(asked: Asked) -> Iterator[Finding]:
    """Look whether the event log answers, what it is, and whether it lies where it is safe."""
    url = asked.settings.database_url
    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    if file is not None and (kind := file_system(existing(file))) in NETWORK:
        words = f"lies on {kind}, where SQLite loses events"
        yield Finding(name="event log", state=FAIL, words=words, fix="a local disk, or postgresql://")
    if file is not None and not file.exists():
        yield Finding(name="event log", state=OK, words=f"none yet at {without_password(url)}")
        return
    try:
        database = connect(url, readonly=True)  # looking changes nothing
        with PlanStore(database) as store:
            require_schema(database)
            known, apart = store.info(), abs(store.reading.now() / 1e6 - time.time())
    except SchemaBehind as error:
        yield Finding(name="event log", state=FAIL, words=str(error), fix="trainwright db upgrade")
        return
    except StoreError as error:
        fix = "is it there, is it running, and may this account reach it? trainwright db info"
        yield Finding(name="event log", state=FAIL, words=str(error), fix=fix)
        return
    trouble = (WARN, f"its clock is {apart:.0f} s from ours", "let both machines ask the same time servers")
    words = f"{known.events:,} events, schema {known.schema}, {known.engine}"
    yield found("event log", words, *((trouble,) if apart > CLOCKS_APART_SECONDS else ()))
    for warning in known.warnings:
        words, use, fix = warning.partition(" Use ")
        yield Finding(name="event log", state=WARN, words=words, fix=f"use {fix}" if use else "")


def places(settings: Settings) -> tuple[Path, ...]:
    """Return where the host writes."""
    url = settings.database_url
    own = [Path(url.removeprefix("sqlite:///")).parent] if url.startswith("sqlite:///") else []
    return (settings.results_dir, settings.output_dir, settings.inbox_dir, *own)


def _disk(place: Path, floor: int) -> Finding:
    room = os.statvfs(place)
    free, troubles = room.f_bavail * room.f_frsize, []
    fix = f"free some space on {place}: checkpoints and models need it"
    if free < floor:
        words = f"below the floor of {gigabytes(floor)}: no fit is started and no plan is taken"
        troubles.append((FAIL, words, f"{fix}; or lower disk_floor_bytes"))
    elif free < 2 * floor:
        troubles.append((WARN, f"near the floor of {gigabytes(floor)}", fix))
    if room.f_files and room.f_favail < INODES_MIN:
        troubles.append((WARN, f"room for {room.f_favail:,} more files only", f"remove files on {place}"))
    return found("disk", f"{gigabytes(free)} free at {place}", *troubles)


def _is_open(path: Path) -> bool:
    """Whether accounts outside owner and group may read a file."""
    return bool(path.stat().st_mode & stat.S_IROTH)


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def file_system(place: Path) -> str:
    """Return the type of the file system a path is on; empty where that is not told."""
    device = place.stat().st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    for line in MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines() if MOUNTS.exists() else ():
        before, _, behind = line.partition(" - ")
        if before.split()[2] == wanted:
            return behind.split()[0]
    return ""


CHECKS: tuple[Check, ...] = (account, disks, folders, inbox, secrets, event_log)
