"""A small fit of every family: with all its sampling on, and states saved in the midst of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from executors.contract import FitSpec, Part, Succeeded
from executors.families import resolve
from executors.training import fit_once
from panel.aligned import Panel

TARGET = "fwd_ret_1d"
TREES = {"rounds": 60, "chunk_rounds": 10, "row_share": 0.6, "feature_share": 0.5, "patience": 15}
NET = {"epochs": 4, "patience": 2}
MEMBERS = ("LightGBM", "XGBoost")


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallFit:
    """Settings of a fit of about a second, and of one of a few seconds.

    Attributes:
        params: of the short one.
        longer: what the longer one has in their place.
        rounds: steps between two states.
        others: further targets learnt beside.
    """

    params: Mapping[str, Any] = field(default_factory=dict)
    longer: Mapping[str, Any] = field(default_factory=dict)
    rounds: int = 1
    others: tuple[str, ...] = ()


_LONG_TREES = {"rounds": 200, "patience": 200, "learning_rate": 0.01}
_LONG_NET = {"epochs": 20, "patience": 20}
_SEQUENCE = {**NET, "window": 5, "dropout": 0.3}

FITS: dict[str, SmallFit] = {
    "LightGBM": SmallFit(params=TREES, longer=_LONG_TREES, rounds=10),
    "QuantileLightGBM": SmallFit(params=TREES, longer={**_LONG_TREES, "rounds": 100}, rounds=10),
    "XGBoost": SmallFit(params=TREES, longer=_LONG_TREES, rounds=10),
    "RewardBased": SmallFit(
        params={"steps": 60, "patience": 30}, longer={"steps": 800, "patience": 800}, rounds=9
    ),
    "NGBoost": SmallFit(
        params={"rounds": 40, "chunk_rounds": 10, "row_share": 0.6, "feature_share": 0.5},
        longer={"rounds": 200, "patience": 200},
        rounds=10,
    ),
    "GMMRegime": SmallFit(params={"regimes_max": 3, "iterations": 20}, longer={"iterations": 1000}, rounds=5),
    "ChangePoint": SmallFit(longer={"cells_max": 5000}, rounds=1),
    "FTRLProximal": SmallFit(
        params={"passes": 9, "patience": 9}, longer={"passes": 60, "patience": 60}, rounds=1
    ),
    "Ensemble": SmallFit(params={"folds": 2}, longer={"folds": 6}, rounds=7),
    "MetaLearning": SmallFit(
        params={"steps": 8, "episode_batches": 3},
        longer={"steps": 40, "patience": 40, "episode_batches": 10},
        rounds=2,
    ),
    "MLP": SmallFit(params={**NET, "hidden": 16, "dropout": 0.3}, longer=_LONG_NET, rounds=3),
    "VAE": SmallFit(params={**NET, "hidden": 16, "latent": 4, "dropout": 0.3}, longer=_LONG_NET, rounds=3),
    "GAN": SmallFit(params={**NET, "hidden": 16, "draws": 20}, longer=_LONG_NET, rounds=3),
    "MultiTask": SmallFit(
        params={**NET, "hidden": 16, "dropout": 0.3},
        longer=_LONG_NET,
        rounds=3,
        others=("y_noise_1d", "y_up_1d"),
    ),
    "CNN1D": SmallFit(params={**_SEQUENCE, "channels": 8}, longer=_LONG_NET, rounds=3),
    "LSTM": SmallFit(params={**_SEQUENCE, "hidden": 8, "layers": 2}, longer=_LONG_NET, rounds=3),
    "Transformer": SmallFit(params={**_SEQUENCE, "width": 8, "layers": 1}, longer=_LONG_NET, rounds=3),
    "TabCNN": SmallFit(params={**_SEQUENCE, "channels": 8, "width": 4}, longer=_LONG_NET, rounds=3),
    "TabLSTM": SmallFit(params={**_SEQUENCE, "hidden": 8, "width": 4}, longer=_LONG_NET, rounds=3),
    "TabTransformer": SmallFit(params={**_SEQUENCE, "width": 8, "layers": 1}, longer=_LONG_NET, rounds=3),
}


def spec_of(family: str, panel: Panel, folder: Path, *, length: str = "short", **changes: Any) -> FitSpec:
    """Return the specification of the small fit of a family, its parts trained first where it has some."""
    small = FITS[family]
    params = {**small.params, **(small.longer if length == "long" else {})}
    spec = FitSpec(
        plan="p_0123456789abcdef",
        job=f"cs_{TARGET}",
        fit="f_0123456789abcdef",
        family=family,
        target=TARGET,
        training_type="cross_sectional",
        panel_path=panel.path,
        panel_key=panel.key,
        seed=7,
        params=params,
        other_targets=small.others,
        checkpoint_dir=folder / "checkpoints",
        checkpoint_seconds=3600.0,
        checkpoint_rounds=small.rounds,
        bundle_path=folder / "bundle",
    )
    spec = replace(spec, **changes)
    if resolve(family).stacks:
        spec = replace(spec, parts=tuple(_trained(name, spec, panel, folder) for name in MEMBERS))
    return spec


def _trained(family: str, spec: FitSpec, panel: Panel, folder: Path) -> Part:
    """Train a member and return what the host would tell of it."""
    place = folder / "members" / spec.target / family
    member = spec_of(family, panel, place, target=spec.target, job=spec.job)
    outcome = fit_once(member, tell=lambda report: None, should_stop=lambda: False)
    assert isinstance(outcome, Succeeded)
    return Part(
        name=f"{spec.job}/{family}",
        family=family,
        bundle_path=member.bundle_path,
        bundle_sha256=outcome.bundle_sha256,
    )
