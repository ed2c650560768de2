"""Every model against the naive forecast, with intervals: pictures and tables by target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from daemon.pictures.drawing import NOTHING
from daemon.pictures.scores import Estimate, forest
from daemon.report.blocks import Block, Cell, Figure, Heading, Section, Table, Value, Words, rest
from daemon.report.boards import Board, metrics_of
from daemon.report.material import Material
from daemon.report.numbers import BAD, GOOD, SOFT, event, events, signed, with_interval
from daemon.views.fits import verdict
from daemon.views.foreign import finite
from daemon.views.words import counted
from store.records import FitRow

TARGETS_DETAILED = 24
MODELS_LISTED = 40  # of each of these, and of its symbols
BOARDS_LISTED = 150
BETTER = "better than naive"
FURTHER = "targets and symbols"


def scores_section(material: Material, boards: Sequence[Board]) -> Section:
    """The section on scores."""
    if not boards:
        text = "There is no finished model yet, so there is no score."
        return Section(key="models", title="Models", blocks=[Words(text=text)])
    blocks: list[Block] = [Words(text=_lead(material, boards)), Words(text=_caution(boards), kind="wary")]
    groups = _by_target(boards)
    for group in groups[:TARGETS_DETAILED]:
        blocks += _of_target(group, material.success_seq)
    others = [board for group in groups[TARGETS_DETAILED:] for board in group]
    blocks += _others(others) if others else []
    source = f"{events([*material.success_seq.values()], 'FitSucceeded')}, one for each model"
    return Section(key="models", title="Models against the naive forecast", blocks=blocks, source=source)


def tally(boards: Sequence[Board]) -> Mapping[str, int]:
    """Return how many models each verdict has, in the words of the verdict."""
    found: dict[str, int] = {}
    for board in boards:
        for fit in board.fits:
            word = verdict_of(fit)
            found[word] = found.get(word, 0) + 1
    return found


def verdict_of(fit: FitRow) -> str:
    """What a model's score is worth, "not known" where its metrics do not say."""
    return verdict(metrics_of(fit))


def _lead(material: Material, boards: Sequence[Board]) -> str:
    share = finite(material.part("training").get("test_share"))
    newest = "the newest rows" if share is None else f"the newest {share:.0%} of the time"
    models = sum(len(board.fits) for board in boards)
    return (
        f"{counted(models, 'model')} were judged on {newest}, {seen_words(material)}. "
        "The naive forecast says that the last known value of the target comes again; it "
        "is judged on the same rows. A model is called better than naive only if the 95 % interval of the "
        "paired difference lies above zero. Rows of one time and overlapping labels are counted as what "
        "they are worth."
    )


def seen_words(material: Material) -> str:
    """What had seen the rows that judge the models, as far as this log knows."""
    if material.planning is None:
        return "which no training has seen; whether the planning has is not known here"
    return "which neither ranking nor selection nor training has seen"


def _caution(boards: Sequence[Board]) -> str:
    models = sum(len(board.fits) for board in boards)
    told = (
        f"Read with care: of models that are no better than naive about one in 40 looks better by luck, "
        f"{models / 40:.2g} of {models:,}. The intervals are those of each model alone."
    )
    many = max(len(board.fits) for board in boards)
    if many > 1:
        told += (
            f" The first of {many} models of one target is flattered by the choice; `trainwright models "
            "compare` says whether it is surely ahead of the second."
        )
    return told


def _by_target(boards: Sequence[Board]) -> list[list[Board]]:
    """The boards of each target together, in the plan's order."""
    groups: dict[str, list[Board]] = {}
    for board in boards:
        groups.setdefault(board.target, []).append(board)
    return list(groups.values())


def _of_target(group: Sequence[Board], success_seq: Mapping[str, int]) -> list[Block]:
    """The models of all symbols, and those of single symbols together: of many the best of each."""
    blocks: list[Block] = []
    alone = [board for board in group if board.symbol is not None]
    for board in group:
        if board.symbol is None or len(alone) == 1:
            blocks += _detailed(board, board.title, [("", fit) for fit in board.fits], success_seq)
    if len(alone) > 1:
        blocks += _of_symbols(alone, success_seq)
    return blocks


