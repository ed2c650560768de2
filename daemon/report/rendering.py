"""The report as one HTML file: no script, no outside asset, pictures and style inside.

The style is named by its hash in the file's own content security policy: nothing of a plan could add to it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from daemon.pictures.drawing import style_text
from daemon.report.blocks import Section
from daemon.report.contents import sections_of
from daemon.report.material import Material, gather
from daemon.views import words
from store.reading import Reader

HERE = Path(__file__).resolve().parent


def report_html(reader: Reader, plan_id: str) -> str:
    """Return the report on a plan as HTML, the same bytes for the same log and the same bundles.

    Raises:
        NotFound: there is no such plan.
    """
    material = gather(reader, plan_id)
    return rendered(material, sections_of(reader, material))


def rendered(material: Material, sections: Sequence[Section]) -> str:
    """Return sections as HTML."""
    style = page_style()
    values = {
        "material": material,
        "plan": material.plan,
        "sections": sections,
        "style": Markup(style),  # noqa: S704 - ours
        "policy": report_policy(),
    }
    return _templates().get_template("report.html").render(values)


def report_policy() -> str:
    """Return the content security policy that the report needs: its own style and nothing else."""
    digest = base64.b64encode(hashlib.sha256(page_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def page_style() -> str:
    """Return the style of the report, that of its pictures included, as it stands between the tags."""
    return f"{(HERE / 'report.css').read_text(encoding='utf-8')}\n{style_text()}"


def _templates() -> jinja2.Environment:
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=True,  # every text of a plan is foreign
        finalize=_finalized,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"moment": words.moment, "coded": coded}
    return found


def coded(text: str) -> Markup:
    """The text escaped, what stands between backquotes as code."""
    parts = words.legible(text).split("`")
    told = [
        escape(part) if place % 2 == 0 else Markup("<code>{}</code>").format(part)
        for place, part in enumerate(parts)
    ]
    return Markup("").join(told)


def _finalized(value: object) -> object:
    """Text with its control signs shown; what is markup already is ours."""
    if value is None:
        return "-"
    if isinstance(value, str) and not hasattr(value, "__html__"):
        return words.legible(value)
    return value
