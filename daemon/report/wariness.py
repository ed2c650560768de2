"""What a reader should be wary of, found in the numbers themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from daemon.report.boards import Board, metrics_of
from daemon.report.leaks import Leak
from daemon.report.material import Material
from daemon.report.numbers import listed
from daemon.report.summary import shrinkage
from daemon.report.targets import Standing
from daemon.views.foreign import finite
from daemon.views.models import ModelTold, model_of
from daemon.views.words import counted

BOARDS_LOOKED_AT = 10
FEW_EFFECTIVE = 30
MUCH_WORSE = 0.5  # of the score that a target was ranked by
NAMED = 4


def wary_of(
    material: Material, found: Sequence[Standing], boards: Sequence[Board], leaks: Sequence[Leak]
) -> tuple[str, ...]:
    """Return the sentences, the gravest first; none where the numbers give no cause."""
    looked_at = [(board, model_of(board.best)) for board in boards[:BOARDS_LOOKED_AT]]
    return (
        *_damaged(looked_at),
        *_seen_before(material),
        *_shrunken(material, boards),
        *_without_skill(found),
        *_few_rows(boards),
        *_calibration(looked_at),
        *_weak_periods(looked_at),
        *_suspects(leaks),
        *_other_devices(material),
        *_many(boards),
    )


def _damaged(looked_at: Sequence[tuple[Board, ModelTold | None]]) -> Iterator[str]:
    found = [(board.best.name, told.problem) for board, told in looked_at if told and told.problem]
    if found:
        names = listed([name for name, _ in found], NAMED)
        yield f"Saved models are not as they were recorded: {names}. The first: {found[0][1]}."


def _seen_before(material: Material) -> Iterator[str]:
    """Rows that judged earlier plans are not blind to what was changed since."""
    if material.earlier:
        yield (
            f"The same newest rows judged the models of {counted(material.earlier, 'earlier plan')} on this "
            "panel: what was changed after looking at those is not judged blindly here."
        )


def _shrunken(material: Material, boards: Sequence[Board]) -> Iterator[str]:
    """Where a target looked much better while it was ranked than on the newest rows."""
    for board in boards[:BOARDS_LOOKED_AT]:
        both = shrinkage(material, board)
        if both is not None and both[0] > 0 and both[1] < MUCH_WORSE * both[0]:
            yield (
                f"{board.title} was ranked by a {board.metric} of {both[0]:+.3f} on the older data; on the "
                f"newest its best model reaches {both[1]:+.3f}. What was found may have faded, or was partly "
                "luck."
            )


def _without_skill(found: Sequence[Standing]) -> Iterator[str]:
    """Targets that are trained though their ranking told no skill from luck: somebody named them."""
    names = [one.target for one in found if one.is_trained and one.pooled is not None and not one.has_skill]
    if names:
        yield f"Trained though no skill was told from luck before: {listed(names, NAMED)}."


def _few_rows(boards: Sequence[Board]) -> Iterator[str]:
    few = [board.title for board in boards if _effective(board) < FEW_EFFECTIVE]
    if few:
        yield (
            f"The newest rows of {listed(few, NAMED)} are worth fewer than {FEW_EFFECTIVE} independent ones, "
            "so the score of its models says little."
        )


def _effective(board: Board) -> float:
    """What the rows that judged the best model are worth as independent ones; many where nobody said."""
    known = finite(metrics_of(board.best).get("n_effective"))
    return float("inf") if known is None else known


def _calibration(looked_at: Sequence[tuple[Board, ModelTold | None]]) -> Iterator[str]:
    bold, timid = [], []
    for board, told in looked_at:
        found = (told.evaluation.get("calibration") or {}) if told is not None else {}
        low, high = finite(found.get("slope_low")), finite(found.get("slope_high"))
        if low is not None and low > 1:
            timid.append(board.best.name)
        if high is not None and high < 1:
            bold.append(board.best.name)
    if bold:
        yield f"Too bold: the predictions of {listed(bold, NAMED)} differ more than what then comes."
    if timid:
        yield f"Too timid: the predictions of {listed(timid, NAMED)} differ less than what then comes."


def _weak_periods(looked_at: Sequence[tuple[Board, ModelTold | None]]) -> Iterator[str]:
    for board, told in looked_at:
        rows = (told.evaluation.get("by_period") or ()) if told is not None else ()
        line = 0.5 if board.metric.startswith("auc") else 0.0
        weak = [str(row["from"])[:7] for row in rows if (finite(row["score"]) or 0.0) <= line]
        if weak and metrics_of(board.best).get("beats_no_skill"):
            yield (
                f"{board.best.name} was no better than no skill in {len(weak)} of "
                f"{counted(len(rows), 'period')} (from {listed(weak, NAMED)})."
            )


def _suspects(leaks: Sequence[Leak]) -> Iterator[str]:
    suspect = [leak.feature for leak in leaks if leak.is_suspect]
    if suspect:
        yield f"Suspected of knowing the future, and not blocked for it: {listed(suspect, NAMED)}."


def _other_devices(material: Material) -> Iterator[str]:
    """GPU families that ran on a CPU: their times say nothing of a GPU."""
    fits = [fit for fit in material.fits if fit.stage == "gpu" and fit.device_used == "cpu"]
    if fits:
        yield (
            f"{counted(len(fits), 'fit')} of the GPU stage ran on a CPU ({fits[0].device_reason}); their "
            "times are those of a CPU."
        )


def _many(boards: Sequence[Board]) -> Iterator[str]:
    many = max((len(board.fits) for board in boards), default=0)
    if many >= 5:
        yield (
            f"The best of {many} models of a target is the best partly by luck: expect it to do somewhat "
            "worse than its score says."
        )
