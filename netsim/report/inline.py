"""SVG as part of an HTML page."""

from __future__ import annotations

import re

__all__ = ["inline_svg"]


def inline_svg(svg: bytes, prefix: str, label: str) -> str:
    """The ``<svg>`` element of a matplotlib drawing, fit to stand in a page beside others.

    Args:
        svg: What matplotlib wrote.
        prefix: Begins all ids, so that drawings on one page do not take each other's shapes.
        label: What a screen reader says.

    Returns:
        Without prolog, comments, metadata and namespace addresses.

    >>> inline_svg(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><g id="a"/></svg>', "x", "A & B")
    '<svg role="img" aria-label="A &amp; B"><g id="x-a"/></svg>'
    """
    text = svg.decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\bid="', f'id="{prefix}-', text)
    text = re.sub(r'href="#', f'href="#{prefix}-', text)
    text = re.sub(r"url\(#", f"url(#{prefix}-", text)
    text = re.sub(r"\n\s*", "\n", text)
    spoken = label.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return text.replace("<svg", f'<svg role="img" aria-label="{spoken}"', 1).strip()
