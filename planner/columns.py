"""Columns of plain values as Arrow arrays, made from their bytes.

pyarrow's own converter from Python lists loads pandas, a third of a second of start-up that a planning
answered by its cache needs for nothing else. The layouts are those of the Arrow columnar format: a validity
bitmap, then values, or 32-bit offsets and what they point into.
"""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ARROW_TYPES = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "list of string": pa.list_(pa.string()),
    "list of number": pa.list_(pa.float64()),
}
_LIST_OF = "list of "
_PLAIN: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (float, int),
    "boolean": (bool,),
}


def arrow_column(values: Sequence[Any], kind: str) -> Any:  # noqa: ANN401 - the library has no types
    """Return plain values of one kind, a key of ARROW_TYPES, as an Arrow array; None is missing.

    Raises:
        pyarrow.ArrowException: a value is not of that kind, or does not fit.
    """
    present = np.fromiter((value is not None for value in values), dtype=np.bool_, count=len(values))
    validity = None if present.all() else _bits(present)
    missing = int(len(values) - present.sum())
    if kind.startswith(_LIST_OF):
        filled = [() if value is None else value for value in values]
        inner = arrow_column(list(chain.from_iterable(filled)), kind.removeprefix(_LIST_OF))
        buffers = [validity, _offsets([len(value) for value in filled])]
        return pa.Array.from_buffers(ARROW_TYPES[kind], len(values), buffers, missing, children=[inner])
    _refuse_others(values, kind)
    return pa.Array.from_buffers(ARROW_TYPES[kind], len(values), [validity, *_data(values, kind)], missing)


def _refuse_others(values: Sequence[Any], kind: str) -> None:
    found = {type(value) for value in values} - {type(None)} - set(_PLAIN[kind])
    if found:
        raise pa.ArrowTypeError(f"a column of kind {kind} holds {', '.join(sorted(map(repr, found)))}")


def _data(values: Sequence[Any], kind: str) -> list[Any]:
    """The buffers behind the validity bitmap."""
    if kind == "string":
        texts = [b"" if value is None else value.encode() for value in values]
        return [_offsets([len(text) for text in texts]), pa.py_buffer(b"".join(texts))]
    if kind == "boolean":
        return [_bits(np.fromiter((value is True for value in values), dtype=np.bool_, count=len(values)))]
    plain = [0 if value is None else value for value in values]
    try:
        return [pa.py_buffer(np.array(plain, dtype=np.int64 if kind == "integer" else np.float64))]
    except OverflowError as error:
        raise pa.ArrowInvalid(f"a number is too large for a column of kind {kind}") from error


def _offsets(sizes: Sequence[int]) -> Any:  # noqa: ANN401 - as above
    ends = np.cumsum([0, *sizes], dtype=np.int64)
    if ends[-1] > np.iinfo(np.int32).max:
        raise pa.ArrowInvalid("a column holds more than two gigabytes")
    return pa.py_buffer(ends.astype(np.int32))


def _bits(flags: npt.NDArray[np.bool_]) -> Any:  # noqa: ANN401 - as above
    return pa.py_buffer(np.packbits(flags, bitorder="little"))
