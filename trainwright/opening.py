"""Opening an event log from Python: by its results directory, by its address, or as configured."""

from __future__ import annotations

from pathlib import Path

from daemon.cli.configuration import settings_for
from daemon.errors import DaemonError
from daemon.settings import Settings
from store import open_store as open_log
from store.reading import open_reader
from trainwright.store import Store

LOG, RESULTS, CONFIG = "trainwright.db", "results", "trainwright.toml"


class NoStoreHere(DaemonError):
    """There is no event log where one was looked for."""

    exit_code = 4

    def __init__(self, url: str) -> None:
        super().__init__(
            "there is no event log here yet",
            where=url,
            fix="name a results directory or a database, or make a log: open_store(place, create=True)",
        )


def open_store(
    place: str | Path | None = None, *, config: str | Path | None = None, create: bool = False
) -> Store:
    """Open an event log: what was planned, what is trained, what came of it.

    Args:
        place: a results directory, a directory that holds ``results/``, or a database's address
            (``sqlite:///…``, ``postgresql://…``); None for the place that the configuration names.
        config: the configuration file; by default ``trainwright.toml`` beside the results directory.
        create: make an empty log where there is none.

    Raises:
        NoStoreHere: there is no log, and none is to be made.
        SettingsInvalid: the configuration has faults.
        StoreError: the log cannot be opened.
    """
    settings = _settings(place, None if config is None else Path(config))
    url = settings.database_url
    if create:
        settings.results_dir.mkdir(parents=True, exist_ok=True)
        open_log(url, create=True).close()
    elif url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        raise NoStoreHere(url)
    return Store(settings, open_reader(url))


def _settings(place: str | Path | None, config: Path | None) -> Settings:
    """The settings of a place: those of the file beside it, as if one were there."""
    if place is None:
        return settings_for(config)
    if isinstance(place, str) and "://" in place:
        return settings_for(config, database_url=place)
    results = Path(place).expanduser().absolute()
    if not (results / LOG).exists() and (results / RESULTS).is_dir():
        results = results / RESULTS
    beside = results.parent / CONFIG
    known = config or (beside if beside.exists() else None)
    if (results / LOG).exists():
        return settings_for(known, results_dir=results, database_url=f"sqlite:///{results / LOG}")
    return settings_for(known, results_dir=results)
