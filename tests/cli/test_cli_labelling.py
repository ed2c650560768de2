"""``label``: raw bars in, features and targets out."""

from __future__ import annotations

from pathlib import Path

from cli_samples import Call, write_bars


def test_bars_become_features_and_targets(call: Call, folder: Path) -> None:
    """The table counts rows, the horizons name the targets, the next command is printed."""
    write_bars(folder / "bars")
    done = call("label", "--data-dir", "bars", "--output-dir", "data", "--horizons", "1", "3")
    assert done.code == 0
    assert "AAA      150" in done.out
    assert "fwd_ret_3d" in done.out
    assert "fwd_ret_5d" not in done.out
    assert done.lines[-1] == "next  trainwright run --data-dir data --auto-targets --auto-features"
    assert (folder / "data" / "symbol=AAA" / "AAA.parquet").exists()


def test_the_document_lists_what_was_made(call: Call, folder: Path) -> None:
    """Programs get rows, features and targets."""
    write_bars(folder / "bars")
    document = call("label", "--data-dir", "bars", "--output-dir", "data", "--json").document
    assert document["rows"] == {"AAA": 150}
    assert "fwd_ret_5d" in document["targets"]
    assert "rsi_14" in document["features"]


def test_an_unknown_symbol_or_directory_is_refused(call: Call, folder: Path) -> None:
    """Exit code 3, and nothing is written."""
    write_bars(folder / "bars")
    done = call("label", "--data-dir", "bars", "--output-dir", "data", "--symbols", "AAPL")
    assert (done.code, "AAA" in done.err) == (3, True)
    assert call("label", "--data-dir", "none", "--output-dir", "data").code == 3
    assert not (folder / "data").exists()
