"""Feature tokens: one vector per feature, pairs that meet, attention in which all hear all."""

from __future__ import annotations

import itertools

import pytest
import torch

from executors.errors import BadInput
from executors.gpu.recipe import Shape
from executors.gpu.tokens import attended, attention_block, heads_of, meeting, met, tokenizer, tokens_of


def test_a_token_is_the_value_times_a_vector_of_the_feature_s_own() -> None:
    """Another value of one feature changes that feature's token alone, in proportion."""
    torch.manual_seed(1)
    maker, rows = tokenizer(3, 5), torch.randn(4, 3)
    tokens = tokens_of(maker, rows)
    assert tokens.shape == (4, 3, 5)
    torch.testing.assert_close(tokens[2, 1], rows[2, 1] * maker["slopes"][1] + maker["offsets"][1])
    changed = rows.clone()
    changed[:, 1] += 2.0
    apart = tokens_of(maker, changed) - tokens
    assert not apart[:, [0, 2]].any()
    torch.testing.assert_close(apart[0, 1], 2.0 * maker["slopes"][1])


def test_all_pairs_of_tokens_meet_for_the_price_of_a_sum() -> None:
    """The short formula is the sum of the products over all pairs, by the number of features."""
    torch.manual_seed(2)
    side, rows = meeting(4, 3, 0.0), torch.randn(6, 4)
    tokens = tokens_of(side["tokenizer"], rows)
    pairs = sum(tokens[:, i] * tokens[:, j] for i, j in itertools.combinations(range(4), 2)) / 4
    found = met(side, rows)
    assert found.shape == (6, 6)
    torch.testing.assert_close(found[:, :3], pairs)


def test_in_attention_every_token_hears_all_and_places_mean_nothing() -> None:
    """Changing one token changes every other; putting them in another order only reorders what comes out."""
    torch.manual_seed(3)
    block, tokens, dropout = attention_block(8), torch.randn(2, 5, 8), torch.nn.Dropout(0.0)
    heard = attended(block, tokens, 2, dropout)
    order = [3, 0, 4, 1, 2]
    torch.testing.assert_close(attended(block, tokens[:, order], 2, dropout), heard[:, order])
    changed = tokens.clone()
    changed[:, 1] += torch.linspace(-1.0, 1.0, 8)
    apart = (attended(block, changed, 2, dropout) - heard).abs().amax(dim=2)
    assert (apart > 0).all()


def test_a_width_the_heads_cannot_share_is_refused_in_words() -> None:
    """The sentence names the family and says what to do."""
    shape = Shape(features=2, outputs=1, window=1, task="regression", params={"width": 10, "heads": 4})
    with pytest.raises(BadInput, match=r"width of TabTransformer.*10 cannot be shared evenly by 4 heads"):
        heads_of(shape, "TabTransformer")
