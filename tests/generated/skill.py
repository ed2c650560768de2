"""One fit of one family on a small panel of known truth, and what it found of what was there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from generated.signals import CLASSES, KINDS, TARGET, Signal, signal
from numpy.typing import NDArray
from scipy.stats import norm

from executors.bundle import Bundle, load_bundle
from executors.contract import FitSpec, Part, Succeeded
from executors.families import FAMILIES, resolve
from executors.training import fit_once
from panel.aligned import Panel, open_panel
from panel.folds import holdout_from
from panel.metrics import CROSS_SECTIONAL, score

#: The kind of signal that each family is made for.
MADE_FOR: Mapping[str, str] = {
    "LightGBM": "interaction",
    "QuantileLightGBM": "spread",
    "XGBoost": "interaction",
    "RewardBased": "linear",
    "NGBoost": "spread",
    "GMMRegime": "regimes",
    "ChangePoint": "breaks",
    "FTRLProximal": "linear",
    "Ensemble": "mixed",
    "MetaLearning": "symbols",
    "MLP": "interaction",
    "VAE": "latent",
    "GAN": "spread",
    "MultiTask": "shared_factor",
    **dict.fromkeys(("CNN1D", "LSTM", "Transformer", "TabCNN", "TabLSTM", "TabTransformer"), "order"),
}

#: For each kind a family that is not made for it: what one gets without looking for the signal in its place.
RIVALS: Mapping[str, str] = {
    "linear": "LightGBM",
    "interaction": "GMMRegime",
    "order": "MLP",
    "regimes": "FTRLProximal",
    "breaks": "FTRLProximal",
    "spread": "FTRLProximal",
    "symbols": "FTRLProximal",
    "shared_factor": "MLP",
    "latent": "LightGBM",
    "mixed": "LightGBM",
}

#: What an ensemble is made of here: a model of lines (a ridge, where nothing breaks), and one of steps.
MEMBERS = ("ChangePoint", "LightGBM")
PARTS_OF_WIDTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One fit: a family on the panel of a kind and seed, kept under `folder`, for one of its targets."""

    family: str
    kind: str
    seed: int
    target: str
    folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the untouched rows say of one fit.

    Attributes:
        score: rank IC, or AUC of classes; `low` bounds its 95 % interval, `none` is that of no skill.
        ceiling: score of the expectation that made the labels (for classes the AUC it has of the upper one).
        error_reduction: share of the error of the training mean (of classes: shares) that is gone.
        off: for each quantile how far the probability below it is from its level, on average over rows, by
            the true distribution; the largest over levels. None where no quantiles are given.
        off_in_part: the same where labels are narrow, medium and wide, each by itself; the largest.
        cpu_seconds: of the fit with its judgement.
    """

    task: Task
    score: float
    low: float
    none: float
    ceiling: float
    error_reduction: float
    off: float | None
    off_in_part: float | None
    cpu_seconds: float

    @property
    def has_skill(self) -> bool:
        """Whether the score is above no skill, by its interval."""
        return self.low > self.none


def place_of(kind: str, seed: int, folder: Path) -> Path:
    """Return where the panel of a kind and seed is, made if it is not there."""
    where = folder / f"{kind}-{seed}"
    mark = where / "panel.txt"
    if not mark.exists():
        panel = signal(kind, seed).panel(where)
        mark.write_text(str(panel.path), encoding="utf-8")
    return Path(mark.read_text(encoding="utf-8"))


def targets_of(family: str) -> tuple[str, ...]:
    """Return the targets a family can learn: the number, and its classes where it learns classes."""
    tasks = resolve(family).tasks
    return (TARGET, *(name for task, name in CLASSES.items() if task in tasks))


def found(task: Task) -> Found:
    """Do the fit and measure it.

    Raises:
        Exception: whatever stops a fit.
    """
    panel = open_panel(place_of(task.kind, task.seed, task.folder))
    made = signal(task.kind, task.seed)
    folder = task.folder / f"{task.family}-{task.kind}-{task.seed}-{task.target}"
    began = time.process_time()
    bundle = bundle_of(task.family, task, panel, made, folder)
    spent = time.process_time() - began
    metrics = bundle.card["metrics"]
    off, off_in_part = calibration(bundle, panel, made)
    return Found(
        task=task,
        score=metrics["score"],
        low=metrics["low"],
        none=metrics["score"] - metrics["skill"],
        ceiling=ceiling(panel, made, task.target),
        error_reduction=metrics["error_reduction"],
        off=off,
        off_in_part=off_in_part,
        cpu_seconds=spent,
    )


def bundle_of(family: str, task: Task, panel: Panel, made: Signal, folder: Path) -> Bundle:
    """Train a family with the defaults of the product, its members before it, and load what came out."""
    spec = FitSpec(
        plan="p_study",
        job=f"cs_{task.target}",
        fit=f"f_{family}",
        family=family,
        target=task.target,
        training_type="cross_sectional",
        panel_path=panel.path,
        panel_key=panel.key,
        seed=task.seed,
        other_targets=tuple(made.others) if resolve(family).shares else (),
        checkpoint_dir=folder / family / "checkpoints",
        bundle_path=folder / family / "bundle",
    )
    if resolve(family).stacks:
        spec = replace(spec, parts=tuple(part(name, task, panel, made, folder) for name in MEMBERS))
    ended = fit_once(spec, tell=lambda report: None, should_stop=lambda: False)
    if not isinstance(ended, Succeeded):
        raise TypeError(f"{family} ended as {ended}")
    return load_bundle(spec.bundle_path)


def part(family: str, task: Task, panel: Panel, made: Signal, folder: Path) -> Part:
    """Train a member of an ensemble."""
    bundle = bundle_of(family, task, panel, made, folder)
    name = f"cs_{task.target}/{family}"
    return Part(name=name, family=family, bundle_path=bundle.path, bundle_sha256=bundle.sha256)


def judged_rows(panel: Panel) -> NDArray[np.int64]:
    """Return the rows no model has seen, (rows,)."""
    return np.flatnonzero(panel.time_codes >= holdout_from(panel))


def ceiling(panel: Panel, made: Signal, target: str) -> float:
    """Return the score of the labels' own expectation on the judged rows."""
    rows = judged_rows(panel)
    binary = target != TARGET
    return score(
        made.expected.reshape(-1)[rows],
        panel.values(CLASSES["binary"] if binary else TARGET)[rows],
        panel.time_codes[rows],
        panel.symbol_codes[rows],
        task="binary" if binary else "regression",
        view=CROSS_SECTIONAL,
        horizon_bars=1,
    ).value


def calibration(bundle: Bundle, panel: Panel, made: Signal) -> tuple[float | None, float | None]:
    """Return how far the quantiles are off in all and in the worst third of widths, by the true distribution.

    The probability below a quantile is known for each row, so no noise of labels is in it.
    """
    rows = judged_rows(panel)
    said = bundle.quantiles(panel, rows) if made.kind == "spread" else None
    if said is None:
        return None, None
    mean, scale = made.expected.reshape(-1)[rows], made.scale.reshape(-1)[rows]
    below = norm.cdf((said.values - mean[:, None]) / scale[:, None])  # (rows, levels)
    levels = np.array(said.levels)
    thirds = np.array_split(np.argsort(scale, kind="stable"), PARTS_OF_WIDTH)
    in_part = max(float(np.abs(below[third].mean(axis=0) - levels).max()) for third in thirds)
    return float(np.abs(below.mean(axis=0) - levels).max()), in_part


def known_families() -> tuple[str, ...]:
    """Return the twenty names in the catalogue's order."""
    return tuple(family.name for family in FAMILIES)


def known_kinds() -> tuple[str, ...]:
    """Return the kinds of signal, that of nothing the last."""
    return tuple(KINDS)
