"""The plan: a scenario's grid written out as rows of values. It can be printed, counted and sent to other processes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, overload

from netsim.channels.base import Channel
from netsim.codec import Codec, OperatingPoint, create_codec
from netsim.control.base import Controller
from netsim.digests import digest
from netsim.links.profile import LinkProfile
from netsim.protection.base import Protection
from netsim.scenario.inputs import Inputs, inputs_of, without_folders
from netsim.text import number_text

__all__ = ["CodecSpec", "Control", "Plan", "PlanRow", "PlanRows", "Scheme", "Written"]

_NOT_OF_THE_LOG = ("images", "published")  # a folder may move; curves are only drawn


@dataclass(frozen=True)
class CodecSpec:
    """A codec as the scenario has it.

    Attributes:
        name: Of the codec.
        settings: All of them, as plain values (no operating point), paths as written.
        label: How it is called.
        mode: Its context mode; empty: it has none.
        files: Those settings that name files, their paths absolute.
    """

    name: str
    settings: tuple[tuple[str, Any], ...]
    label: str
    mode: str = ""
    files: tuple[tuple[str, Any], ...] = ()

    def create(self) -> Codec:
        """The codec.

        Returns:
            A new instance.

        Raises:
            InputError: There is no such codec, or it refuses a setting.
        """
        return create_codec(self.name, dict(self.settings) | dict(self.files))

    @property
    def settings_text(self) -> str:
        """``receiver=prefix preset=medium``, for the log."""
        return " ".join(f"{key}={value}" for key, value in self.settings if value is not None)


@dataclass(frozen=True)
class Scheme:
    """A codec at one operating point under one protection: what a sender sends for an image.

    Attributes:
        codec: The codec and all its settings.
        point: Its operating point.
        protection: What is added to its packets.
        protection_identity: What tells this protection from others: the scenario's text, and the code of a plug-in.
        engine: The engine that its entry asks for; empty: the scenario's.
        asked: The codec's settings as written, where the protection changes them.
        distinction: Added to the label where another curve of the plan has the same one.
        where: Place of the codec's entry in the scenario, for messages.
    """

    codec: CodecSpec
    point: OperatingPoint
    protection: Protection = field(compare=False)
    protection_identity: str = ""
    engine: str = ""
    asked: tuple[tuple[str, Any], ...] = ()
    distinction: str = ""
    where: str = field(default="", compare=False)

    @property
    def protection_name(self) -> str:
        return self.protection.name

    @property
    def operating_point(self) -> str:
        return f"{self.point.key}={number_text(self.point.value)}"

    @property
    def label(self) -> str:
        """The curve that this scheme is a point of.

        >>> from fractions import Fraction
        >>> from netsim.protection.reed_solomon import ReedSolomon
        >>> Scheme(CodecSpec("vvc", (), "vvc"), OperatingPoint("qp", 37), ReedSolomon(share=Fraction(3, 10))).label
        'vvc + 30% FEC'
        """
        codec = f"{self.codec.label} {self.distinction}".rstrip()
        return codec if self.protection_name == "none" else f"{codec} + {_short(self.protection_name)}"


def _short(protection: str) -> str:
    family, _, share = protection.partition(" ")
    if family == "arq":
        return f"ARQ {share}"
    return f"{share} FEC" if family == "reed-solomon" and share.endswith("%") else protection


@dataclass(frozen=True)
class Control:
    """A controller of the plan.

    Attributes:
        controller: The controller.
        identity: What tells it from others: the scenario's text.
        settings: Its settings as written, for labels.
    """

    controller: Controller = field(compare=False)
    identity: str = ""
    settings: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.controller.name

    def for_trial(self) -> Controller:
        """A controller of its own for each trial: what one remembers must not reach another trial."""
        return copy.deepcopy(self.controller)


@dataclass(frozen=True)
class PlanRow:
    """One condition of the grid.

    Attributes:
        index: Number of the row.
        schemes: What a controller chooses among; one where nothing is controlled.
        channel: What loses packets.
        link: What takes time.
        engine: Which engine answers the row.
        control: The controller; None: nothing is chosen.
        distinction: Added to a controlled row's label where another curve of the plan has the same one.
    """

    index: int
    schemes: tuple[Scheme, ...]
    channel: Channel = field(compare=False)
    link: LinkProfile
    engine: str = "event"
    control: Control | None = None
    distinction: str = ""

    @property
    def channel_name(self) -> str:
        return self.channel.name

    @property
    def link_name(self) -> str:
        return self.link.name

    @property
    def operating_point(self) -> str:
        """What the row's schemes share; where they differ, each one's, in order: ``qp=30/33/30``."""
        points = [scheme.operating_point for scheme in self.schemes]
        if len(set(points)) == 1:
            return points[0]
        alike = all(point.startswith(f"{self.schemes[0].point.key}=") for point in points)
        return "/".join([points[0], *(point.partition("=")[2] if alike else point for point in points[1:])])

    def settings_text(self, choice: int) -> str:
        """Settings of one of the row's schemes, for the log.

        Args:
            choice: Number of one of the row's schemes.

        Returns:
            Settings, with the operating point where each scheme has its own.
        """
        scheme = self.schemes[choice]
        own = scheme.operating_point if scheme.operating_point != self.operating_point else ""
        return f"{scheme.codec.settings_text} {own}".strip()

    @property
    def label(self) -> str:
        """The curve's name; a controlled row is named after its controller."""
        if self.control is None:
            return self.schemes[0].label
        first, *others = dict.fromkeys(scheme.codec.label for scheme in self.schemes)
        ways = [first, *(other.removeprefix(f"{self.schemes[0].codec.name} ") for other in others)]
        return f"{'/'.join(ways)} + {self.control.name} {self.distinction}".rstrip()


