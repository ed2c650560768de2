"""Every page says what its blocks are, every link leads somewhere, the reference is as the code is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from documented import FOLDERS, ROOT, SHOWN, TRIED, Page, pages, read

PAGES = pages()
WHOLE = [*PAGES, read(ROOT / "ARCHITECTURE.md"), read(ROOT / "CHANGELOG.md")]
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.M)
_CODE = re.compile(r"```.*?```|`[^`]*`", re.S)


def anchors(path: Path) -> set[str]:
    """The places of a page that a link may lead to, as the usual viewers name them."""
    headings = _HEADING.findall(path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_what_it_is(page: Page) -> None:
    """A block without a language would be tried by nobody and noticed by nobody."""
    assert page.folder is None or page.folder in FOLDERS
    for block in page.blocks:
        place = f"{page.name}:{block.line}"
        assert block.language in TRIED + SHOWN, f"{place}: a block of {block.language or 'no language'}"
    assert page.folder is not None or not page.tried, f"{page.name}: nothing says where its blocks begin"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_another_test_holds_is_really_there(page: Page) -> None:
    """A direction that names a test names one that exists."""
    for block in page.blocks:
        file, _, name = block.directed.get("held by", "").partition("::")
        if file:
            text = (ROOT / file).read_text(encoding="utf-8")
            assert not name or f"def {name}(" in text, f"{page.name}:{block.line}: no {file}::{name}"


@pytest.mark.parametrize("page", WHOLE, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Page) -> None:
    """Links to files and to places within them are followed; those to the world are not."""
    text = _CODE.sub("", page.path.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.path.parent / file).resolve() if file else page.path
        assert path.exists(), f"{page.name}: {target} leads nowhere"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path), f"{page.name}: {target} is no heading there"


def test_every_page_can_be_found_from_the_index() -> None:
    """A page that the index does not name is read by nobody."""
    index = ROOT / "docs" / "README.md"
    named = {(index.parent / target).resolve() for target in _LINK.findall(index.read_text(encoding="utf-8"))}
    missing = [page.name for page in PAGES if page.path.parent != ROOT and page.path != index]
    assert [name for name in missing if ROOT / name not in named] == []


def test_the_reference_is_as_the_code_is() -> None:
    """Whoever changes a command, a setting, an event or a path of the API makes the reference again."""
    program = [sys.executable, str(ROOT / "docs" / "make_reference.py"), "--check"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
