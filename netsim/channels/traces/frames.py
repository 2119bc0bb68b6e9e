"""UDP datagrams of a capture (pcap or pcapng): frames and blocks are parsed by dpkt, fragments put together here."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from netsim.channels.traces.files import open_binary
from netsim.distribution import install_command
from netsim.errors import InputError

__all__ = ["PCAPNG_MAGIC", "PCAP_MAGICS", "Datagram", "udp_datagrams"]

PCAP_MAGICS = tuple(bytes.fromhex(text) for text in ("d4c3b2a1", "a1b2c3d4", "4d3cb2a1", "a1b23c4d"))
PCAPNG_MAGIC = bytes.fromhex("0a0d0d0a")

_BLOCK_LIMIT_BYTES = 2**24
_CAPTURE_LIMIT_BYTES = 8 * 2**30
_RAW_IP = (12, 14, 101, 228, 229)  # link types: BSD's, OpenBSD's, and LINKTYPE_RAW, _IPV4, _IPV6
_UDP, _FRAGMENT = 17, 44  # protocols: RFC 768, RFC 8200 section 4.5
_REASSEMBLY_S = 30  # Linux's net.ipv4.ipfrag_time
_WAITING_LIMIT_BYTES, _FRAGMENT_COST_BYTES = 2**26, 256  # of fragments that wait for others; of Python's objects


class Datagram(NamedTuple):
    """A whole UDP datagram.

    Attributes:
        time_s: When its last byte was captured; NaN where the capture does not say.
        flow: ``SOURCE:PORT>TARGET:PORT``.
        port: That of the target.
        payload: What was captured of it.
    """

    time_s: float
    flow: str
    port: int
    payload: bytes


def udp_datagrams(path: Path, notes: list[str]) -> Iterator[Datagram]:
    """The UDP datagrams of a capture, in its order.

    Args:
        path: The file; it may be packed with gzip.
        notes: At the end, what was not read is added here: a damaged end, frames of unknown links, datagrams of which a
            fragment is missing.

    Yields:
        Whole datagrams. One with a missing fragment is none: IP gives it to no receiver.

    Raises:
        InputError: dpkt is not installed, or the file is damaged at its beginning.
    """
    try:
        import dpkt
    except ImportError:
        raise InputError(f"trace {path} is a capture", hint=install_command("traces")) from None
    damaged: Any = (dpkt.Error, ValueError, LookupError, ArithmeticError, struct.error, EOFError, OSError, zlib.error)
    unknown_links: Counter[int] = Counter()
    fragments = _Fragments()
    read = 0
    with open_binary(path) as file:
        try:
            frames = _frames(dpkt, _Limited(file))
        except damaged as error:
            raise InputError(f"cannot read capture {path}: {error or type(error).__name__}") from None
        while True:
            try:
                time_s, link, frame = next(frames)
            except StopIteration:
                break
            except damaged as error:
                if not read and not isinstance(error, dpkt.NeedData):
                    raise InputError(f"cannot read capture {path}: {error or type(error).__name__}") from None
                notes.append(f"the capture is damaged after {read:,} frames: {error or type(error).__name__}")
                break
            read += 1
            if link not in _decoders(dpkt) and link not in _RAW_IP:
                unknown_links[link] += 1
                continue
            found = _datagram(dpkt, link, bytes(frame), float(time_s), fragments)
            if found is not None:
                yield found
    notes += [f"{count:,} frames of the link type {link} are not read" for link, count in unknown_links.items()]
    if fragments.incomplete:
        notes.append(f"{fragments.incomplete:,} UDP datagrams lack a fragment and count as lost")


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

    def peek(self) -> bytes:
        return self._file.peek(4)[:4]  # type: ignore[attr-defined]


# frames -------------------------------------------------------------------------------------------------------


def _frames(dpkt: Any, file: _Limited) -> Iterator[tuple[float, int, bytes]]:
    """(time, link type, frame) of each packet."""
    if file.peek() == PCAPNG_MAGIC:
        return _pcapng_frames(dpkt.pcapng, file)
    reader = dpkt.pcap.Reader(file)
    link = reader.datalink() & 0xFFFF  # above stand the frames' check sequences
    return ((time_s, link, frame) for time_s, frame in reader)


@dataclass(frozen=True)
class _Interface:
    """One of those that a section of a pcapng file captured on."""

    link: int
    snap_bytes: int
    ticks_per_s: float
    offset_s: int


def _pcapng_frames(pcapng: Any, file: _Limited) -> Iterator[tuple[float, int, bytes]]:
    """Frames of a pcapng file: of every section, with the link type and the clock of each packet's interface.

    (``dpkt.pcapng.Reader`` reads all packets as the first interface's, and none after the first section.)
    """
    order, interfaces = "<", list[_Interface]()
    while True:
        block = file.read(8)
        if len(block) < 8:
            return
        if block[:4] == PCAPNG_MAGIC:
            magic = file.read(4)
            order = next((o for o in "<>" if magic == struct.pack(f"{o}I", pcapng.BYTE_ORDER_MAGIC)), "")
            if not order:
                raise ValueError("a section without a byte order")
            interfaces = []
            block += magic
        kind, size = struct.unpack(f"{order}II", block[:8])
        block += file.read(size - len(block))
        if size < 12 or len(block) < size:
            raise ValueError(f"a block of {size:,} bytes is cut off")
        suffix = "LE" if order == "<" else ""
        if kind == pcapng.PCAPNG_BT_IDB:
            one = getattr(pcapng, f"InterfaceDescriptionBlock{suffix}")(block)
            interfaces.append(_interface(pcapng, one, order))
        elif kind in (pcapng.PCAPNG_BT_EPB, pcapng.PCAPNG_BT_PB):
            name = "EnhancedPacketBlock" if kind == pcapng.PCAPNG_BT_EPB else "PacketBlock"
            one = getattr(pcapng, f"{name}{suffix}")(block)
            of = interfaces[one.iface_id]
            ticks = (one.ts_high << 32) | one.ts_low
            yield of.offset_s + ticks / of.ticks_per_s, of.link, one.pkt_data
        elif kind == pcapng.PCAPNG_BT_SPB:  # of the first interface, without a time
            (length,) = struct.unpack_from(f"{order}I", block, 8)
            kept = min(length, interfaces[0].snap_bytes or length)
            yield float("nan"), interfaces[0].link, block[12:-4][:kept]


def _interface(pcapng: Any, block: Any, order: str) -> _Interface:
    ticks_per_s, offset_s = 1e6, 0
    for option in block.opts:
        if option.code == pcapng.PCAPNG_OPT_IF_TSRESOL:
            power = option.data[0]  # its highest bit: of 2 in place of 10
            ticks_per_s = float((2 if power & 0x80 else 10) ** (power & 0x7F))
        elif option.code == pcapng.PCAPNG_OPT_IF_TSOFFSET:
            (offset_s,) = struct.unpack(f"{order}q", option.data)
    return _Interface(block.linktype, block.snaplen, ticks_per_s, offset_s)


# datagrams ----------------------------------------------------------------------------------------------------


_Key = tuple[bytes, bytes, int]


@dataclass
class _Parts:
    """Fragments of a datagram that is not whole yet: (payload, length) by their place; size: of the whole, if known."""

    begun_s: float
    found: dict[int, tuple[bytes, int]] = field(default_factory=dict)
    length: int = 0
    size: int | None = None
    cost: int = 0

    def joined(self) -> bytes | None:
        """The datagram as far as it was captured; None where fragments overlap."""
        texts, end, captured = [], 0, True
        for place, (part, length) in sorted(self.found.items()):
            if place != end:
                return None
            texts += [part] if captured else []
            captured = captured and len(part) >= length
            end += length
        return b"".join(texts) if end == self.size else None


class _Fragments:
    """Datagrams that wait for fragments."""

    def __init__(self) -> None:
        self._waiting: dict[_Key, _Parts] = {}
        self._given_up = self._cost = 0

    @property
    def incomplete(self) -> int:
        """Datagrams of which a fragment did not come."""
        return self._given_up + len(self._waiting)

    def whole(self, time_s: float, key: _Key, place: int, part: bytes, length: int, last: bool) -> bytes | None:
        """The datagram that a fragment completes; None while another one is missing."""
        if key in self._waiting and time_s - self._waiting[key].begun_s > _REASSEMBLY_S:  # its number came again
            self._remove(key, given_up=True)
        parts = self._waiting.setdefault(key, _Parts(time_s))
        if place in parts.found:  # a duplicate
            return None
        parts.found[place] = (part, length)
        parts.length += length
        parts.size = place + length if last else parts.size
        cost = len(part) + _FRAGMENT_COST_BYTES
        parts.cost += cost
        self._cost += cost
        text = None
        if parts.size is not None and parts.length >= parts.size:
            text = parts.joined()
            self._remove(key, given_up=text is None)
        while self._cost > _WAITING_LIMIT_BYTES:
            self._remove(next(iter(self._waiting)), given_up=True)
        return text

    def _remove(self, key: _Key, *, given_up: bool) -> None:
        self._cost -= self._waiting.pop(key).cost
        self._given_up += given_up


def _decoders(dpkt: Any) -> dict[int, Any]:
    """What parses the frames of a link type; raw IP is parsed by its version."""
    return {
        dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
        dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
        dpkt.pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
        dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
        dpkt.pcap.DLT_LOOP: dpkt.loopback.Loopback,
    }


def _datagram(dpkt: Any, link: int, frame: bytes, time_s: float, fragments: _Fragments) -> Datagram | None:
    """The datagram that a frame holds or completes; None where it is not UDP, not readable, or not yet whole."""
    try:
        if link in _RAW_IP:
            packet = (dpkt.ip6.IP6 if frame[0] >> 4 == 6 else dpkt.ip.IP)(frame)
        else:
            packet = _decoders(dpkt)[link](frame).data
        if not isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
            return None
        fragment = _fragment(dpkt, packet)
        datagram = packet.data
        if fragment is not None:
            text = fragments.whole(time_s, *fragment)
            datagram = None if text is None else dpkt.udp.UDP(text)
        if not isinstance(datagram, dpkt.udp.UDP):
            return None
        source, target = ip_address(packet.src), ip_address(packet.dst)
    except (dpkt.Error, ValueError, IndexError, KeyError, AttributeError, TypeError, struct.error):
        return None
    flow = f"{source}:{datagram.sport}>{target}:{datagram.dport}"
    return Datagram(time_s, flow, int(datagram.dport), bytes(datagram.data))


def _fragment(dpkt: Any, packet: Any) -> tuple[_Key, int, bytes, int, bool] | None:
    """(key, place, payload, its length, whether it is the last) of a fragment of UDP; None of any other packet."""
    if isinstance(packet, dpkt.ip.IP):
        if packet.p != _UDP or not (packet.mf or packet.offset):
            return None
        key, place, last = (packet.src, packet.dst, packet.id), 8 * packet.offset, not packet.mf
        length = packet.len - 4 * packet.hl
    else:
        head = packet.extension_hdrs.get(_FRAGMENT)
        if head is None or packet.p != _UDP or not (head.m_flag or head.frag_off):
            return None
        key, place, last = (packet.src, packet.dst, head.id), 8 * head.frag_off, not head.m_flag
        length = packet.plen - sum(one.length for one in packet.all_extension_headers)
    return key, place, bytes(packet.data), length, last
