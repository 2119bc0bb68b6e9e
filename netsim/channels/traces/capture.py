"""Captures (pcap and pcapng) of RTP or of numbered UDP packets, read by dpkt."""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from netsim.channels.traces.files import PACKETS_LIMIT, open_binary
from netsim.channels.traces.model import Trace, TraceOptions
from netsim.channels.traces.numbers import recording_from_numbers
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["PCAPNG_MAGIC", "PCAP_MAGICS", "read_capture"]

PCAP_MAGICS = tuple(bytes.fromhex(text) for text in ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d"))
PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")

_RTP_BITS, _RTP_HEADER_BYTES = 16, 12
_RTCP_TYPES = range(72, 77)  # RTCP's packet types 200 to 204, less the marker bit: RFC 5761, section 4
_FLOWS_LIMIT = 10_000
_BLOCK_LIMIT_BYTES = 2**24
_CAPTURE_LIMIT_BYTES = 8 * 2**30
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
    packets = 0
    for time_s, name, payload in _udp_packets(path, options.port, notes):
        numbered = _rtp(payload) if options.rtp else _numbered(payload, place)
        if numbered is None:
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
    return flows


class _Limited:
    """A file for dpkt, which asks for as many bytes as a length field of the file says."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._left = file, _CAPTURE_LIMIT_BYTES

    def read(self, count: int) -> bytes:
        if not 0 <= count <= _BLOCK_LIMIT_BYTES:
            raise ValueError(f"a block of {count:,} bytes")
        self._left -= count
        if self._left < 0:
            raise ValueError(f"over {_CAPTURE_LIMIT_BYTES / 2**30:.0f} GiB")
        return self._file.read(count)

    def seek(self, place: int) -> None:
        self._file.seek(place)


def _rtp(payload: bytes) -> tuple[int, str] | None:
    """Sequence number and SSRC of an RTP packet (RFC 3550, section 5.1); None for anything else."""
    if len(payload) < _RTP_HEADER_BYTES or payload[0] >> 6 != 2 or payload[1] & 0x7F in _RTCP_TYPES:
        return None
    number, _, ssrc = struct.unpack_from(">HII", payload, 2)
    return number, f"ssrc={ssrc:08x}"


def _numbered(payload: bytes, place: tuple[int, int, str] | None) -> tuple[int, str] | None:
    assert place is not None
    offset, size, order = place
    if len(payload) < offset + size:
        return None
    number = int.from_bytes(payload[offset : offset + size], "little" if order == "little" else "big")
    return (number, "") if number < 1 << 63 else None


def _flows_hint(path: Path, options: TraceOptions) -> str:
    """The capture's UDP flows, and the flags to give."""
    counts: dict[str, int] = {}
    heads: dict[str, bytes] = {}
    for _, name, payload in _udp_packets(path, options.port, []):
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
    return "\n".join(["UDP flows:", *shown, flags] if shown else ["it holds no UDP packets", flags])


def _udp_packets(path: Path, port: int | None, notes: list[str]) -> Iterator[tuple[float, str, bytes]]:
    """(time, flow, payload) of each UDP packet; a damaged end of the file is noted, and ends the reading."""
    try:
        import dpkt
    except ImportError:
        raise InputError(f"trace {path} is a capture", hint=install_command("traces")) from None
    damaged: Any = (dpkt.Error, ValueError, LookupError, ArithmeticError, struct.error, EOFError, OSError, zlib.error)
    with open_binary(path) as file:
        try:
            reader = dpkt.pcap.UniversalReader(_Limited(file))
            link = reader.datalink()
        except damaged as error:
            raise InputError(f"cannot read capture {path}: {error or type(error).__name__}") from None
        frames = iter(reader)
        read = 0
        while True:
            try:
                time_s, frame = next(frames)
            except StopIteration:
                return
            except damaged as error:
                notes.append(f"the capture is damaged after {read:,} frames: {error or type(error).__name__}")
                return
            read += 1
            found = _udp(dpkt, link, bytes(frame))
            if found is not None and (port is None or found[1] == port):
                yield float(time_s), found[0], found[2]


def _udp(dpkt: Any, link: int, frame: bytes) -> tuple[str, int, bytes] | None:
    """(flow, destination port, payload) of a frame; None where it is not a whole UDP packet, or none of ours."""
    kinds = {
        dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
        dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
        dpkt.pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
        dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
        dpkt.pcap.DLT_LOOP: dpkt.loopback.Loopback,
    }
    try:
        if link in kinds:
            packet = kinds[link](frame).data
        else:  # raw IP
            packet = (dpkt.ip6.IP6 if frame[0] >> 4 == 6 else dpkt.ip.IP)(frame)
        datagram = packet.data
        if not isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6) or not isinstance(datagram, dpkt.udp.UDP):
            return None
        source, target = ip_address(packet.src), ip_address(packet.dst)
    except (dpkt.Error, ValueError, IndexError, KeyError, AttributeError, TypeError, struct.error):
        return None
    return f"{source}:{datagram.sport}>{target}:{datagram.dport}", int(datagram.dport), bytes(datagram.data)
