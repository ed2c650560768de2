"""Fuzz the reader of plans in a process: ``drop_fuzzing.py FOLDER OPTIONS``, one line of JSON as the answer.

Coverage guides it where atheris (libFuzzer for Python) is installed: a text that reaches a new branch is kept
and changed further. The changes are ours, of the tree that the text holds; without atheris there is no guide.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import Any

from campaigns import main
from drop_defects import plant
from drop_judge import Judge
from drop_mutations import TEXT_BYTES_MAX, mutated, seeds

GUIDED = Path(__file__).with_name("drop_guided.py")
HUNG_SECONDS = 60  # one text; the machine may be busy
MEMORY_MIB_MAX = 3000
_SAID = {"texts": rb"number_of_executed_units:\s*(\d+)", "branches": rb"cov: (\d+)", "kept": rb"corp: (\d+)/"}


def campaign(
    folder: Path, *, seconds: float, seed: int, texts: int = 10**9, defect: str = "", guided: bool = True
) -> dict[str, Any]:
    """Fuzz for so many seconds or texts, or until the first fault; returns what was tried and found."""
    began = time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    if guided and find_spec("atheris"):
        counts = _guided(folder, seconds=seconds, texts=texts, seed=seed, defect=defect)
    else:
        counts = _blind(seconds=seconds, texts_max=texts, seed=seed, defect=defect)
    return counts | {"seconds": time.monotonic() - began}


def _guided(folder: Path, *, seconds: float, texts: int, seed: int, defect: str) -> dict[str, Any]:
    """Let libFuzzer call the reader in a process of its own: it ends the process at the first fault."""
    corpus = folder / "corpus"
    corpus.mkdir(exist_ok=True)
    for number, text in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(text)
    words = [
        *(sys.executable, str(GUIDED), defect, str(corpus), f"-max_total_time={max(1, round(seconds))}"),
        *(
            f"-seed={seed}",
            f"-runs={texts}",
            f"-timeout={HUNG_SECONDS}",
            f"-rss_limit_mb={MEMORY_MIB_MAX}",
            f"-max_len={TEXT_BYTES_MAX}",
        ),
        *("-print_final_stats=1", f"-artifact_prefix={folder}/", "-handle_int=0"),
    ]
    done = subprocess.run(words, capture_output=True, check=False)
    said = done.stdout + done.stderr
    counts = {
        name: int(found[-1]) if (found := re.findall(words, said)) else 0 for name, words in _SAID.items()
    }
    problems = [] if done.returncode == 0 else [_last_words(said)]
    return {"engine": "atheris", "faults": counts["texts"], **counts, "problems": problems}


def _last_words(said: bytes) -> str:
    """What a fuzzed reader died of: from the exception on, without the text that led there."""
    text = said.decode(errors="replace")
    begin = text.rfind("Uncaught Python exception")
    return text[begin if begin >= 0 else -3000 :][:4000]


def _blind(*, seconds: float, texts_max: int, seed: int, defect: str) -> dict[str, Any]:
    """Change texts at random; one that is taken as a plan is changed further."""
    plant(defect)
    judge = Judge(seeds())
    chance, texts, tried, problems = Random(seed), list(seeds()), 0, []  # noqa: S311 (guards nothing)
    end = time.monotonic() + seconds
    while time.monotonic() < end and tried < texts_max and not problems:
        text, taken = mutated(chance.choice(texts), chance), judge.accepted
        tried += 1
        try:
            judge(text)
        except (AssertionError, ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
            problems.append(f"{type(error).__name__}: {error} for {text[:500]!r}")
        if judge.accepted > taken and len(texts) < 2000:
            texts.append(text)
    return {
        "engine": "random",
        "faults": tried,
        "texts": tried,
        "branches": 0,
        "kept": len(texts),
        "problems": problems,
    }


if __name__ == "__main__":
    main(campaign)
