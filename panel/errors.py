"""Every way the data can refuse: one base, and a message built from the facts of the case."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class PanelError(Exception):
    """The data, or a question about it, cannot be taken as it is."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, case aside, or None when nothing is alike."""
    lowered = {candidate.lower(): candidate for candidate in known}
    matches = get_close_matches(name.lower(), list(lowered), n=1, cutoff=0.6)
    return lowered[matches[0]] if matches else None


def listed(names: Iterable[str], limit: int = 8) -> str:
    """The names joined for a sentence, cut after `limit` with the count of the rest."""
    every = list(names)
    shown = ", ".join(every[:limit])
    return shown if len(every) <= limit else f"{shown} and {len(every) - limit} more"


def first_line(error: BaseException) -> str:
    """What a library says is wrong, without the advice to programmers on the lines that follow."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


class DataNotFound(PanelError):
    """Nothing readable lies where the data should be."""

    def __init__(self, path: Path, what: str, fix: str) -> None:
        self.path = path
        self.what = what
        self.fix = fix
        super().__init__(f"{path}: {what}. {fix}")


class BadData(PanelError):
    """A file is there but its content cannot be used; says which, what is wrong and what to do."""

    def __init__(self, path: Path, what: str, fix: str) -> None:
        self.path = path
        self.what = what
        self.fix = fix
        super().__init__(f"{path}: {what}. {fix}")


class UnknownSymbol(PanelError):
    """A symbol was asked for that the data does not hold."""

    def __init__(self, asked: Iterable[str], present: Iterable[str]) -> None:
        self.asked = tuple(asked)
        self.present = tuple(present)
        likely = nearest(self.asked[0], self.present) if self.asked else None
        hint = f" Did you mean {likely}?" if likely else ""
        super().__init__(f"no data for {listed(self.asked)}; present: {listed(self.present, 20)}.{hint}")


class UnknownColumn(PanelError):
    """A column was asked for that the panel does not hold, or holds without numbers."""

    def __init__(self, name: str, known: Iterable[str], why: str = "no such column") -> None:
        self.name = name
        self.nearest = nearest(name, known)
        hint = f" Did you mean {self.nearest}?" if self.nearest and self.nearest != name else ""
        super().__init__(f"column {name}: {why} in this panel.{hint}")


class NoTargets(PanelError):
    """No column can serve as a target: raw bars, or every candidate was left out with a reason."""

    def __init__(self, path: Path, left_out: Iterable[tuple[str, str]] = ()) -> None:
        self.path = path
        self.left_out = tuple(left_out)
        if self.left_out:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in self.left_out[:5])
            what = f"every target was left out ({reasons})"
            fix = "Correct the columns, or name other targets with target patterns in the configuration."
        else:
            what = "no target columns (y_*, fwd_ret_*), these look like raw bars"
            fix = f"Make features and targets first: trainwright label --data-dir {path} --output-dir DIR"
        super().__init__(f"{path}: {what}. {fix}")


class TooShort(PanelError):
    """Too few rows are left on one side of a split after purging."""

    def __init__(self, part: str, rows: int, horizon_bars: int, embargo_bars: int) -> None:
        self.part = part
        self.rows = rows
        super().__init__(
            f"{rows} rows cannot be split: the {part} part is empty after purging "
            f"{horizon_bars} bars of label and {embargo_bars} of embargo. "
            "Give more history, a shorter horizon or a smaller share."
        )


class PanelDamaged(PanelError):
    """A stored panel is incomplete or not of this version; it can be built again."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self.what = what
        super().__init__(f"{path}: {what}. Build it again with force_refresh (--force-refresh).")


class BadPrediction(PanelError):
    """Predictions and labels do not belong together: their shapes or the task do not fit."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"cannot score: {what}")


class BadHorizon(PanelError):
    """A horizon that does not look ahead."""

    def __init__(self, bars: int) -> None:
        self.bars = bars
        super().__init__(f"a horizon of {bars} bars does not look ahead; give whole bars from 1 on")
