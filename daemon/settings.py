"""The settings of the training host: one frozen record, read once, validated as a whole.

The command line stands over ``TRAINWRIGHT_*`` in the environment, over the file, over the default. The
table of the file is ``[daemon]``; what plans need to know of data and training is shared with the planner:
``[data]`` and ``[training]``.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon import readers
from daemon.errors import Fault, SettingsInvalid
from executors.contract import CHOICES
from executors.errors import UnknownFamily
from executors.families import DEFAULT_FAMILIES
from planner.config import SECTIONS, PlannerConfig, planner_config
from planner.errors import ConfigInvalid
from store.retries import RetryPolicy

TABLE = "daemon"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything the training host is told; paths are absolute.

    Attributes:
        results_dir: plans, the event log, the panel cache and work in progress.
        output_dir: one directory per accepted plan: models, metrics, logs.
        inbox_dir: the drop folder.
        data_dir: where plans that do not say it find their data.
        symbols: of plans that do not say them; empty means all in the data.
        database_url: the event log, ``sqlite:///…`` or ``postgresql://…``.
        families: of jobs that name none.
        cpu_slots: fits of the CPU stage trained at the same time.
        gpu_slots: fits of the GPU stage trained at the same time, one device each.
        memory_bytes: main memory for all fits together, of those that say what they need; None: not counted.
        threads_per_fit: of the numeric libraries, for each place that a fit takes.
        warm_children: whether fits are forked from servers that have their libraries, or import them each.
        pin_cpus: whether each place has CPUs of its own, where there are as many as the places need.
        fit_memory_bytes: most memory of its own a fit may take, mapped data not counted; None: all.
        fit_seconds_max: longest time of an attempt, after which it is stopped and failed; None: no limit.
        fit_silent_seconds: how long a fit may report nothing before the log says so.
        lease_seconds: how long a fit is owned without a sign of life.
        poll_seconds: the longest a report or a free slot waits to be seen.
        settle_seconds: how long a dropped directory must be unchanged.
        rescan_seconds: how often the drop folder is looked through without any hint.
        checkpoint_seconds: longest time between two checkpoints of a fit.
        checkpoint_rounds: most steps between two checkpoints of a fit.
        stop_seconds: how long fits may take to save their state when the daemon stops.
        progress_seconds: shortest time between two recorded progress reports of a fit.
        attempts_max: failures of its own after which a fit is given up.
        expiries_max: lost processes, of the fit or of its daemon, after which a fit is given up.
        backoff_seconds: wait after a fit's first failure; it doubles with each further one.
        backoff_seconds_max: longest wait.
        memory_wait_seconds: wait after the first failure for want of memory.
        disk_wait_seconds: wait after a full disk, which uses up no attempt.
        gpu_fallback: "auto" lets a GPU fit train on the CPU where there is no GPU, "always" also where
            there is one that cannot be used; "never" fails it.
        precision: "auto", "float32" or "bfloat16" of the torch families; bfloat16 where a GPU is made for it.
        compile_network: "auto", "never" or "always"; whether torch compiles a network before it is trained.
        stage_barrier: "plan" or "job", of plans that do not say it.
        seed: of plans that do not say it.
        params: family name -> parameters.
        test_share: share of the time span at its end that no model sees.
        valid_share: share before it, for early stopping.
        embargo_bars: bars left out at each seam; None takes the target's horizon.
        target_patterns: further names of target columns.
        horizons: target name -> bars, for names that do not say it.
        interval: which bar interval, when the data has several.
    """

    results_dir: Path
    output_dir: Path
    inbox_dir: Path
    data_dir: Path | None = None
    symbols: tuple[str, ...] = ()
    database_url: str
    families: tuple[str, ...] = DEFAULT_FAMILIES
    cpu_slots: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    gpu_slots: int = 1
    memory_bytes: int | None = None
    threads_per_fit: int = 1
    warm_children: bool = True
    pin_cpus: bool = True
    fit_memory_bytes: int | None = None
    fit_seconds_max: float | None = None
    fit_silent_seconds: float = 600.0
    lease_seconds: float = 30.0
    poll_seconds: float = 0.1
    settle_seconds: float = 2.0
    rescan_seconds: float = 2.0
    checkpoint_seconds: float = 10.0
    checkpoint_rounds: int = 50
    stop_seconds: float = 20.0
    progress_seconds: float = 2.0
    attempts_max: int = 3
    expiries_max: int = 10
    backoff_seconds: float = 5.0
    backoff_seconds_max: float = 600.0
    memory_wait_seconds: float = 60.0
    disk_wait_seconds: float = 30.0
    gpu_fallback: str = "auto"
    precision: str = "auto"
    compile_network: str = "auto"
    stage_barrier: str = "plan"
    seed: int = 42
    params: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    test_share: float = 0.2
    valid_share: float = 0.15
    embargo_bars: int | None = None
    target_patterns: tuple[str, ...] = ()
    horizons: Mapping[str, int] = field(default_factory=dict)
    interval: str | None = None

    @classmethod
    def from_sources(
        cls,
        config: Mapping[str, Any] | None = None,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        *,
        source: str = "configuration",
    ) -> Settings:
        """Return the settings of a parsed TOML file, an environment and the command line.

        Args:
            config: the whole file; its ``[daemon]``, ``[data]`` and ``[training]`` tables are read.
            environ: an environment; its ``TRAINWRIGHT_*`` variables are read.
            overrides: field name -> value; None means not given.
            source: the file's name, for messages.

        Raises:
            SettingsInvalid: carries every fault found.
        """
        reading = _Reading(source)
        given = reading.shared_tables(config or {})
        given |= reading.own_table((config or {}).get(TABLE, {}))
        given |= reading.environment(environ or {})
        given |= reading.overrides(overrides or {})
        if reading.faults:
            raise SettingsInvalid(reading.faults)
        return cls(**_with_places(given))

    @property
    def retry_policy(self) -> RetryPolicy:
        """How often fits are tried again, and when."""
        return RetryPolicy(
            attempts_max=self.attempts_max,
            expiries_max=self.expiries_max,
            backoff_seconds=self.backoff_seconds,
            backoff_seconds_max=self.backoff_seconds_max,
            memory_seconds=self.memory_wait_seconds,
            disk_seconds=self.disk_wait_seconds,
        )

    def training(self) -> dict[str, Any]:
        """Return what a plan that lacks training settings gets, as plain values."""
        return {
            "seed": self.seed,
            "test_share": self.test_share,
            "valid_share": self.valid_share,
            "embargo_bars": self.embargo_bars,
            "stage_barrier": self.stage_barrier,
            "params": {family: dict(values) for family, values in self.params.items()},
        }


