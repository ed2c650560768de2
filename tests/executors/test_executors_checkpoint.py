"""Saved states of a fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from executors import checkpoint
from executors.contract import FitSpec

SpecMaker = Callable[..., FitSpec]

FILES = {"model": b"trees" * 100, "state.json": b"{}"}


def save(root: Path, *, fence: int, step: int, identity: str = "same") -> Path:
    """Save a state whose files say which it is."""
    files = {**FILES, "name": f"{fence}/{step}".encode()}
    return checkpoint.save(root, fence=fence, step=step, identity=identity, files=files)


def newest_name(root: Path, *, fence: int, identity: str = "same") -> str | None:
    """Return the name in the newest state, None if there is none."""
    found = checkpoint.newest(root, fence=fence, identity=identity)
    return None if found is None else found.files["name"].decode()


def test_the_furthest_state_of_any_earlier_lease_is_found(tmp_path: Path) -> None:
    """A later attempt goes on from the furthest step, of whatever fence up to its own."""
    assert newest_name(tmp_path / "nothing", fence=9) is None
    save(tmp_path, fence=1, step=50)
    save(tmp_path, fence=3, step=40)
    assert newest_name(tmp_path, fence=3) == "1/50"
    save(tmp_path, fence=3, step=100)
    assert newest_name(tmp_path, fence=4) == "3/100"


def test_a_state_of_a_later_lease_is_none_of_ours(tmp_path: Path) -> None:
    """A forgotten process neither reads nor removes what its successor saved."""
    save(tmp_path, fence=5, step=500)
    for step in (10, 20, 30, 40):
        save(tmp_path, fence=4, step=step)
    assert newest_name(tmp_path, fence=4) == "4/40"
    assert newest_name(tmp_path, fence=5) == "5/500"


@pytest.mark.parametrize("name", ["model", "state.json", checkpoint.MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing"])
def test_a_damaged_state_is_passed_over_for_the_one_before(tmp_path: Path, name: str, damage: str) -> None:
    """Whatever file of the newest state is hurt, and however, the state before it is used."""
    save(tmp_path, fence=1, step=50)
    file = save(tmp_path, fence=1, step=100) / name
    content = file.read_bytes()
    if damage == "missing":
        file.unlink()
    else:
        file.write_bytes(content[:-1] if damage == "cut" else bytes([content[0] ^ 1]) + content[1:])
    assert newest_name(tmp_path, fence=1) == "1/50"


def test_a_damaged_state_can_be_saved_again(tmp_path: Path) -> None:
    """Coming to the same step once more replaces the damaged state."""
    (save(tmp_path, fence=1, step=50) / "model").write_bytes(b"")
    save(tmp_path, fence=1, step=50)
    assert newest_name(tmp_path, fence=1) == "1/50"


def test_only_the_last_two_states_are_kept_and_no_draft(tmp_path: Path) -> None:
    """Disk use does not grow with the number of checkpoints, nor with deaths in the midst of writing."""
    draft = tmp_path / "1" / ".step-60.4711"
    draft.mkdir(parents=True)
    for step in (10, 20, 30, 40):
        save(tmp_path, fence=1, step=step)
    save(tmp_path, fence=2, step=50)
    left = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/*"))
    left += sorted(str(path.relative_to(tmp_path)) for path in tmp_path.glob("*/.*"))
    assert left == ["1/step-40", "2/step-50"]


def test_a_state_of_another_fit_is_not_used(tmp_path: Path) -> None:
    """What was saved under other settings leads to another model and is passed over."""
    save(tmp_path, fence=1, step=50, identity="other")
    assert newest_name(tmp_path, fence=1) is None


@pytest.mark.parametrize(
    "changes",
    [{"seed": 8}, {"params": {"rounds": 9}}, {"panel_key": "d_x"}, {"features": ("f1",)}, {"target": "y"}],
)
def test_what_determines_the_result_changes_the_identity(
    make_spec: SpecMaker, changes: dict[str, object]
) -> None:
    """Data, settings and seed are part of a state's identity, and so are versions of libraries."""
    spec = make_spec()
    versions = {"lightgbm": "4.7.0"}
    same = checkpoint.identity(spec, versions)
    assert checkpoint.identity(replace(spec, **changes), versions) != same
    assert checkpoint.identity(spec, {"lightgbm": "4.8.0"}) != same


def test_circumstances_do_not_change_the_identity(make_spec: SpecMaker, tmp_path: Path) -> None:
    """Another attempt, lease, place or device resumes the same states."""
    spec = make_spec()
    other = replace(
        spec,
        attempt=4,
        fence=9,
        panel_path=tmp_path / "elsewhere",
        threads=2,
        device_requested="cuda:0",
        checkpoint_rounds=1,
    )
    assert checkpoint.identity(other, {}) == checkpoint.identity(spec, {})
