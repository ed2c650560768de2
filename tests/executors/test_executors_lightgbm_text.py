"""LightGBM models in chunks, and their joining."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest

from executors.cpu.lightgbm_text import Chunk, chunks_from_bytes, chunks_to_bytes, joined

RANDOM = np.random.default_rng(4)
ROWS = RANDOM.standard_normal((600, 5)).astype(np.float32)
LABELS = (ROWS[:, 0] + 0.5 * RANDOM.standard_normal(600)).astype(np.float32)


def chunk_of(rounds: int, seed: int, classes: int = 1) -> Chunk:
    """Train a small model of `rounds` rounds."""
    settings = {"verbosity": -1, "num_leaves": 5, "num_threads": 1, "seed": seed, "bagging_fraction": 0.5}
    labels = LABELS
    if classes > 1:
        settings |= {"objective": "multiclass", "num_class": classes}
        labels = np.digitize(LABELS, [-0.5, 0.5]).astype(np.float32)
    model = lightgbm.train(settings, lightgbm.Dataset(ROWS, labels), rounds)
    return Chunk(iterations_after=tuple(range(1, rounds + 1)), text=model.model_to_string())


def raw(text: str, rounds: int = -1) -> np.ndarray:
    """Return a model's raw scores."""
    model = lightgbm.Booster(model_str=text)
    return np.asarray(model.predict(ROWS, raw_score=True, num_iteration=rounds))


@pytest.mark.parametrize("classes", [1, 3])
def test_a_joined_model_says_the_sum_of_its_chunks(classes: int) -> None:
    """All trees of all chunks are there, in order, of one output or of several."""
    chunks = [chunk_of(7, 1, classes), chunk_of(12, 2, classes), chunk_of(3, 3, classes)]
    text = joined(chunks, 22)
    assert lightgbm.Booster(model_str=text).current_iteration() == 22
    np.testing.assert_allclose(raw(text), sum(raw(chunk.text) for chunk in chunks), rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(raw(text, 7), raw(chunks[0].text), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("rounds", [1, 7, 8, 19])
def test_only_the_first_rounds_are_joined(rounds: int) -> None:
    """Rounds beyond the best one are left out, wherever in a chunk it lies."""
    chunks = [chunk_of(7, 1), chunk_of(12, 2)]
    text = joined(chunks, rounds)
    assert lightgbm.Booster(model_str=text).current_iteration() == rounds
    np.testing.assert_allclose(raw(text), raw(joined(chunks, 19), rounds), rtol=1e-12, atol=1e-12)


def test_rounds_that_added_no_tree_are_counted() -> None:
    """Three rounds of which one could not split are two iterations."""
    first = chunk_of(2, 1)
    stalled = Chunk(iterations_after=(1, 1, 2), text=first.text)
    assert lightgbm.Booster(model_str=joined([stalled, chunk_of(4, 2)], 2)).current_iteration() == 1
    assert lightgbm.Booster(model_str=joined([stalled, chunk_of(4, 2)], 5)).current_iteration() == 4


def test_chunks_survive_the_way_to_disk() -> None:
    """What is saved is what was grown; nothing saved is no chunk."""
    chunks = (chunk_of(2, 1), chunk_of(3, 2))
    assert chunks_from_bytes(chunks_to_bytes(chunks)) == chunks
    assert chunks_from_bytes(None) == ()


def test_importances_are_those_of_all_chunks() -> None:
    """Gains of the joined model add up over its chunks."""
    chunks = [chunk_of(5, 1), chunk_of(5, 2)]
    gains = [lightgbm.Booster(model_str=chunk.text).feature_importance("gain") for chunk in chunks]
    together = lightgbm.Booster(model_str=joined(chunks, 10)).feature_importance("gain")
    np.testing.assert_allclose(together, sum(gains), rtol=1e-5)
