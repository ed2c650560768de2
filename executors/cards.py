"""Cards of saved models, read and checked with the standard library alone, so that listing models is quick.

A bundle is a directory with `card.json` and the files it names with their digests; the card carries a digest
of itself, which is the bundle's identity.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from executors.errors import BundleDamaged

CARD_NAME = "card.json"
EVALUATION = "evaluation.json"
CARD_VERSION = 2

#: What a card of version 1 does not say, as it was then; `labels` is in its preprocessing.
_SINCE_VERSION_2: Mapping[str, Any] = {
    "labels": None,
    "quantile_levels": [],
    "blocked_features": [],
    "other_targets": [],
    "parts": [],
    "importance_method": "gain",
    "gains": {},
    "weights": {"overlap": False, "class_balance": 0.0, "by_class": []},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundCard:
    """A bundle found on disk: its card, or the sentence that says why it cannot be read."""

    path: Path
    card: Mapping[str, Any] | None
    problem: str | None


def cards(models_dir: Path) -> Iterator[FoundCard]:
    """Yield the card of every bundle under `models_dir`, in the order of paths; files are not hashed."""
    for path in sorted(models_dir.rglob(CARD_NAME)):
        if any(part.startswith(".") for part in path.relative_to(models_dir).parts):
            continue
        try:
            yield FoundCard(path=path.parent, card=read_card(path.parent), problem=None)
        except BundleDamaged as damage:
            yield FoundCard(path=path.parent, card=None, problem=str(damage))


def card_bytes(card: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return (the card as it is written, its digest) for a card without its own digest."""
    digest = hashlib.sha256(_canonical(card)).hexdigest()
    text = json.dumps({**card, "sha256": digest}, sort_keys=True, indent=1, allow_nan=False)
    return text.encode() + b"\n", digest


def read_card(bundle: Path) -> dict[str, Any]:
    """Return the card in the directory `bundle`, checked against its own digest.

    A card of an older version is given what it does not say; its version and digest stay its own.

    Raises:
        BundleDamaged: no card, not JSON, or not the bytes that were written.
    """
    try:
        card = json.loads((bundle / CARD_NAME).read_bytes())
    except FileNotFoundError as error:
        raise BundleDamaged(bundle, f"no {CARD_NAME}") from error
    except (ValueError, OSError, RecursionError) as error:
        raise BundleDamaged(bundle, f"{CARD_NAME} cannot be read ({error})") from error
    if not isinstance(card, dict) or card.get("card_version") not in range(1, CARD_VERSION + 1):
        raise BundleDamaged(bundle, f"{CARD_NAME} is of no version from 1 to {CARD_VERSION}")
    unsigned = {key: value for key, value in card.items() if key != "sha256"}
    try:
        digest = hashlib.sha256(_canonical(unsigned)).hexdigest()
    except (ValueError, RecursionError) as error:  # it holds what is never written
        raise BundleDamaged(bundle, f"{CARD_NAME} cannot be read ({error})") from error
    if digest != card.get("sha256"):
        raise BundleDamaged(bundle, f"{CARD_NAME} was changed after it was written")
    return {**_SINCE_VERSION_2, **card}


def read_files(bundle: Path, card: Mapping[str, Any]) -> dict[str, bytes]:
    """Return name -> content of every file the card names, each checked against its digest.

    Raises:
        BundleDamaged: a file is missing or is not the one that was written.
    """
    return {name: read_file(bundle, card, name) for name in card["files"]}


def read_file(bundle: Path, card: Mapping[str, Any], name: str) -> bytes:
    """Return the content of one file the card names, checked against its digest.

    Raises:
        BundleDamaged: it is missing or is not the one that was written.
    """
    try:
        content = (bundle / name).read_bytes()
    except OSError as error:
        raise BundleDamaged(bundle, f"{name} cannot be read ({error.strerror})") from error
    if hashlib.sha256(content).hexdigest() != card["files"][name]:
        raise BundleDamaged(bundle, f"{name} is damaged")
    return content


def _canonical(card: Mapping[str, Any]) -> bytes:
    return json.dumps(card, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
