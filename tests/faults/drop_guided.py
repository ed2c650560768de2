"""The reader of plans under libFuzzer: ``drop_guided.py DEFECT WORDS…``; the first fault ends the process.

What the reader is made of is loaded here, and nowhere before: what is loaded already cannot be watched.
"""

from __future__ import annotations

import sys
from random import Random

import atheris

WATCHED = (
    "store.plan_document",
    "store.plan_input",
    "store.plan_needs",
    "store.plan_parts",
    "store.canonical",
)
WATCHED_ABOVE = ("daemon.admission", "daemon.surveying", "executors.families")
LIBRARY_SHARE = 0.1  # of changes that are libFuzzer's own, of bytes

with atheris.instrument_imports(include=[*WATCHED, *WATCHED_ABOVE]):
    from drop_defects import plant
    from drop_judge import Judge
    from drop_mutations import mutated, seeds
    from store_work import die_with_parent


def change(text: bytes, size_max: int, seed: int) -> bytes:
    """Return a text made from another one."""
    chance = Random(seed)  # noqa: S311 (guards nothing)
    if chance.random() < LIBRARY_SHARE:
        return bytes(atheris.Mutate(text, size_max))
    return mutated(text, chance)[:size_max]


if __name__ == "__main__":
    die_with_parent()
    plant(sys.argv[1])
    atheris.Setup([sys.argv[0], *sys.argv[2:]], Judge(seeds()), custom_mutator=change)
    atheris.Fuzz()
