"""A finished run read back: pandas frames of its log and summary, its manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.digests import file_sha256
from netsim.errors import InputError
from netsim.paths import leads_out, output_path, own_path
from netsim.runs.atomic import make_folder, write_atomically
from netsim.runs.folder import read_manifest
from netsim.runs.log import read_log
from netsim.text import counted_noun

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FinishedRun", "file_fault", "link_fault", "load_run"]


@dataclass(frozen=True, repr=False)
class FinishedRun:
    """The files of a finished run. Its tables are read when they are first used.

    Each raises InputError if its file is not as the run wrote it (the manifest holds its hash).

    Attributes:
        path: The folder of the run.
        manifest: What it takes to run it again.
    """

    path: Path
    manifest: dict[str, Any]

    def __repr__(self) -> str:
        return f"<Run {self.path}: {self._line()}>"

    def _repr_html_(self) -> str:
        """The summary's main columns."""
        columns = ["scheme", "operating_point", "channel", "link", "bpp", "psnr_db", "psnr_low", "psnr_high"]
        shown = self.summary[[name for name in (*columns, "failure_ratio") if name in self.summary]]
        table = shown.to_html(index=False, max_rows=60, float_format=lambda value: f"{value:.4g}")
        return f"<p><b>{escape(str(self.path))}</b>: {escape(self._line())}</p>{table}"

    def _line(self) -> str:
        """What ran, in one line."""
        name, plan = str(self.manifest.get("name", "")), self.manifest.get("plan")
        if not isinstance(plan, Mapping):
            return name
        rows, trials, slots = (plan.get(key, 0) for key in ("rows", "trials", "slots"))
        images = counted_noun(len(plan.get("images", ())), "image")
        size = f"{counted_noun(trials, 'trial')} of {counted_noun(slots, 'slot')} over {images}"
        return f"{name}, {counted_noun(rows, 'row')} of the plan, {size}"

    @cached_property
    def log(self) -> pd.DataFrame:
        """All rows of the log, as written."""
        return read_log(self.checked("log.parquet")).to_pandas()

    def trial_log(self, trial: int, *others: int) -> pd.DataFrame:
        """The log's rows of some trials, and all rows of engines that simulate no trials; others are not kept.

        Args:
            trial: Number of a trial.
            *others: Of further trials.

        Returns:
            Rows as in ``log``.
        """
        return read_log(self.checked("log.parquet"), trial, *others).to_pandas()

    @property
    def slots(self) -> pd.DataFrame:
        """One row per slot: the log without rows written at a packet's arrival."""
        return self.log[self.log["packet"].isna()]

    @cached_property
    def summary(self) -> pd.DataFrame:
        """One row per scheme, operating point, channel and link, with 95 % intervals."""
        import pandas as pd

        return pd.read_csv(self.checked("summary.csv"))

    @cached_property
    def distribution(self) -> pd.DataFrame:
        """Mean, variance, quantiles and failure ratio of each metric, per image and over all images."""
        import pandas as pd

        return pd.read_csv(self.checked("distribution.csv"))

    def export_rd(self, out: str | Path | None = None) -> list[Path]:
        """Write the summary's rate–distortion points in CompressAI's JSON format, as ``netsim export`` does.

        Args:
            out: Folder; None: ``rd_json`` in the run's folder.

        Returns:
            The files, one per scheme, channel and link.

        Raises:
            InputError: The run's files are not as it wrote them, or the folder can't be written.
        """
        from netsim.rd_json import rd_json_files

        folder = own_path(self.path, "rd_json") if out is None else output_path(str(out))
        make_folder(folder)
        written = []
        for name, text in rd_json_files(self.summary).items():
            write_atomically(folder / name, lambda file, text=text: file.write(text.encode()))  # type: ignore[misc]
            written.append(folder / name)
        return written

    def checked(self, name: str) -> Path:
        """The path of one of the run's files, once its hash is checked.

        Args:
            name: File name, as in the manifest.

        Returns:
            Its path.

        Raises:
            InputError: It is not as the run wrote it.
        """
        fault = file_fault(self.path, name, self.manifest)
        if fault:
            raise InputError(fault, hint="run the scenario again")
        return self.path / name


def file_fault(folder: Path, name: str, manifest: Mapping[str, Any]) -> str:
    """What is wrong with a file of a run.

    A file may be a link to another place (a larger disk, git-annex) if its content is what the run wrote.

    Args:
        folder: The run's folder.
        name: File name.
        manifest: The run's.

    Returns:
        One sentence; empty if nothing is wrong, or if no hash of the file is known and it lies in the folder.
    """
    files = manifest.get("files")
    expected = files.get(name) if isinstance(files, Mapping) else None
    if expected is None:
        return link_fault(folder, name)
    try:
        if file_sha256(folder / name) == expected:
            return ""
    except OSError as error:
        return f"can't read `{folder / name}`: {error.strerror}"
    return f"`{folder / name}` is not as the run wrote it: its hash does not match the manifest's"


def link_fault(folder: Path, name: str) -> str:
    """Whether a file of a run is a link to outside its folder. The file is not read.

    Args:
        folder: The run's folder.
        name: File name.

    Returns:
        One sentence; empty if it lies in the folder.
    """
    outside = leads_out(folder, folder / name)
    return f"`{folder / name}` is a link to `{outside}`, outside the run's folder: not read" if outside else ""


def load_run(path: str | Path) -> FinishedRun:
    """A finished run by its folder.

    Args:
        path: The run's folder.

    Returns:
        The run; its tables are read when they are first used.

    Raises:
        InputError: There is no run, it is not finished, or its manifest is not as it was written.
    """
    folder = output_path(str(path))
    if not folder.is_dir():
        raise InputError(f"no run folder `{folder}`", hint="`netsim run SCENARIO` makes one under runs/")
    manifest = read_manifest(folder)
    if not manifest:
        raise InputError(f"`{folder}` holds no manifest.json", hint="`netsim run SCENARIO` makes one under runs/")
    if manifest.get("status") == "running":
        hint = "rerun the same scenario to resume"
        raise InputError(f"the run in `{folder}` is not finished", hint=hint)
    failure_db = manifest.get("failure_db", 13.0)
    if isinstance(failure_db, bool) or not isinstance(failure_db, int | float) or not math.isfinite(failure_db):
        raise InputError(f"`{folder / 'manifest.json'}` holds failure_db = {failure_db!r}", hint="a number of dB")
    if not (folder / "log.parquet").is_file():
        raise InputError(f"`{folder}` holds no log.parquet", hint="`netsim run SCENARIO` makes one under runs/")
    return FinishedRun(folder, manifest)
