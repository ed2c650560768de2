"""Which data files lie under a directory: names only, so that known files are recognised without a reader."""

from pathlib import Path

from panel.errors import DataNotFound

SUFFIXES = (".parquet", ".csv", ".csv.gz")
LAYOUTS = (
    "Accepted: DIR/symbol=AAPL/*.parquet, DIR/interval=5m/symbol=AAPL/*.parquet, DIR/AAPL.parquet, "
    "DIR/AAPL_mtf.parquet, DIR/AAPL.csv, or one long file or dataset with a symbol column."
)


def data_files(data_dir: Path) -> tuple[Path, ...]:
    """Every data file under a directory (or the file itself), sorted; hidden and `_` names are passed over.

    Raises:
        DataNotFound: the path does not exist.
    """
    if data_dir.is_file():
        return (data_dir,)
    if not data_dir.is_dir():
        raise DataNotFound(data_dir, "no such file or directory", LAYOUTS)
    return tuple(
        sorted(
            path
            for path in data_dir.rglob("*")
            if path.name.endswith(SUFFIXES)
            and not any(part.startswith((".", "_")) for part in path.relative_to(data_dir).parts)
            and path.is_file()
        )
    )
