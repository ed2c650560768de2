"""A client that asks the page without a network, and what makes one."""

from __future__ import annotations

import warnings
from collections.abc import Callable

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it tells of a successor that is not out yet
    from fastapi.testclient import TestClient

Ask = Callable[..., TestClient]

__all__ = ["Ask", "TestClient"]
