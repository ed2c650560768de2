"""A session on a booted machine, as a person would see it: drop a plan, pull the plug, boot, read `status`.

``python tests/booted/transcript.py`` prints it, for the documentation. Commands and answers are real; what
is said between them begins with ``#``.
"""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS.parent), str(TESTS), str(TESTS / "daemon"), str(TESTS / "booted")]

from booted_host import COMMAND, LONG_PARAMS, STATE, TrainingHost, toml  # noqa: E402  see above
from booted_image import missing  # noqa: E402
from booted_machine import Machine, booted, unreadable  # noqa: E402
from daemon_samples import document, job, write_data, write_plan  # noqa: E402

FAMILIES = ("LightGBM", "XGBoost", "MLP")


def say(text: str) -> None:
    """Tell what happens between two commands."""
    print(f"\n# {text}", flush=True)


def typed(machine: Machine, *words: str | Path, user: str | None = None) -> None:
    """Show a command as a person types it, and what it answers."""
    shown = shlex.join(["trainwright" if word == COMMAND else str(word) for word in words])
    print(f"{'alice$' if user else 'root#'} {shown}", flush=True)
    done = machine.call("env", "-C", STATE, *words, user=user)
    print((done.stdout + done.stderr).rstrip(), flush=True)


def prepared(machine: Machine) -> TrainingHost:
    """Data, settings, a person who may drop, and the service, installed by its own command."""
    write_data(machine.path("/srv/bars"), rows=900)
    machine.write("/etc/trainwright/trainwright.toml", toml(params=LONG_PARAMS, data_dir="/srv/bars"))
    say("the service is installed, and alice may drop plans")
    machine.run("mkdir", "-p", STATE)
    typed(machine, COMMAND, "service", "install", "--data-dir", "/srv/bars")
    machine.run("useradd", "--create-home", "--groups", "plans", "alice")
    host = TrainingHost(machine)
    host.show_boot()
    host.systemctl("restart")
    return host


def main() -> int:
    """Print the session; returns the exit status."""
    if reason := missing() or unreadable():
        print(f"no transcript here: {reason}", file=sys.stderr)
        return 1
    with booted() as machine:
        host = prepared(machine)
        write_plan(machine.path("/home/alice/plan"), document(job(FAMILIES)))
        machine.run("chown", "-R", "alice:alice", "/home/alice/plan")
        say("a plan is dropped, and trains")
        typed(machine, "mv", "/home/alice/plan", "inbox/monday", user="alice")
        host.await_events("CheckpointSaved", many=6)
        typed(machine, COMMAND, "status")
        say("the plug is pulled")
        machine.pull_the_plug()
        off = time.monotonic()
        machine.boot()
        say(f"the machine boots; nobody types anything; {time.monotonic() - off:.1f} s later")
        host.await_events("FitStarted", many=3)
        typed(machine, COMMAND, "status")
        typed(machine, "systemctl", "status", "--no-pager", "--lines=0", "trainwright")
        typed(machine, "journalctl", "--list-boots", "--no-pager")
        say("and in the end")
        host.await_events("PlanCompleted")
        typed(machine, COMMAND, "status")
        typed(machine, COMMAND, "db", "verify")
    return 0


if __name__ == "__main__":
    sys.exit(main())
