"""The names of artefacts, made of our own ids: no name of a target or a job, and no path, is ever in one."""

from __future__ import annotations

import re

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_STATE = re.compile(r"(\d+)/step-(\d+)")


def panel_key(panel: str) -> str:
    """Return the key of a panel, by the hash of its content."""
    return _key("panels", panel)


def bundle_key(plan: str, fit: str, sha256: str) -> str:
    """Return the key of a finished fit's model, by its identity."""
    return _key("bundles", plan, fit, sha256)


def states_prefix(plan: str, fit: str) -> str:
    """Return what the keys of all states of a fit begin with."""
    return _key("checkpoints", plan, fit)


def checkpoint_key(plan: str, fit: str, fence: int, step: int) -> str:
    """Return the key of the state that a lease of that number saved after a step."""
    return f"{states_prefix(plan, fit)}/{state_path(fence, step)}"


def state_path(fence: int, step: int) -> str:
    """Return a state's name beneath those of its fit, on disk as in the place of artefacts."""
    return f"{fence:d}/step-{step:d}"


def state_of(path: str) -> tuple[int, int] | None:
    """Return (fence, step) of a state's name beneath those of its fit, None for any other name."""
    found = _STATE.fullmatch(path)
    return (int(found[1]), int(found[2])) if found else None


def is_of_content(key: str) -> bool:
    """Whether a key names what lies under it by its content: panels and models do, states do not."""
    return key.startswith(("panels/", "bundles/"))


def log_key(plan: str, fit: str, attempt: int) -> str:
    """Return the key of an attempt's log."""
    return f"{_key('logs', plan, fit)}/{attempt:d}.log"


def _key(kind: str, *ids: str) -> str:
    """Return a key; raises ValueError for what cannot be an id of ours."""
    for one in ids:
        if not _ID.fullmatch(one):
            raise ValueError(f"{one!r} is no id")
    return "/".join((kind, *ids))
