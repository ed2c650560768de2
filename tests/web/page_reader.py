"""A page as a test reads it: its elements, its words, and whether it is whole."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "col", "wbr"))


@dataclass(slots=True)
class Element:
    """One element: its name, attributes, and all text in it."""

    name: str
    attributes: dict[str, str]
    words: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All text in it, spaces run together."""
        return " ".join("".join(self.words).split())


class Page(HTMLParser):
    """Reads a whole page; raises AssertionError where elements do not close as they opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(text)
        self.close()
        assert not self._open, f"<{self._open[-1].name}> is not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that is closed at once."""
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        """Close the element that was opened last."""
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1].name == tag, f"</{tag}> closes <{self._open[-1].name}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        """Note text for every element around it."""
        for element in self._open:
            element.words.append(data)

    def all(self, name: str | None = None, **attributes: str) -> list[Element]:
        """Return the elements of a name with these attributes; `class_` is any of its classes."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            element
            for element in self.elements
            if name in (None, element.name) and all(_has(element, *one) for one in wanted.items())
        ]

    def one(self, name: str | None = None, **attributes: str) -> Element:
        """Return the only element like that."""
        found = self.all(name, **attributes)
        assert len(found) == 1, f"{len(found)} elements are like that: {name} {attributes}"
        return found[0]

    @property
    def rows(self) -> dict[str, str]:
        """The rows of the table of fits: id of the fit -> all its words."""
        rows = [one for one in self.all("tr") if one.attributes.get("id", "").startswith("live-row-")]
        return {row.attributes["id"].removeprefix("live-row-"): row.text for row in rows}

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [one.attributes["href"] for one in self.all("a")]


def _has(element: Element, key: str, value: str) -> bool:
    found = element.attributes.get(key)
    return found is not None and (value in found.split() if key == "class" else found == value)
