"""The methods of paper 1: one backbone, with and without each of its ideas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from netcodecs.common.shipped import shipped_weights
from netsim.errors import InputError, did_you_mean

__all__ = ["METHODS", "Method", "method_named", "shipped_weights"]


@dataclass(frozen=True)
class Method:
    """What a method adds to the baseline, which is ``mbt-mean``.

    Attributes:
        name: Of the method.
        scr: Spatial-channel rearrangement (paper 1, §3.2).
        mca: Mask conditional aggregation (§3.3).
        tail_drop: Trained with double tail drop (ProgDTD).
        losses: Channels that it was trained to lose: none, "uniform" (§4.1) or "gilbert-elliott" (§3.4).
    """

    name: str
    scr: bool = False
    mca: bool = False
    tail_drop: bool = False
    losses: Literal["none", "uniform", "gilbert-elliott"] = "none"


METHODS = {
    method.name: method
    for method in (
        Method("mbt-mean"),
        Method("random", losses="uniform"),
        Method("progdtd", tail_drop=True),
        Method("scr-mca-u", scr=True, mca=True, tail_drop=True, losses="uniform"),
        Method("scr-mca-ge", scr=True, mca=True, tail_drop=True, losses="gilbert-elliott"),
        Method("progdtd-ge", tail_drop=True, losses="gilbert-elliott"),
        Method("scr-ge", scr=True, tail_drop=True, losses="gilbert-elliott"),
        Method("mca-ge", mca=True, tail_drop=True, losses="gilbert-elliott"),
    )
}


def method_named(name: str) -> Method:
    """The method of that name. Raises InputError if there is none."""
    if name not in METHODS:
        raise InputError(f"no method `{name}`", hint=did_you_mean(name, METHODS))
    return METHODS[name]
