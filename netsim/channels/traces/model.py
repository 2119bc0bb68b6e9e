"""What a trace is: recordings of packets that were received or lost, and how to read the file that holds them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError, did_you_mean

__all__ = ["FORMATS", "LOSS_FORMATS", "Recording", "Trace", "TraceOptions"]

BoolArray = NDArray[np.bool_]

LOSS_FORMATS = {
    "text": "0s and 1s, or a table whose header names its columns",
    "csv": "a table: columns with sequence numbers, times, 0s and 1s",
    "g192": "ITU-T G.192 error pattern, 16-bit words",
    "g192-byte": "ITU-T G.192 error pattern, one byte per event",
    "g192-compact": "ITU-T G.192 error pattern, one bit per event, least significant bit first, 1 = lost",
    "pcap": "a capture (pcap or pcapng) of RTP or of numbered UDP packets",
    "ping": "what `ping` prints",
    "irtt": "the JSON file of `irtt client -o`",
}
"""Formats of loss traces, by name."""

FORMATS = {**LOSS_FORMATS, "mahimahi": "a Mahimahi link trace: the rate of a link, not its losses"}
"""All formats, by name."""

_RANGE = re.compile(r"\s*(\d{1,18})\s*\.\.\s*(\d{1,18})\s*", re.ASCII)
_CHOICES = {
    "format": tuple(FORMATS),
    "one": ("lost", "received"),
    "direction": ("round-trip", "up", "down"),
}


@dataclass(frozen=True)
class TraceOptions:
    """How to read a file, as far as the file itself does not say. The same names serve as flags and in scenarios.

    Attributes:
        format: One of ``FORMATS``; empty: recognised by content.
        one: What a 1 means: ``lost`` or ``received``.
        columns: Columns of a table: ``seq time_s -`` by position, or ``seq=packet time_ms=rx`` by the names in the
            table's first row.
        counter_bits: Width of a sequence number that starts again at 0 (16 in RTP); None: it never does.
        sent: Numbers of the first and last packet sent, ``0..999``; empty: from the first to the last received.
        rtp: The capture's UDP packets are RTP.
        udp_number: Where UDP packets carry a number: ``OFFSET:BYTES``, or ``OFFSET:BYTES:little``.
        port: Only UDP packets to this port; None: to any.
        direction: Of ``irtt``: which way a packet is lost.

    Raises:
        InputError: An option has a value that it can't have; ``key`` names it.
    """

    format: str = ""
    one: str = ""
    columns: str = ""
    counter_bits: int | None = None
    sent: str = ""
    rtp: bool = False
    udp_number: str = ""
    port: int | None = None
    direction: str = ""

    def __post_init__(self) -> None:
        for key, known in _CHOICES.items():
            value = getattr(self, key)
            if value and value not in known:
                raise InputError(f"{key} is `{value}`", hint=did_you_mean(str(value), known), key=(key,))
        self.sent_range()
        self.number_place()
        for key, low, high in (("counter_bits", 2, 62), ("port", 1, 65535)):
            value = getattr(self, key)
            if value is not None and not (isinstance(value, int) and low <= value <= high):
                raise InputError(f"{key} is {value!r}", hint=f"a whole number from {low} to {high}", key=(key,))
        if self.rtp and self.udp_number:
            raise InputError("both rtp and udp_number", hint="RTP has its number in its header", key=("udp_number",))

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Names of all options.

        Returns:
            In the order of their definition.
        """
        return tuple(one.name for one in fields(cls))

    @classmethod
    def from_mapping(cls, given: dict[str, Any]) -> TraceOptions:
        """Options as a scenario writes them.

        Args:
            given: Values by the options' names.

        Returns:
            The options.

        Raises:
            InputError: A value has a wrong type; ``key`` names it.
        """
        for key, value in given.items():
            wanted: Any = int if key in ("counter_bits", "port") else bool if key == "rtp" else str
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                what = {int: "a whole number", bool: "true or false", str: "a text"}[wanted]
                raise InputError(f"{key} is {value!r}", hint=what, key=(key,))
        return cls(**given)

    def sent_range(self) -> tuple[int, int] | None:
        """First and last number sent, if given.

        Returns:
            (first, last), or None.

        Raises:
            InputError: ``sent`` is not a range.
        """
        if not self.sent:
            return None
        match = _RANGE.fullmatch(self.sent)
        if not match or int(match[2]) < int(match[1]):
            short = self.sent if len(self.sent) <= 60 else f"{self.sent[:60]}…"
            raise InputError(f"sent is `{short}`", hint="first and last number: 0..999", key=("sent",))
        return int(match[1]), int(match[2])

    def number_place(self) -> tuple[int, int, str] | None:
        """Offset, bytes and byte order of a UDP packet's number, if given.

        Returns:
            (offset in the payload, bytes, ``big`` or ``little``), or None.

        Raises:
            InputError: ``udp_number`` names no place.
        """
        if not self.udp_number:
            return None
        parts = self.udp_number.split(":")
        order = parts[2] if len(parts) == 3 else "big"
        whole = len(parts) in (2, 3) and all(part.isdecimal() and len(part) < 6 for part in parts[:2])
        if not whole or not 1 <= int(parts[1]) <= 8 or order not in ("big", "little"):
            hint = "offset in the payload and bytes: 0:4, or 0:4:little"
            raise InputError(f"udp_number is `{self.udp_number}`", hint=hint, key=("udp_number",))
        return int(parts[0]), int(parts[1]), order


@dataclass(frozen=True)
class Recording:
    """Packets of one link in sending order.

    Attributes:
        label: The link, flow or number of the series.
        received: bool [n], True = received.
        times_s: float64 [n], when each packet was sent or received, NaN where unknown; None: the file has no times.
    """

    label: str
    received: BoolArray
    times_s: NDArray[np.float64] | None = None

    @property
    def interval_s(self) -> float | None:
        """Median time per packet between packets with a known time; None where there are fewer than two."""
        if self.times_s is None:
            return None
        known = np.flatnonzero(np.isfinite(self.times_s))
        if len(known) < 2:
            return None
        return float(np.median(np.diff(self.times_s[known]) / np.diff(known)))


@dataclass(frozen=True)
class Trace:
    """The recordings of a file.

    Attributes:
        path: The file.
        format: How it was read, one of ``LOSS_FORMATS``.
        recordings: In the file's order; several may have one label.
        notes: What a reader should know: duplicates, packets out of order, ends that are not known.
    """

    path: Path
    format: str
    recordings: tuple[Recording, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def interval_s(self) -> float | None:
        """Median over the recordings of their time per packet; None where no recording has times."""
        known = [interval for one in self.recordings if (interval := one.interval_s) is not None]
        return float(np.median(known)) if known else None

    def select(self, link: str | None) -> Trace:
        """The recordings of one link.

        Args:
            link: A label; None: all.

        Returns:
            A trace of these recordings.

        Raises:
            InputError: An unknown link.
        """
        if link is None:
            return self
        labels = list(dict.fromkeys(one.label for one in self.recordings))
        if link not in labels:
            few = (
                did_you_mean(link, labels) if len(labels) <= 20 else f"it has {len(labels)}: {', '.join(labels[:5])}, …"
            )
            raise InputError(f"trace {self.path} has no link `{link}`", hint=few, key=("link",))
        kept = tuple(one for one in self.recordings if one.label == link)
        return Trace(self.path, self.format, kept, self.notes)
