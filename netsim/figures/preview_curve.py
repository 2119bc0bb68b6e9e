"""Mean PSNR over the bits received so far: a marker per packet (ResiComp, Fig. 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netsim.figures.legends import CurveEnd, legend
from netsim.figures.style import figure_size, looks, styled

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

__all__ = ["draw"]


@styled
def draw(numbers: pd.DataFrame) -> Figure:
    """Mean PSNR over the rate received after each packet.

    Args:
        numbers: From ``netsim.studies.preview_curve.preview_means``.

    Returns:
        The figure; nothing is written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=figure_size(5.6, 4.3), layout="constrained")
    axes = figure.subplots()
    several = numbers.groupby("scheme")["operating_point"].nunique().max() > 1
    names = numbers["scheme"] + ((" " + numbers["operating_point"]) if several else "")
    for name, look in looks(names).items():
        mine = numbers[names == name]
        axes.plot(mine["bpp"], mine["psnr_db"], label=name, **(look.line | {"markersize": 3.4}))
    axes.set_xlabel("received so far (bit/pixel)")
    axes.set_ylabel("mean PSNR (dB)")
    ends = [
        CurveEnd(str(name), look, *numbers.loc[names == name, ["bpp", "psnr_db"]].iloc[-1].astype(float))
        for name, look in looks(names).items()
    ]
    legend(figure, axes, "Packets in order, nothing lost; a marker after each packet.", ends=ends)
    return figure
