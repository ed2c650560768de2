"""Drawing as text: elements, words and numbers of an SVG picture, every foreign text made harmless."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from markupsafe import Markup, escape

NAMESPACE = "http://www.w3.org/2000/svg"
STYLE = Path(__file__).resolve().parent / "pictures.css"
FONT = 12  # what the style sheet says, in user units
NOTHING = Markup("")

_LARGEST = 1e150  # beyond it a picture shows no more, and a difference of two would overflow
_SMALLEST = 1e-150
_NOT_XML = re.compile(
    "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_LINKED = ("/", "#", "?")


def coordinate(value: float) -> str:
    """A place in a picture, to a tenth, without needless zeros."""
    rounded = round(value, 1) + 0.0  # no minus zero
    return str(int(rounded)) if rounded == int(rounded) else str(rounded)


def element(name: str, content: str = "", /, **attributes: float | str | None) -> Markup:
    """One element; ``_`` in the name of an attribute is ``-``, one that is None or empty is left out.

    `content` is escaped unless it is markup already.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{_attribute(value)}"'
        for key, value in attributes.items()
        if value not in (None, "")
    )
    inner = escape(content)
    return Markup(f"<{name}{told}>{inner}</{name}>" if inner else f"<{name}{told}/>")  # noqa: S704 - escaped


def joined(parts: Iterable[str]) -> Markup:
    """Elements one after another; what is no markup is escaped."""
    return NOTHING.join(parts)


def picture(kind: str, size: tuple[float, float], label: str, parts: Iterable[str]) -> Markup:
    """The whole picture: what it is of for those who do not see it, and its natural size."""
    width, height = size
    content = joined(parts)
    return element(
        "svg",
        content,
        xmlns=NAMESPACE,
        class_=f"pic {kind}",
        role="group" if "<a " in content else "img",  # what is an image has nothing inside to go to
        aria_label=legible(label),
        viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
        width=width,
        height=height,
    )


def words(
    x: float, y: float, text: str, *, kind: str = "", limit: int | None = None, href: str = ""
) -> Markup:
    """A text at its baseline; one that was shortened to `limit` signs tells the whole when pointed at."""
    whole = legible(text)
    shown = whole if limit is None else shortened(whole, limit)
    content = escape(shown)
    if shown != whole:
        content += element("title", whole)
    found = element("text", content, x=x, y=y, class_=kind)
    return linked(found, href)


def linked(content: Markup, href: str) -> Markup:
    """The content as a link to a place of this page or site; as it is where there is none."""
    return element("a", content, href=href) if href.startswith(_LINKED) else content


def titled(content: Markup, title: str) -> Markup:
    """A group of elements that tells more when it is pointed at."""
    return element("g", element("title", legible(title)) + content)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def polyline(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    """A line through all points."""
    places = " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in points)
    return element("polyline", points=places, class_=kind)


def legible(text: str) -> str:
    """The text on one line; signs that no document may hold, or that turn the order of others, by number."""
    return " ".join(_NOT_XML.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text).split())


def shortened(text: str, limit: int) -> str:
    """The text in at most so many places, its end cut off; wide signs take two."""
    places = 0
    for at, sign in enumerate(text):
        places += 2 if unicodedata.east_asian_width(sign) in "WF" else 1
        if places > limit:
            return f"{text[: max(0, at - 1)].rstrip()}\u2026"
    return text


def finite(value: float | None) -> float | None:
    """The value as it can be drawn; None for what is no number."""
    if value is None or not math.isfinite(value):
        return None
    return max(-_LARGEST, min(_LARGEST, float(value)))


def figure(value: float | None, *, signed: bool = False) -> str:
    """A number in few signs, as people read it in a picture: ``0.0432``, ``+1.2``, ``3.4e-07``."""
    if value is None or not math.isfinite(value):
        return "-"
    text = f"{value:+.3g}" if signed else f"{value:.3g}"
    return text.replace("-", "\u2212", 1) if text.startswith("-") else text


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to places along one side of a picture."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value lies, never outside of the picture."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + max(0.0, min(1.0, share)) * (self.end - self.start)

    def ticks(self, count: int = 4) -> tuple[float, ...]:
        """About so many round values between both ends."""
        step = _round_step((self.high - self.low) / max(1, count))
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        if last - first > 4 * count:  # so far from zero that steps are lost in rounding
            return (self.low, self.high)
        return tuple(place * step for place in range(first, last + 1))

    def told(self, value: float, *, finer: int = 0, signed: bool = False) -> str:
        """A tick's value with as many places as its step needs, and so many more for what lies between."""
        if value and not 1e-4 < max(abs(self.low), abs(self.high)) < 1e6:
            return figure(value, signed=signed)
        step = _round_step((self.high - self.low) / 5)
        places = max(0, finer - math.floor(math.log10(step) + 1e-9))
        text = f"{round(value, places) + 0.0:{'+' if signed else ''}.{places}f}"  # no minus zero
        return text.replace("-", "\u2212", 1)


def scale_over(values: Iterable[float | None], start: float, end: float, *, edge: float = 0.06) -> Scale:
    """The scale that holds all finite values, with some air at both ends."""
    known = [number for value in values if (number := finite(value)) is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    if high - low <= max(_SMALLEST, 1e-9 * max(abs(low), abs(high))):
        air = abs(high) * 0.1 or 1.0
        low, high = low - air, high + air
    air = (high - low) * edge
    return Scale(low - air, high + air, start, end)


def spaced(count: int, most: int) -> Iterator[int]:
    """The places that are drawn of a long line: all, or evenly spaced ones, first and last among them."""
    kept = min(count, most)
    return iter(sorted({round(place * (count - 1) / max(1, kept - 1)) for place in range(kept)}))


def standalone(svg: Markup) -> Markup:
    """The picture with its style inside and paper behind it: for files and notebooks.

    A document that holds several pictures embeds the style once instead: `style_text`.
    """
    head, mark, rest = svg.partition(">")
    if not mark:
        return svg
    paper = '<rect class="paper" width="100%" height="100%"/>'
    return Markup(f"{head}><style>{style_text()}</style>{paper}{rest}")  # noqa: S704 - both are ours


@cache
def style_text() -> str:
    """The style of all pictures, as it is embedded in a document."""
    return STYLE.read_text(encoding="utf-8")


def _attribute(value: float | str | None) -> str:
    return coordinate(value) if isinstance(value, int | float) else str(escape(value))


def _round_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(max(rough, _SMALLEST)))
    return next(power * factor for factor in (1, 2, 5, 10) if power * factor >= 0.75 * rough)
