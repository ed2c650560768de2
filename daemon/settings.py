"""The settings of the training host: one frozen record, read once, validated as a whole.

The command line stands over ``TRAINWRIGHT_*`` in the environment, over the file, over the default. The
table of the file is ``[daemon]``; what plans need to know of data and training is shared with the planner:
``[data]`` and ``[training]``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.errors import SettingsInvalid
from daemon.settings_reading import NOTICES, TABLE, SettingsReading, with_places
from executors.families import DEFAULT_FAMILIES
from store.ordering import ClaimOrder
from store.records import Room
from store.retries import RetryPolicy

WEB_LISTEN = "127.0.0.1:8765"  # where people look for the page when nobody said anything


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
        family_seconds_max: family name -> its own limit in the place of fit_seconds_max.
        fit_silent_seconds: how long a fit may report nothing before the log says so.
        fit_hung_seconds: how long it may neither report nor work before it is ended; 0: for ever.
        fit_log_bytes: most bytes of an attempt's log file; of a longer one the middle is left out.
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
        host_name: this host in the log; None: the machine's name.
        labels: what this host has that fits may ask for; "gpu" is one of its own where it has gpu_slots.
        family_labels: family name -> labels that its fits need, of plans that do not say it.
        engine: "own": fits are processes of this host; "ray": jobs of a Ray cluster that run our agent.
        ray_address: where that cluster takes jobs, its dashboard: http://HOST:8265.
        ray_token_file: a file with the cluster's token, readable by this account only.
        ray_slots: fits handed to the cluster at the same time, those that wait there among them.
        ray_fits_per_job: short fits that one job does in turn; each job takes seconds to start.
        ray_command: what starts trainwright on a node of the cluster.
        ray_config: the file of settings on the nodes; None: what they find by themselves.
        planning_engine: where plans are measured: "own", this host, or "ray", the cluster that it belongs to.
        priority_step_seconds: how much longer a fit waits than one that is more urgent by 1, at most; so much
            later others may have come that pass one for which there is no room.
        share_step_seconds: by how much each running fit of a plan puts the plan's next one back.
        disk_floor_bytes: free space below which no fit is started and no plan taken.
        plan_bytes_max: largest master plan that is taken out of the drop folder.
        plans_open_max: plans being worked on, beyond which further ones wait in the drop folder.
        judging_seconds_max: longest time until a dropped plan and its data are looked through.
        judging_memory_bytes: most memory of its own that may take; None: half of the machine's.
        inbox_users: names or numbers of those whose plans are taken; empty: of all who may write there.
        failures_pause: final failures of one cause in a row, of three jobs, that pause a plan; 0: none does.
        stuck_seconds: how long ready fits may wait while nothing runs before people are told.
        windows: when fits may be started: "[cpu|gpu] HH:MM-HH:MM [days]"; empty: always.
        time_zone: of windows and schedule, an IANA name; None: the machine's.
        schedule: name -> {cron, do, ...}: what the daemon does at certain times.
        webhook_url: where people are told by HTTP POST; None: nowhere.
        webhook_secret_file: a file with the key that signs each message.
        notify_command: a program and its arguments that is told on standard input; empty: none.
        notify_on: of what people are told.
        web_listen: where the page and the API are served, HOST:PORT or unix:/PATH; None ("off"): nowhere.
        web_names: further names under which the page is asked for, where it is not this machine's own.
        web_token_file: a file with the token of those who may do everything; needed beyond this machine.
        web_read_token_file: a file with the token of those who may only look.
        mlflow_uri: a tracking server of MLflow that is told of every fit that ends; None: none.
        mlflow_experiment: the name of its experiment.
        artefacts: where panels, states and models lie for all hosts, file:///DIRECTORY or an address like
            s3://BUCKET/PREFIX; None: in the directories as they are, of one machine or a shared file system.
        artefact_options: option -> value of the library that speaks to that place, none of them a secret.
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
    family_seconds_max: Mapping[str, float] = field(default_factory=dict)
    fit_silent_seconds: float = 600.0
    fit_hung_seconds: float = 3600.0
    fit_log_bytes: int = 10_000_000
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
    host_name: str | None = None
    labels: tuple[str, ...] = ()
    family_labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    engine: str = "own"
    ray_address: str | None = None
    ray_token_file: Path | None = None
    ray_slots: int = 8
    ray_fits_per_job: int = 1
    ray_command: tuple[str, ...] = ("trainwright",)
    ray_config: Path | None = None
    planning_engine: str = "own"
    priority_step_seconds: float = 3600.0
    share_step_seconds: float = 60.0
    disk_floor_bytes: int = 1_000_000_000
    plan_bytes_max: int = 67_108_864
    plans_open_max: int = 1000
    judging_seconds_max: float = 3600.0
    judging_memory_bytes: int | None = None
    inbox_users: tuple[str, ...] = ()
    failures_pause: int = 10
    stuck_seconds: float = 900.0
    windows: tuple[str, ...] = ()
    time_zone: str | None = None
    schedule: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    webhook_url: str | None = None
    webhook_secret_file: Path | None = None
    notify_command: tuple[str, ...] = ()
    notify_on: tuple[str, ...] = NOTICES
    web_listen: str | None = WEB_LISTEN
    web_names: tuple[str, ...] = ()
    web_token_file: Path | None = None
    web_read_token_file: Path | None = None
    mlflow_uri: str | None = None
    mlflow_experiment: str = "trainwright"
    artefacts: str | None = None
    artefact_options: Mapping[str, Any] = field(default_factory=dict)
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
        reading = SettingsReading(source)
        given = reading.shared_tables(config or {})
        given |= reading.own_table((config or {}).get(TABLE, {}))
        given |= reading.environment(environ or {})
        given |= reading.overrides(overrides or {})
        if reading.faults:
            raise SettingsInvalid(reading.faults)
        return cls(**with_places(given))

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

    @property
    def claim_order(self) -> ClaimOrder:
        """How much priority and the plans' shares weigh against waiting."""
        return ClaimOrder(
            priority_step_seconds=self.priority_step_seconds, share_step_seconds=self.share_step_seconds
        )

    @property
    def own_labels(self) -> tuple[str, ...]:
        """The labels of this host, those that follow from what it has among them, sorted."""
        return tuple(sorted({*self.labels, *(("gpu",) if self.gpu_slots else ())}))

    @property
    def room(self) -> Room:
        """What the host has for fits, as the log is told: of a cluster only how many fits it is given."""
        if self.engine == "own":
            return Room(cores=self.cpu_slots, gpus=self.gpu_slots, memory_bytes=self.memory_bytes)
        return Room(cores=self.ray_slots, gpus=self.ray_slots if self.gpu_slots else 0)

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
