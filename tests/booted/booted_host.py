"""The training host inside a booted machine: installed, started, given plans, asked what its log says."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from booted_machine import CHECKOUT, PREFIX, Machine, MachineFailed
from daemon_samples import document, job, write_data, write_plan

UNIT = "trainwright.service"
DROP_INS = f"/etc/systemd/system/{UNIT}.d"
STATE = Path("/var/lib/trainwright")
COMMAND = PREFIX / ".venv/bin/trainwright"
USER = "trainwright"
_UNITS = "/etc/systemd/system"
_PLACES = {
    **{f"*.{kind}": _UNITS for kind in ("service", "socket", "slice", "path", "timer")},
    **{f"{folder}/*.conf": f"/etc/{folder}" for folder in ("sysusers.d", "tmpfiles.d")},
}
Params = Mapping[str, Mapping[str, Any]]
# Long enough to be stopped in the middle: no early end, a checkpoint every few steps.
EVERY_LIBRARY = ("LightGBM", "XGBoost", "GMMRegime", "LSTM")  # one family of each library that computes
LONG_PARAMS = {
    "LightGBM": {"rounds": 1500, "patience": 1500, "chunk_rounds": 20},
    "MLP": {"epochs": 60, "patience": 60, "batch_rows": 64},
    "XGBoost": {"rounds": 20},
}
SHORT = {
    "LightGBM": {"rounds": 20},
    "XGBoost": {"rounds": 20},
    "LSTM": {"epochs": 1, "batch_rows": 512, "hidden": 8},
    "MLP": {"epochs": 1, "batch_rows": 512},
}
SETTINGS = {
    "cpu_slots": 2,
    "settle_seconds": 0.5,
    "poll_seconds": 0.05,
    "progress_seconds": 0.5,
    "checkpoint_rounds": 40,
    "checkpoint_seconds": 5.0,
    "disk_floor_bytes": 0,
    "web_listen": "off",
}


def toml(*, params: Params = SHORT, **settings: Any) -> str:
    """A configuration file of settings of the host and parameters of families, quick enough for tests."""
    lines = ["[daemon]"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in {**SETTINGS, **settings}.items()]
    for family, values in params.items():
        lines += [f"[training.params.{family}]", *(f"{key} = {value}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


class TrainingHost:
    """Trainwright as a service of a booted machine."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.environment: dict[str, str] = {}  # of the commands of people

    def install(self, *, params: Params = SHORT, **settings: Any) -> None:
        """Install units, account, folders, settings and data, by hand; nothing is started."""
        for pattern, target in _PLACES.items():
            for path in sorted((CHECKOUT / "systemd").glob(pattern)):
                self.machine.write(f"{target}/{path.name}", path.read_text(encoding="utf-8"))
        self.configure(params=params, **settings)
        self.machine.run("systemd-sysusers")
        self.machine.run("systemd-tmpfiles", "--create")
        self.show_boot()
        write_data(self.machine.path(STATE / "data"), rows=900)
        self.machine.run("chown", "-R", f"{USER}:{USER}", STATE / "data")

    def take_variant(self, name: str) -> None:
        """Lay one of the published variants over the service."""
        text = (CHECKOUT / "systemd/variants" / f"{name}.conf").read_text(encoding="utf-8")
        self.machine.write(f"{DROP_INS}/{name}.conf", text)
        self.machine.run("systemctl", "daemon-reload")

    def configure(self, *, params: Params = SHORT, **settings: Any) -> None:
        """Write the configuration file; what runs has read another."""
        given = {"data_dir": str(STATE / "data"), **settings}
        self.machine.write("/etc/trainwright/trainwright.toml", toml(params=params, **given))

    def change_unit(self, name: str, *lines: str) -> None:
        """Lay a file of changes beside the unit (systemd.unit(5), drop-ins)."""
        self.machine.write(f"{DROP_INS}/{name}.conf", "\n".join(["[Service]", *lines]) + "\n")
        self.machine.run("systemctl", "daemon-reload")

    def start(self) -> None:
        """Start the service, however often it was started; returns once it has said that it is ready."""
        self.machine.call("systemctl", "reset-failed", UNIT)
        try:
            self.systemctl("start")
        except MachineFailed as error:
            raise self._with_last_words(error) from None

    def stop(self) -> None:
        """Stop the service; returns once it has ended."""
        self.systemctl("stop")

    def systemctl(self, verb: str, *words: str) -> str:
        """Ask systemd something of the service that must be done."""
        return self.machine.run("systemctl", verb, *words, UNIT)

    def shown(self, name: str) -> str:
        """A property of the service, as systemd knows it."""
        return self.machine.run("systemctl", "show", "--value", f"--property={name}", UNIT).strip()

    def span_seconds(self, name: str) -> float:
        """A property of the service that is a span of time (systemd.time(7)), such as ``1min 30s``."""
        seconds = {"h": 3600.0, "min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
        return sum(float(n) * seconds[unit] for n, unit in re.findall(r"([\d.]+)([a-z]+)", self.shown(name)))

    @property
    def pid(self) -> int:
        """The daemon's process, as numbered inside; 0 when it does not run."""
        return int(self.shown("MainPID"))

    def processes(self) -> set[int]:
        """Every process of the daemon's account, as numbered inside, wherever it belongs."""
        found = self.machine.run("find", "/proc", "-maxdepth", "1", "-user", USER, "-name", "[0-9]*")
        return {int(Path(line).name) for line in found.split()}

    def worked(self, pid: int) -> int:
        """How long a process has been at work, in hundredths of a second; 0 when it is gone."""
        fields = self.machine.call("cat", f"/proc/{pid}/stat").stdout.rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12]) if fields else 0

    def signal(self, name: str) -> None:
        """Send a signal to the daemon alone."""
        self.machine.run("systemctl", "kill", "--kill-whom=main", f"--signal={name}", UNIT)

    def drop(
        self,
        name: str,
        families: Sequence[str] = ("LightGBM",),
        *,
        target: str = "fwd_ret_1d",
        reason: str = "for a test",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Put a plan into the drop folder as the daemon itself would: under a hidden name, then renamed.

        Plans of another `reason` are other plans.
        """
        hidden = STATE / "inbox" / f".{name}"
        content = document(job(families, target=target, reason=reason), **(metadata or {}))
        write_plan(self.machine.path(hidden), content)
        self.machine.run("chown", "-R", f"{USER}:{USER}", hidden)
        self.machine.run("mv", hidden, STATE / "inbox" / name)

    def take(self, name: str, families: Sequence[str] = ("LightGBM",), **given: Any) -> str:
        """Drop a plan that is like no other, wait until it is accepted, and return its id."""
        known = len(self.events("PlanAccepted"))
        self.drop(name, families, reason=name, **given)
        return str(self.await_events("PlanAccepted", many=known + 1)[-1]["plan"])

    def await_completed(self, plan: str) -> None:
        """Wait until a plan is at its end."""
        self.await_events("PlanCompleted", where=lambda event: event["plan"] == plan)

    def command(
        self, *words: str | Path, user: str = USER, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command of the product inside, in the folder where the host works."""
        inside = ("env", "-C", STATE, COMMAND, *words)
        return self.machine.call(*inside, user=user, environment={**self.environment, **(environment or {})})

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of the log, in order; all, or those of some kinds."""
        told = self.command("events", "--json")
        found = [json.loads(line) for line in told.stdout.splitlines()] if told.returncode == 0 else []
        return [event for event in found if not kinds or event["kind"] in kinds]

    def await_events(self, kind: str, *, many: int = 1, where: Callable[[dict[str, Any]], Any] = bool) -> Any:
        """Wait for so many events of a kind and return them."""

        def seen() -> Any:
            found = [event for event in self.events(kind) if where(event)]
            return found if len(found) >= many else None

        return self.await_that(seen, f"{many} x {kind}")

    def await_that(self, condition: Callable[[], Any], what: str) -> Any:
        """Return the first true answer of a condition; what fails, fails with the host's last words."""
        try:
            return self.machine.await_that(condition, what)
        except MachineFailed as error:
            raise self._with_last_words(error) from None

    def journal(self, *matches: str) -> list[dict[str, Any]]:
        """What the journal has of the service, entry by entry."""
        told = self.machine.run(
            "journalctl", "--output=json", "--no-pager", *(matches or (f"--unit={UNIT}",))
        )
        return [json.loads(line) for line in told.splitlines()]

    def show_boot(self) -> None:
        """Let the service see the boot id of its machine also through a /proc of its own (ProtectProc=).

        A container's boot id is a file that is mounted over the kernel's. A fresh /proc shows the kernel's
        again, which is that of the machine outside and stays the same over every boot inside.
        """
        source = "/proc/sys/kernel/random/boot_id"
        self.machine.write("/etc/tmpfiles.d/boot-id.conf", f"C+ /run/boot-id 0444 - - - {source}\n")
        self.machine.run("systemd-tmpfiles", "--create", "/etc/tmpfiles.d/boot-id.conf")
        self.change_unit("boot-id", f"BindReadOnlyPaths=/run/boot-id:{source}")

    def _with_last_words(self, error: MachineFailed) -> MachineFailed:
        """The error, and what the host said and recorded last."""
        said = [f"{entry.get('PRIORITY')} {entry.get('MESSAGE')}" for entry in self.journal()[-25:]]
        events = [f"{event['seq']} {event['kind']}" for event in self.events()[-25:]]
        return MachineFailed("\n".join([str(error), *said, *events]))
