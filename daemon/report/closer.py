"""The best model of each target, more closely: calibration, periods, symbols, learning, importances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from daemon.pictures.drawing import NOTHING
from daemon.pictures.lines import curve, sparkline
from daemon.pictures.reliability import calibration
from daemon.pictures.scores import Estimate, bars, forest, periods
from daemon.report.blocks import Beside, Block, Figure, Heading, Section, Table, Value, Words
from daemon.report.boards import Board
from daemon.report.numbers import compact, interval
from daemon.views.curves import curve_of
from daemon.views.foreign import finite
from daemon.views.models import ModelTold, model_of
from daemon.views.words import counted
from store.reading import Reader
from store.records import FitRow

BOARDS_CLOSER = 10
SYMBOLS_DRAWN = 30
CURVES_LISTED = 24
IMPORTANCES_DRAWN = 15
CLASSES_DRAWN = 4


def closer_section(reader: Reader, boards: Sequence[Board]) -> Section:
    """The section that looks at the best model of each of the first targets."""
    shown = boards[:BOARDS_CLOSER]
    if not shown:
        return Section(key="closer", title="The best models, closer", blocks=[])
    lead = (
        "A mean over all of the time may hide that a model stopped working, and a good order of predictions "
        "may hide that their size means nothing. So the model with the best score of each target is looked "
        "at more closely, on the same untouched rows."
    )
    if len(boards) > len(shown):
        lead += (
            f" Shown for the first {len(shown)} of {len(boards):,} targets and symbols: "
            "`trainwright models show NAME` has the others."
        )
    blocks: list[Block] = [Words(text=lead)]
    for board in shown:
        blocks += _of_board(reader, board)
    source = "card.json and evaluation.json of each model's bundle, checked against the digests in the log"
    return Section(key="closer", title="The best models, closer", blocks=blocks, source=source)


def _of_board(reader: Reader, board: Board) -> list[Block]:
    told = model_of(board.best)
    blocks: list[Block] = [Heading(text=f"{board.title}: {board.best.family}")]
    if told is None or not told.card:
        problem = told.problem if told is not None and told.problem else "the log names no bundle"
        blocks.append(Words(text=f"The saved model cannot be looked at: {problem}.", kind="wary"))
        return [*blocks, *_learning(reader, board)]
    if told.problem:
        blocks.append(Words(text=f"Mind: {told.problem}.", kind="wary"))
    blocks += _beside([*_calibrated(told.evaluation.get("calibration") or {}), *_learning(reader, board)])
    blocks += [*_by_period(told), *_by_symbol(told), *_importances(told)]
    return [*blocks, *_spread(told.evaluation.get("distribution") or {}), *_other_curves(reader, board)]


def _beside(blocks: Sequence[Block]) -> list[Block]:
    """The figures beside each other, and what is no figure below them."""
    figures = [block for block in blocks if isinstance(block, Figure)]
    others: list[Block] = [block for block in blocks if not isinstance(block, Figure)]
    return [Beside(figures=figures), *others] if figures else others


def _calibrated(found: Mapping[str, Any]) -> list[Block]:
    """Whether predictions mean what they say, in a sentence and as a picture."""
    if not found:
        return [Words(text="Calibration was not measured: no test row could be judged.", kind="note")]
    pictures = [
        picture
        for name, bins in _bins(found)
        if (picture := calibration(_points(bins), label=f"calibration{name}")) != NOTHING
    ]
    sentence = calibration_words(found)
    return [Figure(pictures=pictures, caption=sentence)] if pictures else [Words(text=sentence)]


def calibration_words(found: Mapping[str, Any]) -> str:
    """What an evaluation says of calibration, in plain words."""
    if found.get("kind") == "regression":
        slope = finite(found.get("slope"))
        if slope is None:
            return "Calibration: the predictions are all the same, so there is no slope to measure."
        within = interval(found.get("slope_low"), found.get("slope_high"))
        return (
            f"Calibration: where the model predicts one unit more, {slope:.2f} units more came (95 % "
            f"{within}; 1 is right). {_slope_verdict(found)}"
        )
    gap, chance = finite(found.get("expected_calibration_error")), finite(found.get("gap_by_chance"))
    if gap is None:
        return "Calibration was not measured."
    return (
        f"Calibration: predicted and observed shares are {gap:.3f} apart in the mean (perfect ones would be "
        f"{compact(chance)} apart by chance); log loss {compact(found.get('log_loss'))}, "
        f"{compact(found.get('log_loss_constant'))} for always saying the shares of the training rows."
    )


def _slope_verdict(found: Mapping[str, Any]) -> str:
    low, high = finite(found.get("slope_low")), finite(found.get("slope_high"))
    if low is None or high is None:
        return "How sure that is was not measured."
    if low > 1:
        return "Its predictions are too timid: what comes differs more than it says."
    if high < 1:
        return "Its predictions are too bold: what comes differs less than it says."
    return "That agrees with predictions that mean what they say."


def _bins(found: Mapping[str, Any]) -> list[tuple[str, Sequence[Mapping[str, Any]]]]:
    if "classes" in found:
        return [(f" of class {one['place']}", one["bins"]) for one in found["classes"][:CLASSES_DRAWN]]
    return [("", found.get("bins") or ())]


def _points(bins: Sequence[Mapping[str, Any]]) -> list[tuple[float | None, float | None, float]]:
    return [(finite(one["predicted"]), finite(one["observed"]), finite(one["rows"]) or 0.0) for one in bins]


def _spread(found: Mapping[str, Any]) -> list[Block]:
    """How well a predicted distribution covers what came, of families that predict one."""
    if not found:
        return []
    pairs = list(zip(found.get("levels") or (), found.get("coverage") or (), strict=False))
    return [
        Table(
            caption="Predicted quantiles: the share of labels below each (it should be the level)",
            headers=[f"{level:g}" for level, _ in pairs],
            right=[f"{level:g}" for level, _ in pairs],
            rows=[[f"{share:.3f}" for _, share in pairs]],
        )
    ]


def _by_period(told: ModelTold) -> list[Block]:
    rows: Sequence[Mapping[str, Any]] = told.evaluation.get("by_period") or ()
    picture = periods([_estimate(str(row["from"])[:7], row) for row in rows], reference=_line(rows))
    if picture == NOTHING:
        return [Words(text="Scores by period were not measured.", kind="note")]
    metric = rows[0]["metric"]
    below = sum((finite(row["score"]) or 0.0) <= _line(rows) for row in rows)
    caption = (
        f"{metric} by period: {counted(len(rows), 'period')}, of which {below or 'none'} no better than no "
        "skill. The intervals are wide, for a period has few rows."
    )
    return [Figure(pictures=[picture], caption=caption)]


def _by_symbol(told: ModelTold) -> list[Block]:
    rows = sorted(told.evaluation.get("by_symbol") or (), key=lambda row: -(finite(row["score"]) or 0.0))
    if len(rows) < 2:
        return []
    shown = rows[:SYMBOLS_DRAWN]
    picture = forest(
        [_estimate(str(row["symbol"]), row) for row in shown],
        reference=_line(rows),
        reference_label="no skill",
        label="score by symbol",
    )
    left_out = f" The {len(rows) - len(shown)} weakest are not shown." if len(rows) > len(shown) else ""
    caption = f"{rows[0]['metric']} over time within each symbol, the best first.{left_out}"
    return [Figure(pictures=[picture], caption=caption)]


def _estimate(label: str, row: Mapping[str, Any]) -> Estimate:
    value, low, high = (finite(row.get(name)) for name in ("score", "low", "high"))
    return Estimate(label=label, value=value, low=low, high=high, note=f"{row.get('rows', '?')} rows")


def _line(rows: Sequence[Mapping[str, Any]]) -> float:
    """What a prediction without skill gets by the metric of these rows."""
    return 0.5 if rows and str(rows[0].get("metric", "")).startswith("auc") else 0.0


def _learning(reader: Reader, board: Board) -> list[Block]:
    """The learning curve of the best model."""
    best = curve_of(reader, board.best.id)
    picture = curve(best.steps, best.series, best_step=best.best_step, label=f"{board.best.name} learning")
    if picture == NOTHING:
        text = f"{board.best.family} has no learning curve: it is made in one step, or from other models."
        return [Words(text=text, kind="note")]
    caption = "Learning curve: the loss by step, on training rows and on those that decide when to stop."
    return [Figure(pictures=[picture], caption=caption)]


def _other_curves(reader: Reader, board: Board) -> list[Block]:
    """A small learning curve of each of the other models."""
    others = [_spark_row(reader, fit) for fit in board.fits[1:CURVES_LISTED]]
    rows = [row for row in others if row is not None]
    if not rows:
        return []
    return [
        Table(
            caption=f"Learning curves of the other models of {board.title} (validation loss)",
            headers=("model", "curve", "steps", "kept step", "lowest"),
            right=("steps", "kept step", "lowest"),
            rows=rows,
        )
    ]


def _spark_row(reader: Reader, fit: FitRow) -> tuple[Value, ...] | None:
    found = curve_of(reader, fit.id)
    losses = [value for value in found.valid_loss if value is not None]
    small: Markup = sparkline(losses, label=f"{fit.family} validation loss")
    if small == NOTHING:
        return None
    return fit.family, small, found.steps[-1], found.best_step, compact(min(losses))


def _importances(told: ModelTold) -> list[Block]:
    shown = told.importances[:IMPORTANCES_DRAWN]
    method = told.importance_method.replace("_", " ")
    picture = bars([(one.feature, one.value, None) for one in shown], label="importance of features")
    if picture == NOTHING:
        return [Words(text="This model has no importances of single features.", kind="note")]
    more = len(told.importances) - len(shown)
    left_out = f" {counted(more, 'feature')} of less weight not shown." if more else ""
    return [Figure(pictures=[picture], caption=f"What the model leans on ({method}).{left_out}")]
