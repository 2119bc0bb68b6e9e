"""Sizes of ResiComp's Transformer."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["COMPACT", "PAPER", "SIZES", "Size"]


@dataclass(frozen=True)
class Size:
    """Size of a Transformer.

    Attributes:
        layers: Swin blocks.
        width: Of a token inside.
        heads: Of attention.
        mixtures: Gaussians per element.
        window: Tokens of an attention window's side; odd layers shift windows by half of it.
    """

    layers: int
    width: int
    heads: int
    mixtures: int = 3
    window: int = 4


PAPER = Size(layers=12, width=768, heads=8)  # 88 M parameters
COMPACT = Size(layers=6, width=256, heads=8)
SIZES = {"compact": COMPACT, "paper": PAPER}
