"""The report on a plan: one HTML file to send to a colleague."""

from __future__ import annotations

from daemon.report.rendering import report_html, report_policy

__all__ = ["report_html", "report_policy"]
