"""How the sources of the settings are read: each value by its reader, every fault collected."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from daemon import readers
from daemon.errors import Fault
from daemon.schedule_entries import read_schedule
from executors.contract import CHOICES
from executors.errors import UnknownFamily
from planner.config import SECTIONS, PlannerConfig, planner_config
from planner.errors import ConfigInvalid

TABLE = "daemon"
NOTICES = (
    *("plan_finished", "fit_failed", "host_stuck", "disk_low", "plan_paused", "plan_rejected"),
    "schedule_failed",
)
SECRET = frozenset(
    {"webhook_url", "database_url", "mlflow_uri", "artefacts", "artefact_options"}
)  # never repeated, not even where they are wrong
PREFIX = "TRAINWRIGHT_"
SHARED = {  # settings of the host that stand in the planner's tables: field -> table
    "target_patterns": "data",
    "horizons": "data",
    "interval": "data",
    "test_share": "data",
    "valid_share": "training",
    "embargo_bars": "training",
    "stage_barrier": "training",
    "params": "training",
}


class SettingsReading:
    """Reads the sources one after the other and collects faults instead of stopping at the first."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.faults: list[Fault] = []

    def shared_tables(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what ``[data]`` and ``[training]`` say; unknown top-level names are faults."""
        for key in config:
            if key not in SECTIONS and key != TABLE:
                self.faults.append(_unknown(key, [*SECTIONS, TABLE], self.source))
        tables = {name: config[name] for name in ("data", "training") if name in config}
        try:
            planned = planner_config(tables, source=self.source)
        except ConfigInvalid as error:
            self.faults.append(Fault(place=error.where, problem=error.what, fix=error.fix))
            return {}
        values = _shared_values(planned)
        place = f"{self.source}: [training]"
        values["params"] = self._checked("params", values["params"], place, readers.table)
        return values

    def own_table(self, table: object) -> dict[str, Any]:
        """Return what ``[daemon]`` says."""
        place = f"{self.source}: [{TABLE}]"
        if not isinstance(table, Mapping):
            self.faults.append(Fault(place=place, problem="is not a table", fix="write it as a TOML table"))
            return {}
        return {
            key: self._checked(key, value, f"{place} {key}", _READERS[key])
            for key, value in table.items()
            if self._known(key, place)
        }

    def environment(self, environ: Mapping[str, str]) -> dict[str, Any]:
        """Return what ``TRAINWRIGHT_*`` variables say; one that is nearly a setting's name is a fault."""
        given: dict[str, Any] = {}
        for name, text in sorted(environ.items()):
            key = name.removeprefix(PREFIX).lower()
            if not name.startswith(PREFIX) or key in ONLY_IN_FILE:
                continue
            if key in _READERS:
                given[key] = self._checked(key, text, name, _READERS[key])
            elif difflib.get_close_matches(key, _READERS, n=1, cutoff=0.8):
                self.faults.append(_unknown(key, _READERS, f"environment variable {name}"))
        return given

    def overrides(self, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the command line says."""
        place = "command line"
        return {
            key: self._checked(key, value, f"{place} {key}", _READERS[key])
            for key, value in overrides.items()
            if value is not None and self._known(key, place)
        }

    def _known(self, key: str, place: str) -> bool:
        if key not in _READERS:
            self.faults.append(_unknown(key, _READERS, place))
        return key in _READERS

    def _checked(self, key: str, value: object, place: str, reader: Callable[[object], object]) -> object:
        try:
            return reader(value)
        except UnknownFamily as error:
            near = f"did you mean {error.nearest}?" if error.nearest else "see: trainwright families"
            self.faults.append(Fault(place=place, problem=f"no model family {error.name!r}", fix=near))
        except (ValueError, TypeError) as error:
            said = "what is said" if key in SECRET else repr(value)
            self.faults.append(Fault(place=place, problem=f"{said} cannot be {key}", fix=str(error)))
        return None


def _unknown(key: str, known: Iterable[str], place: str) -> Fault:
    names = sorted(known)
    near = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(names)}"
    if key in _READERS:
        fix = f"write it in the table [{TABLE}]"
    return Fault(place=place, problem=f"unknown key {key!r}", fix=fix)


def _shared_values(planned: PlannerConfig) -> dict[str, Any]:
    """Return the planner's settings that plans hand on to fits."""
    return {
        "target_patterns": planned.data.target_patterns,
        "horizons": dict(planned.data.horizons),
        "interval": planned.data.interval,
        "test_share": planned.data.test_share,
        "valid_share": planned.training.valid_share,
        "embargo_bars": planned.training.embargo_bars,
        "stage_barrier": planned.training.stage_barrier,
        "params": dict(planned.training.params),
    }


def with_places(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the places that follow from the results directory."""
    values = {key: value for key, value in given.items() if value is not None or key in _MAY_BE_NONE}
    results = values.setdefault("results_dir", readers.path("results"))
    values.setdefault("output_dir", results.parent / "output")
    values.setdefault("inbox_dir", results.parent / "inbox")
    values.setdefault("database_url", f"sqlite:///{results / 'trainwright.db'}")
    return values


ONLY_IN_FILE = frozenset(
    {"params", "horizons", "schedule", "family_seconds_max", "family_labels"}
)  # cannot be said in an environment variable
_MAY_BE_NONE = frozenset(
    {
        "judging_memory_bytes",
        *("data_dir", "embargo_bars", "interval", "memory_bytes", "fit_memory_bytes", "fit_seconds_max"),
        *("host_name", "time_zone", "webhook_url", "webhook_secret_file"),
        *("web_listen", "web_token_file", "web_read_token_file", "mlflow_uri"),
        *("ray_address", "ray_token_file", "ray_config"),
    }
)
_READERS: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(("results_dir", "output_dir", "inbox_dir", "data_dir"), readers.path),
    **dict.fromkeys(("webhook_secret_file", "web_token_file", "web_read_token_file"), readers.path),
    "web_listen": readers.listening,
    "web_names": readers.words,
    "mlflow_uri": readers.tracking_address,
    "mlflow_experiment": readers.text,
    "artefacts": readers.artefact_address,
    "artefact_options": readers.artefact_options,
    "host_name": readers.text,
    "labels": readers.labels,
    "family_labels": readers.labels_by_family,
    **dict.fromkeys(("engine", "planning_engine"), readers.one_of("own", "ray")),
    "ray_address": readers.web_address,
    **dict.fromkeys(("ray_token_file", "ray_config"), readers.path),
    "ray_slots": readers.count(0, 100_000),
    "ray_fits_per_job": readers.count(1, 1000),
    "ray_command": readers.argument_list,
    "time_zone": readers.time_zone,
    "webhook_url": readers.web_address,
    "notify_command": readers.argument_list,
    "notify_on": readers.some_of(*NOTICES),
    "windows": readers.windows,
    "schedule": read_schedule,
    "family_seconds_max": readers.seconds_by_family,
    "disk_floor_bytes": readers.count(0, 2**60),
    "fit_log_bytes": readers.count(4096, 2**40),
    "failures_pause": readers.count(0, 10**6),
    **dict.fromkeys(("priority_step_seconds", "share_step_seconds"), readers.number(0, 10**9)),
    "fit_hung_seconds": readers.number(0, 10**9),
    "stuck_seconds": readers.number(1, 10**9),
    "database_url": readers.address,
    "interval": readers.text,
    **dict.fromkeys(("symbols", "target_patterns", "inbox_users"), readers.words),
    "families": readers.families,
    "params": readers.table,
    "horizons": readers.bars,
    "cpu_slots": readers.count(0, 4096),
    "gpu_slots": readers.count(0, 64),
    **dict.fromkeys(("memory_bytes", "fit_memory_bytes"), readers.count(1, 2**50)),
    "plan_bytes_max": readers.count(1, 2**30),
    "plans_open_max": readers.count(1, 10**9),
    "judging_seconds_max": readers.number(1, 10**9),
    "judging_memory_bytes": readers.count(2**26, 2**50),
    **dict.fromkeys(("warm_children", "pin_cpus"), readers.switch),
    **dict.fromkeys(("fit_seconds_max", "fit_silent_seconds"), readers.number(0.1, 10**9)),
    "threads_per_fit": readers.count(1, 1024),
    "checkpoint_rounds": readers.count(1, 10**9),
    "embargo_bars": readers.count(0, 10**6),
    "seed": readers.count(0, 2**31 - 1),
    "lease_seconds": readers.number(0.5, 86_400),
    "poll_seconds": readers.number(0.005, 60),
    "settle_seconds": readers.number(0, 3600),
    "rescan_seconds": readers.number(0.05, 3600),
    "checkpoint_seconds": readers.number(0, 86_400),
    "stop_seconds": readers.number(0, 3600),
    "progress_seconds": readers.number(0, 3600),
    "test_share": readers.number(0.01, 0.9),
    "valid_share": readers.number(0.01, 0.8),
    **dict.fromkeys(("attempts_max", "expiries_max"), readers.count(1, 1000)),
    **dict.fromkeys(("backoff_seconds", "backoff_seconds_max"), readers.number(0, 86_400)),
    **dict.fromkeys(("memory_wait_seconds", "disk_wait_seconds"), readers.number(0, 86_400)),
    "gpu_fallback": readers.one_of("auto", "never", "always"),
    "precision": readers.one_of(*CHOICES["precision"]),
    "compile_network": readers.one_of(*CHOICES["compile_network"]),
    "stage_barrier": readers.one_of("plan", "job"),
}
