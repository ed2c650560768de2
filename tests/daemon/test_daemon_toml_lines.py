"""The line on which a file sets each key, found by the parser and not by the look of a line."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from daemon.toml_lines import key_lines

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "trainwright.toml"
TEXT = '''# a comment: seed = 1
[daemon]
note = """
cs_min_auc = 3
[routing]
"""
symbols = [
  "A",  # seed = 2
  "B",
]
seed = 7

[ routing ]  # with a comment
"cs_min_auc" = 0.55
data.x = 1
[training.params.LightGBM]
rounds = 3
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("daemon",), 2),
        (("daemon", "note"), 3),
        (("daemon", "symbols"), 7),
        (("daemon", "seed"), 11),
        (("routing",), 13),
        (("routing", "cs_min_auc"), 14),
        (("routing", "data", "x"), 15),
        (("training", "params"), 16),
        (("training", "params", "LightGBM", "rounds"), 17),
    ],
)
def test_a_key_is_found_on_the_line_that_sets_it(path: tuple[str, ...], line: int) -> None:
    """Comments, strings of many lines, lists of many lines, quoted and dotted keys mislead nobody."""
    assert key_lines(TEXT)[path] == line


def test_what_only_looks_like_a_key_has_no_line() -> None:
    """A key inside a string is none."""
    assert ("daemon", "cs_min_auc") not in key_lines(TEXT)
    assert sum(path[-1] == "cs_min_auc" for path in key_lines(TEXT)) == 1


def test_inline_tables_and_arrays_of_tables_have_the_line_of_their_statement() -> None:
    """Keys inside an inline table share its line; the last of an array of tables goes on."""
    text = "[training]\nparams = { LightGBM = { rounds = 8 } }\n[[runs]]\nname = 'a'\n[[runs]]\nname = 'b'\n"
    found = key_lines(text)
    assert found["training", "params", "LightGBM", "rounds"] == 2
    assert (found["runs",], found["runs", "name"]) == (3, 6)


def test_every_key_of_the_published_example_is_found_where_it_stands() -> None:
    """Each line found holds the key, and no key of the parsed file is missing."""
    text = EXAMPLE.read_text(encoding="utf-8")
    lines, found = text.splitlines(), key_lines(text)
    for section, table in tomllib.loads(text).items():
        for key in table:
            assert lines[found[section, key] - 1].startswith(f"{key} =")
    assert key_lines("") == {}
