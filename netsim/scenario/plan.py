"""The plan: a scenario's grid written out as rows. Pure data, can be printed, counted and split over machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from netsim.digests import digest
from netsim.scenario.inputs import Inputs, inputs_of, without_folders
from netsim.text import number_text

__all__ = ["CodecSpec", "Plan", "PlanRow", "SchemeSpec"]

_NOT_OF_THE_LOG = ("images", "published")  # a folder may move; curves are only drawn


@dataclass(frozen=True)
class CodecSpec:
    """A codec as the scenario has it. settings: all of them, as plain values (no operating point)."""

    name: str
    settings: tuple[tuple[str, Any], ...]
    label: str
    mode: str = ""

    @property
    def settings_text(self) -> str:
        """``receiver=prefix preset=medium``, for the log."""
        return " ".join(f"{key}={value}" for key, value in self.settings if value is not None)


@dataclass(frozen=True)
class SchemeSpec:
    """A codec at one operating point under one protection: what a sender sends for a picture.

    engine: which one answers it, if the codec's entry says so. asked: the codec's settings as written, where the
    protection changes them. distinction: what the label needs besides to be told from the plan's other labels.
    """

    codec: CodecSpec
    point_key: str
    point_value: float
    protection: Any
    protection_name: str
    engine: str = ""
    asked: tuple[tuple[str, Any], ...] = ()
    distinction: str = ""

    @property
    def operating_point(self) -> str:
        return f"{self.point_key}={number_text(self.point_value)}"

    @property
    def label(self) -> str:
        """The curve that this scheme is a point of.

        >>> SchemeSpec(CodecSpec("vvc", (), "vvc"), "qp", 37, {"reed-solomon": "30%"}, "reed-solomon 30%").label
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
class PlanRow:
    """One condition: schemes that a controller chooses among (one where nothing is chosen), a channel, a link.

    distinction: what a controlled row's label needs besides to be told from the plan's other labels.
    """

    index: int
    schemes: tuple[SchemeSpec, ...]
    channel: Any
    channel_name: str
    link: Any
    link_name: str
    engine: str = "event"
    control: Any = None
    control_name: str = ""
    distinction: str = ""

    @property
    def operating_point(self) -> str:
        """What the row's schemes share; where they differ, each one's, in order: ``qp=30/33/30``."""
        points = [scheme.operating_point for scheme in self.schemes]
        if len(set(points)) == 1:
            return points[0]
        alike = all(point.startswith(f"{self.schemes[0].point_key}=") for point in points)
        return "/".join([points[0], *(point.partition("=")[2] if alike else point for point in points[1:])])

    def settings_text(self, choice: int) -> str:
        """Settings of one of the row's schemes, for the log; with its operating point where each has its own."""
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
        return f"{'/'.join(ways)} + {self.control_name} {self.distinction}".rstrip()


@dataclass(frozen=True, repr=False)
class Plan:
    """All rows of a scenario, and what they share."""

    name: str
    rows: tuple[PlanRow, ...]
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

    def __repr__(self) -> str:
        from netsim.scenario.show import plan_line

        return f"<Plan {self.name}: {plan_line(self)}>"

    def _repr_html_(self) -> str:
        from netsim.scenario.show import plan_html

        return plan_html(self)

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
