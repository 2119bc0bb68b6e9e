"""What ``ping`` prints, of iputils (Linux), BusyBox and BSD or macOS. A loss is one of the request or of the reply."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from netsim.channels.traces.files import check_packets, check_recordings, read_bytes, read_lines
from netsim.channels.traces.model import Recording, Trace, TraceOptions
from netsim.channels.traces.numbers import recording_from_numbers, unwrapped
from netsim.errors import InputError

__all__ = ["looks_like", "read_ping"]

_BITS = 16  # of ICMP's sequence number
_START = re.compile(r"^PING6?(?:\s+|\()(\S+)", re.ASCII)
_FROM_ZERO = re.compile(r"^PING(?:6\(| \S+ \(\S+\): \d+ data bytes)", re.ASCII)  # of BSD, macOS, BusyBox, inetutils
_HOST6 = re.compile(r"--> (\S+)", re.ASCII)
_REPLY = re.compile(r"\bbytes from\b.*?\b(?:icmp_)?seq=(\d{1,9})\b", re.ASCII)
_FAILED = re.compile(
    r"\b(?:no answer yet for|Request timeout for|From \S+(?: \(\S+\))?:?) icmp_seq[= ](\d{1,9})", re.ASCII
)
_STAMP = re.compile(r"^\[(\d+\.\d+)\]", re.ASCII)
_SUMMARY = re.compile(r"^(\d{1,12}) packets transmitted, (\d{1,12}) (packets )?received", re.ASCII)


def looks_like(text: str) -> bool:
    """Whether a file's first lines are ping's.

    Args:
        text: The file's first lines.

    Returns:
        True if one of them is.
    """
    return any(_START.match(line) or _REPLY.search(line) for line in text.splitlines()[:10])


class _Block:
    """The lines of one call of ping.

    Attributes:
        label: The host.
        line: Number of the first line.
        seen: Numbers of the lines that have one, in their order.
        replied: Whether each of these lines is a reply.
        times_s: When each of these lines was printed; NaN where it does not say.
        summary: Packets sent and received, as the last line counts them.
        first: The first packet's number; None: the lines do not say.
    """

    def __init__(self, label: str, number: int, first: int | None) -> None:
        self.label, self.line, self.first = label, number, first
        self.seen: list[int] = []
        self.replied: list[bool] = []
        self.times_s: list[float] = []
        self.summary: tuple[int, int] | None = None


def read_ping(path: Path, options: TraceOptions) -> Trace:
    """One recording per call of ping in a file.

    Numbers without a reply are losses. The summary says how many were sent; without it (a ping that was killed)
    losses after the last reply are unknown.

    Args:
        path: The saved output.
        options: None count.

    Returns:
        The trace; labels are the hosts.

    Raises:
        InputError: No replies and no summary, or the summary disagrees with the lines.
    """
    blocks: list[_Block] = []
    for number, line in enumerate(read_lines(read_bytes(path), "replace"), 1):
        start = _START.match(line)
        if start or not blocks:
            first = None if not start else 0 if _FROM_ZERO.match(line) else 1
            host = _HOST6.search(line) if start else None
            blocks.append(_Block(host[1] if host else start[1] if start else "1", number, first))
            check_recordings(path, len(blocks))
        _take(blocks[-1], line)
    recordings, notes = [], ["a loss of ping is one of the request or of the reply: of the round trip"]
    for block in blocks:
        if not block.seen and block.summary is None:
            continue
        recording, more = _recording(path, block)
        recordings.append(recording)
        notes += more
    if not recordings:
        hint = "lines `64 bytes from … icmp_seq=1 …` in English (LC_ALL=C); floods (-f) and quiet pings (-q) print none"
        raise InputError(f"trace {path} holds no replies of ping", hint=hint)
    check_packets(path, sum(len(one.received) for one in recordings))
    return Trace(path, "ping", tuple(recordings), tuple(notes))


def _take(block: _Block, line: str) -> None:
    reply, failed, summary = _REPLY.search(line), _FAILED.search(line), _SUMMARY.match(line)
    if found := reply or failed:
        stamp = _STAMP.match(line)
        block.seen.append(int(found[1]))
        block.replied.append(reply is not None)
        block.times_s.append(float(stamp[1]) if stamp else float("nan"))
    elif summary:
        block.summary = (int(summary[1]), int(summary[2]))
        if block.first is None:
            block.first = 0 if summary[3] else 1


def _recording(path: Path, block: _Block) -> tuple[Recording, list[str]]:
    where = f"{path}:{block.line}"
    notes: list[str] = []
    more: list[str] = []
    replied = np.array(block.replied, dtype=bool)
    if block.first is None:  # no PING line, no summary
        numbers = unwrapped(np.array(block.seen, dtype=np.int64), _BITS)
        first = int(numbers.min())
        notes.append(f"{block.label}: no PING line; losses before the first line are unknown")
    else:
        first = block.first
        numbers = unwrapped(np.array([first, *block.seen], dtype=np.int64), _BITS)[1:]
        if len(numbers) and numbers.min() == 0:
            first = 0
    if block.summary is None:
        last = int(numbers.max())
        notes.append(f"{block.label}: no summary line; losses after the last line are unknown")
    else:
        last = first + block.summary[0] - 1
    if last < first:
        raise InputError("ping sent no packets", where=where)
    if not replied.any():
        check_packets(path, last - first + 1)
        recording = Recording(block.label, np.zeros(last - first + 1, dtype=bool))
    else:
        times_s = np.array(block.times_s)[replied]
        known = times_s if np.isfinite(times_s).any() else None
        sent = (first, last)
        recording, more = recording_from_numbers(path, block.label, numbers[replied], times_s=known, sent=sent)
    received = int(recording.received.sum())
    if block.summary is not None and received != block.summary[1]:
        message = f"the summary counts {block.summary[1]} received, the lines show {received}"
        hint = "all lines of the output, from PING to the summary, in English (LC_ALL=C); not of `ping -q` or `ping -f`"
        raise InputError(message, where=where, hint=hint)
    return recording, [*notes, *more]
