"""``retry|cancel|hold|release``: words about fits, told fit by fit with the reason, recorded with who."""

from __future__ import annotations

import getpass
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from daemon.cli.completing import fits, plans
from daemon.cli.filtering import check_targets, filter_of, filter_options, filter_words
from daemon.cli.screen import Tone, emit, paint, say
from daemon.cli.workspace import existing_log, json_option, results_option
from daemon.interventions import DONE_WORDS, Carried, Choice, carry_out, chosen
from daemon.views.words import counted
from store import open_store
from store.interventions import Word
from store.reading import open_reader
from store.state import LEASED_STATES

LINES_MAX = 20
REASON = "asked for on the command line"
TONES: dict[Word, Tone] = {"cancel": "bad", "retry": "good", "hold": "wait", "release": "good"}
Command = TypeVar("Command", bound=Callable[..., Any])


def fits_options(command: Command) -> Command:
    """Add what all words about fits take: names, filters, ``--plan``, ``--reason``, ``--dry-run``."""
    for option in reversed(
        (
            click.argument("names", nargs=-1, shell_complete=fits),
            click.option(
                "--plan",
                "plan_id",
                shell_complete=plans,
                help="Only of this plan; alone: all that it can be done to.",
            ),
            filter_options,
            click.option("--reason", default=REASON, help="Why; why, jobs and the log tell it."),
            click.option("--dry-run", is_flag=True, help="Say which fits it would be, and why."),
            results_option,
            json_option,
        )
    ):
        command = option(command)
    return command


@click.command(epilog="Example: trainwright retry --failed --target 'y_range_*' --dry-run")
@fits_options
def retry(**options: Any) -> None:  # noqa: ANN401 (the options of fits_options)
    """Make fits ready again: by JOB/Family, by job, by a filter, or of a whole plan.

    A checkpoint that is there is gone on from.
    """
    done = _do("retry", options)
    if done:
        say("next  trainwright daemon --drain    or leave them to the daemon at work")


@click.command(epilog="Example: trainwright cancel --where 'state:ready family:lstm' --dry-run")
@fits_options
def cancel(**options: Any) -> None:  # noqa: ANN401
    """Cancel fits that have not ended: by JOB/Family, by job, by a filter, or of a whole plan.

    A running one is ended.
    """
    _do("cancel", options)


@click.command(epilog="Example: trainwright hold cs_y_range_5d/LSTM --reason 'look at the labels first'")
@fits_options
def hold(**options: Any) -> None:  # noqa: ANN401
    """Hold fits back from being started: by JOB/Family, by job, by a filter, or of a whole plan.

    A running one goes on.
    """
    _do("hold", options)


@click.command(epilog="Example: trainwright release --state held")
@fits_options
def release(**options: Any) -> None:  # noqa: ANN401
    """Lift the hold on fits: by JOB/Family, by job, by a filter, or of a whole plan."""
    _do("release", options)


def _do(word: Word, options: dict[str, Any]) -> int:
    """Choose, do it unless it is a rehearsal, tell; return to how many fits, where that was printed."""
    names, plan_id, reason = options.pop("names"), options.pop("plan_id"), options.pop("reason")
    dry_run, as_json = options.pop("dry_run"), options.pop("as_json")
    where = filter_of(filter_words(options), plan=plan_id)
    if not names and plan_id is None and where is None:
        raise click.UsageError("name a fit or a job, or say which: --where, --failed, --target, --plan ...")
    url = existing_log(**_places(options))
    if dry_run:
        with open_reader(url) as reader:
            check_targets(reader, where)
            choices = chosen(reader, word, names=names, plan=plan_id, where=where)
        _tell_rehearsal(word, choices, as_json=as_json)
        return 0
    with open_store(url, create=False) as store:
        check_targets(store.reading, where)
        choices = chosen(store.reading, word, names=names, plan=plan_id, where=where)
        carried = carry_out(store, word, choices, reason=reason, actor=getpass.getuser())
    _tell(word, carried, {one.fit.id: one.because for one in choices}, as_json=as_json)
    return 0 if as_json else len(carried.done)


def _tell_rehearsal(word: Word, choices: Sequence[Choice], *, as_json: bool) -> None:
    meant = [one for one in choices if one.applies]
    passed = [one for one in choices if not one.applies]
    if as_json:
        emit(
            _document(word, [(one.fit.name, one.fit.id, one.because) for one in meant], passed, dry_run=True)
        )
        return
    would = paint(f"would be {DONE_WORDS[word]}", TONES[word])
    for one in meant[:LINES_MAX]:
        say(f"{one.fit.name}  {would}: {one.because}")
    _tell_rest(meant[LINES_MAX:])
    _tell_passed(passed)
    if meant:
        say(f"dry run: {counted(len(meant), 'fit')} would be {DONE_WORDS[word]}; nothing was changed")
    else:
        say(_nothing(passed))


def _tell(word: Word, carried: Carried, why: Mapping[str, str], *, as_json: bool) -> None:
    if as_json:
        done = [(fit.name, fit.id, why[fit.id]) for fit in carried.done]
        emit(_document(word, done, carried.passed, dry_run=False))
        return
    for fit in carried.done[:LINES_MAX]:
        goes_on = f": {why[fit.id]}" if word == "hold" and fit.state in LEASED_STATES else ""
        say(f"{fit.name}  {paint(DONE_WORDS[word], TONES[word])}{goes_on}")
    if len(carried.done) > LINES_MAX:
        say(f"… and {len(carried.done) - LINES_MAX:,} more")
    _tell_passed(carried.passed)
    if not carried.done:
        say(_nothing(carried.passed))
    elif len(carried.done) > 1:
        say(f"{counted(len(carried.done), 'fit')} {DONE_WORDS[word]}")


def _tell_rest(rest: Sequence[Choice]) -> None:
    """Those that got no line of their own, counted by their reason."""
    for because, count in Counter(one.because for one in rest).most_common(LINES_MAX):
        say(f"… and {count:,} more: {because}")


def _tell_passed(passed: Sequence[Choice]) -> None:
    """Those it was not done to: a few by name, many counted by their reason."""
    if len(passed) <= LINES_MAX // 4:
        for one in passed:
            say(f"{one.fit.name}  left as it is: {one.because}")
        return
    for because, count in Counter(one.because for one in passed).most_common(LINES_MAX // 4):
        say(f"{counted(count, 'fit')} left as {'it is' if count == 1 else 'they are'}: {because}")


def _nothing(passed: Sequence[Choice]) -> str:
    if passed:
        return "nothing was changed"
    return "no fit matches: trainwright jobs tells the state of each"


def _document(
    word: Word, done: Sequence[tuple[str, str, str]], passed: Sequence[Choice], *, dry_run: bool
) -> dict[str, Any]:
    return {
        "word": word,
        "dry_run": dry_run,
        "done": [{"fit": name, "id": fit_id, "because": because} for name, fit_id, because in done],
        "passed": [{"fit": one.fit.name, "id": one.fit.id, "because": one.because} for one in passed],
    }


def _places(options: dict[str, Any]) -> dict[str, Path | None]:
    return {name: options[name] for name in ("config", "results_dir")}
