"""What the log says of a claim that goes from one worker to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class FitHandedOver:
    """A claimed fit went to another worker under the fence it has; it happens once under a fence."""

    kind: ClassVar[str] = "FitHandedOver"
    schema_version: ClassVar[int] = 1
    worker: str
