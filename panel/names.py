"""File names made from data: whatever a target or a symbol is called, its file name is harmless."""

import re
from hashlib import sha256

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_SLUG = 80


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
