"""One installation for all tests of recipes, copied for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from recipe_site import Site, copied_site, made_site


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with a plan of two short fits."""
    return made_site(tmp_path_factory.mktemp("recipes") / "site")


@pytest.fixture
def make_site(template: Path, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Return an installation like it for this test, with a longer fit where that is asked for."""
    made: list[Site] = []

    def make(*, slow: bool = False) -> Site:
        made.append(copied_site(template, tmp_path / f"site{len(made)}", slow=slow))
        return made[-1]

    yield make
    for site in made:
        site.store.close()
