"""The Transformer's shortcut for concealing says what both of its parts say."""

from __future__ import annotations

import pytest
import torch
from netcodecs.resicomp.transformer import DualTransformer, Size


@pytest.mark.parametrize("layers", [1, 4])
def test_concealed_is_what_the_value_head_says_of_unknown_tokens(layers: int) -> None:
    torch.manual_seed(0)
    network = DualTransformer(24, Size(layers=layers, width=32, heads=4))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    tokens, known = torch.randn(3, 8, 12, 24), torch.rand(3, 8, 12) < torch.tensor([0.5, 0.0, 0.9])[:, None, None]
    rates = torch.tensor([0.3, 0.0, -1.0])
    with torch.no_grad():
        guess = network.values(network.hidden(tokens, known, rates))
        concealed = network.concealed(network.given(tokens, rates), known)
        first = network.concealed(network.given(tokens[:1], rates[:1]), known)
        alone = network.concealed(network.given(tokens[:1], rates[:1]), known[1:2])
    assert torch.equal(concealed[known], tokens[known])
    assert torch.allclose(concealed[~known], guess[~known], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(concealed[~known], tokens[~known], atol=0.1)
    assert torch.equal(first[known], tokens[0].expand_as(tokens)[known])
    assert torch.allclose(first[1:2], alone, rtol=1e-4, atol=1e-5)
