"""What ``ping`` prints, of iputils (Linux), BusyBox and BSD or macOS. A loss is one of the request or of the reply."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from netsim.channels.traces.files import check_packets, read_bytes
from netsim.channels.traces.model import Recording, Trace, TraceOptions
from netsim.channels.traces.numbers import recording_from_numbers, unwrapped
from netsim.errors import InputError

__all__ = ["looks_like", "read_ping"]

_BITS = 16  # of ICMP's sequence number
_START = re.compile(r"^PING\s+(\S+)", re.ASCII)
_REPLY = re.compile(r"\bbytes from\b.*?\b(icmp_)?seq=(\d{1,9})\b", re.ASCII)
_FAILED = re.compile(
    r"\b(?:no answer yet for|Request timeout for|From \S+(?: \(\S+\))?:?) icmp_seq[= ](\d{1,9})", re.ASCII
)
_STAMP = re.compile(r"^\[(\d+\.\d+)\]", re.ASCII)
_SUMMARY = re.compile(r"^(\d{1,12}) packets transmitted, (\d{1,12}) (?:packets )?received", re.ASCII)


def looks_like(text: str) -> bool:
    """Whether a file's first lines are ping's.

    Args:
        text: The file's first lines.

    Returns:
        True if one of them is.
    """
    return any(_START.match(line) or _REPLY.search(line) for line in text.splitlines()[:10])


class _Block:
    """The lines of one call of ping."""

    def __init__(self, label: str, number: int) -> None:
        self.label, self.line = label, number
        self.replies: list[int] = []
        self.times_s: list[float] = []
        self.failed: list[int] = []
        self.summary: tuple[int, int] | None = None
        self.from_zero = False


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
    text = read_bytes(path).decode("utf-8", "replace")
    blocks: list[_Block] = []
    for number, line in enumerate(text.splitlines(), 1):
        start = _START.match(line)
        if start or not blocks:
            blocks.append(_Block(start[1] if start else "1", number))
        _take(blocks[-1], line)
    recordings, notes = [], ["a loss of ping is one of the request or of the reply: of the round trip"]
    for block in blocks:
        if not block.replies and not block.failed and block.summary is None:
            continue
        recording, more = _recording(path, block)
        recordings.append(recording)
        notes += more
    if not recordings:
        hint = "lines `64 bytes from … icmp_seq=1 …`; flood pings (-f) and quiet ones (-q) print none"
        raise InputError(f"trace {path} holds no replies of ping", hint=hint)
    check_packets(path, sum(len(one.received) for one in recordings))
    return Trace(path, "ping", tuple(recordings), tuple(notes))


def _take(block: _Block, line: str) -> None:
    reply, failed, summary = _REPLY.search(line), _FAILED.search(line), _SUMMARY.match(line)
    if reply:
        stamp = _STAMP.match(line)
        block.replies.append(int(reply[2]))
        block.times_s.append(float(stamp[1]) if stamp else float("nan"))
        block.from_zero = block.from_zero or reply[1] is None or int(reply[2]) == 0
    elif failed:
        block.failed.append(int(failed[1]))
        block.from_zero = block.from_zero or int(failed[1]) == 0
    elif summary:
        block.summary = (int(summary[1]), int(summary[2]))


def _recording(path: Path, block: _Block) -> tuple[Recording, list[str]]:
    first = 0 if block.from_zero else 1
    where = f"{path}:{block.line}"
    numbers = unwrapped(np.array([first, *block.replies], dtype=np.int64), _BITS)[1:]
    notes = []
    if block.summary is None:
        last = max([*numbers.tolist(), *block.failed])
        notes.append(f"{block.label}: no summary line; losses after the last line are unknown")
    else:
        last = first + block.summary[0] - 1
    if last < first:
        raise InputError("ping sent no packets", where=where)
    if not len(numbers):
        check_packets(path, last - first + 1)
        return Recording(block.label, np.zeros(last - first + 1, dtype=bool)), notes
    times_s = np.array(block.times_s)
    known = times_s if np.isfinite(times_s).any() else None
    recording, more = recording_from_numbers(path, block.label, numbers, times_s=known, sent=(first, last))
    received = int(recording.received.sum())
    if block.summary is not None and received != block.summary[1]:
        message = f"the summary counts {block.summary[1]} received, the lines show {received}"
        raise InputError(message, where=where, hint="all lines of the output, from PING to the summary")
    return recording, [*notes, *more]
