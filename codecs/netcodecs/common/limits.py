"""Limits of what the learned codecs take."""

from __future__ import annotations

__all__ = ["MAX_PIXELS"]

MAX_PIXELS = 1 << 25  # of an image: the networks take some 300 bytes a pixel
