"""What a network's answers cost, row by row: the loss of each kind of target, and its weighted mean."""

from __future__ import annotations

from typing import Any

import torch

Tensor = Any  # torch is not followed by the type checker; the name says what is meant


def row_losses(answers: Tensor, labels: Tensor, task: str) -> Tensor:
    """Return each row's loss, (batch,): squared error, or minus the log probability of the row's class.

    `answers` (batch, outputs) are values, the logit of the larger class, or one logit per class; `labels`
    (batch,) float32 are standardised values or places of classes.
    """
    if task == "regression":
        return torch.square(answers[:, 0] - labels)
    if task == "binary":
        return torch.nn.functional.binary_cross_entropy_with_logits(answers[:, 0], labels, reduction="none")
    return torch.nn.functional.cross_entropy(answers, labels.long(), reduction="none")


def weighted(losses: Tensor, weights: Tensor) -> Tensor:
    """Return the mean of `losses` x `weights`, both (batch,): weights have mean 1 over all rows."""
    return (losses * weights).mean()
