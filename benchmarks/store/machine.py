"""The facts a figure depends on: cores, load, versions, and what one fdatasync costs here."""

from __future__ import annotations

import os
import platform
import sqlite3
import statistics
import time
from pathlib import Path

import psycopg

from store.sqlite_database import file_system_of

SYNCS = 200


def machine_facts(folder: Path, postgres_url: str) -> tuple[str, ...]:
    """Return the lines above the table."""
    with psycopg.connect(postgres_url) as server:
        found = server.execute("SELECT current_setting('server_version')").fetchone()
        keeps = [
            f"{name} {(server.execute('SELECT current_setting(%s)', (name,)).fetchone() or ('?',))[0]}"
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    server_version = found[0] if found else "?"
    return (
        f"{time.strftime('%Y-%m-%d %H:%M:%S %Z')}; {os.cpu_count()} cores; load {load}",
        f"Python {platform.python_version()}, psycopg {psycopg.__version__}, {platform.platform()}",
        f"SQLite {sqlite3.sqlite_version} (WAL, synchronous=FULL)",
        f"Postgres {server_version} ({', '.join(keeps)}, unix socket)",
        f"disk {file_system_of(folder)}: 4 KiB and fdatasync in {fdatasync_ms(folder):.2f} ms (median)",
    )


def fdatasync_ms(folder: Path) -> float:
    """Return the median milliseconds of a 4 KiB append made durable."""
    path = folder / "sync"
    taken = []
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    try:
        for _ in range(SYNCS):
            begun = time.perf_counter()
            os.write(descriptor, bytes(4096))
            os.fdatasync(descriptor)
            taken.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    return statistics.median(taken) * 1000
