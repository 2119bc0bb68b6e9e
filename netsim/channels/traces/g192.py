"""Error patterns of ITU-T G.192 and of the ITU-T Software Tool Library (G.191): one event per packet.

============ ===================================== ===========================================
format       received                              lost
============ ===================================== ===========================================
g192         0x6B21 (frame) or 0x007F (bit)        0x6B20 (frame) or 0x0081 (bit), 16-bit words
g192-byte    0x21 or 0x7F                          0x20 or 0x81
g192-compact 0, eight to a byte, least             1
             significant bit first
============ ===================================== ===========================================

Soft bits other than the two hard ones (0x0001 … 0x00FF) count by their side of 0x0080. The byte order of 16-bit words
shows in the file: no word of one order is a word of the other.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.channels.traces.files import check_packets, read_bytes, shown_head
from netsim.channels.traces.model import BoolArray, Recording, Trace, TraceOptions
from netsim.errors import InputError

__all__ = ["g192_bytes", "looks_like", "read_g192"]

_FRAME_GOOD, _FRAME_LOST = 0x6B21, 0x6B20
_BIT_GOOD, _BIT_LOST, _ERASED = 0x007F, 0x0081, 0x0080
_ORDERS = {"little": "<u2", "big": ">u2"}


def looks_like(head: bytes) -> str:
    """Which of G.192's formats a file's first bytes show.

    Args:
        head: The file's first bytes.

    Returns:
        ``g192``, ``g192-byte``, or empty.
    """
    words = head[: len(head) // 2 * 2]
    if len(words) >= 4 and any(_is_pattern(np.frombuffer(words, dtype=order)) for order in _ORDERS.values()):
        return "g192"
    kinds = set(head)  # spaces alone are text
    return "g192-byte" if 0x21 in kinds <= {0x20, 0x21} or (kinds and kinds <= {0x7F, 0x81}) else ""


def _is_pattern(words: NDArray[np.uint16]) -> bool:
    frames = (words == _FRAME_GOOD) | (words == _FRAME_LOST)
    bits = (words >= 1) & (words <= 0xFF) & (words != _ERASED)
    return bool(frames.all() or bits.all())


def read_g192(path: Path, options: TraceOptions) -> Trace:
    """An error pattern as one recording.

    Args:
        path: A file of one of the three formats, all of it events of frames, or all of it events of bits.
        options: ``format`` counts: g192, g192-byte or g192-compact.

    Returns:
        The trace, of one recording labelled "1".

    Raises:
        InputError: The file can't be read, is empty, or holds something else.
    """
    content = read_bytes(path)
    notes: list[str] = []
    if options.format == "g192-compact":
        check_packets(path, 8 * len(content))
        received = np.unpackbits(np.frombuffer(content, dtype=np.uint8), bitorder="little") == 0
        notes = ["a compact pattern has a multiple of eight events: up to seven at the end may be filling"]
    elif options.format == "g192-byte":
        received = _received(path, np.frombuffer(content, dtype=np.uint8), (0x21, 0x20), (0x7F, 0x81))
    else:
        if len(content) % 2:
            raise InputError(f"trace {path} has {len(content)} bytes", hint="16-bit words: an even number of bytes")
        candidates = [np.frombuffer(content, dtype=order) for order in _ORDERS.values()]
        words = next((words for words in candidates if _is_pattern(words)), None)
        if words is None:
            hint = f"{shown_head(content[:64])}\nwords 0x6B21 and 0x6B20 (frames), or 0x0001…0x00FF (bits), not mixed"
            raise InputError(f"trace {path} is not a G.192 error pattern", hint=hint)
        frames = words[:1] >= _FRAME_LOST
        received = words == _FRAME_GOOD if frames.all() else words < _ERASED
    if not len(received):
        raise InputError(f"trace {path} holds no packets", hint="one event per packet")
    check_packets(path, len(received))
    return Trace(path, options.format or "g192", (Recording("1", received),), tuple(notes))


def _received(path: Path, values: NDArray[np.uint8], *kinds: tuple[int, int]) -> BoolArray:
    for good, lost in kinds:
        if np.isin(values, (good, lost)).all():
            return np.asarray(values == good)
    raise InputError(f"trace {path} is not a byte-oriented G.192 error pattern", hint="bytes 21 and 20, or 7F and 81")


def g192_bytes(received: BoolArray, format: str, byte_order: str = "little") -> bytes:
    """An error pattern of frames as a file's content.

    Args:
        received: bool [n].
        format: g192, g192-byte or g192-compact.
        byte_order: Of 16-bit words: little or big.

    Returns:
        The content. A compact pattern is filled up to whole bytes with received events.

    >>> g192_bytes(np.array([True, False]), "g192", "big").hex()
    '6b216b20'
    """
    if format == "g192-compact":
        return np.packbits(~received, bitorder="little").tobytes()
    if format == "g192-byte":
        return np.where(received, 0x21, 0x20).astype(np.uint8).tobytes()
    return np.where(received, _FRAME_GOOD, _FRAME_LOST).astype(_ORDERS[byte_order]).tobytes()
