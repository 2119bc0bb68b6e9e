"""Writes loss traces: text, CSV, G.192 error patterns, captures of RTP."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np

from netsim.channels.traces.g192 import g192_bytes
from netsim.channels.traces.model import Recording, Trace
from netsim.distribution import install_command
from netsim.errors import InputError, did_you_mean

__all__ = ["WRITABLE", "trace_bytes"]

WRITABLE = ("text", "csv", "g192", "g192-byte", "g192-compact", "pcap", "pcapng")
"""Formats that a trace can be written in."""

_LINE = 100  # packets on a line of text
_INTERVAL_S = 0.02  # between packets of a capture, where the trace has no times
_RTP_CLOCK_HZ = 90_000


def trace_bytes(trace: Trace, format: str, byte_order: str = "little") -> bytes:
    """A trace as the content of a file.

    Args:
        trace: The trace. Captures hold the received packets as RTP over UDP over IPv4, one stream per recording.
        format: One of ``WRITABLE``.
        byte_order: Of ``g192``'s words: ``little`` or ``big``.

    Returns:
        The content.

    Raises:
        InputError: An unknown format or byte order; several recordings for a format that holds one.
    """
    if format not in WRITABLE:
        raise InputError(f"can't write format `{format}`", hint=did_you_mean(format, WRITABLE), key=("to",))
    if byte_order not in ("little", "big"):
        raise InputError(f"byte order `{byte_order}`", hint="little or big", key=("byte_order",))
    if format.startswith("g192"):
        if len(trace.recordings) > 1:
            labels = ", ".join(dict.fromkeys(one.label for one in trace.recordings[:5]))
            message = f"{format} holds one recording, {trace.path} has {len(trace.recordings):,}"
            raise InputError(message, hint=f"choose one with --link: {labels}, …", key=("link",))
        return g192_bytes(trace.recordings[0].received, format, byte_order)
    if format.startswith("pcap"):
        return _capture(trace, format)
    return (_text(trace) if format == "text" else _csv(trace)).encode()


def _text(trace: Trace) -> str:
    lines = ["# 1=lost"]
    alone = len(trace.recordings) == 1
    for one in trace.recordings:
        bits = "".join("0" if arrived else "1" for arrived in one.received.tolist())
        if alone:
            lines += [bits[at : at + _LINE] for at in range(0, len(bits), _LINE)]
        elif len(bits) == 1:  # a label and one record would read as a row of a table
            lines += ["#", bits, "#"]
        else:
            lines.append(f"{_label(one)} {bits}")
    return "\n".join([*lines, ""])


def _csv(trace: Trace) -> str:
    """A row per packet; an empty line between recordings."""
    timed = all(one.times_s is not None and np.isfinite(one.times_s).all() for one in trace.recordings)
    names = ["link", "index", "lost", *(["time_s"] if timed else [])]
    lines = [f"# columns: {','.join(names)}"]
    for one in trace.recordings:
        lines.append("")
        label = _label(one)
        times = one.times_s.tolist() if timed and one.times_s is not None else None
        for index, arrived in enumerate(one.received.tolist()):
            row = [label, str(index), "0" if arrived else "1", *([repr(times[index])] if times else [])]
            lines.append(",".join(row))
    return "\n".join([*lines, ""])


def _label(one: Recording) -> str:
    """The label as one word without separators."""
    return "_".join(one.label.replace(",", " ").replace(";", " ").replace("#", " ").split()) or "1"


def _capture(trace: Trace, format: str) -> bytes:
    try:
        import dpkt
    except ImportError:
        raise InputError("writing a capture needs dpkt", hint=install_command("traces")) from None
    frames: list[tuple[float, bytes]] = []
    for stream, one in enumerate(trace.recordings, 1):
        times_s = np.arange(len(one.received)) * (one.interval_s or _INTERVAL_S)
        for number in np.flatnonzero(one.received).tolist():
            clock = int(times_s[number] * _RTP_CLOCK_HZ) & 0xFFFFFFFF
            rtp = struct.pack(">BBHII", 0x80, 96, number & 0xFFFF, clock, stream)
            udp = dpkt.udp.UDP(sport=5004, dport=5004, data=rtp)
            udp.ulen = len(udp)
            packet = dpkt.ip.IP(src=bytes([192, 0, 2, 1]), dst=bytes([192, 0, 2, 2]), p=17, ttl=64, data=udp)
            packet.len = len(packet)
            frames.append((float(times_s[number]), bytes(packet)))
    file = io.BytesIO()
    kind = dpkt.pcapng.Writer if format == "pcapng" else dpkt.pcap.Writer
    writer = kind(file, linktype=dpkt.pcap.DLT_RAW)
    for time_s, frame in sorted(frames, key=lambda one: one[0]):
        writer.writepkt(frame, ts=time_s)
    return file.getvalue()


def default_format(path: Path) -> str:
    """The format that a file's name suggests.

    Args:
        path: The file to write.

    Returns:
        ``text``, ``csv``, …; empty where the name suggests none.

    >>> default_format(Path("lost.csv"))
    'csv'
    """
    known = {".txt": "text", ".csv": "csv", ".g192": "g192", ".pcap": "pcap", ".pcapng": "pcapng"}
    return known.get(path.suffix.lower(), "")
