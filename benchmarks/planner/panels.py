"""The panels that are planned: generated with known truth by the tests' own generator, kept on disk."""

from __future__ import annotations

import dataclasses
import importlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The generator is at home in the tests; from here it is reached by its path.
sys.path.append(str(Path(__file__).parents[2] / "tests"))

SEED = 7
# Both that can be predicted and that cannot: a law of each kind, luck, a law that died, a leak alone.
KINDS = (
    "strong_linear", "weak_linear", "binary", "nonlinear", "product", "sequence", "symbol_only", "both",
    "short_noise", "long_noise", "decayed", "leak_only",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How large a panel is; `kinds` of its targets and of its leaks, None for the generator's usual ones."""

    symbols: int
    bars: int
    features: int
    kinds: tuple[str, ...] | None = KINDS
    leaks: tuple[str, ...] | None = None

    @property
    def words(self) -> str:
        """The size as the table says it."""
        targets = 14 if self.kinds is None else len(self.kinds)
        return f"{self.symbols} symbols x {self.bars:,} bars x {self.features} features x {targets} targets"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a panel lies, and what its targets' names do not say."""

    folder: Path

    @property
    def data_dir(self) -> Path:
        """The symbol files."""
        return self.folder / "data"

    @property
    def horizons(self) -> dict[str, int]:
        """Bars ahead of every target."""
        return {target["name"]: target["horizon_bars"] for target in self.truth["targets"]}

    @property
    def truth(self) -> dict[str, Any]:
        """What is true of the panel, as plain values."""
        found: dict[str, Any] = json.loads((self.folder / "truth.json").read_text(encoding="utf-8"))
        return found


def make_panel(folder: Path, size: Size) -> Place:
    """Generate the files of a panel and its truth into `folder`, unless they are there already."""
    place = Place(folder=folder)
    if not (folder / "truth.json").exists():
        panels = importlib.import_module("generated.panels")
        made = panels.generate(
            SEED,
            symbols=size.symbols,
            bars=size.bars,
            features=size.features,
            kinds=size.kinds,
            leaks=size.leaks,
        )
        panels.write(made, place.data_dir)
        text = json.dumps(dataclasses.asdict(made.truth))
        (folder / "truth.json").write_text(text, encoding="utf-8")
    return place


def right_targets(truth: dict[str, Any], kept: Sequence[str]) -> tuple[int, int]:
    """Of how many targets it is rightly said whether they can be predicted, and of how many it can be judged.

    A target whose oracle itself has a rank IC below 0.05 may be kept or not: it does not count.
    """
    judged = [
        (target["name"] in kept) == target["predictable"]
        for target in truth["targets"]
        if not target["predictable"] or (target["oracle_ic"] or 0.0) >= 0.05
    ]
    return sum(judged), len(judged)
