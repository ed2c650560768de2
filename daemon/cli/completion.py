"""``trainwright completion``: the script that lets a shell complete commands, options and live names."""

from __future__ import annotations

import os
from pathlib import Path

import click
from click.shell_completion import get_completion_class

from daemon.cli.screen import tell

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_TRAINWRIGHT_COMPLETE"  # as click reads it for a program of this name
INSTALLING = {
    "bash": (
        "mkdir -p ~/.local/share/bash-completion/completions",
        "trainwright completion bash > ~/.local/share/bash-completion/completions/trainwright",
    ),
    "zsh": (
        "mkdir -p ~/.zfunc && trainwright completion zsh > ~/.zfunc/_trainwright",
        "and in ~/.zshrc, before compinit: fpath+=~/.zfunc",
    ),
    "fish": ("trainwright completion fish > ~/.config/fish/completions/trainwright.fish",),
}


@click.command(
    epilog="Example: trainwright completion bash > ~/.local/share/bash-completion/completions/trainwright"
)
@click.argument("shell", type=click.Choice(SHELLS), required=False)
@click.pass_context
def completion(ctx: click.Context, *, shell: str | None) -> None:
    """Print the script for bash, zsh or fish; it completes ids of plans, jobs, fits, targets, families too.

    Without a name it is that of your shell. How to install it for good is told beside it.
    """
    shell = shell or Path(os.environ.get("SHELL", "")).name
    made = get_completion_class(shell) if shell in SHELLS else None
    if made is None:
        raise click.UsageError(f"name the shell: {', '.join(SHELLS)}")
    program = ctx.find_root().command
    click.echo(made(program, {}, "trainwright", VARIABLE).source())
    for place, line in enumerate(INSTALLING[shell]):
        tell(f"{'' if place else 'install'}".ljust(9) + line)
