"""Training of the channel-progressive family."""

from netcodecs.training.progressive.cli import main

__all__ = ["main"]
