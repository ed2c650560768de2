"""Fuzzing the reader of plans in one process: every text is a plan or a refusal in words, nothing else."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

import pytest
from campaigns import must_be_caught, must_be_sound, run
from drop_defects import DEFECTS, SHALLOW
from reporting import LONG, figure

SECONDS = 600.0 if LONG else 240.0  # a limit in the short form
TEXTS = 10**9 if LONG else 2500
PATIENCE_SECONDS = 200.0  # for a defect; each is found within seconds
SEED = int.from_bytes(os.urandom(3), "big") if LONG else 1


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
def test_no_text_makes_the_reader_of_plans_fail(tmp_path: Path) -> None:
    """Whatever bytes a master plan holds, it is taken whole or refused in words, and never hangs."""
    counts = run("drop_fuzzing", tmp_path, seconds=SECONDS, texts=TEXTS, seed=SEED)
    found = f"{counts['texts']:,} texts in {counts['seconds']:.0f} s, {len(counts['problems'])} faults"
    figure("fuzzing of the reader", found, bar="clean", met=not counts["problems"])
    print(*counts["problems"], sep="\n")
    must_be_sound("fuzzing the reader", {"lost": 0, "doubles": 0, "stale": 0, "problem_count": 0, **counts})
    assert counts["texts"] >= min(TEXTS, 2500)
    if find_spec("atheris"):
        assert counts["branches"] > 300, "the reader is not watched"
        assert counts["kept"] > 10


@pytest.mark.parametrize("defect", sorted(DEFECTS if LONG else SHALLOW))
def test_fuzzing_finds_a_planted_defect(defect: str, tmp_path: Path) -> None:
    """A reader with a defect of a kind that readers have is caught within the time of a test."""
    counts = run("drop_fuzzing", tmp_path, seconds=PATIENCE_SECONDS, seed=1, defect=defect)
    must_be_caught("fuzzing the reader", defect, counts)
