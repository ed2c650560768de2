"""What holds for every picture, whatever it shows."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree as ET

from markupsafe import Markup

SPACE = "{http://www.w3.org/2000/svg}"
NUMBERS = frozenset(("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "stroke-width"))
FORBIDDEN = frozenset(("script", "foreignObject", "style", "image", "use", "iframe"))
EDGE = 40.0  # so far a text that is centred may reach beyond a picture


def sound(svg: Markup) -> ET.Element:
    """Return a picture as a tree, after checking that it can stand in any page of ours.

    It is well-formed, names what it shows, has no script, no style of its own, no place outside, leads only
    to our own site, and each number in it lies within its bounds.
    """
    assert isinstance(svg, Markup)
    root = ET.fromstring(str(svg))  # noqa: S314 - made here
    assert root.tag == f"{SPACE}svg"
    assert root.get("aria-label")
    linked = root.find(f".//{SPACE}a") is not None
    assert root.get("role") == ("group" if linked else "img")
    _, _, width, height = (float(value) for value in (root.get("viewBox") or "").split())
    assert (width, height) == (float(root.get("width") or 0), float(root.get("height") or 0))
    for element in root.iter():
        _check(element, width, height)
    return root


def texts(root: ET.Element) -> list[str]:
    """Return all that is written in a picture, titles aside."""
    return [text.text or "" for text in root.iter(f"{SPACE}text")]


def titles(root: ET.Element) -> list[str]:
    """Return what a picture tells when it is pointed at."""
    return [title.text or "" for title in root.iter(f"{SPACE}title")]


def of_class(root: ET.Element, name: str) -> list[ET.Element]:
    """Return the elements of a class."""
    return [element for element in root.iter() if name in (element.get("class") or "").split()]


def _check(element: ET.Element, width: float, height: float) -> None:
    name = element.tag.removeprefix(SPACE)
    assert name not in FORBIDDEN
    for key, value in element.attrib.items():
        assert key != "style"
        assert not key.startswith("on")
        if key == "href":
            assert value[:1] in ("/", "#", "?")
        if key in NUMBERS:
            assert math.isfinite(float(value)), (name, key, value)
        if key in ("x", "cx", "x1", "x2"):
            assert -EDGE <= float(value) <= width + EDGE, (name, key, value)
        if key in ("y", "cy", "y1", "y2"):
            assert -EDGE <= float(value) <= height + EDGE, (name, key, value)
        if key in ("points", "d"):
            assert "nan" not in value
            assert "inf" not in value
            assert not re.search(r"\de[+-]?\d", value)
