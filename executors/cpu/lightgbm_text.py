"""LightGBM models grown in chunks, and their joining into the one model file the library reads.

Going on from a whole model makes LightGBM predict all of it for all rows again at every chunk, which costs
more than the training. Here each chunk is a model of its own that begins with the scores of those before
it; at the end their trees are put one after another in the text format (version 4: header, `tree_sizes`,
one block a tree, `end of trees`, tail).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import lightgbm

_SIZES = "\ntree_sizes="
_END = "end of trees"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """Trees of some rounds: the model's text, and how many iterations it holds after each round.

    A round in which no split is possible adds none, so the two counts can differ.
    """

    iterations_after: tuple[int, ...]
    text: str


def chunks_to_bytes(chunks: Sequence[Chunk]) -> bytes:
    """Return the state of a fit under way."""
    return json.dumps([[chunk.iterations_after, chunk.text] for chunk in chunks]).encode()


def chunks_from_bytes(state: bytes | None) -> tuple[Chunk, ...]:
    """Read what `chunks_to_bytes` wrote; None is no chunk."""
    records = json.loads(state) if state else []
    return tuple(Chunk(iterations_after=tuple(counts), text=text) for counts, text in records)


def joined(chunks: Sequence[Chunk], rounds: int) -> str:
    """Return one model's text with the trees of the first `rounds` rounds, in their order."""
    header = tail = ""
    trees: list[str] = []
    for chunk in chunks:
        kept = min(rounds, len(chunk.iterations_after))
        if kept == 0:
            break
        model = lightgbm.Booster(model_str=chunk.text)
        header, blocks, tail = _parted(model.model_to_string(num_iteration=chunk.iterations_after[kept - 1]))
        trees += [_renumbered(block, len(trees) + place) for place, block in enumerate(blocks)]
        rounds -= kept
    sizes = " ".join(str(len(tree)) for tree in trees)
    text = f"{header}{_SIZES}{sizes}\n\n{''.join(trees)}{tail}"
    # Through the library once, which reads it critically and counts the importances anew.
    clean: str = lightgbm.Booster(model_str=text).model_to_string()
    return clean


def _parted(text: str) -> tuple[str, list[str], str]:
    """Return (header, one block a tree, tail beginning with `end of trees`)."""
    header, rest = text.split(_SIZES, 1)
    sizes, body = rest.split("\n\n", 1)
    blocks: list[str] = []
    for size in map(int, sizes.split()):
        blocks.append(body[:size])
        body = body[size:]
    return header, blocks, body[body.index(_END) :]


def _renumbered(block: str, number: int) -> str:
    return f"Tree={number}\n{block.split(chr(10), 1)[1]}"
