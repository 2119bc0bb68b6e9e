"""Numbers as text in names."""

from __future__ import annotations

__all__ = ["number_text"]


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number, so that different numbers have different names.

    >>> number_text(37.0), number_text(0.35), number_text(0.350000001)
    ('37', '0.35', '0.350000001')
    """
    return repr(float(value)).removesuffix(".0")
