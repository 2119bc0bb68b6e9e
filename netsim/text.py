"""Numbers as text in names."""

from __future__ import annotations

__all__ = ["counted_noun", "number_text"]


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number, so that different numbers have different names.

    >>> number_text(37.0), number_text(0.35), number_text(0.350000001)
    ('37', '0.35', '0.350000001')
    """
    return repr(float(value)).removesuffix(".0")


def counted_noun(count: int, noun: str) -> str:
    """A count with its noun.

    >>> counted_noun(1, "row"), counted_noun(4200, "slot")
    ('1 row', '4,200 slots')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
