"""Which schemes a figure highlights: at most five; the rest are drawn in grey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from netsim.errors import InputError, did_you_mean
from netsim.figures.style import GREY, OTHERS, Look, looks

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

__all__ = ["MOST", "grey_entry", "grey_note", "highlighted", "looks_of"]

MOST = 5
"""Most curves that a reader can distinguish at a glance."""


def highlighted(
    values: pd.DataFrame, asked: Sequence[str] | None = None, codecs: Mapping[str, str] | None = None
) -> list[str]:
    """Schemes to highlight: those asked for, else the best of each codec, then the best of the rest.

    A codec's best is that of the highest mean over the conditions. Codecs, and then the rest, are in the order of how
    many conditions they are the best in, then of their means.

    Args:
        values: Columns condition, scheme, value; higher is better; one row per condition and scheme.
        asked: Names of schemes.
        codecs: Codec of each scheme; None: all schemes count as schemes of one codec.

    Returns:
        Names of schemes, best first, or in the order asked for; all where there are few.

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
    family = {name: (codecs or {}).get(name, "") for name in ranked}
    best_of_codec = {family[name]: name for name in sorted(relative.index, key=lambda name: relative[name])}.values()
    ranked.sort(key=lambda name: name not in best_of_codec)
    chosen = set(ranked[:MOST])
    return [name for name in schemes if name in chosen]


def looks_of(schemes: Sequence[str], bold: Sequence[str]) -> dict[str, Look]:
    """A look for each scheme; those that are not highlighted are grey, thin and without a marker.

    The highlighted ones take the first looks, so that five of them differ in colour, dashes and marker.

    Args:
        schemes: Names, repetitions allowed.
        bold: Those that are highlighted.

    Returns:
        By scheme; highlighted ones last, so that they are drawn over the others.
    """
    names = list(dict.fromkeys(schemes))
    grey = {name: Look(GREY, "", "-") for name in names if name not in bold}
    return grey | looks(name for name in names if name in bold)


def grey_entry(axes: Axes, style: Mapping[str, Look]) -> None:
    """One legend entry for all grey curves, after the others; nothing if there are none.

    Args:
        axes: Axes whose legend gets the entry.
        style: From ``looks_of``.
    """
    grey = [look for look in style.values() if not look.marker]
    if grey:
        axes.plot([], [], label=OTHERS, **grey[0].line)


def grey_note(schemes: Sequence[str], bold: Sequence[str]) -> str:
    """The sentence that names the grey curves.

    Args:
        schemes: Names, repetitions allowed.
        bold: Those that are highlighted.

    Returns:
        A sentence, or an empty text where no curve is grey.
    """
    others = [name for name in dict.fromkeys(schemes) if name not in bold]
    return f"Grey: {', '.join(others)}." if others else ""
