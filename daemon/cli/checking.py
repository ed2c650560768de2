"""``trainwright doctor``: what this machine and its host have and lack, each finding beside its fix."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click

from daemon.cli import (
    engine_checks,
    fleet_checks,
    host_checks,
    machine_checks,
    page_checks,
    place_checks,
    tracking_checks,
)
from daemon.cli.configuration import settings_for
from daemon.cli.findings import FAIL, OK, WARN, Asked, Check, Finding
from daemon.cli.screen import emit, say
from daemon.cli.workspace import CONFIG_FILE, json_option, results_option
from store.errors import StoreError

CHECKS: tuple[Check, ...] = (
    *machine_checks.CHECKS,
    *place_checks.CHECKS,
    *host_checks.CHECKS,
    *fleet_checks.CHECKS,
    *engine_checks.CHECKS,
    *page_checks.CHECKS,
    *tracking_checks.CHECKS,
)


@click.command(epilog="Example: trainwright doctor --send-test")
@click.option("--send-test", is_flag=True, help="Send a message by each way to people that is set up.")
@results_option
@json_option
def doctor(*, as_json: bool, send_test: bool, config: Path | None, results_dir: Path | None) -> None:
    """Check the machine, its folders, the event log, the service, and the ways to people.

    Run it as the account that the daemon runs as: rights are those of whoever asks. Ends with 1 when
    something fails.
    """
    settings = settings_for(config, results_dir=results_dir)
    asked = Asked(settings=settings, config=config or CONFIG_FILE)
    findings = [finding for check in CHECKS for finding in looked_at(check, asked)]
    if send_test:
        findings += host_checks.messages(settings)
        if not any(one.name.startswith("test ") for one in findings):
            fix = "set webhook_url or notify_command"
            findings.append(Finding(name="test", state=FAIL, words="there is no way to people", fix=fix))
    failed = sum(one.state == FAIL for one in findings)
    if as_json:
        emit({"findings": [asdict(one) for one in findings], "failed": failed})
    else:
        for line in lines(findings):
            say(line)
    raise SystemExit(1 if failed else 0)


def looked_at(check: Check, asked: Asked) -> Iterator[Finding]:
    """Yield what a check found; one that cannot look says so and stops no other."""
    try:
        yield from check(asked)
    except (OSError, ValueError, StoreError, subprocess.SubprocessError) as error:
        name = check.__name__.replace("_", " ")
        fix = "look by hand; it may be a right this account lacks"
        yield Finding(name=name, state=WARN, words=f"cannot be looked at: {error}", fix=fix)


def lines(findings: list[Finding]) -> Iterator[str]:
    """Yield the findings as lines, each with its fix, and a last one that counts them."""
    width = max(len(one.name) for one in findings)
    for one in findings:
        fix = f"; fix: {one.fix}" if one.fix else ""
        words = " ".join(one.words.split())
        yield f"{one.state:<5} {one.name:<{width}}  {words}{fix}"
    counts = {state: sum(one.state == state for one in findings) for state in (OK, WARN, FAIL)}
    yield f"{counts[OK]} ok, {counts[WARN]} to look at, {counts[FAIL]} failed"
