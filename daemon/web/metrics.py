"""``/metrics`` for Prometheus: the log in numbers, read with each scrape, and the counts of this process."""

from __future__ import annotations

from collections.abc import Iterator

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, disable_created_metrics, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from daemon.views.waiting import Watch
from daemon.web.site import Site
from store.errors import StoreError
from store.measures import BOUNDS_SECONDS, Measures

PATH = "/metrics"
STAGES = ("cpu", "gpu")


class LogCollector(Collector):
    """What the event log says, read when it is asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def describe(self) -> list[Metric]:
        """Return nothing: what there is, is known once it is read."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Yield all of it; of a log that does not answer only that."""
        try:
            found, watch = self._site.reader.measures(), Watch(self._site.reader)
            ready = watch.ready
        except StoreError:
            yield _gauge("trainwright_log_up", "Whether the event log answers.", 0)
            return
        yield _gauge("trainwright_log_up", "Whether the event log answers.", 1)
        yield from _fits(found)
        yield from _log(found)
        yield from _hosts(watch, ready)
        yield from self._machine()

    def _machine(self) -> Iterator[Metric]:
        use = self._site.machine()
        if use.disk_free_bytes is not None:
            words = "Free space where the results of this host lie."
            yield _gauge("trainwright_disk_free_bytes", words, use.disk_free_bytes)
        if use.cpu_share is not None:
            yield _gauge("trainwright_machine_cpu_share", "Busy part of this machine's CPUs.", use.cpu_share)
        words = "Taken part of this machine's memory."
        yield _gauge("trainwright_machine_memory_share", words, use.memory_share)
        busy = GaugeMetricFamily(
            "trainwright_gpu_share", "Busy part of a GPU of this machine.", labels=("gpu", "name")
        )
        for place, gpu in enumerate(use.gpus):
            if gpu.share is not None:
                busy.add_metric((str(place), gpu.name), gpu.share)
        yield busy


def metrics(site: Site, registry: CollectorRegistry) -> APIRouter:
    """Return the route; `registry` has this process's own counts."""
    disable_created_metrics()  # type: ignore[no-untyped-call]
    registry.register(LogCollector(site))
    router = APIRouter(include_in_schema=False)

    @router.get(PATH)
    def scrape() -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return router


def _fits(found: Measures) -> Iterator[Metric]:
    fits = GaugeMetricFamily(
        "trainwright_fits", "Fits by family, stage and state.", labels=("family", "stage", "state")
    )
    words = "Tries at fits that were begun."
    attempts = CounterMetricFamily("trainwright_attempts", words, labels=("family", "stage"))
    words = "Tries that failed by the fit's own fault, since a person last retried it."
    failures = GaugeMetricFamily("trainwright_attempts_failed", words, labels=("family", "stage"))
    words = "Tries whose process was lost, since a person last retried the fit."
    lost = GaugeMetricFamily("trainwright_attempts_lost", words, labels=("family", "stage"))
    sums: dict[tuple[str, str], list[int]] = {}
    for one in found.fits:
        fits.add_metric((one.family, one.stage, one.state), one.fits)
        total = sums.setdefault((one.family, one.stage), [0, 0, 0])
        for place, count in enumerate((one.attempts, one.failures, one.expiries)):
            total[place] += count
    for kind, total in sums.items():
        attempts.add_metric(kind, total[0])
        failures.add_metric(kind, total[1])
        lost.add_metric(kind, total[2])
    yield from (fits, attempts, failures, lost)
    took = HistogramMetricFamily(
        "trainwright_fit_seconds", "How long fits took that succeeded.", labels=("family",)
    )
    for one_family in found.durations:
        bounds = [str(bound) for bound in BOUNDS_SECONDS]
        buckets = [*zip(bounds, one_family.upto, strict=True), ("+Inf", one_family.fits)]
        took.add_metric((one_family.family,), buckets, sum_value=one_family.seconds)
    yield took


def _log(found: Measures) -> Iterator[Metric]:
    plans = GaugeMetricFamily("trainwright_plans", "Plans by state.", labels=("state",))
    for state, count in found.plans.items():
        plans.add_metric((state,), count)
    yield plans
    yield _gauge("trainwright_leases", "Fits that a daemon owns now.", found.leases)
    yield _gauge("trainwright_log_head_seq", "Number of the last event.", found.head_seq)
    if found.last_event_seconds is not None:
        words = "Time since the last event."
        yield _gauge("trainwright_log_last_event_age_seconds", words, found.last_event_seconds)
    words = "How long the oldest plan with ready fits has been waiting; 0 when none is."
    yield _gauge("trainwright_queue_age_seconds", words, found.queue_seconds or 0.0)


def _hosts(watch: Watch, ready: int) -> Iterator[Metric]:
    up = GaugeMetricFamily(
        "trainwright_daemon_up", "Whether the last known daemon of a host is at work.", labels=("host",)
    )
    for host in (host for host in watch.hosts if host.removed_at is None):
        up.add_metric((host.host,), float(host.worker in watch.workers))
    yield up
    yield from _standing(watch)
    slots = GaugeMetricFamily("trainwright_slots", "Places of the daemons at work.", labels=("stage",))
    for stage, count in zip(STAGES, (watch.cpu_slots, watch.gpu_slots), strict=True):
        slots.add_metric((stage,), count)
    yield slots
    yield _gauge("trainwright_fits_ready", "Fits that wait for their turn.", ready)
    yield _gauge("trainwright_fits_held", "Ready fits that are held back.", watch.held)
    yield _gauge("trainwright_pauses", "Pauses that hold work back.", len(watch.pauses))


def _standing(watch: Watch) -> Iterator[Metric]:
    """Which hosts drain, and how long ago each was heard of."""
    words = "Whether a host drains: it claims nothing more."
    draining = GaugeMetricFamily("trainwright_host_draining", words, labels=("host",))
    words = "Time since the last sign of life of a host's daemon in the event log's database."
    beats = GaugeMetricFamily("trainwright_host_beat_age_seconds", words, labels=("host",))
    for host in watch.hosts:
        if host.removed_at is not None:
            continue
        draining.add_metric((host.host,), float(host.draining is not None))
        if host.beat_at is not None and host.state == "working":
            beats.add_metric((host.host,), max(0.0, (watch.now - host.beat_at).total_seconds()))
    yield from (draining, beats)


def _gauge(name: str, words: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, words, value=value)