def _of_symbols(alone: Sequence[Board], success_seq: Mapping[str, int]) -> list[Block]:
    models = sum(len(board.fits) for board in alone)
    if models <= MODELS_LISTED:
        rows = [(f"{board.symbol} ", fit) for board in alone for fit in board.fits]
        return _detailed(alone[0], f"{alone[0].target}, symbols alone", rows, success_seq)
    rows = [(f"{board.symbol} ", board.best) for board in alone]
    title = f"{alone[0].target}, symbols alone: the best of {models:,} models by symbol"
    return _detailed(alone[0], title, rows, success_seq)


def _detailed(
    board: Board, title: str, rows: Sequence[tuple[str, FitRow]], success_seq: Mapping[str, int]
) -> list[Block]:
    """The picture and the table of some models, each with what stands before its name."""
    shown = rows[:MODELS_LISTED]
    blocks: list[Block] = [Heading(text=title, key=board.key)]
    picture = forest(
        [_ahead(before, fit) for before, fit in shown],
        reference=0.0,
        reference_label="naive",
        label=f"{title}: {board.metric} ahead of naive",
    )
    if picture != NOTHING:
        caption = (
            f"{board.metric} ahead of the naive forecast on the same rows, with the paired 95 % interval. "
            "Filled: the interval lies above zero."
        )
        blocks.append(Figure(pictures=[picture], caption=caption))
    table = Table(
        caption=f"{title} by {board.metric}",
        headers=("#", "model", "score (95 %)", "naive", "ahead (95 %)", "error", "worth", "event"),
        right=("#", "score (95 %)", "naive", "ahead (95 %)", "error"),
        rows=[_row(place, *one, success_seq) for place, one in enumerate(shown, start=1)],
        left_out=rest(len(rows) - len(shown), "models", "trainwright models leaderboard"),
    )
    return [*blocks, table]


def _ahead(before: str, fit: FitRow) -> Estimate:
    metrics = metrics_of(fit)
    value, low, high = (finite(metrics.get(name)) for name in ("ahead", "ahead_low", "ahead_high"))
    return Estimate(label=f"{before}{fit.family}", value=value, low=low, high=high, note=verdict_of(fit))


def _row(place: int, before: str, fit: FitRow, success_seq: Mapping[str, int]) -> tuple[Value, ...]:
    metrics = metrics_of(fit)
    return (
        place,
        f"{before}{fit.family}",
        with_interval(metrics, "score", "low", "high"),
        signed(metrics.get("baseline_score")),
        with_interval(metrics, "ahead", "ahead_low", "ahead_high"),
        _error_words(metrics.get("error_reduction")),
        worth(fit),
        event(success_seq.get(fit.id)),
    )


def worth(fit: FitRow) -> Cell:
    """What a model's score is worth, in the kind of its word."""
    word = verdict_of(fit)
    return Cell(text=word, kind={BETTER: GOOD, "no skill": BAD}.get(word, SOFT))


def _error_words(reduction: object) -> str:
    """How much less the model errs than always saying the mean: a negative share errs more."""
    known = finite(reduction)
    return "-" if known is None else f"{-100 * known:+.1f} %"


def _others(boards: Sequence[Board]) -> list[Block]:
    shown = boards[:BOARDS_LISTED]
    return [
        Heading(text="Further targets and symbols: the best model of each"),
        Table(
            caption="The best of each, by the plan's order",
            headers=("target", "symbol", "models", "best", "metric", "score (95 %)", "ahead (95 %)", "worth"),
            right=("models", "score (95 %)", "ahead (95 %)"),
            rows=[_best_row(board) for board in shown],
            left_out=rest(len(boards) - len(shown), FURTHER, "trainwright models leaderboard"),
        ),
    ]


def _best_row(board: Board) -> tuple[Value, ...]:
    metrics = metrics_of(board.best)
    return (
        board.target,
        board.symbol or "all",
        len(board.fits),
        board.best.family,
        board.metric,
        with_interval(metrics, "score", "low", "high"),
        with_interval(metrics, "ahead", "ahead_low", "ahead_high"),
        worth(board.best),
    )
