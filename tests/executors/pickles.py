"""Finding pickles: in a file, in an archive, in the arrays of numpy."""

from __future__ import annotations

import io
import pickletools
import zipfile

_OBJECT_ARRAY = b"'descr': '|O'"


def pickle_in(content: bytes) -> str | None:
    """Return what kind of pickle `content` is or holds, None when it holds none."""
    if content.startswith(b"\x93NUMPY") and _OBJECT_ARRAY in content[:256]:
        return "an array of objects"
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = [pickle_in(archive.read(name)) for name in archive.namelist()]
        return next((f"in an archive: {found}" for found in inside if found), None)
    try:
        codes = [code.name for code, *_ in pickletools.genops(content)]
    except (ValueError, IndexError, UnicodeDecodeError, KeyError, OverflowError):
        return None
    return "a pickle" if len(codes) > 1 else None
