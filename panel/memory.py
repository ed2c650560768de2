"""Memory that was freed, handed back to the system.

The C library keeps freed blocks of many small columns for later use, hundreds of megabytes after a panel was
built, and the large arrays of later steps cannot use them.
"""

import ctypes
import sys
from typing import Any


def give_back_memory() -> None:
    """Hand freed memory of the C library, and of pyarrow where it is loaded, back to the system.

    Takes milliseconds; does nothing where the C library knows no malloc_trim.
    """
    arrow: Any = sys.modules.get("pyarrow")
    if arrow is not None:
        arrow.default_memory_pool().release_unused()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
