"""A daemon like any other, but that its fits only sleep: what is measured or broken is all around them.

``python hosts_standin.py CONFIG [sleep=SECONDS] [mutant=NAME] [impatient=1] [linger=SECONDS]``. A fit says
that it started, sleeps, and says that it succeeded, in words that name the worker and the fence it was
started under: the log itself then shows whether a word came from the holder of the fit (store_audit.py).
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in ("faults", "")]

from store_audit import spoken  # noqa: E402  the folders must be on the path first
from store_mutants import plant  # noqa: E402

from daemon import host, starting  # noqa: E402
from daemon.cli.main import daemon_main  # noqa: E402
from daemon.workplace import FitPlaces  # noqa: E402
from executors.contract import FitSpec, Started, Succeeded, encode  # noqa: E402
from executors.lives import OwnProcess  # noqa: E402
from executors.process import Child, Pipes  # noqa: E402
from store import postgres_connection  # noqa: E402

# It sleeps at the lifeline: an end of its parent is an end of the sleep.
_SLEEPER = 'printf %s "$1" >&"$4"; read -rt "$2" -u "$5"; [ $? -gt 128 ] && printf %s "$3" >&"$4"'
# What is given up after seven seconds by default is given up after two here.
_IMPATIENT = {"keepalives_idle": "1", "keepalives_interval": "1", "keepalives_count": "1"}


def sleeping(spec: FitSpec, places: FitPlaces, *, worker: str, seconds: float) -> Child:
    """Start a fit that sleeps; raises OSError."""
    places.log.parent.mkdir(parents=True, exist_ok=True)
    pipes, mark = Pipes.opened(), spoken(worker, spec.fence)
    started = Started(
        device_requested="cpu",
        device_used="cpu",
        device_reason="it sleeps",
        pid=0,
        rows_train=1,
        rows_valid=1,
        rows_test=1,
    )
    done = Succeeded(bundle=mark, bundle_sha256="0" * 64, metrics={"score": 0.0})
    ends = (pipes.report_write, pipes.lifeline_read)
    words = (encode(started).decode(), str(seconds), encode(done).decode(), *map(str, ends))
    with places.log.open("ab") as log:
        process = subprocess.Popen(
            ["bash", "-c", _SLEEPER, "-", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=ends,
            start_new_session=True,
        )
    pipes.close_theirs()
    return pipes.child(spec, OwnProcess(process), log_path=places.log)


def plant_all(planted: dict[str, str]) -> None:
    """Put what was asked for into the code of this process."""
    plant(planted.get("mutant", ""))
    if planted.get("impatient"):
        ours, theirs = postgres_connection._OURS, postgres_connection._THEIRS
        postgres_connection._OURS = {**ours, **_IMPATIENT, "tcp_user_timeout": "2000", "connect_timeout": "2"}
        theirs = {**theirs, **{f"tcp_{name}": value for name, value in _IMPATIENT.items()}}
        postgres_connection._THEIRS = {**theirs, "tcp_user_timeout": "2s"}
    starting.LINGER_SECONDS = float(planted.get("linger", starting.LINGER_SECONDS))
    seconds = float(planted.get("sleep", "0.5"))

    def start(self: host.Host, spec: FitSpec, places: FitPlaces) -> Child:
        return sleeping(spec, places, worker=self.identity.worker, seconds=seconds)

    host.Host._start_warm = start  # type: ignore[method-assign]


def main() -> None:
    """Be the daemon until told to stop; exits as it does."""
    plant_all(dict(word.split("=", 1) for word in sys.argv[2:]))
    sys.argv[:] = ["daemon", "--config", sys.argv[1]]
    daemon_main()


if __name__ == "__main__":
    main()
