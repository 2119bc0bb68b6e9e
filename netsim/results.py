"""What a user gets for a finished run: its tables, and what can be computed and drawn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.runs.results import FinishedRun, load_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from netsim.analysis.explain import Explanation

__all__ = ["Run", "open_run"]


@dataclass(frozen=True, repr=False)
class Run(FinishedRun):
    """A finished run. Its tables are read when they are first used.

    Each raises InputError if its file is not as the run wrote it (the manifest holds its hash).

    Attributes:
        path: The folder of the run.
        manifest: What it takes to run it again.
    """

    def plot(self, kind: str, *, ax: Axes | None = None, width_in: float | None = None, **options: Any) -> Figure:
        """Draw a figure, as ``netsim plot`` does.

        Args:
            kind: radar, failure, rd, timeline, winner, or a plug-in of kind ``figure``.
            ax: Axes to draw into, for a figure of one panel; None: a new figure.
            width_in: Width of a paper's column in inches, with all text in 8 points; None: as for a screen.
            **options: As on the command line: ``low_bpp``, ``high_bpp``, ``near_bpp``, ``trial``, ``slots``, ...

        Returns:
            The matplotlib figure.

        Raises:
            InputError: An unknown kind or option, or a run that can't be drawn so.
        """
        from netsim.figures.of_run import figure_of_run

        return figure_of_run(self, kind, ax=ax, width_in=width_in, **options)[2]

    def compare(self, a: str, b: str, *, points: Sequence[str] = ()) -> pd.DataFrame:
        """The difference of two schemes in dB with its 95 % interval, as ``netsim compare`` gives it.

        Args:
            a: A scheme as in the summary, or a codec's name where that is clear.
            b: The scheme that it is compared with.
            points: Operating points of a, and of b (``qp=37``); none: the nearest in bpp are paired.

        Returns:
            One row per channel, link and pair of operating points: ``difference_db``, ``difference_low``, ...

        Raises:
            InputError: An unknown scheme or operating point.
        """
        from netsim.analysis.paired import compare_schemes

        return compare_schemes(self.log, a, b, float(self.manifest.get("failure_db", 13.0)), points)

    def explain(
        self, image: str, codec: str, *, point: str | None = None, channels: Sequence[str] = (), link: str | None = None
    ) -> Explanation:
        """The importance of each packet of an image, and the worst and best losses, as ``netsim explain`` finds them.

        Args:
            image: An image of the run.
            codec: A scheme as in the summary, or a codec's name where that is clear.
            point: Operating point (``qp=37``); None: the nearest to 0.35 bpp.
            channels: Channels; none: the run's.
            link: A link of the run; None: its first.

        Returns:
            ``packets`` and ``counts`` as pandas frames, and which channels were left out (``skipped``).

        Raises:
            InputError: An unknown name, or a scheme without a table of masks.
        """
        from netsim.analysis.explain import explain
        from netsim.analysis.replay import replayed_plan
        from netsim.decoding.cache import CodecCache
        from netsim.decoding.store import Store

        with Store() as store:
            return explain(replayed_plan(self), CodecCache(store), image, codec, point, channels, link)

    def report(
        self,
        out: str | Path | None = None,
        *,
        low_bpp: float | None = None,
        high_bpp: float | None = None,
        trial: int | None = None,
        slots: Sequence[int] = (),
    ) -> Path:
        """Write the report, one HTML file, as ``netsim report`` does.

        Args:
            out: The file; None: report.html in the run's folder.
            low_bpp: Lower end of the rates over which schemes are ranked; None: what all cover.
            high_bpp: Upper end, likewise.
            trial: The trial whose slots' images are shown; None: typical and bad slots of all trials.
            slots: Numbers of slots, of trial 0 if none is named; none: the first ones in which a packet did not arrive.

        Returns:
            The file.

        Raises:
            InputError: The folder is missing, the rates are not a range, or the run has no such trial or slot.
        """
        from netsim.report.illustrated import write_report

        return write_report(self.path, None if out is None else Path(out), low_bpp, high_bpp, trial, slots)


def open_run(path: str | Path) -> Run:
    """A finished run by its folder.

    Args:
        path: The run's folder.

    Returns:
        The run.

    Raises:
        InputError: There is no finished run.
    """
    found = load_run(path)
    return Run(found.path, found.manifest)
