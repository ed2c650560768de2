"""What programs that watch are told: health, readiness, metrics; and how busy the machine is."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
from daemon_samples import FakeClock
from page_client import Ask

from daemon.settings import Settings
from daemon.web import health, machine_use, metrics
from daemon.web.machine_use import SAMPLE_SECONDS, Gpus, Machine
from store import open_store
from store.errors import DatabaseUnavailable


def values(text: str) -> dict[str, float]:
    """The samples of a scrape by name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def test_a_scrape_says_what_the_log_says(asking: Ask, web_settings: Settings) -> None:
    """Fits by state, attempts, leases, slots, daemons and the head are those of the log at that moment."""
    client = asking()
    with open_store(web_settings.database_url) as store:
        before = values(client.get(metrics.PATH).text)
        store.pause(reason="for a test")
        found = values(client.get(metrics.PATH).text)
        fits = store.reading.fits()
        assert found["trainwright_log_head_seq"] == store.head_seq() == before["trainwright_log_head_seq"] + 1
        assert found["trainwright_leases"] == sum(fit.state in ("claimed", "running") for fit in fits)
    told = {name: count for name, count in found.items() if name.startswith("trainwright_fits{")}
    assert sum(told.values()) == len(fits)
    for fit in fits:
        labels = f'family="{fit.family}",stage="{fit.stage}"'
        assert told[f'trainwright_fits{{{labels},state="{fit.state}"}}'] > 0
    tries = {name: count for name, count in found.items() if name.startswith("trainwright_attempts_total{")}
    assert sum(tries.values()) == sum(fit.attempt for fit in fits)
    assert found["trainwright_pauses"] == before["trainwright_pauses"] + 1
    assert found["trainwright_log_up"] == 1
    assert 0 <= found["trainwright_log_last_event_age_seconds"] < 600
    assert found['trainwright_web_requests_total{method="GET",path="/metrics",status="200"}'] == 1


def test_durations_are_a_histogram_by_family(asking: Ask, web_settings: Settings) -> None:
    """Each family's buckets grow and end at the number of its fits that succeeded."""
    found = values(asking().get(metrics.PATH).text)
    with open_store(web_settings.database_url) as store:
        done = [fit for fit in store.reading.fits() if fit.state == "succeeded"]
    assert done
    for family in {fit.family for fit in done}:
        seconds = [fit.seconds or 0.0 for fit in done if fit.family == family]
        for bound in (1.0, 60.0, 3600.0):
            name = f'trainwright_fit_seconds_bucket{{family="{family}",le="{bound}"}}'
            assert found[name] == sum(one <= bound for one in seconds)
        assert found[f'trainwright_fit_seconds_bucket{{family="{family}",le="+Inf"}}'] == len(seconds)
        assert found[f'trainwright_fit_seconds_sum{{family="{family}"}}'] == pytest.approx(sum(seconds))


def test_what_cannot_be_read_is_told_and_not_an_error(asking: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a log that does not answer the process is up and not ready, and its metrics say so."""
    client = asking()

    def silent() -> None:
        raise DatabaseUnavailable(url="sqlite:///x", cause="disk I/O error")

    monkeypatch.setattr(client.app.state.site.reader._database, "snapshot", silent)
    assert client.get(health.HEALTH_PATH).json() == {"status": "ok"}
    told = client.get(health.READY_PATH)
    assert told.status_code == 503
    assert "does not answer" in told.json()["reasons"][0]
    assert values(client.get(metrics.PATH).text)["trainwright_log_up"] == 0
    problem = client.get("/api/v1/status")
    assert (problem.status_code, problem.headers["retry-after"]) == (503, "5")
    page = client.get("/", headers={"Accept": "text/html"})
    assert (page.status_code, "the event log does not answer" in page.text) == (503, True)


def test_without_a_daemon_it_is_not_ready(asking: Ask, web_settings: Settings) -> None:
    """Nothing would be trained where no daemon is at work, and readiness says so."""
    client = asking()
    with open_store(web_settings.database_url) as store:
        workers = {host.worker for host in store.reading.hosts() if host.state == "working"}
    told = client.get(health.READY_PATH)
    assert (told.status_code == 200) == bool(workers)
    empty = web_settings.results_dir.parent / "empty.db"
    open_store(f"sqlite:///{empty}").close()
    told = asking(database_url=f"sqlite:///{empty}").get(health.READY_PATH)
    assert (told.status_code, told.json()["reasons"]) == (503, ["no daemon is at work"])


def test_the_machine_is_asked_now_and_then(tmp_path: Path) -> None:
    """However many ask, a sample is taken every few seconds; the first has no share of the CPUs yet."""
    clock = FakeClock()
    machine = Machine(tmp_path, clock=clock)
    first = machine.use()
    assert first.cpu_share is None
    assert 0 < first.memory_share < 1
    assert first.disk_free_bytes
    assert machine.use() is first
    clock.now += SAMPLE_SECONDS
    assert machine.use() is not first
    assert Machine(tmp_path / "none", clock=clock).use().disk_free_bytes is None


def test_gpus_are_told_where_their_library_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each device is told with its load and memory; without driver or library there are none."""

    class NVMLError(Exception):
        """The library's own."""

    def no_rates(device: str) -> object:
        if device == "second":
            raise NVMLError
        return types.SimpleNamespace(gpu=37)

    nvml = types.SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlDeviceGetCount=lambda: 2,
        nvmlDeviceGetHandleByIndex=("first", "second").__getitem__,
        nvmlDeviceGetName=lambda device: f"GPU {device}".encode(),
        nvmlDeviceGetMemoryInfo=lambda _: types.SimpleNamespace(used=10, total=40),
        nvmlDeviceGetUtilizationRates=no_rates,
    )
    monkeypatch.setattr(machine_use, "import_module", lambda _: nvml)
    found = Gpus().use()
    assert [(use.name, use.share, use.memory_share) for use in found] == [
        ("GPU first", 0.37, 0.25),
        ("GPU second", None, 0.25),
    ]

    def no_driver() -> None:
        raise NVMLError

    nvml.nvmlInit = no_driver
    assert Gpus().use() == ()
    monkeypatch.undo()
    assert Gpus(library="no_such_library_of_ours").use() == ()
