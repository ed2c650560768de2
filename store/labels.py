"""Labels: words for what a host offers beside its room, such as ``bigmem``, and what fits need of them."""

from __future__ import annotations

import re
from collections.abc import Collection

LABELS_MAX = 8  # of a host, and of a fit
LACKS_NOTHING = " AND (f.labels IS NULL OR {left} = '')"
LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")


def label_problem(label: object) -> str | None:
    """Return what is wrong with a label, None where it is right."""
    if isinstance(label, str) and LABEL.fullmatch(label):
        return None
    return f"{label!r} is no label: up to 32 of a-z, 0-9, dot, dash and underscore, a letter or digit first"


def labels_text(labels: Collection[str]) -> str | None:
    """Return labels as the tables hold them, each once and in order; None for none."""
    return ",".join(sorted(set(labels))) or None


def labels_of(text: str | None) -> tuple[str, ...]:
    """Return the labels of a column."""
    return tuple(text.split(",")) if text else ()


def offering(labels: Collection[str]) -> tuple[str, list[str]]:
    """Return the condition that a host with these labels has all that a fit needs, with its parameters.

    What is needed stands between doubled commas, so that each label can be taken out; nothing may be left.
    """
    offered = sorted(set(labels))
    if not offered:
        return " AND f.labels IS NULL", []
    left = "',' || REPLACE(f.labels, ',', ',,') || ','"
    for _ in offered:
        left = f"REPLACE({left}, ?, '')"
    return LACKS_NOTHING.format(left=left), [f",{label}," for label in offered]
