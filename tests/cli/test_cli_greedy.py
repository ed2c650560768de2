"""Options that take all words up to the next flag."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from daemon.cli.greedy import GreedyCommand, spread


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            ["--symbols", "AAPL", "MSFT", "--auto-targets"],
            ["--symbols", "AAPL", "--symbols", "MSFT", "--auto-targets"],
        ),
        (["--symbols", "AAPL,MSFT"], ["--symbols", "AAPL", "--symbols", "MSFT"]),
        (["--data-dir", "d", "--symbols", "A"], ["--data-dir", "d", "--symbols", "A"]),
        (["--symbols", "--json"], ["--symbols", "--json"]),
        (["--symbols"], ["--symbols"]),
        (["--families", "LightGBM", "lstm", "-v"], ["--families", "LightGBM", "--families", "lstm", "-v"]),
        (["--families", "LightGBM lstm"], ["--families", "LightGBM", "--families", "lstm"]),
        (["--symbols", "BRK B US"], ["--symbols", "BRK B US"]),
        (["one", "two"], ["one", "two"]),
    ],
)
def test_words_after_a_list_option_belong_to_it(given: list[str], expected: list[str]) -> None:
    """The words up to the next flag become repeated options; other words stay where they were."""
    assert spread(given) == expected


def test_click_receives_all_symbols() -> None:
    """The older system's command gives three symbols to one flag."""

    @click.command(cls=GreedyCommand)
    @click.option("--symbols", multiple=True)
    @click.option("--data-dir")
    def command(symbols: tuple[str, ...], data_dir: str) -> None:
        click.echo(f"{data_dir}: {' '.join(symbols)}")

    done = CliRunner().invoke(command, ["--symbols", "AAPL", "MSFT", "GOOGL", "--data-dir", "data"])
    assert done.output == "data: AAPL MSFT GOOGL\n"


def test_a_list_option_without_words_is_a_usage_error() -> None:
    """A flag at the very end without a value is refused by name."""

    @click.command(cls=GreedyCommand)
    @click.option("--symbols", multiple=True)
    def command(symbols: tuple[str, ...]) -> None:
        click.echo(str(symbols))

    done = CliRunner().invoke(command, ["--symbols"])
    assert done.exit_code == 2
    assert "--symbols" in done.output
