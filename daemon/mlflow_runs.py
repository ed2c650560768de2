"""Runs in MLflow. Loaded by the tracking process alone: MLflow takes a second and a hundred megabytes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

# Set before MLflow is loaded: it would tell its makers, and wait for a dead server for minutes.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
os.environ.update(MLFLOW_DISABLE_TELEMETRY="true", DO_NOT_TRACK="true")

from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag, ViewType
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from daemon.errors import DaemonError
from daemon.tracked_runs import PREFIX, TrackedRun

ENDED = f"{PREFIX}ended"  # set last: a run without it was cut off, and is written again
BATCH = 500  # metrics of one request; servers take a thousand
REFUSALS = frozenset(("INVALID_PARAMETER_VALUE", "BAD_REQUEST", "MALFORMED_REQUEST"))
FOUND_MAX = 100


class NotTracked(DaemonError):
    """A run did not arrive; `refused` when the server took offence at this very run."""

    exit_code = 75

    def __init__(self, what: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(what)


class MlflowRuns:
    """The runs of one experiment on one tracking server; raises NotTracked for an address of no kind."""

    def __init__(self, uri: str, experiment: str) -> None:
        try:
            self._client: Any = MlflowClient(tracking_uri=uri)
        except MlflowException as error:  # of an address it cannot work with
            raise NotTracked(" ".join(str(error).split())[:500]) from error
        self._name = experiment
        self._experiment: str | None = None

    def put(self, run: TrackedRun) -> str:
        """Write a run whole, the one that is there of the same fit if any; return its id at the server.

        As often as it is called there is one run of a fit, and nothing in it twice.

        Raises:
            NotTracked: the server did not answer, or refused.
        """
        try:
            return self._put(run)
        except MlflowException as error:
            self._experiment = None  # it may be gone, or a server without it be there instead
            said = " ".join(str(error).split())
            raise NotTracked(said[:500], refused=error.error_code in REFUSALS) from error
        except OSError as error:  # what the client's own library for HTTP raises
            raise NotTracked(" ".join(str(error).split())[:500]) from error

    def _put(self, run: TrackedRun) -> str:
        experiment = self._experiment_id()
        found = self._of(experiment, run.fit)
        if not found:
            tags = {f"{PREFIX}fit": run.fit, "mlflow.source.name": "trainwright"}
            self._client.create_run(experiment, start_time=run.began_ms, tags=tags, run_name=run.name)
            found = self._of(experiment, run.fit)  # another host may have made one at the same moment
        first, *others = sorted(found, key=lambda one: (one.info.start_time, one.info.run_id))
        for other in others:
            self._client.delete_run(other.info.run_id)
        run_id = str(first.info.run_id)
        if first.data.tags.get(ENDED) != run.ended:
            self._write(run_id, run)
        return run_id

    def _write(self, run_id: str, run: TrackedRun) -> None:
        params = [Param(name, value) for name, value in run.params.items()]
        tags = [RunTag(name, value) for name, value in run.tags.items()]
        self._client.log_batch(run_id, params=params, tags=tags)
        metrics = [Metric(one.key, one.value, one.at_ms, one.step) for one in run.metrics]
        for part in _parts(metrics):
            self._client.log_batch(run_id, metrics=part)
        self._client.set_terminated(run_id, status=run.status, end_time=run.ended_ms)
        self._client.set_tag(run_id, ENDED, run.ended)

    def _of(self, experiment: str, fit: str) -> Sequence[Run]:
        wanted = f"tags.`{PREFIX}fit` = '{fit}'"
        found: Sequence[Run] = self._client.search_runs(
            [experiment], wanted, run_view_type=ViewType.ACTIVE_ONLY, max_results=FOUND_MAX
        )
        return found

    def _experiment_id(self) -> str:
        if self._experiment is None:
            found = self._client.get_experiment_by_name(self._name)
            if found is not None and found.lifecycle_stage != LifecycleStage.ACTIVE:
                raise NotTracked(f"the experiment {self._name} is deleted there; restore it, or name another")
            self._experiment = str(
                found.experiment_id if found else self._client.create_experiment(self._name)
            )
        return self._experiment


def _parts(metrics: Sequence[Metric]) -> Iterator[Sequence[Metric]]:
    for start in range(0, len(metrics), BATCH):
        yield metrics[start : start + BATCH]
