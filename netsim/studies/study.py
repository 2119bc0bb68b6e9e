"""What a study is: one kind of table or figure that a paper can have.

A recipe (``netsim.studies.recipe``) names a study and its options. A study measures, sets its numbers beside the
published ones, and draws. Studies are plug-ins: entry point group ``netsim.studies``, or
``netsim.register("study")``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict

from netsim.runs.progress import Reporter, counted

if TYPE_CHECKING:
    import pandas as pd

    from netsim.decoding.cache import CodecCache
    from netsim.runs.results import Run
    from netsim.scenario.plan import Plan
    from netsim.studies.comparison import Comparison
    from netsim.studies.outputs import Output
    from netsim.studies.recipe import Recipe

__all__ = ["Study", "StudyContext", "StudyOptions"]


class StudyOptions(BaseModel):
    """Base of a study's options: unknown keys are refused, and no text stands for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


@dataclass
class StudyContext:
    """What a study measures with.

    Attributes:
        recipe: The recipe that names the study.
        folder: Where the results go; after ``run()`` the folder of that run.
        workers: Processes of a run.
        reporter: Shows what happens.
        ran: Whether ``run()`` was called.
    """

    recipe: Recipe
    scenario: Plan | None
    folder: Path
    workers: int = 1
    reporter: Reporter = field(default_factory=Reporter)
    ran: bool = False

    @property
    def plan(self) -> Plan:
        """The recipe's scenario as a plan; a study that has ``needs_scenario`` may rely on it."""
        assert self.scenario is not None
        return self.scenario

    def run(self) -> Run:
        """Run the scenario into the results' folder."""
        from netsim.runs.pipeline import run_plan
        from netsim.runs.results import load_run

        found = load_run(run_plan(self.plan, self.folder, self.workers, self.reporter))
        self.folder, self.ran = found.path, True
        return found

    @contextmanager
    def cache(self) -> Iterator[CodecCache]:
        """Streams and qualities, remembered in the user's store."""
        from netsim.decoding.cache import CodecCache
        from netsim.decoding.store import Store

        with Store() as store, self.reporter.board() as board:
            yield CodecCache(store, counted(board, "decode"))


class Study(ABC):
    """A kind of table or figure, with its options.

    Class attributes: ``name`` (as in a recipe), ``Options`` (a ``StudyOptions`` subclass), ``needs_scenario`` (False
    for a study that looks at no images).
    """

    name: ClassVar[str]
    Options: ClassVar[type[StudyOptions]] = StudyOptions
    needs_scenario: ClassVar[bool] = True

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def measure(self, context: StudyContext) -> Any:
        """All numbers and images that ``compare`` and ``draw`` need.

        Raises:
            InputError: The scenario or the options do not fit the study.
        """

    @abstractmethod
    def compare(self, table: Comparison, measured: Any) -> None:
        """Add the rows of comparison.csv: ours; the table finds the published number of each."""

    def draw(self, recipe: Recipe, measured: Any) -> Iterable[Output]:
        """Figures and further tables."""
        return ()

    def levels(self, measured: Any) -> pd.DataFrame | None:
        """What decides the order of whole schemes.

        Returns:
            Columns condition, scheme, quantity, ours, ours_low, ours_high: one row per condition, scheme and quantity.
            None: the rows of comparison.csv decide.
        """
        return None
