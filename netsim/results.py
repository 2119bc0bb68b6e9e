"""What a user gets for a finished run: its tables, and what can be computed and drawn from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.runs.results import FinishedRun, load_run

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from netsim.analysis.explain import Explanation
    from netsim.report.table import ResultTable
    from netsim.runs.verify import Verdict

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

    def table(
        self,
        metric: str = "psnr_db",
        *,
        near_bpp: float | Sequence[float] = (),
        schemes: str | Sequence[str] = (),
        channels: str | Sequence[str] = (),
        names: Mapping[str, str] | None = None,
        digits: int | None = None,
    ) -> ResultTable:
        """A table for a paper, as ``netsim table`` prints it: schemes by channels, with 95 % intervals.

        Args:
            metric: ``psnr_db``, ``failure_ratio``, or a further metric of the run.
            near_bpp: A part of the table for each of these rates; none: each operating point, in order of rate.
            schemes: Rows, in this order; none: all.
            channels: Columns, in this order; none: all.
            names: What is printed in place of a scheme's or a channel's name.
            digits: Decimals; None: 2 (4 for further metrics).

        Returns:
            The table: ``latex()``, ``markdown()``, and ``numbers``, a pandas frame.

        Raises:
            InputError: An unknown name, or schemes with unlike numbers of operating points and no ``near_bpp``.
        """
        from netsim.report.table import table_of_run

        return table_of_run(
            self, metric=metric, near_bpp=near_bpp, schemes=schemes, channels=channels, names=names, digits=digits
        )

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

    def verify(self, *, rerun: bool = False, workers: int = 1) -> Verdict:
        """Check the run's files, as ``netsim verify`` does.

        Args:
            rerun: Also run it again from its manifest, without what the store remembers, and compare the logs.
            workers: Processes of that run.

        Returns:
            ``whole``: names of files that are as the run wrote them. ``faults``: sentences, empty where all is well;
            with ``rerun`` also which columns of the second log differ. ``notes``: inputs, versions and source that
            have changed since.

        Raises:
            InputError: With ``rerun``: an image, a file or a plug-in of the run is missing, or has changed.
        """
        from netsim.analysis.rerun import rerun as run_again
        from netsim.runs.verify import Verdict, verify_run

        found = verify_run(self.path)
        if not rerun or found.faults:
            return found
        second = run_again(self, workers)
        return Verdict(found.whole, second.differences, found.notes + second.notes)

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
