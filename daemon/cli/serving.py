"""``trainwright serve``: the page and the API, without a daemon."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from daemon.cli.configuration import settings_for
from daemon.cli.screen import say, tell
from daemon.cli.workspace import existing_log, results_option
from daemon.errors import DaemonError

HOST = "127.0.0.1"
LIBRARIES = frozenset({"fastapi", "starlette", "uvicorn", "prometheus_client", "multipart", "anyio"})


class ExtraMissing(DaemonError):
    """What serves pages is not installed."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__(
            "the page needs an extra that is not installed",
            where="trainwright serve",
            fix="pip install 'trainwright[web]'",
        )


@click.command(epilog="Example: trainwright serve --port 8765")
@click.option("--port", type=click.IntRange(0, 65_535), help="On this machine; 0 takes a free one.")
@click.option("--socket", "path", type=click.Path(path_type=Path), help="A Unix socket in place of a port.")
@results_option
def serve(*, port: int | None, path: Path | None, config: Path | None, results_dir: Path | None) -> None:
    """Serve the web page and the REST API until interrupted; a daemon at work serves them too.

    Without --port or --socket it listens where web_listen says, by default at 127.0.0.1:8765.
    """
    if port is not None and path is not None:
        raise click.UsageError("--port and --socket are two places: give one of them")
    existing_log(config, results_dir)
    listen = None if port is None else f"{HOST}:{port}"
    if path is not None:
        listen = f"unix:{path.absolute()}"
    settings = settings_for(config, results_dir=results_dir, web_listen=listen)
    logs = import_module("daemon.logs")
    logs.configure_logs()
    logs.take_in_other_logs()
    try:
        running = import_module("daemon.web.running")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in LIBRARIES:
            raise ExtraMissing from error
        raise
    running.serve_pages(settings, told=_tell)


def _tell(address: str) -> None:
    say(f"page      {address}")
    tell("Ctrl-C ends it; no fit is touched")
