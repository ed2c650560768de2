"""Take the pictures of what people see, from a real run: ``python docs/make_screens.py [FOLDER]``.

The demonstration makes data and a first plan; a second, larger one is handed to a daemon, which is looked at
while it works, killed, and looked at again. Needs chromium (``CHROMIUM`` names another one), playwright
and pillow.
With a FOLDER the run stays there and is used again; its pictures are made anew.
"""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from rich.console import Console
from rich.text import Text

from store.reading import Reader, open_reader
from store.records import FitRow

T = TypeVar("T")
PICTURES = Path(__file__).resolve().parent / "pictures"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
WIDE: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
COLUMNS = 118
PATIENCE_SECONDS = 600.0
BYTES_MAX = 200_000
FAMILIES = ("LightGBM", "XGBoost", "QuantileLightGBM", "MLP", "LSTM")
SETTINGS = """[daemon]
web_listen = "127.0.0.1:{port}"
host_name = "trainer-1"
cpu_slots = 2
settle_seconds = 0.0
progress_seconds = 0.2
checkpoint_rounds = 20

[training.params.LightGBM]
rounds = 400
patience = 400
chunk_rounds = 10

[training.params.LSTM]
epochs = 6
"""


class Run:
    """A folder in which the command line and a daemon work."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._daemon: subprocess.Popen[bytes] | None = None

    @property
    def reader(self) -> Reader:
        """The event log as it is now."""
        return open_reader(f"sqlite:///{self.folder / 'results' / 'trainwright.db'}")

    def say(self, *words: str, colour: bool = False, may_fail: bool = False) -> str:
        """Run a command in the folder and return its screen."""
        print("$ trainwright", *words)
        environment = {**os.environ, "COLUMNS": str(COLUMNS)} | ({"FORCE_COLOR": "1"} if colour else {})
        done = subprocess.run(
            [*_program(), *words], cwd=self.folder, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, encoding="utf-8", check=False,
        )  # fmt: skip
        if done.returncode and not may_fail:
            raise SystemExit(f"trainwright {' '.join(words)} ended with {done.returncode}:\n{done.stdout}")
        return done.stdout

    def prepare(self) -> None:
        """Run the demonstration and plan more, unless that was done in this folder before."""
        if not (self.folder / "results" / "trainwright.db").exists():
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([*_program(), "demo", "--dir", str(self.folder)], check=True)
        (self.folder / "trainwright.toml").write_text(SETTINGS.format(port=self.port), encoding="utf-8")
        self.say(
            "run", "--skip-training", "--data-dir", "data", "--auto-targets", "--auto-features",
            "--top-n-targets", "8", "--families", *FAMILIES, "--seed", str(int(time.time())),
        )  # fmt: skip

    def start_daemon(self) -> None:
        """Start a daemon and wait until its page answers."""
        with (self.folder / "daemon.log").open("ab") as output:
            self._daemon = subprocess.Popen(
                [*_program(), "daemon"],
                cwd=self.folder,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        await_that(self._answers, "page of the daemon")

    def cut_power(self) -> None:
        """Kill the daemon and all it started, at once."""
        if self._daemon is not None:
            os.killpg(self._daemon.pid, signal.SIGKILL)
            self._daemon.wait()
            self._daemon = None

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True


def await_that(condition: Callable[[], T], what: str) -> T:
    """Return the first true answer of a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.2)
    raise SystemExit(f"there was no {what}")


def done_share(run: Run) -> float:
    """Which part of the newest plan's fits has ended."""
    newest = run.reader.plans()[-1]
    return (newest.fits - newest.open) / newest.fits


def finished_fit(run: Run, family: str) -> FitRow:
    """The first fit of a family in the newest plan that has a model."""
    plan = run.reader.plans()[-1].id
    return run.reader.fits(plan=plan, family=family, states=("succeeded",), limit=1)[0]


def take(page: Page, name: str) -> None:
    """Write what a page shows as a picture, and say how large it is."""
    path = PICTURES / f"{name}.png"
    page.wait_for_load_state("load")
    page.evaluate("() => document.fonts.ready")
    drawn = Image.open(io.BytesIO(page.screenshot(animations="disabled")))
    drawn.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
        path, optimize=True
    )
    size = path.stat().st_size
    print(f"{path.name}  {size / 1000:.0f} kB{'  TOO LARGE' if size > BYTES_MAX else ''}")


@contextmanager
def opened(browser: Browser, url: str, *, dark_phone: bool = False) -> Iterator[Page]:
    """A page in a browser of its own: on a desk, or on a phone in the dark."""
    if dark_phone:
        made = browser.new_context(viewport=PHONE, color_scheme="dark", device_scale_factor=1.5)
    else:
        made = browser.new_context(viewport=WIDE)
    page = made.new_page()
    page.goto(url)
    yield page
    made.close()


def take_terminal(browser: Browser, run: Run, name: str, commands: tuple[tuple[str, ...], ...]) -> None:
    """Write what commands say as a picture of a terminal."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for command in commands:
        console.print(Text(f"$ trainwright {' '.join(command)}", style="bold"))
        console.print(Text.from_ansi(run.say(*command, colour=True, may_fail=True)))
    drawn = console.export_svg(title="trainwright")
    with opened(browser, "about:blank") as page:
        page.set_content(f"<body style='margin:0'>{drawn}</body>")
        box = page.locator("svg").bounding_box() or {"width": 900, "height": 400}
        page.set_viewport_size({"width": int(box["width"]), "height": int(box["height"])})
        take(page, name)


def main(folder: Path) -> None:
    """Take all pictures."""
    run = Run(folder)
    run.prepare()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        try:
            run.start_daemon()
            run.say("submit", "results")
            await_that(lambda: done_share(run) > 0.35, "progress")
            _while_it_works(browser, run)
            run.cut_power()
            run.start_daemon()
            _after_the_restart(browser, run)
            await_that(lambda: done_share(run) == 1.0, "end of the plan")
            _when_it_is_done(browser, run)
        finally:
            run.cut_power()
            browser.close()


def _while_it_works(browser: Browser, run: Run) -> None:
    """The page, the plan, a phone."""
    with opened(browser, run.url) as page:
        page.wait_for_selector("[data-connection=live]")
        take(page, "page-live")
    newest = run.reader.plans()[-1].id
    with opened(browser, f"{run.url}/plans/{newest}") as page:
        take(page, "plan")
    with opened(browser, run.url, dark_phone=True) as page:
        take(page, "phone-dark")


def _after_the_restart(browser: Browser, run: Run) -> None:
    """The page and the terminal that say what the power cut cost."""
    with opened(browser, run.url) as page:
        page.wait_for_selector("[data-connection=live]")
        await_that(lambda: run.reader.fits(states=("running",)), "fit at work again")
        take(page, "page-after-restart")
    commands = (("status",), ("jobs", "--where", "state:running"), ("why", "y_planted_noise_5d"))
    take_terminal(browser, run, "terminal", commands)


def _when_it_is_done(browser: Browser, run: Run) -> None:
    """A finished fit in its drawer, and the report."""
    with opened(browser, f"{run.url}/?q=family:lstm&fit={finished_fit(run, 'LSTM').id}") as page:
        take(page, "fit")
    report = run.folder / "report.html"
    run.say("report", "-o", str(report))
    with opened(browser, report.as_uri()) as page:
        take(page, "report")


def _program() -> list[str]:
    return [str(Path(sys.executable).with_name("trainwright"))]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]).resolve())
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch) / "demo")
