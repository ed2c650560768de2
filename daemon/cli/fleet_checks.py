"""The hosts of a log as this one sees them: who is heard of, whose its name is, what all can reach."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from daemon.cli.findings import FAIL, OK, WARN, Asked, Check, Finding, existing, found, shown
from daemon.cli.place_checks import NETWORK, file_system
from daemon.identity import own_identity
from daemon.views.hosts import standing
from daemon.views.waiting import Watch
from daemon.views.words import counted
from store.reading import open_reader
from store.records import HostRow


def hosts(asked: Asked) -> Iterator[Finding]:
    """Look at the hosts that share the event log, where several may."""
    url = asked.settings.database_url
    if url.startswith("sqlite:///"):
        yield Finding(name="hosts", state=OK, words="SQLite: the event log is this machine's own")
        return
    with open_reader(url) as reader:
        watch = Watch(reader)
        rows = [row for row in watch.hosts if row.removed_at is None]
        states = {row.host: standing(watch, row, row.running or 0) for row in rows}
    told = Counter(states.values())
    words = f"{counted(len(rows), 'host')}" + "".join(f", {count} {state}" for state, count in told.items())
    yield found("hosts", words, *_troubles(rows, states))
    yield _own_name(asked, rows, states)


def artefacts(asked: Asked) -> Iterator[Finding]:
    """Look whether other hosts find what this one makes: panels, states of fits, models."""
    settings = asked.settings
    if settings.artefacts is not None:
        yield _kept_at(asked)
        return
    if settings.database_url.startswith("sqlite:///"):
        return
    folders = (settings.results_dir, settings.output_dir)
    local = [place for place in folders if file_system(existing(place)) not in NETWORK]
    words = "no artefacts are set, and the log is one that hosts share"
    fix = 'artefacts = "s3://BUCKET/PREFIX", or file:///DIRECTORY on a file system that all hosts have'
    problem = f"other hosts find neither state nor model in {shown(local)}"
    yield found("artefacts", words, *(((WARN, problem, fix),) if local else ()))


def _troubles(rows: Sequence[HostRow], states: dict[str, str]) -> Iterator[tuple[str, str, str]]:
    silent = [row.host for row in rows if states[row.host] == "silent"]
    if silent:
        fix = "look at the machine and its way to the log; gone for good: trainwright hosts remove"
        yield WARN, f"not heard of: {shown(silent)}", fix
    versions = sorted({row.version for row in rows if states[row.host] in ("up", "draining", "drained")})
    if len(versions) > 1:
        yield WARN, f"they are of several versions: {shown(versions)}", "upgrade the older ones, one by one"


def _own_name(asked: Asked, rows: Sequence[HostRow], states: dict[str, str]) -> Finding:
    """Look whether another machine works, or worked last, under the name of this one."""
    here = own_identity(asked.settings.host_name)
    row = next((row for row in rows if row.host == here.host), None)
    if row is None or not row.machine or not here.machine or row.machine == here.machine:
        return Finding(name="host name", state=OK, words=here.host)
    if states[row.host] in ("up", "draining", "drained"):
        words, fix = "another machine is at work under it", "set host_name to a name that no other host has"
        return found("host name", here.host, (FAIL, words, fix))
    words = "another machine worked under it last"
    return found(
        "host name", here.host, (WARN, words, "well if this one takes its place; else set host_name")
    )


def _kept_at(asked: Asked) -> Finding:
    """Look whether the place of artefacts can be asked, and where it is a directory be written to."""
    from daemon.artefacts import Absent, ArtefactsError, artefacts_of, panel_key  # noqa: PLC0415 (fsspec)

    address = asked.settings.artefacts or ""
    parts = urlsplit(address)
    if parts.scheme == "file" and not Path(unquote(parts.path)).is_dir():
        words = "there is no such directory; a file system that is not mounted is never written to"
        return found("artefacts", address, (FAIL, words, f"mount it, or: mkdir {unquote(parts.path)}"))
    try:
        kept = artefacts_of(asked.settings)
        if kept is not None:
            kept.has(panel_key("doctor"))
    except Absent:
        pass
    except ArtefactsError as error:
        fix = error.fix or "is it there, and do the credentials in the environment fit?"
        return found("artefacts", address, (FAIL, " ".join(str(error.what).split()), fix))
    return Finding(name="artefacts", state=OK, words=address)


CHECKS: tuple[Check, ...] = (hosts, artefacts)