class _Reading:
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
            if not name.startswith(PREFIX) or key in _TABLES:
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
            self.faults.append(Fault(place=place, problem=f"{value!r} cannot be {key}", fix=str(error)))
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


def _with_places(given: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in the places that follow from the results directory."""
    values = {key: value for key, value in given.items() if value is not None or key in _MAY_BE_NONE}
    results = values.setdefault("results_dir", readers.path("results"))
    values.setdefault("output_dir", results.parent / "output")
    values.setdefault("inbox_dir", results.parent / "inbox")
    values.setdefault("database_url", f"sqlite:///{results / 'trainwright.db'}")
    return values


_TABLES = frozenset({"params", "horizons"})  # cannot be said in an environment variable
_MAY_BE_NONE = frozenset(
    {"data_dir", "embargo_bars", "interval", "memory_bytes", "fit_memory_bytes", "fit_seconds_max"}
)
_READERS: dict[str, Callable[[object], object]] = {
    **dict.fromkeys(("results_dir", "output_dir", "inbox_dir", "data_dir"), readers.path),
    "database_url": readers.address,
    "interval": readers.text,
    **dict.fromkeys(("symbols", "target_patterns"), readers.words),
    "families": readers.families,
    "params": readers.table,
    "horizons": readers.bars,
    "cpu_slots": readers.count(0, 4096),
    "gpu_slots": readers.count(0, 64),
    **dict.fromkeys(("memory_bytes", "fit_memory_bytes"), readers.count(1, 2**50)),
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
