"""The learning curve of a fit: numbers, a table, a picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from markupsafe import escape

from daemon import pictures
from daemon.views.curves import Curve
from daemon.views.words import counted, legible

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, repr=False)
class LearningCurve:
    """Losses by step of the fit `name`; shows itself as a picture in a notebook."""

    name: str
    curve: Curve

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of the points, ascending, from 1; at most 300 of them."""
        return self.curve.steps

    @property
    def train_loss(self) -> tuple[float | None, ...]:
        """The loss of the training rows, None where none was reported."""
        return self.curve.train_loss

    @property
    def valid_loss(self) -> tuple[float | None, ...]:
        """The loss of the validation rows, None where none was reported."""
        return self.curve.valid_loss

    @property
    def best_step(self) -> int | None:
        """The step of the lowest validation loss, whose state a finished model keeps."""
        return self.curve.best_step

    def to_pandas(self) -> pd.DataFrame:
        """The losses as a DataFrame indexed by step."""
        import pandas as pd  # noqa: PLC0415 (half a second that only who asks pays)

        losses = {"train_loss": self.train_loss, "valid_loss": self.valid_loss}
        index = pd.Index(self.steps, name="step", dtype="int64")
        return pd.DataFrame({name: list(values) for name, values in losses.items()}, index, dtype="float64")

    def svg(self) -> str:
        """The picture as an SVG document with its style inside; "" below two points."""
        drawn = pictures.curve(self.steps, self.curve.series, best_step=self.best_step, label=self.name)
        return str(pictures.standalone(drawn))

    def __repr__(self) -> str:
        best = "" if self.best_step is None else f", best step {self.best_step}"
        points = counted(len(self.steps), "point")
        return f"learning curve of {legible(self.name)}: {points}{best} ({self.curve.source})"

    def _repr_html_(self) -> str:
        """What a notebook shows: the picture, or the words where there is too little to draw."""
        return self.svg() or str(escape(repr(self)))
