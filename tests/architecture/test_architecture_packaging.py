"""The six package names are ours in this environment, and what is installed is this checkout."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import pkgutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("panel", "store", "executors", "planner", "daemon", "trainwright")


@pytest.mark.parametrize("package", PACKAGES)
def test_no_other_distribution_owns_the_name(package: str) -> None:
    """A distribution such as python-daemon beside ours would silently replace our package."""
    owners = importlib.metadata.packages_distributions().get(package, [])
    assert set(owners) <= {"trainwright"}, f"{package} is also owned by {owners}; uninstall that distribution"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_loads_from_this_checkout(package: str) -> None:
    """Each module of the package is found below this repository and nowhere else."""
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin).parent == ROOT / package
    modules = [module.name for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}.")]
    assert len(modules) > 3


@pytest.mark.slow
def test_the_wheel_holds_every_module_and_the_shared_data(tmp_path: Path) -> None:
    """A wheel made from the checkout carries all modules, the migrations and every file of the service."""
    build = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    names = set(zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]).namelist())
    expected = {
        str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")
    }
    assert expected <= names
    shared = "trainwright-0.1.0.data/data/share/trainwright"
    units = {f"{shared}/{path.relative_to(ROOT)}" for path in (ROOT / "systemd").rglob("*") if path.is_file()}
    assert f"{shared}/systemd/trainwright.service" in units
    assert units <= names
    assert any(name.startswith(f"{shared}/migrations/versions/") for name in names)
