"""Which schemes a figure highlights: at most five; the rest are drawn in grey."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from netsim.errors import InputError, did_you_mean
from netsim.figures.style import GREY, Look, looks

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MOST", "grey_note", "highlighted", "looks_of"]

MOST = 5
"""So many curves can be told apart at a glance."""


def highlighted(values: pd.DataFrame, asked: Sequence[str] | None = None) -> list[str]:
    """Schemes to highlight: those asked for, else the best.

    The best in most conditions come first, then those with the highest mean over the conditions.

    Args:
        values: Columns condition, scheme, value; higher is better; one row per condition and scheme.
        asked: Names of schemes.

    Raises:
        InputError: A name that is not there.
    """
    schemes = list(dict.fromkeys(values["scheme"]))
    if asked:
        for name in asked:
            if name not in schemes:
                raise InputError(
                    f"no scheme `{name}` to highlight", where="--highlight", hint=did_you_mean(name, schemes)
                )
        return list(asked)
    if len(schemes) <= MOST:
        return schemes
    wide = values.pivot_table(index="condition", columns="scheme", values="value", observed=True)
    firsts = wide.idxmax(axis=1).value_counts()
    relative = wide.sub(wide.max(axis=1), axis=0).mean()
    ranked = sorted(relative.index, key=lambda name: (-firsts.get(name, 0), -relative[name]))
    chosen = set(ranked[:MOST])
    return [name for name in schemes if name in chosen]


def looks_of(schemes: Sequence[str], bold: Sequence[str]) -> dict[str, Look]:
    """A look for each scheme, highlighted ones last; the others are grey, thin and without a marker."""
    style = looks(schemes)
    grey = {name: Look(GREY, "", "-") for name in style if name not in bold}
    return grey | {name: style[name] for name in style if name in bold}


def grey_note(schemes: Sequence[str], bold: Sequence[str]) -> str:
    """The sentence that names the grey curves; empty if there are none."""
    others = [name for name in dict.fromkeys(schemes) if name not in bold]
    return f"Grey: {', '.join(others)}." if others else ""
