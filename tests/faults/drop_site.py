"""A training host and its drop folder under test: what was dropped, what came of it, what lies outside."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from daemon_samples import PATIENCE_SECONDS, all_events, await_that, document, job, settings_in, write_plan

from daemon.settings import Settings
from store import EventRow, open_store

SECRET = "a word that no plan may carry away"
RESTLESS = "restless-"  # names of a producer that goes on when they are shelved
SHELVES = ("accepted", "rejected")
HOST = """
import json, sys
from daemon.logs import configure_logs
from daemon.settings import Settings
sys.path[:0] = json.loads(sys.argv[3])
if sys.argv[2]:
    from drop_host_defects import plant
    plant(sys.argv[2])
from daemon.service import serve
configure_logs()
raise SystemExit(serve(Settings.from_sources({}, {}, json.loads(sys.argv[1]))))
"""


class Site:
    """An installation with a drop folder; plans are dropped whether its daemon runs or not."""

    def __init__(self, folder: Path, *, seed: int, defect: str = "", **overrides: Any) -> None:
        self.folder, self.defect = folder, defect
        self.random = random.Random(seed)  # noqa: S311 (guards nothing)
        # Looked at every half second: a daemon that never looks unless told would be found out.
        self._given = {"cpu_slots": 1, "settle_seconds": 0.0, "rescan_seconds": 0.5, **overrides}
        self.settings: Settings = settings_in(folder, **self._given)
        self.inbox = self.settings.inbox_dir
        self.inbox.mkdir(parents=True, exist_ok=True)
        self.workshop = folder / "workshop"
        self.workshop.mkdir()
        self.outside = folder / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_text(SECRET)
        (self.outside / "master_training_plan.json").write_text(good_plan(SECRET))
        self._before = fingerprint(self.outside)
        self.host: subprocess.Popen[bytes] | None = None
        self.lives = self._said_before = 0

    def start(self, *, wrapped: tuple[str, ...] = (), **overrides: Any) -> None:
        """Start the daemon, by words before its command if need be, perhaps with other settings."""
        places = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "daemon")]
        given = {
            "results_dir": str(self.settings.results_dir),
            "data_dir": str(self.settings.data_dir),
            "web_listen": "off",
            **self._given,
            **overrides,
        }
        given |= {name: getattr(self.settings, name) for name in ("poll_seconds", "progress_seconds")}
        words = [
            *wrapped,
            sys.executable,
            "-P",
            "-c",
            HOST,
            json.dumps(given),
            self.defect,
            json.dumps(places),
        ]
        with (self.folder / "host.log").open("ab") as output:
            self._said_before = output.tell()
            self.host = subprocess.Popen(words, stdout=output, stderr=output)
        self.lives += 1

    def kill(self) -> None:
        """End the daemon as a power cut would, at whatever it is doing."""
        assert self.host is not None
        for process in (
            *psutil.Process(self.host.pid).children(recursive=True),
            psutil.Process(self.host.pid),
        ):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        self.host.wait()

    def stop(self) -> int:
        """Ask the daemon to stop once it can hear that; returns its exit code."""
        assert self.host is not None
        await_that(lambda: not self.runs() or self._is_ready(), "readiness")
        self.host.send_signal(signal.SIGTERM)
        return self.host.wait(PATIENCE_SECONDS)

    def _is_ready(self) -> bool:
        """Whether this life of the daemon has said that it works."""
        with (self.folder / "host.log").open("rb") as log:
            log.seek(self._said_before)
            return b'"daemon ready"' in log.read()

    def runs(self) -> bool:
        """Whether the daemon has not ended."""
        return self.host is not None and self.host.poll() is None

    def drop(self, name: str, content: str) -> None:
        """Rename a plan into the drop folder, whole."""
        write_plan(self.inbox / ".being-written", content).rename(self.inbox / name)

    def waiting(self) -> set[str]:
        """The names that lie in the drop folder and are no shelves."""
        names = {path.name for path in self.inbox.iterdir()}
        return {name for name in names if name not in SHELVES and not name.startswith(".")}

    def events(self, *kinds: str) -> list[EventRow]:
        """All events of these kinds."""
        with open_store(self.settings.database_url) as store:
            return all_events(store, *kinds)

    def await_empty(self, what: str) -> None:
        """Wait until nothing but the shelves lies in the drop folder, or the daemon has ended."""
        await_that(lambda: not self.waiting() or not self.runs(), what)

    def refusals(self) -> list[dict[str, Any]]:
        """What each refused thing says on its shelf, by its reason.json."""
        paths = sorted(self.inbox.glob("rejected/*/reason.json"))
        return [json.loads(path.read_text()) for path in paths if not path.parent.name.startswith(RESTLESS)]

    def unspoken(self) -> list[str]:
        """What lies refused without the words of why it was."""
        shelf = self.inbox / "rejected"
        found = []
        for path in sorted(shelf.iterdir()):
            if path.name.startswith(RESTLESS):
                continue  # its producer may have taken the words away again, by a descriptor of its own
            reason = path / "REASON.txt"
            if reason.is_symlink() or not reason.is_file() or not reason.read_text().splitlines()[0].strip():
                found.append(path.name)
        return found

    def escapes(self) -> list[str]:
        """What happened outside: files changed there, or words of there found where plans are kept."""
        found = [] if fingerprint(self.outside) == self._before else ["a file outside was changed"]
        for root in (self.inbox, self.settings.results_dir, self.settings.output_dir):
            kept = (path for path in files_in(root) if path.suffix != ".db-shm")
            found += [
                f"{path} holds words of outside" for path in kept if SECRET.encode() in path.read_bytes()
            ]
        return found


def good_plan(note: str) -> str:
    """The text of a plan that is one, and another one for another note."""
    return json.dumps(document(job(["NGBoost"], metadata={"note": note})))


def twice(names: list[str]) -> list[str]:
    """What stands in a list more than once."""
    return sorted(name for name, count in Counter(names).items() if count > 1)


def files_in(root: Path) -> Iterator[Path]:
    """Every regular file below a directory that has one name; no link is followed."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink() and path.stat().st_nlink == 1:
                yield path


def fingerprint(root: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, moment of change and content of everything below a directory."""
    return {
        str(path): (path.lstat().st_mode, path.lstat().st_mtime_ns, _content(path))
        for path in root.rglob("*")
    }


def _content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
