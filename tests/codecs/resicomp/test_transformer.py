"""The Transformer: what concealing and coding share, and what windows may see."""

from __future__ import annotations

import pytest
import torch
from netcodecs.resicomp.sizes import Size
from netcodecs.resicomp.transformer import DualTransformer
from netcodecs.resicomp.windows import window_partition


def random_network(layers: int, window: int) -> DualTransformer:
    torch.manual_seed(0)
    network = DualTransformer(24, Size(layers=layers, width=32, heads=4, window=window))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return network


@pytest.mark.parametrize(("layers", "window"), [(1, 4), (4, 4), (2, 2)])
def test_concealed_is_what_the_value_head_says_of_unknown_tokens(layers: int, window: int) -> None:
    network = random_network(layers, window)
    tokens, known = torch.randn(3, 8, 12, 24), torch.rand(3, 8, 12) < torch.tensor([0.5, 0.0, 0.9])[:, None, None]
    rates = torch.tensor([0.3, 0.0, -1.0])
    with torch.no_grad():
        values = network.values(network.hidden(tokens, known, rates))
        concealed = network.concealed(network.given(tokens, rates), known)
        first = network.concealed(network.given(tokens[:1], rates[:1]), known)
        alone = network.concealed(network.given(tokens[:1], rates[:1]), known[1:2])
    assert torch.equal(concealed[known], tokens[known])
    assert torch.allclose(concealed[~known], values, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(concealed[~known], tokens[~known], atol=0.1)
    assert torch.equal(first[known], tokens[0].expand_as(tokens)[known])
    assert torch.allclose(first[1:2], alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("height", "width", "window"), [(8, 12, 4), (4, 8, 4), (16, 8, 8), (4, 4, 4)])
def test_windows_are_those_of_the_grid_cut_at_shifted_places(height: int, width: int, window: int) -> None:
    """Brute force: two tokens may attend to each other iff the shifted cuts of the flat grid don't part them."""
    for shifted in (False, True):
        partition = window_partition(height, width, window, shifted=shifted)
        numbers = partition.split(torch.arange(height * width).view(1, height, width, 1))[0, :, :, 0]
        assert torch.equal(
            partition.merge(numbers[None, :, :, None], height, width).flatten(), torch.arange(height * width)
        )
        allowed = torch.zeros(height * width, height * width, dtype=torch.bool)
        for number, window_tokens in enumerate(numbers):
            pairs = torch.ones(window**2, window**2, dtype=torch.bool)
            if partition.separated is not None:
                pairs = ~partition.separated[number]
            allowed[window_tokens[:, None], window_tokens] = pairs
        half = [window // 2 if shifted and side > window else 0 for side in (height, width)]
        rows, columns = torch.arange(height * width) // width, torch.arange(height * width) % width
        cell = [
            (place - shift).div(window, rounding_mode="floor")
            for place, shift in zip((rows, columns), half, strict=True)
        ]
        same = (cell[0][:, None] == cell[0]) & (cell[1][:, None] == cell[1])
        assert torch.equal(allowed, same)
