"""Where a codec's tokens travel, if it has tokens and says so."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, Stream

__all__ = ["LatentError", "TokenGrid", "latent_errors", "packet_tokens", "token_packets"]


@runtime_checkable
class TokenGrid(Protocol):
    """A codec whose latent is a grid of tokens over the image, each of which travels in one packet."""

    def token_packets(self, stream: Stream) -> NDArray[np.int64]:
        """The packet of each token, counted from 0 in the stream.

        Args:
            stream: The stream.

        Returns:
            int64 [rows, columns].
        """


@runtime_checkable
class LatentError(Protocol):
    """A codec that can tell how far its concealed tokens are from those that were encoded."""

    def latent_errors(self, stream: Stream, masks: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Mean squared error of each token after concealment.

        Args:
            stream: The stream.
            masks: Usable masks, bool [m, n].

        Returns:
            float64 [m, rows, columns].
        """


def latent_errors(codec: Codec, stream: Stream, masks: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Mean squared error of each token after concealment.

    Args:
        codec: The codec.
        stream: The stream.
        masks: Usable masks, bool [m, n].

    Returns:
        float64 [m, rows, columns]; None if the codec has none.
    """
    return codec.latent_errors(stream, masks) if isinstance(codec, LatentError) else None


def token_packets(codec: Codec, stream: Stream) -> NDArray[np.int64] | None:
    """The packet of each token, counted from 0 in the stream.

    Args:
        codec: The codec.
        stream: The stream.

    Returns:
        int64 [rows, columns]; None if the codec has none or does not say.
    """
    return codec.token_packets(stream) if isinstance(codec, TokenGrid) else None


def packet_tokens(codec: Codec, stream: Stream) -> NDArray[np.int64] | None:
    """How many tokens each packet of the stream holds.

    Args:
        codec: The codec.
        stream: The stream.

    Returns:
        int64 [n]; None if the codec has none or does not say.
    """
    grid = token_packets(codec, stream)
    return None if grid is None else np.bincount(grid.ravel(), minlength=len(stream)).astype(np.int64)
