"""Windows of attention: how a grid of tokens is cut into squares, and which pairs in them may attend to each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

__all__ = ["WindowPartition", "relative_positions", "window_partition"]


@dataclass(frozen=True)
class WindowPartition:
    """A grid cut into windows (Liu et al., "Swin Transformer", ICCV 2021, §3.2).

    Attributes:
        window: Tokens of a window's side.
        shift: By how much windows are moved down and to the right, cyclically; 0 where a single one spans the grid.
        separated: Pairs of a window's tokens that only the cyclic shift made neighbours, bool (windows, w², w²); None
            if there are none.
    """

    window: int
    shift: tuple[int, int]
    separated: Tensor | None

    def split(self, grid: Tensor) -> Tensor:
        """(B, H, W, C) → (B, windows, w², C)."""
        if any(self.shift):
            grid = grid.roll((-self.shift[0], -self.shift[1]), (1, 2))
        return _split(grid, self.window)

    def merge(self, windows: Tensor, height: int, width: int) -> Tensor:
        """The inverse of :meth:`split`."""
        count, side = len(windows), self.window
        cut = windows.view(count, height // side, width // side, side, side, windows.shape[-1])
        grid = cut.transpose(2, 3).reshape(count, height, width, -1)
        return grid.roll(self.shift, (1, 2)) if any(self.shift) else grid


def _split(grid: Tensor, window: int) -> Tensor:
    count, height, width, channels = grid.shape
    cut = grid.view(count, height // window, window, width // window, window, channels)
    return cut.transpose(2, 3).reshape(count, -1, window**2, channels)


@lru_cache(maxsize=64)
def window_partition(height: int, width: int, window: int, *, shifted: bool) -> WindowPartition:
    """The windows of a grid.

    Args:
        height: Of the grid, a multiple of ``window``.
        width: Likewise.
        window: Tokens of a window's side.
        shifted: Whether windows are moved by half a side.

    >>> window_partition(8, 8, 4, shifted=True).separated.float().mean((1, 2)).tolist()
    [0.0, 0.5, 0.5, 0.75]
    >>> window_partition(4, 8, 4, shifted=True).shift
    (0, 2)
    """
    shift = (window // 2 if shifted and height > window else 0, window // 2 if shifted and width > window else 0)
    if not any(shift):
        return WindowPartition(window, shift, None)
    regions = torch.zeros(1, height, width, 1)
    # after the cyclic shift, the last rows and columns of the last windows come from the opposite side
    if shift[0]:
        regions[:, -shift[0] :] += 1
    if shift[1]:
        regions[:, :, -shift[1] :] += 2
    labels = _split(regions, window)[0, :, :, 0]
    return WindowPartition(window, shift, labels[:, :, None] != labels[:, None])


def relative_positions(window: int) -> Tensor:
    """Number of the position bias of each pair of a window's tokens, int64 (w², w²), below (2w − 1)²."""
    rows, columns = torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")
    places = torch.stack([rows.flatten(), columns.flatten()])
    distances = places[:, :, None] - places[:, None] + window - 1
    return distances[0] * (2 * window - 1) + distances[1]
