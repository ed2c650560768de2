"""``--help``: every command has an example, and every example is one that really works."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_samples import Call

from daemon.cli.main import cli
from store import PlanStore

# Over the sample log these do what they say; the others need data, systemd, a model or hours.
RUN = (
    "jobs", "job", "why", "logs", "events", "retry", "cancel", "hold", "release", "pause", "resume",
    "families", "hosts ls", "schedule", "config show", "completion", "db info", "db verify", "db rebuild",
)  # fmt: skip
PLACES = ("data", "bars", "results/globals/training_plan", "results.last-week", "results/backups")
FILES = ("log.jsonl.gz", "results/backups/trainwright-20260102T030405Z.db")


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command of the tree with the words that lead to it, groups as well."""
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            found = command.get_command(ctx, name)
            assert found is not None
            yield from commands(found, (*path, name))


TREE = dict(commands(cli))


def example_of(command: click.Command) -> list[str]:
    """The words of a command's example behind ``trainwright``."""
    found = re.search(r"Example: trainwright (.*?)(?:   +\(.*)?(?: > .*)?$", command.epilog or "")
    assert found, f"{command.name} has no example: {command.epilog}"
    return shlex.split(found[1])


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_the_example_of_a_command_is_a_call_of_it(folder: Path, path: tuple[str, ...]) -> None:
    """Its words are known to the command, its options and values too; a group's leads to one of its own."""
    for place in PLACES:
        (folder / place).mkdir(parents=True)
    for file in FILES:
        (folder / file).touch()
    words = example_of(TREE[path])
    assert tuple(words[: len(path)]) == path
    called = next(
        known for known in sorted(TREE, key=len, reverse=True) if tuple(words[: len(known)]) == known
    )
    TREE[called].make_context(called[-1], words[len(called) :])


@pytest.mark.parametrize("path", RUN)
def test_the_example_runs_over_a_log(call: Call, filled: PlanStore, path: str) -> None:
    """As somebody would type it after having read the help."""
    done = call(*example_of(TREE[tuple(path.split())]))
    assert done.code == 0, done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_the_help_of_a_command_shows_its_example(call: Call, path: tuple[str, ...]) -> None:
    """At its end, within the width of a screen."""
    done = call(*path, "--help")
    assert done.code == 0
    assert "Example: " in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("statsu",), "Did you mean status?"),
        (("plan", "shwo"), "Did you mean show?"),
        (("hosts", "list"), "Did you mean ls?"),
        (("status", "--wach"), "--watch"),
        (("jobs", "--tarjet", "y"), "--target"),
        (("retry", "--fialed"), "--failed"),
    ],
)
def test_a_slip_of_the_finger_is_put_right(call: Call, words: tuple[str, ...], near: str) -> None:
    """Commands, those of groups, and options: exit code 2 and what was meant."""
    done = call(*words)
    assert done.code == 2
    assert near in done.err
