"""What a person and what a browser notice on a page: words, complaints, paint, findings of axe."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Page

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 45_000.0  # milliseconds; the page is far quicker, the machine may not be
# Broken rules of the content security policy, before any script of the page runs.
WATCH = """
window.refused = [];
document.addEventListener('securitypolicyviolation', (event) => {
  window.refused.push(event.violatedDirective + ' ' + (event.blockedURI || event.sourceFile || ''));
});
"""
PAINTED = """() => {
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  const parts = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];
  return {
    paint: paint ? paint.startTime : null,
    bytes: parts.reduce((sum, part) => sum + (part.transferSize || 0), 0),
    names: parts.map((part) => [part.name, part.transferSize]),
  };
}"""


@dataclass
class Eye:
    """One browser context that remembers every complaint of its pages."""

    context: BrowserContext
    url: str
    complaints: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()  # parts of complaints that the test brings about itself

    def open(self, path: str = "/") -> Page:
        """Open a page in a new tab and wait until it is there."""
        page = self.context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        page.goto(self.url + path)
        return page

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.complaints.append(f"console: {message.text} ({message.location.get('url', '')})")

    def unexpected(self) -> list[str]:
        """Complaints nobody asked for, broken rules of the content security policy among them."""
        refused = [
            f"{page.url}: {one}"
            for page in self.context.pages
            if page.url.startswith("http")
            for one in page.evaluate("() => window.refused || []")
        ]
        found = [*self.complaints, *refused]
        return [one for one in found if not any(part in one for part in self.expected)]


OpenEye = Callable[..., Eye]


def painted(page: Page) -> dict[str, Any]:
    """First contentful paint in milliseconds, and the bytes that went over the line."""
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length > 0")
    found: dict[str, Any] = page.evaluate(PAINTED)
    return found


def overflow(page: Page) -> int:
    """By how many pixels a page is wider than its window."""
    return int(page.evaluate("() => document.documentElement.scrollWidth - window.innerWidth"))


def serious_findings(page: Page) -> list[str]:
    """What axe finds serious or critical on a page, each with the first elements it is about."""
    found = Axe().run(page).response["violations"]
    return [
        f"{one['impact']} {one['id']}: {one['help']}; "
        + ", ".join(str(node["target"]) for node in one["nodes"][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
