"""Numbers as text in names; text without control characters for terminals."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

__all__ = ["counted_noun", "counted_range", "few", "natural_order", "number_text", "visible"]

_FEW = 3  # sentences of one kind that are still said one by one


def number_text(value: float) -> str:
    """The shortest text that reads back as the same number, so that different numbers have different names.

    Args:
        value: The number.

    Returns:
        Decimal text without a trailing ``.0``.

    >>> number_text(37.0), number_text(0.35), number_text(0.350000001)
    ('37', '0.35', '0.350000001')
    """
    return repr(float(value)).removesuffix(".0")


def counted_noun(count: int, noun: str) -> str:
    """A count with its noun.

    Args:
        count: How many.
        noun: In the singular; its plural ends in s.

    Returns:
        The count with thousands separators, and the noun.

    >>> counted_noun(1, "row"), counted_noun(4200, "slot")
    ('1 row', '4,200 slots')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def counted_range(counts: Iterable[float], noun: str) -> str:
    """Counts that may differ, as those of trials under ``precision``, with their noun.

    Args:
        counts: How many; NaN counts as none given.
        noun: In the singular; its plural ends in s.

    Returns:
        The count, or the least and the greatest.

    >>> counted_range([64.0, 32.0, math.nan], "trial"), counted_range([1], "trial")
    ('32 to 64 trials', '1 trial')
    """
    known = sorted({int(count) for count in counts if not math.isnan(count)})
    return counted_noun(known[0], noun) if len(known) == 1 else f"{known[0]:,} to {counted_noun(known[-1], noun)}"


def few(sentences: Sequence[str], many: str, first: str = "The first") -> list[str]:
    """Sentences of one kind; where there are more than three, one that counts them and quotes three.

    Args:
        sentences: The ones to quote first.
        many: What is counted, behind the number.
        first: What the three are.

    Returns:
        At most three sentences.

    >>> few(["a is late"], "schemes are late"), few(["a", "b", "c", "d"], "schemes are late", "The worst")
    (['a is late'], ['4 schemes are late. The worst: a; b; c'])
    """
    if len(sentences) <= _FEW:
        return list(sentences)
    return [f"{len(sentences):,} {many}. {first}: {'; '.join(sentences[:_FEW])}"]


def natural_order(text: str) -> list[tuple[int, str]]:
    """A sort key by which numbers inside texts are in the order of their values.

    Args:
        text: What is sorted.

    Returns:
        The text's numbers and the words between them.

    >>> sorted(["fig11", "fig4", "table1", "fig6b", "fig6a"], key=natural_order)
    ['fig4', 'fig6a', 'fig6b', 'fig11', 'table1']
    """
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]{1,1000})", text)]


def visible(text: str) -> str:
    """A text without what a terminal would obey: control characters and marks that reverse text, as escapes.

    Line ends and tabs stay.

    Args:
        text: Any text.

    Returns:
        The text, escaped as Python does.

    >>> visible("a\\x1b[2Jb\\n")
    'a\\\\x1b[2Jb\\n'
    """
    return _HIDDEN.sub(lambda found: found.group().encode("unicode_escape").decode("ascii"), text)


_HIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
