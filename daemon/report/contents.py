"""The whole report as sections, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Sequence

from daemon.report.blocks import Section
from daemon.report.boards import boards_of
from daemon.report.closer import closer_section
from daemon.report.costs import costs_section
from daemon.report.failures import failures_section
from daemon.report.features import features_section
from daemon.report.glossary import glossary_section
from daemon.report.leaks import leaks_of, leaks_section
from daemon.report.material import Material
from daemon.report.provenance import provenance_section
from daemon.report.routes import routes_section
from daemon.report.scores import scores_section
from daemon.report.summary import summary_section
from daemon.report.targets import ranked_section, standings
from daemon.report.wariness import wary_of
from store.reading import Reader


def sections_of(reader: Reader, material: Material) -> Sequence[Section]:
    """Return all sections of the report on a plan."""
    boards, leaks, found = boards_of(material), leaks_of(material), standings(material)
    wary = wary_of(material, found, boards, leaks)
    every = (
        summary_section(material, found, leaks, boards, wary),
        ranked_section(material, found),
        leaks_section(material, leaks),
        features_section(material),
        routes_section(material),
        scores_section(material, boards),
        closer_section(reader, boards),
        failures_section(material),
        costs_section(reader, material),
        provenance_section(material, boards),
        glossary_section(boards),
    )
    return tuple(section for section in every if section.blocks)