@dataclass(frozen=True)
class PlanRows(Sequence[PlanRow]):
    """The grid's rows, channel × link × choice. A row is made when it is asked for: a grid may have millions.

    Attributes:
        choices: A row for each choice of what is sent; its index, channel and link stand for none.
        channels: The channels.
        links: The links.
        engines: The engine of each row; empty: that of its choice.
    """

    choices: tuple[PlanRow, ...]
    channels: tuple[Channel, ...]
    links: tuple[LinkProfile, ...]
    engines: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.channels) * len(self.links) * len(self.choices)

    @overload
    def __getitem__(self, index: int) -> PlanRow: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[PlanRow, ...]: ...

    def __getitem__(self, index: int | slice) -> PlanRow | tuple[PlanRow, ...]:
        if isinstance(index, slice):
            return tuple(self[i] for i in range(*index.indices(len(self))))
        index = range(len(self))[index]
        condition, choice = divmod(index, len(self.choices))
        channel, link = divmod(condition, len(self.links))
        of = self.choices[choice]
        engine = self.engines[index] if self.engines else of.engine
        row = (of.schemes, self.channels[channel], self.links[link], engine, of.control, of.distinction)
        return PlanRow(index, *row)

    def over_channels(self, row: int) -> list[PlanRow]:
        """The rows that differ from a row in the channel alone, itself among them.

        Args:
            row: Index of a row.

        Returns:
            One row per channel.
        """
        step = len(self.links) * len(self.choices)
        return [self[index] for index in range(row % step, len(self), step)]

    def with_engines(self, engines: Mapping[int, str]) -> PlanRows:
        """The same rows with other engines.

        Args:
            engines: An engine for each row's index.

        Returns:
            The rows.
        """
        return replace(self, engines=tuple(engines[index] for index in range(len(self))))


@dataclass(frozen=True)
class Written:
    """What the scenario says of the plan's values, as plain data: for identities and notes, not for the run.

    Attributes:
        channels: By the channel's name.
        links: By the link's name.
        protections: Each once.
        controls: Each once.
        channel_places: Place of each channel's entry in the scenario, by the channel's name.
    """

    channels: Mapping[str, Any]
    links: Mapping[str, Any]
    protections: tuple[Any, ...] = ()
    controls: tuple[Any, ...] = ()
    channel_places: Mapping[str, str] = field(default_factory=dict)

    def all(self) -> list[Any]:
        """Everything, in one list."""
        return [*self.channels.values(), *self.links.values(), *self.protections, *self.controls]


@dataclass(frozen=True, repr=False)
class Plan:
    """All rows of a scenario, and what they share. codec_files: absolute path of each path in the codecs' settings."""

    name: str
    rows: PlanRows
    images: Any
    image_names: tuple[str, ...]
    image_hashes: tuple[str, ...]
    trials: int
    slots: int
    seed: int
    log: str
    metrics: tuple[str, ...]
    coverage: float
    precision_db: float | None
    failure_db: float
    resolved: Mapping[str, Any]
    written: Written
    codec_files: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        from netsim.scenario.show import plan_line

        return f"<Plan {self.name}: {plan_line(self)}>"

    def _repr_html_(self) -> str:
        from netsim.scenario.show import plan_html

        return plan_html(self)

    def with_engines(self, engines: Mapping[int, str]) -> Plan:
        """The same plan with other engines; its inputs and run id stay as they were taken.

        Args:
            engines: An engine's name for the index of each row.

        Returns:
            A new plan.
        """
        plan = replace(self, rows=self.rows.with_engines(engines))
        taken = {name: value for name, value in vars(self).items() if name in ("inputs", "run_id")}
        vars(plan).update(taken)
        return plan

    @cached_property
    def inputs(self) -> Inputs:
        """Digests of the files and plug-ins that decide the log, taken when first asked for."""
        return inputs_of(self)

    @cached_property
    def run_id(self) -> str:
        """Digest of everything that decides the log: equal scenarios with equal inputs have equal run ids."""
        asked = {key: value for key, value in self.resolved.items() if key not in _NOT_OF_THE_LOG}
        asked["channels"] = without_folders(asked.get("channels"))
        return digest(asked, self.image_names, self.inputs.identity())[:12]
