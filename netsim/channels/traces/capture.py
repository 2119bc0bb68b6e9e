"""Captures (pcap and pcapng) of RTP or of numbered UDP packets."""

from __future__ import annotations

import struct
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from netsim.channels.traces.files import PACKETS_LIMIT
from netsim.channels.traces.frames import udp_datagrams
from netsim.channels.traces.model import Trace, TraceOptions
from netsim.channels.traces.numbers import recording_from_numbers
from netsim.errors import InputError

__all__ = ["read_capture"]

_RTP_BITS, _RTP_HEADER_BYTES = 16, 12
_RTCP_TYPES = range(72, 77)  # RTCP's packet types 200 to 204, less the marker bit: RFC 5761, section 4
_FLOWS_LIMIT = 10_000
_FLOWS_SHOWN = 5


@dataclass
class _Flow:
    """The numbered packets of one sender."""

    numbers: array[int] = field(default_factory=lambda: array("q"))
    times_s: array[float] = field(default_factory=lambda: array("d"))


def read_capture(path: Path, options: TraceOptions) -> Trace:
    """One recording per flow: UDP addresses and ports, and with RTP the stream's SSRC.

    A packet that is not in the capture is lost. So the capture is taken at the receiver, and numbers that are missing
    before the first and after the last packet are unknown, unless ``sent`` says which were sent.

    Args:
        path: A capture with Ethernet, Linux cooked, loopback or raw IP frames.
        options: ``rtp`` or ``udp_number`` must be given; ``port``, ``counter_bits`` and ``sent`` count.

    Returns:
        The trace, its flows in the order of their first packets.

    Raises:
        InputError: dpkt is not installed; neither ``rtp`` nor ``udp_number`` is given (the message lists the UDP
            flows); no packet fits; the capture is damaged at its beginning.
    """
    place = options.number_place()
    if not options.rtp and place is None:
        raise InputError(
            f"trace {path} does not say where its packets have their number", hint=_flows_hint(path, options)
        )
    notes: list[str] = []
    flows = _read_flows(path, options, place, notes)
    if not flows:
        what = "RTP" if options.rtp else "UDP with that number"
        raise InputError(f"trace {path} holds no packets of {what}", hint=_flows_hint(path, options))
    bits = options.counter_bits or (_RTP_BITS if options.rtp else place[1] * 8 if place and place[1] < 8 else None)
    recordings = []
    total = 0
    for label, flow in flows.items():
        one, more = recording_from_numbers(
            path,
            label,
            np.array(flow.numbers, dtype=np.int64),
            times_s=np.array(flow.times_s),
            bits=bits,
            sent=options.sent_range(),
        )
        total += len(one.received)
        if total > PACKETS_LIMIT:
            raise InputError(f"trace {path} has over {PACKETS_LIMIT:,} packets", hint="keep one flow with --port")
        recordings.append(one)
        notes += more
    return Trace(path, "pcap", tuple(recordings), tuple(notes))


def _read_flows(
    path: Path, options: TraceOptions, place: tuple[int, int, str] | None, notes: list[str]
) -> dict[str, _Flow]:
    """Numbers and times of each flow's packets; adds to ``notes``."""
    flows: dict[str, _Flow] = {}
    packets = without = 0
    for time_s, name, port, payload in udp_datagrams(path, notes):
        if options.port is not None and port != options.port:
            continue
        numbered = _rtp(payload) if options.rtp else _numbered(path, payload, place)
        if numbered is None:
            without += 1
            continue
        number, stream = numbered
        label = f"{name} {stream}".rstrip()
        if label not in flows:
            if len(flows) == _FLOWS_LIMIT:
                raise InputError(f"trace {path} has over {_FLOWS_LIMIT:,} flows", hint="keep one with --port")
            flows[label] = _Flow()
        flows[label].numbers.append(number)
        flows[label].times_s.append(time_s)
        packets += 1
        if packets > PACKETS_LIMIT:
            raise InputError(f"trace {path} has over {PACKETS_LIMIT:,} packets", hint="split it into several files")
    if without and flows:
        notes.append(f"{without:,} UDP packets {'are not RTP' if options.rtp else 'are too short for a number'}")
    return flows


def _rtp(payload: bytes) -> tuple[int, str] | None:
    """Sequence number and SSRC of an RTP packet (RFC 3550, section 5.1); None for anything else."""
    if len(payload) < _RTP_HEADER_BYTES or payload[0] >> 6 != 2 or payload[1] & 0x7F in _RTCP_TYPES:
        return None
    number, _, ssrc = struct.unpack_from(">HII", payload, 2)
    return number, f"ssrc={ssrc:08x}"


def _numbered(path: Path, payload: bytes, place: tuple[int, int, str] | None) -> tuple[int, str] | None:
    assert place is not None
    offset, size, order = place
    if len(payload) < offset + size:
        return None
    number = int.from_bytes(payload[offset : offset + size], "little" if order == "little" else "big")
    if number >= 1 << 63:
        hint = "a number of eight bytes is below 2^63; is the byte order the other one?"
        raise InputError(f"trace {path} has the number {number}", hint=hint, key=("udp_number",))
    return number, ""


def _flows_hint(path: Path, options: TraceOptions) -> str:
    """The capture's UDP flows, and the flags to give."""
    counts: dict[str, int] = {}
    heads: dict[str, bytes] = {}
    notes: list[str] = []
    for _, name, port, payload in udp_datagrams(path, notes):
        if options.port is not None and port != options.port:
            continue
        counts[name] = counts.get(name, 0) + 1
        heads.setdefault(name, payload[:16])
        if len(counts) > _FLOWS_LIMIT:
            break
    most = sorted(counts, key=lambda name: -counts[name])[:_FLOWS_SHOWN]
    shown = [f"  {name}: {counts[name]:,} packets, the first begins {heads[name].hex(' ')}" for name in most]
    flags = (
        "--rtp for RTP; --udp-number OFFSET:BYTES (or OFFSET:BYTES:little) for a number of that many bytes in each\n"
        "payload; --port N for one port alone"
    )
    return "\n".join(["UDP flows:", *shown, *notes, flags] if shown else ["it holds no UDP packets", *notes, flags])
