"""``trainwright serve``: the page and the API, without a daemon."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from daemon.cli.configuration import settings_for
from daemon.cli.workspace import existing_log, results_option


@click.command(epilog="Example: trainwright serve --port 8765")
@click.option("--port", type=click.IntRange(0, 65_535), help="On this machine; default from web_listen.")
@results_option
def serve(*, port: int | None, config: Path | None, results_dir: Path | None) -> None:
    """Serve the web page and the REST API until interrupted."""
    existing_log(config, results_dir)
    listen = None if port is None else f"127.0.0.1:{port}"
    settings = settings_for(config, results_dir=results_dir, web_listen=listen)
    host, _, number = (settings.web_listen or "127.0.0.1:8765").rpartition(":")
    app = import_module("daemon.web.app").create_app(settings)
    import_module("uvicorn").run(app, host=host, port=int(number), log_config=None)
