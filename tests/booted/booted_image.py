"""The root file system of the machines that the tests boot: a small Debian with systemd, made once and kept.

It is of the same release as this machine, so that the interpreter the tests run under works in it as well.
It lies in ``$XDG_CACHE_HOME/trainwright-booted``, under the hash of what was put into it.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

# libpython3-stdlib brings the C libraries that any build of CPython needs, libgomp1 is LightGBM's.
PACKAGES = ("systemd", "systemd-sysv", "dbus", "libpam-systemd", "libpython3-stdlib", "libgomp1", "tzdata")
ROOMY_BYTES = 3 << 30
COMMANDS = {
    "debootstrap": "debootstrap",
    "systemd-nspawn": "systemd-container",
    "nsenter": "util-linux",
    "systemctl": "systemd",
}
_SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
_HOSTNAME = "trainhost\n"
_JOURNAL = "[Journal]\nStorage=persistent\nRateLimitIntervalSec=0\nForwardToConsole=no\n"


class ImageAbsent(Exception):
    """The image could not be made; says why."""


def missing() -> str:
    """Return what this machine lacks to boot another, or nothing."""
    if os.geteuid() != 0:
        return "booting systemd needs root"
    for command, package in COMMANDS.items():
        if shutil.which(command, path=_SEARCH) is None:
            return f"booting systemd needs the command {command} (package {package})"
    if _release().get("ID") != "debian":
        return "the image is made by debootstrap for the Debian of this machine, and this is another system"
    if "overlay" not in Path("/proc/filesystems").read_text(encoding="ascii"):
        return "this kernel has no overlay file system"
    if not Path("/sys/fs/cgroup").is_dir() or not os.access("/sys/fs/cgroup", os.W_OK):
        return "the control groups of this machine cannot be written"
    return ""


def base_image() -> Path:
    """Return the image, made now if this is the first time.

    Raises:
        ImageAbsent: Debian's archive did not give what it needs.
    """
    suite, packages = _release()["VERSION_CODENAME"], _packages()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "trainwright-booted"
    cache.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(repr((suite, packages, _JOURNAL, _HOSTNAME)).encode()).hexdigest()[:12]
    image = cache / f"{suite}-{key}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not image.is_dir():
            _make(image, suite, packages, cache / "packages")
    return image


def roomy_folder(prefix: str) -> Path:
    """Return a new folder in main memory if there is room, else where temporary files are."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > ROOMY_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=memory if roomy else None))


def _make(image: Path, suite: str, packages: tuple[str, ...], kept: Path) -> None:
    """Bootstrap in main memory, where dpkg's many flushes cost nothing, then move to the cache."""
    kept.mkdir(exist_ok=True)
    work = roomy_folder("tw-image-")
    fresh = image.with_suffix(".part")
    try:
        words = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}", f"--cache-dir={kept}"]
        done = subprocess.run(
            [*words, suite, str(work / "root"), *_mirror(suite)],
            env={**os.environ, "PATH": _SEARCH},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            told = " / ".join(done.stdout.strip().splitlines()[-3:])
            raise ImageAbsent(f"Debian's archive gave no image of {suite}: {told}")
        _settle(work / "root")
        shutil.rmtree(fresh, ignore_errors=True)
        subprocess.run(["cp", "-a", str(work / "root"), str(fresh)], check=True)
        fresh.rename(image)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _settle(root: Path) -> None:
    """Leave out what no test reads; keep the journal over a reboot; let each machine be a new one."""
    for path in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/locale"):
        shutil.rmtree(root / path, ignore_errors=True)
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text(_HOSTNAME)
    settings = root / "etc/systemd/journald.conf.d"
    settings.mkdir(parents=True, exist_ok=True)
    (settings / "kept.conf").write_text(_JOURNAL)


def _packages() -> tuple[str, ...]:
    """What is in the image; a machine whose own Python runs the tests needs that Python as well."""
    return (*PACKAGES, "python3") if sys.base_prefix == "/usr" else PACKAGES


def _mirror(suite: str) -> list[str]:
    """The archive that this machine's apt asks for that release; none leaves it to debootstrap."""
    words = [
        "apt-get",
        "indextargets",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
        "Created-By: Packages",
    ]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    found = [line.split()[0] for line in told if line.split()[1:] == [suite, "main"]]
    return [uri for uri in found if uri.startswith(("http:", "https:"))][:1]


def _release() -> dict[str, str]:
    """What /etc/os-release says (os-release(5))."""
    path = Path("/etc/os-release")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {key: value.strip('"') for key, _, value in (line.partition("=") for line in lines) if value}
