"""The door of the command line: the tree of commands, the exit codes and the last word on errors.

A command is imported when it is called and not before, so that ``status`` does not pay for pandas; what
knows all errors is imported when there is one.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType, TracebackType

import click

from daemon.cli.lazy import LazyGroup
from daemon.cli.screen import COLOURS, paint, tell, use_colour

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module:attribute, one line of help)
    "demo": ("daemon.cli.showing:demo", "real bars, the whole job, a table of models: start here"),
    "label": ("daemon.cli.labelling:label", "raw bars -> features and targets, without look-ahead"),
    "run": ("daemon.cli.planning:run", "rank targets, select features, write the plan, train it"),
    "train": ("daemon.cli.training:train", "train from a plan"),
    "plan": ("daemon.cli.plans:plan", "make | show | validate | explain | diff | export"),
    "submit": ("daemon.cli.submitting:submit", "hand a plan directory to the daemon"),
    "daemon": ("daemon.cli.hosting:daemon", "the training host; what systemd starts"),
    "fit": ("daemon.cli.fitting:fit", "do one fit, or some, and end: for Slurm, Dask, Celery, CI, cron"),
    "service": ("daemon.cli.servicing:service", "install | status | logs | remove: the host under systemd"),
    "reload": ("daemon.cli.hosting:reload", "have the daemon read its configuration again"),
    "status": ("daemon.cli.overview:status", "what is done, running, waiting, lost and resumed"),
    "jobs": ("daemon.cli.reading:jobs", "the fits, one line each"),
    "job": ("daemon.cli.reading:job", "one fit with all its attempts"),
    "why": (
        "daemon.cli.reasoning:why",
        "why a fit waits or failed; why a target or a feature was kept or left out",
    ),
    "logs": ("daemon.cli.tailing:logs", "the log of an attempt"),
    "events": ("daemon.cli.events:events", "the event log itself"),
    "retry": ("daemon.cli.changing:retry", "make failed fits ready again"),
    "cancel": ("daemon.cli.changing:cancel", "cancel fits that have not ended"),
    "hold": ("daemon.cli.changing:hold", "hold fits back from being started"),
    "release": ("daemon.cli.changing:release", "lift the hold on fits"),
    "pause": ("daemon.cli.pausing:pause", "start nothing more of a plan, of a stage, on a host"),
    "resume": ("daemon.cli.pausing:resume", "end a pause"),
    "families": ("daemon.cli.catalogue:families", "the 20 model families"),
    "models": (
        "daemon.cli.models:models",
        "ls | leaderboard | show | compare | predict | verify | promote | export",
    ),
    "report": ("daemon.cli.reporting:report", "one HTML file on a plan, to send to a colleague"),
    "db": (
        "daemon.cli.database:db",
        "upgrade | verify | rebuild | backup | restore | seal | archive | retain | export | import | info",
    ),
    "schedule": ("daemon.cli.scheduling:schedule", "what the daemon does at certain times, and how it went"),
    "serve": ("daemon.cli.serving:serve", "the web page and the REST API"),
    "config": ("daemon.cli.configuring:config", "show: every setting, and where it comes from"),
    "hosts": ("daemon.cli.hosts:hosts", "ls | drain | remove: the training hosts of this log"),
    "completion": ("daemon.cli.completion:completion", "complete commands and live names in your shell"),
    "doctor": ("daemon.cli.checking:doctor", "check this machine, each finding with its fix"),
}
HELP = """Rank targets, catch leaks, plan, and train many models on panels of financial time series.

\b
First time:   trainwright demo
Exit codes:   0 all well, 1 a fit failed, 2 usage, 3 plan or data rejected, 4 not found,
              5 daemon not reachable, 75 try again later, 130 interrupted
"""
VERBOSE = frozenset({"-v", "--verbose"})


@click.group(
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    help=HELP,
    epilog="Example: trainwright status --watch",
)
@click.option(
    "-C",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Act as if started in DIR.",
)
@click.option("-v", "--verbose", is_flag=True, help="Show the traceback of an error; may stand anywhere.")
@click.option(
    "--color",
    type=click.Choice(COLOURS),
    help="Colours: auto (NO_COLOR, FORCE_COLOR, a terminal), always, never; may stand anywhere.",
)
@click.version_option(package_name="trainwright", prog_name="trainwright")
@click.pass_context
def cli(ctx: click.Context, folder: Path | None, *, verbose: bool, color: str | None) -> None:
    """Rank targets, catch leaks, plan, and train many models on panels of financial time series."""
    ctx.obj = {"verbose": verbose}
    use_colour(color or COLOURS[0])
    if folder is not None:
        os.chdir(folder)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with the code of the contract."""
    words, verbose = _without_verbose(_colour_first(sys.argv[1:] if arguments is None else arguments))
    sys.excepthook = _last_word
    try:
        code = cli.main(args=words, prog_name="trainwright", standalone_mode=False)
    except click.exceptions.Abort:
        tell("interrupted; what was acknowledged is kept")
        sys.exit(130)
    except click.ClickException as error:
        _failures().show_usage(error)
        sys.exit(2)
    except _failures().expected() as error:  # evaluated only once something was raised
        _failures().show(error)
        if verbose:
            importlib.import_module("traceback").print_exception(error)
        sys.exit(_failures().exit_code(error))
    sys.exit(code if isinstance(code, int) else 0)


def _without_verbose(arguments: Sequence[str]) -> tuple[list[str], bool]:
    """The words without ``-v`` wherever it stands before ``--``, and whether it stood there."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    kept = [word for word in arguments[:end] if word not in VERBOSE]
    return [*kept, *arguments[end:]], len(kept) < end


def _colour_first(arguments: Sequence[str]) -> list[str]:
    """The words with ``--color`` in front wherever it stands before ``--``."""
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    for place, word in enumerate(arguments[:end]):
        if word.startswith("--color=") or (word == "--color" and place + 1 < end):
            taken = 1 if "=" in word else 2
            said = arguments[place : place + taken]
            return [*said, *arguments[:place], *arguments[place + taken :]]
    return list(arguments)


def _failures() -> ModuleType:
    """The module that knows all errors, loaded when there is one."""
    return importlib.import_module("daemon.cli.failures")


def _last_word(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A defect of ours: say so in few words and keep the whole traceback in a file."""
    if issubclass(kind, KeyboardInterrupt):
        tell("interrupted; what was acknowledged is kept")
        os._exit(130)
    lines = importlib.import_module("traceback").format_exception(kind, error, trace)
    kept = _failures().keep_traceback(lines)
    sentence = f" Trainwright itself failed ({kind.__name__}: {error})".splitlines()[0]
    tell(paint("error:", "bad") + sentence)
    tell(f"  where {kept}")
    tell("  kept  everything that was acknowledged; the command may be repeated")
    tell("  next  trainwright doctor")
    if VERBOSE & set(sys.argv):
        tell("".join(lines))


def run_main() -> None:
    """``python -m planner``: the full pipeline with the flags of ``trainwright run``."""
    main(["run", *sys.argv[1:]])


def train_main() -> None:
    """``python -m executors``: training with the flags of ``trainwright train``."""
    main(["train", *sys.argv[1:]])


def daemon_main() -> None:
    """``python -m daemon``: the training host."""
    main(["daemon", *sys.argv[1:]])


if __name__ == "__main__":
    main()
