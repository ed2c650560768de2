"""What the pages tell people to type is typed, block by block, and does what it should."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from documented import ROOT, Block, Page, pages
from hosting import free_port, host_at_work

TYPED = [page for page in pages() if page.tried]
PORT = "8765"  # of the pages; another one here, for that one may be taken
SECONDS_MAX = 240
DEMONSTRATION = "trainwright demo --dir first"  # typed once for all pages


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished demonstration, to be copied."""
    folder = tmp_path_factory.mktemp("demonstrated")
    done = typed(DEMONSTRATION, folder, port=PORT)
    assert done.returncode == 0, done.stderr
    return folder / "first"


def typed(text: str, folder: Path, *, port: str) -> subprocess.CompletedProcess[str]:
    """Type a block into a shell, as a person would, and return what came of it."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRAINWRIGHT_")}
    return subprocess.run(
        ["bash", "-e", "-u", "-o", "pipefail", "-c", text.replace(PORT, port)],
        cwd=folder,
        env=kept | {"PATH": path, "TRAINWRIGHT_WEB_LISTEN": f"127.0.0.1:{port}", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS_MAX,
        stdin=subprocess.DEVNULL,
    )


@contextmanager
def begun(page: Page, demonstrated: Path, folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the folder a page begins in and the port that is spoken to there."""
    (folder / ".venv").symlink_to(sys.prefix)
    port = str(free_port())
    if page.folder == "empty":
        yield folder, port
        return
    shutil.copytree(demonstrated, folder, symlinks=True, dirs_exist_ok=True)
    if page.folder == "demo":
        yield folder, port
        return
    with host_at_work(folder, port=port):
        yield folder, port


def tried(block: Block, folder: Path, *, port: str) -> subprocess.CompletedProcess[str]:
    """Try a block of a page: type it, run it, or read it as a configuration file."""
    if block.language == "python":
        (folder / "typed.py").write_text(block.text.replace(PORT, port), encoding="utf-8")
        return typed("python typed.py", folder, port=port)
    if block.language == "toml":
        (folder / "typed.toml").write_text(block.text, encoding="utf-8")
        return typed("trainwright config show --config typed.toml", folder, port=port)
    return typed(block.text, folder, port=port)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("page", TYPED, ids=lambda page: page.name)
def test_what_a_page_says_can_be_typed(page: Page, demonstrated: Path, tmp_path: Path) -> None:
    """Each block of the page, in its order, ends with the exit code the page promises."""
    with begun(page, demonstrated, tmp_path) as (folder, port):
        for block in page.tried:
            if block.text == DEMONSTRATION:
                shutil.copytree(demonstrated, folder / "first", symlinks=True)
                continue
            done = tried(block, folder, port=port)
            expected = int(block.directed.get("exit", "0"))
            place = f"{page.path.relative_to(ROOT)}:{block.line}"
            assert done.returncode == expected, f"{place}\n{block.text}\n{done.stdout}\n{done.stderr}"


def test_a_block_that_fails_is_found(tmp_path: Path) -> None:
    """A command that does not exist, in the middle of a block, is not passed over."""
    block = Block(language="sh", text="true\ntrainwright no-such-command | cat\ntrue", line=1)
    assert tried(block, tmp_path, port=PORT).returncode == 2
