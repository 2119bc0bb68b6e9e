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

from netsim.errors import InputError, did_you_mean
from netsim.runs.progress import Reporter, counted
from netsim.signatures import method_takes, signature_text

if TYPE_CHECKING:
    import pandas as pd

    from netsim.decoding.cache import CodecCache
    from netsim.results import Run
    from netsim.scenario.plan import Plan
    from netsim.statistics.intervals import Estimate
    from netsim.studies.comparison import Comparison
    from netsim.studies.outputs import Output
    from netsim.studies.recipe import Recipe

__all__ = ["Study", "StudyContext", "StudyOptions", "check_study_class"]


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
        exist: What ``run()`` does where ``folder`` holds another run: ``number``, ``fail`` or ``overwrite``.
        ran: Whether ``run()`` was called.
        notes: Sentences that stand beside the results; ``measure`` may add some.
    """

    recipe: Recipe
    scenario: Plan | None
    folder: Path
    workers: int = 1
    reporter: Reporter = field(default_factory=Reporter)
    exist: str = "number"
    ran: bool = False
    notes: list[str] = field(default_factory=list)

    @property
    def plan(self) -> Plan:
        """The recipe's scenario as a plan; a study that has ``needs_scenario`` may rely on it.

        Raises:
            InputError: The recipe has no scenario.
        """
        if self.scenario is None:
            message = f"study `{self.recipe.study.name}` asks for a plan, and its recipe has no scenario"
            hint = "`scenario: scenario.yaml` in the recipe, or needs_scenario = True in the study"
            raise InputError(message, hint=hint)
        return self.scenario

    def image_place(self, name: str | None) -> int:
        """Place in the plan of the image that an option names.

        Where the plan's images are not the paper's, the first image stands in for one of the paper's; a note says so.

        Args:
            name: An image's name; None: the first image.

        Returns:
            The place, from 0.

        Raises:
            InputError: The plan has no image of this name.
        """
        known, papers = self.plan.image_names, self.recipe.paper_images
        if name is None or name in known:
            return 0 if name is None else known.index(name)
        if papers in (None, self.plan.images.name):
            message = f"study `{self.recipe.study.name}`: the scenario has no image `{name}`"
            raise InputError(message, hint=did_you_mean(name, known))
        self.notes.append(f"`{name}` is not among these images: `{known[0]}` is shown in its place.")
        return 0

    def run(self) -> Run:
        """Run the scenario into the results' folder.

        Returns:
            The finished run.
        """
        from netsim.analysis.summary_files import write_summary
        from netsim.results import open_run
        from netsim.runs.pipeline import run_plan

        plan, folder = self.plan, self.folder
        found = open_run(run_plan(plan, folder, self.workers, self.reporter, write_summary, exist=self.exist))
        self.folder, self.ran = found.path, True
        return found

    @contextmanager
    def cache(self) -> Iterator[CodecCache]:
        """Streams and qualities, remembered in the user's store.

        Yields:
            A cache on the user's store, which is closed when the block ends.
        """
        from netsim.decoding.cache import CodecCache
        from netsim.decoding.store import Store

        with Store() as store, self.reporter.board() as board:
            yield CodecCache(store, counted(board, "decode"))


class Study(ABC):
    """A kind of table or figure, with its options.

    Attributes:
        name: As in a recipe.
        Options: A subclass of ``StudyOptions``.
        needs_scenario: False for a study that uses no images.
    """

    name: ClassVar[str]
    Options: ClassVar[type[StudyOptions]] = StudyOptions
    needs_scenario: ClassVar[bool] = True

    def __init__(self, options: Any = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def measure(self, context: StudyContext) -> Any:
        """Measure everything that ``compare`` and ``draw`` need.

        Args:
            context: The recipe, its scenario as a plan, and what runs or decodes it.

        Returns:
            Any value; ``compare``, ``draw`` and ``levels`` get it.

        Raises:
            InputError: The scenario or the options do not fit the study.
        """

    @abstractmethod
    def compare(self, table: Comparison, measured: Any) -> None:
        """Add the rows of comparison.csv.

        Args:
            table: Takes our numbers; it finds the published number of each row.
            measured: What ``measure`` returned.
        """

    def draw(self, recipe: Recipe, measured: Any) -> Iterable[Output]:
        """Figures and further tables.

        Args:
            recipe: The recipe that names the study.
            measured: What ``measure`` returned.

        Returns:
            What is written into the results' folder.
        """
        return ()

    def difference(self, measured: Any, condition: str, better: str, worse: str) -> Estimate | None:
        """By how much one scheme is better than another, where they can be compared trace by trace.

        Args:
            measured: What ``measure`` returned.
            condition: A channel.
            better: A scheme as in a log.
            worse: The other.

        Returns:
            The mean of the paired differences with its interval; None: the schemes' own intervals decide.
        """
        return None

    def levels(self, measured: Any) -> pd.DataFrame | None:
        """The numbers that decide the order of whole schemes.

        Args:
            measured: What ``measure`` returned.

        Returns:
            Columns condition, scheme, quantity, ours, ours_low, ours_high: one row per condition, scheme and quantity.
            None: the rows of comparison.csv decide.
        """
        return None


_ARGUMENTS = {"measure": 1, "compare": 2, "draw": 2, "difference": 4, "levels": 1}


def check_study_class(name: str, kind: Any) -> None:
    """Check what can be checked of a study without making one.

    Args:
        name: As in a recipe.
        kind: Its class.

    Raises:
        InputError: It is not a subclass of ``Study``, it has another name, its Options are none, or a method is missing
            or takes other arguments.
    """
    if not (isinstance(kind, type) and issubclass(kind, Study)):
        raise InputError(f"study `{name}` is {kind!r}", hint="a subclass of netsim.Study")
    given: Any = getattr(kind, "name", None)
    if given != name:
        has = "has no attribute `name`" if given is None else f"has the name `{given}`"
        raise InputError(f"study `{name}`: its class {kind.__name__} {has}", hint=f'name = "{name}"')
    if missing := [method for method in _ARGUMENTS if method in kind.__abstractmethods__]:
        message = f"study `{name}`: its class {kind.__name__} has no method `{missing[0]}`"
        raise InputError(message, hint=f"def {signature_text(getattr(Study, missing[0]))}")
    for method, arguments in _ARGUMENTS.items():
        if not method_takes(kind, method, arguments):
            message = f"study `{name}` can't be called as netsim calls it: {signature_text(getattr(kind, method))}"
            raise InputError(message, hint=f"def {signature_text(getattr(Study, method))}")
    options: Any = kind.Options
    if not (isinstance(options, type) and issubclass(options, StudyOptions)):
        hint = "class Options(netsim.StudyOptions), with one annotated field for each option"
        raise InputError(f"study `{name}`: Options is {options!r}", hint=hint)
