"""The report in plain words: what was asked, what came of it, what it is worth, what to be wary of."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.report.blocks import Block, Cell, Listing, Section, Table, Value, Words, rest
from daemon.report.boards import Board, metrics_of
from daemon.report.costs import trained_seconds
from daemon.report.failures import OPEN
from daemon.report.leaks import Leak
from daemon.report.material import Material
from daemon.report.numbers import interval, listed, signed
from daemon.report.provenance import bar_words
from daemon.report.scores import BETTER, FURTHER, seen_words, tally, worth
from daemon.report.targets import Standing
from daemon.views.foreign import finite
from daemon.views.words import counted, moment, span

BEST_LISTED = 12


def summary_section(
    material: Material,
    found: Sequence[Standing],
    leaks: Sequence[Leak],
    boards: Sequence[Board],
    wary: Sequence[str],
) -> Section:
    """The section that comes first."""
    sentences = [
        _asked(material, found),
        _trained(material, found),
        _leaks(material, leaks),
        _worth(material, boards),
        _ended(material),
    ]
    blocks: list[Block] = [Listing(items=[one for one in sentences if one], kind="plain")]
    if boards:
        blocks.append(_best(boards))
    if wary:
        blocks.append(Words(text="Be wary of this", kind="head"))
        blocks.append(Listing(items=wary, kind="wary"))
    blocks.append(
        Words(
            text="Not in here, for nobody measured it: trading costs, positions, profit. A score says how "
            "well the order of what comes is foretold, not what it earns.",
            kind="note",
        )
    )
    return Section(
        key="summary",
        title="In plain words",
        blocks=blocks,
        source=f"the sections below; log up to event #{material.head.seq}",
    )


def _asked(material: Material, found: Sequence[Standing]) -> str:
    data = {**material.part("data"), **material.plan.data}
    symbols = data.get("symbols")
    of = f" of {counted(len(symbols), 'symbol')} ({listed(symbols, 6)})" if isinstance(symbols, list) else ""
    bar = bar_words(data.get("interval_ns"))
    every = f", in bars of {bar}" if bar else ""
    were = "was" if len(found) == 1 else "were"
    return f"{counted(len(found), 'target')} {were} looked at{of}{every}{_asked_for(material)}."


def _asked_for(material: Material) -> str:
    """Whether targets were named or the best were asked for, as far as the plan says."""
    request = material.part("request")
    if request.get("targets"):
        return "; they were named, not chosen by their rank"
    top = request.get("top_n_targets")
    return f"; the best {top} were asked for" if top and request.get("auto_targets") else ""


def _trained(material: Material, found: Sequence[Standing]) -> str:
    trained = [one.target for one in found if one.is_trained]
    rest_of = [one for one in found if not one.is_trained]
    said = f"{counted(len(trained), 'target')} went into training: {listed(trained, 6)}."
    if not rest_of:
        return said
    if material.planning is None:
        return f"{said} {len(rest_of)} did not; the plan says why."
    skilled = sum(one.has_skill for one in rest_of)
    luck = len(rest_of) - skilled
    told = [f"{skilled} have skill, but came after those asked for or found no route"] if skilled else []
    told += [f"{luck} could not be told from luck"] if luck else []
    return f"{said} {len(rest_of)} did not: {', '.join(told)}."


def _leaks(material: Material, leaks: Sequence[Leak]) -> str:
    if material.planning is None:
        return "Whether features leak the future was not probed here; the plan was made elsewhere."
    if not leaks:
        return "All features were probed for knowing the future; none was found to."
    blocked = [leak for leak in leaks if leak.is_blocked]
    suspect = sum(leak.is_suspect for leak in leaks)
    more = f"; {counted(suspect, 'other')} may" if suspect else ""
    if not blocked:
        return f"No feature was proven to know the future{more}."
    names = listed([leak.feature for leak in blocked], 4)
    targets = len({target for leak in blocked for target in leak.targets})
    knows, was = ("knows", "was") if len(blocked) == 1 else ("know", "were")
    return (
        f"{counted(len(blocked), 'feature')} ({names}) {knows} the future of {counted(targets, 'target')} "
        f"and {was} kept out of all models{more}."
    )


def _worth(material: Material, boards: Sequence[Board]) -> str:
    counts = tally(boards)
    models = sum(counts.values())
    if not models:
        return "No model is finished yet, so nothing can be said of what they are worth."
    better, none = counts.get(BETTER, 0), counts.get("no skill", 0)
    unsure = models - better - none - counts.get("not known", 0)
    told = [f"{better} of {counted(models, 'model')} surely foretell better than the naive forecast"]
    told += [f"{unsure} have skill but are not surely above naive"] if unsure else []
    told += [f"{none} have no skill that could be told from luck"] if none else []
    return f"On the newest data, {seen_words(material)}, {', '.join(told)}."


def _ended(material: Material) -> str:
    plan = material.plan
    still_open = sum(fit.state in OPEN for fit in material.fits)
    counts = {"failed": plan.failed, "could not run here": plan.unavailable, "cancelled": plan.cancelled}
    told = [f"{count:,} {words}" for words, count in counts.items() if count]
    ended = f"{plan.succeeded:,} of {counted(plan.fits, 'fit')} ended in a model"
    took = span(trained_seconds(material))
    said = f"{', '.join([ended, *told])}, after {took} of training."
    if still_open:
        left = f"{counted(still_open, 'fit')} had not ended at {moment(material.head.at)}"
        return f"{said} {left}: this is not the last word."
    return said


def _best(boards: Sequence[Board]) -> Table:
    shown = boards[:BEST_LISTED]
    return Table(
        caption="The best model of each target",
        headers=("target", "best of", "model", "score", "95 %", "naive", "ahead", "95 %", "worth"),
        right=("best of", "score", "95 %", "naive", "ahead"),
        rows=[_best_row(board) for board in shown],
        left_out=rest(len(boards) - len(shown), FURTHER, "the first of them follow below"),
    )


def _best_row(board: Board) -> tuple[Value, ...]:
    metrics = metrics_of(board.best)
    return (
        Cell(text=board.title, href=f"#{board.key}"),
        len(board.fits),
        board.best.family,
        f"{board.metric} {signed(metrics.get('score'))}",
        interval(metrics.get("low"), metrics.get("high")),
        signed(metrics.get("baseline_score")),
        signed(metrics.get("ahead")),
        interval(metrics.get("ahead_low"), metrics.get("ahead_high")),
        worth(board.best),
    )


def shrinkage(material: Material, board: Board) -> tuple[float, float] | None:
    """Return the score that a target was ranked by and that of its best model, where both are known alike."""
    if board.symbol is not None:
        return None
    for row in material.decided.get("TargetRanked", ()):
        if row.target == board.target and row.symbol is None and row.data.get("metric") == board.metric:
            ranked, judged = finite(row.data["score"]), finite(metrics_of(board.best).get("score"))
            return None if ranked is None or judged is None else (ranked, judged)
    return None
