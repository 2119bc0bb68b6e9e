"""Statistics of known neighbours, against their definition."""

from __future__ import annotations

import numpy as np
import torch
from netcodecs.resicomp.neighbours import neighbour_statistics, statistics_of


def test_statistics_are_weighted_means_over_known_tokens_in_five_by_five() -> None:
    rng = np.random.default_rng(3)
    tokens, known = rng.normal(size=(2, 6, 7, 3)), rng.random((2, 6, 7)) < 0.4
    tokens[~known] = np.nan  # nothing is read of unknown tokens
    made = neighbour_statistics(torch.from_numpy(tokens), torch.from_numpy(known)).numpy()
    assert made.shape == (2, 6, 7, statistics_of(3))
    for image, row, column in np.ndindex(2, 6, 7):
        total, values, magnitudes = 0.0, np.zeros(3), np.zeros(3)
        for i in range(max(row - 2, 0), min(row + 3, 6)):
            for j in range(max(column - 2, 0), min(column + 3, 7)):
                if known[image, i, j]:
                    weight = 2.0 ** -((i - row) ** 2 + (j - column) ** 2)
                    total += weight
                    values += weight * tokens[image, i, j]
                    magnitudes += weight * abs(tokens[image, i, j])
        wanted = np.concatenate([values, magnitudes, [total]]) / (total + 0.25)
        np.testing.assert_allclose(made[image, row, column], wanted, rtol=1e-12)


def test_sums_of_tokens_on_a_grid_are_not_rounded() -> None:
    rng = np.random.default_rng(4)
    tokens = torch.from_numpy(rng.integers(-(2**28), 2**28, (1, 9, 9, 4)) / 2.0**16)
    known = torch.from_numpy(rng.random((1, 9, 9)) < 0.7)
    made = neighbour_statistics(tokens, known)
    turned = neighbour_statistics(tokens.transpose(1, 2).flip(1), known.transpose(1, 2).flip(1))
    assert torch.equal(made, turned.flip(1).transpose(1, 2))  # another order of adding, the same to the last bit
