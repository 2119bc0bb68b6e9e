"""Parts of a model card: what was measured on test images, from real bytes; which crops a run took."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.errors import InputError

__all__ = ["put_test_section", "smaller_crops", "with_test_section", "write_card"]

_TEST, _NEXT = "**Test**", "**Known limits.**"


def with_test_section(card: str, section: str) -> str:
    """A card with a test section, in place of the one that it may have: before its known limits, else at its end.

    >>> with_test_section("# a\\n\\n**Test** (old)\\n\\n**Known limits.** none\\n", "**Test** (new)\\n")
    '# a\\n\\n**Test** (new)\\n\\n**Known limits.** none\\n'
    """
    before, limits, after = card.partition(_NEXT)
    head = before.partition(_TEST)[0].strip()
    return f"{head}\n\n{section.strip()}\n" + (f"\n{limits}{after}" if limits else "")


def smaller_crops(facts: Mapping[str, Any]) -> list[str]:
    """What a card says of a run's crops from photos made smaller; nothing where there were none.

    >>> smaller_crops({"smaller_share": 0.5}), smaller_crops({})
    (['50 % of the crops from photos made smaller'], [])
    """
    share = facts.get("smaller_share", 0.0)
    return [f"{100 * share:g} % of the crops from photos made smaller"] if share else []


def write_card(weights: Path, text: str) -> None:
    """Writes the model card beside some weights; a reader never sees half of it."""
    card = weights.with_suffix(".md")
    partial = card.with_name(card.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, card)


def put_test_section(weights: Path, section: str) -> None:
    """Puts a test section into the model card beside some weights.

    Raises:
        InputError: There is no card.
    """
    path = weights.with_suffix(".md")
    if not path.is_file():
        raise InputError(f"no model card at {path}", hint="python -m netcodecs.training.export writes it")
    write_card(weights, with_test_section(path.read_text(encoding="utf-8"), section))
