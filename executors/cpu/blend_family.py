"""Blend: the common models and a symbol's own models of one target, added up (ROUTE_BOTH).

The weights are equal, or the inverses of the parts' losses on rows that none of them was trained on: the
validation rows of the symbol that lie in the validation time of the common models as well (Bates and
Granger, "The Combination of Forecasts", 1969, without the covariances, which so few rows do not show).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from executors.errors import BadInput
from executors.losses import mean_loss
from executors.parameters import Parameter, one_row
from executors.session import Device, Session, Trained
from executors.stacking import Member, inside_files, members_of, predicted, weighted_importances
from panel.aligned import Panel
from panel.folds import holdout

LIBRARIES = ("numpy",)
window_rows = one_row
PARAMETERS: Mapping[str, Parameter] = {}

_DEVICE = Device(used="cpu", reason="a blend adds up what finished models say")
FEWEST_ROWS = 30  # to tell one part's loss from another's


def train(session: Session) -> Trained:
    """Weigh the parts and keep them in one bundle.

    Raises:
        BadInput: fewer than two parts, or none of a side.
        BundleDamaged: a part's bundle cannot be read.
    """
    members = members_of(session.spec)
    _check_sides(session, members)
    session.begin(_DEVICE)
    rows = validation_rows_of_both(session)
    losses = [mean_loss(session.data, member.predict(session.data.panel, rows), rows) for member in members]
    weights, told = blend_weights(losses, len(rows), session.spec.blend_weights)
    return Trained(
        files=inside_files(members, weights),
        steps=1,
        best_step=1,
        curve={"train_loss": [], "valid_loss": [float(np.dot(weights, losses))] if len(rows) else []},
        importances=weighted_importances(members, weights),
        device=_DEVICE,
        outline={
            "features": list(session.data.features),
            "labels": session.data.code.to_json(),
            "weights": {member.name: weight for member, weight in zip(members, weights, strict=True)},
            "weights_from": told,
        },
    )


def predict(
    files: Mapping[str, bytes], outline: Mapping[str, Any], panel: Panel, rows: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return predictions for `rows`: (rows,) float32, of a multiclass target (rows, classes)."""
    del outline
    return predicted(files, panel, rows)


def blend_weights(losses: Sequence[float], rows: int, wanted: str) -> tuple[list[float], str]:
    """Return (weights adding up to 1, the sentence that says where they come from)."""
    count = len(losses)
    if wanted == "equal":
        return [1.0 / count] * count, "equal, as the plan says"
    if rows < FEWEST_ROWS or not all(np.isfinite(losses)) or min(losses) <= 0.0:
        return [1.0 / count] * count, f"equal: {rows} common validation rows tell too little"
    inverse = 1.0 / np.asarray(losses)
    shares = inverse / inverse.sum()
    return [float(share) for share in shares], f"inverse losses on {rows} common validation rows"


def validation_rows_of_both(session: Session) -> NDArray[np.int64]:
    """Return the validation rows of the symbol in the validation time of the models of all symbols."""
    spec, data = session.spec, session.data
    split = holdout(
        data.panel,
        horizon_bars=data.horizon_bars,
        test_share=spec.test_share,
        valid_share=spec.valid_share,
        embargo_bars=spec.embargo_bars,
    )
    return data.valid[data.panel.time_codes[data.valid] >= split.valid_from]


def _check_sides(session: Session, members: Sequence[Member]) -> None:
    jobs = {member.name.rpartition("/")[0] for member in members}
    if len(members) < 2 or len(jobs) < 2:
        problem = f"it has {len(members)} parts of {len(jobs)} jobs, and joins models of two"
        raise BadInput(f"blend of {session.spec.job}", problem, "train both sides first")
