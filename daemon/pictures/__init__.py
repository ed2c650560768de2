"""Pictures as SVG text, made from plain values: for the page, the report and notebooks.

Each function returns one `svg` element, or nothing where there is nothing to show. Same values, same bytes.
"""

from daemon.pictures.drawing import standalone, style_text
from daemon.pictures.flows import NO_ROUTE, Way, routes
from daemon.pictures.lanes import Bar, Ghost, Lanes, gantt
from daemon.pictures.lines import curve, sparkline
from daemon.pictures.reliability import calibration
from daemon.pictures.scores import Estimate, bars, forest, periods, ranking

__all__ = [
    "NO_ROUTE",
    "Bar",
    "Estimate",
    "Ghost",
    "Lanes",
    "Way",
    "bars",
    "calibration",
    "curve",
    "forest",
    "gantt",
    "periods",
    "ranking",
    "routes",
    "sparkline",
    "standalone",
    "style_text",
]
