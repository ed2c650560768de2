"""Names out of data: what can stand in a plan, and file names that are harmless whatever the name."""

import re
from hashlib import sha256

TIME_COLUMNS = ("ts", "timestamp", "time", "datetime", "date")  # the first that a file has is its time

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_SLUG = 80
_MAX_NAME = 256
_NO_TARGET = re.compile(r"[/\\\x00-\x1f\x7f]|\.\.")
_NO_SYMBOL = re.compile(r"[\\\x00-\x1f\x7f]|\.\.|^/|/$|//")  # EUR/USD is one


def safe_file_name(name: str) -> str:
    """A file name for `name`: itself when harmless, else a slug and 8 hex digits that keep it unique.

    The result holds only `A-Za-z0-9._-`, never starts with a dot or a dash, and is never empty. Two
    different names never share a result: a name that equals another one's slug differs by the digits.
    """
    slug = _UNSAFE.sub("_", name).lstrip(".-_" if name[:1] in (".", "-") else "")[:_MAX_SLUG]
    if slug == name and slug and not _ends_in_digest(slug):
        return slug
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{slug or 'unnamed'}-{digest}"


def _ends_in_digest(slug: str) -> bool:
    """Whether a harmless name looks like a slug of ours, and so could collide with one."""
    return re.search(r"-[0-9a-f]{8}$", slug) is not None


def unplannable(name: str, *, symbol: bool = False) -> str | None:
    """Why no plan may hold this name of a target (or, with `symbol`, of a symbol), or None.

    The rules are those a plan is accepted by: one odd column must not cost the whole plan.
    """
    if not name.strip():
        return "the name is empty"
    if len(name) > _MAX_NAME:
        return f"the name has {len(name)} characters, more than {_MAX_NAME}"
    if (_NO_SYMBOL if symbol else _NO_TARGET).search(name):
        return "the name holds a path or a control character"
    return None
