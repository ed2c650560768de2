"""Options that take several words after one flag: ``--symbols AAPL MSFT GOOGL``.

click gives an option a fixed number of values; the older commands do not. The words up to the next flag are
handed to click as repeated options, so that ``--symbols AAPL --symbols MSFT`` and commas work as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import click

GREEDY = frozenset({"--symbols", "--targets", "--features", "--families", "--horizons"})

SPACELESS = frozenset({"--families"})  # names without spaces: a shell's quotes around all of them do no harm


def spread(arguments: Sequence[str]) -> list[str]:
    """The arguments with every greedy option repeated before each of its words."""
    result: list[str] = []
    flag: str | None = None
    words = 0
    for word in [*arguments, "--"]:
        if word.startswith("-") and len(word) > 1:
            if flag is not None and words == 0:
                result.append(flag)  # without a value: click says what is missing
            flag, words = (word if word in GREEDY else None), 0
            if flag is None:
                result.append(word)
        elif flag is None:
            result.append(word)
        else:
            said = word.replace(" ", ",") if flag in SPACELESS else word
            parts = [part for part in said.split(",") if part]
            result.extend(item for part in parts for item in (flag, part))
            words += len(parts)
    return result[:-1]


class GreedyCommand(click.Command):
    """A command whose list options take all words up to the next flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Spread the list options, then parse as click does."""
        return super().parse_args(ctx, spread(args))
