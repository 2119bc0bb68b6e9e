"""Non-negative integers in as few bytes as they need."""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["integers", "varint"]


_LARGEST = 1 << 32


def varint(value: int) -> bytes:
    """7 bits a byte, most significant first; the last byte has its highest bit clear.

    >>> varint(5).hex(), varint(768).hex()
    ('05', '8600')
    """
    groups = [value & 127]
    while value := value >> 7:
        groups.append(value & 127 | 128)
    return bytes(reversed(groups))


def integers(body: bytes) -> Iterator[int]:
    """The integers in ``body``, one after the other; ends at an incomplete one or one above 2³².

    >>> list(integers(varint(768) + varint(5)))
    [768, 5]
    """
    value = 0
    for byte in body:
        value = value << 7 | byte & 127
        if value > _LARGEST:
            return
        if byte < 128:
            yield value
            value = 0
