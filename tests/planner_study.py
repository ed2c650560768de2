"""Plan generated panels of known truth and hold every plan to it: ``python tests/planner_study.py``.

``--seeds 3`` plans three panels in place of twenty, ``--first 100`` begins at another seed, ``--interval 5m``
gives five-minute bars in sessions, ``--clustered`` wild and quiet times in turns. ``--calibrate`` plans
nothing and counts the screens' z-scores of noise. ``--write`` puts the tables and the picture into
docs/explanation/statistics.md and statistics.svg beside it, those of other seeds than the first into a table
of their own. ``--keep DIR`` keeps data and results of each panel, ``--failures FILE`` appends a line for each
thing that was wrong. The exit status is 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from generated.calibration import calibration_table
from generated.figures import failures, figures
from generated.judge import Judgement, judge, read_answer
from generated.panels import Generated, generate, write
from generated.picture import draw
from generated.report import CALIBRATION, UNSEEN, kinds_table, report, with_block, with_report

from planner import PlanRequest, make_plan, planner_config

PAGE = Path(__file__).resolve().parents[1] / "docs" / "explanation" / "statistics.md"
SEEDS = 20


def cpu_seconds() -> float:
    """CPU seconds of this process and of its children that ended."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in spent)


def plan_and_judge(made: Generated, folder: Path, *, settings: dict[str, object] | None = None) -> Judgement:
    """Write the panel, plan it with the defaults of the product, and judge what was written."""
    data_dir = write(made, folder / "data")
    config = planner_config({"data": {"horizons": made.truth.horizons}, **(settings or {})})
    request = PlanRequest(
        data_dir=data_dir,
        results_dir=folder / "results",
        auto_targets=True,
        auto_features=True,
        top_n_targets=len(made.truth.targets),
        config=config,
    )
    began = cpu_seconds()
    make_plan(request)
    spent = cpu_seconds() - began
    return judge(made.truth, read_answer(folder / "results"), cpu_seconds=spent)


@contextmanager
def place_for(seed: int, keep: Path | None) -> Iterator[Path]:
    """A folder for one panel: below `keep`, or gone afterwards."""
    if keep is not None:
        (keep / f"seed_{seed}").mkdir(parents=True, exist_ok=True)
        yield keep / f"seed_{seed}"
        return
    with tempfile.TemporaryDirectory(prefix="tw-study-") as folder:
        yield Path(folder)


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Plan generated panels of known truth.")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--interval", choices=("daily", "5m"), default="daily")
    parser.add_argument("--clustered", action="store_true")
    parser.add_argument("--calibrate", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--failures", type=Path)
    return parser.parse_args()


def keep_on_page(judged: Sequence[Judgement], *, unseen: bool) -> None:
    """Put tables and picture onto the page; other seeds than the first have a table of their own."""
    page = PAGE.read_text(encoding="utf-8")
    if unseen:
        PAGE.write_text(with_block(page, UNSEEN, report(judged)), encoding="utf-8")
        return
    PAGE.write_text(with_report(page, judged), encoding="utf-8")
    PAGE.with_suffix(".svg").write_text(draw(judged), encoding="utf-8")


def main() -> int:
    """Run what was asked for; returns the exit status."""
    asked = options()
    seeds = range(asked.first, asked.first + asked.seeds)
    return calibrate(asked, seeds) if asked.calibrate else study(asked, seeds)


def calibrate(asked: argparse.Namespace, seeds: range) -> int:
    """Count the z-scores of noise; returns 0."""
    table = calibration_table(
        generate(seed, interval=asked.interval, clustered=asked.clustered) for seed in seeds
    )
    print(table)
    if asked.write:
        PAGE.write_text(with_block(PAGE.read_text(encoding="utf-8"), CALIBRATION, table), encoding="utf-8")
    return 0


def study(asked: argparse.Namespace, seeds: range) -> int:
    """Plan and judge a panel of each seed; returns 1 when a bar is missed."""
    judged = []
    for seed in seeds:
        made = generate(seed, interval=asked.interval, clustered=asked.clustered)
        with place_for(seed, asked.keep) as folder:
            judged.append(plan_and_judge(made, folder))
        wrong = failures(judged[-1])
        print(f"seed {seed}: {judged[-1].cpu_seconds:.1f} CPU s, {len(wrong)} wrong", file=sys.stderr)
        if asked.failures is not None:
            with asked.failures.open("a", encoding="utf-8") as out:
                out.writelines(f"{line}\n" for line in wrong)
    print(report(judged))
    print()
    print(kinds_table(judged))
    if asked.write:
        keep_on_page(judged, unseen=asked.first > 0)
    return int(not all(figure.met for figure in figures(judged)))


if __name__ == "__main__":
    sys.exit(main())
