"""Reads a loss trace of any format; a file that does not say what it holds is shown, with the flag to give."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from netsim.channels.traces import capture, g192, ping, rate
from netsim.channels.traces.files import head_bytes, shown_head
from netsim.channels.traces.frames import PCAP_MAGICS, PCAPNG_MAGIC
from netsim.channels.traces.irtt import read_irtt
from netsim.channels.traces.model import LOSS_FORMATS, Trace, TraceOptions
from netsim.channels.traces.text import read_text
from netsim.errors import InputError

__all__ = ["read_trace", "recognised_format"]

_READERS: dict[str, Callable[[Path, TraceOptions], Trace]] = {
    "text": read_text,
    "csv": read_text,
    "g192": g192.read_g192,
    "g192-byte": g192.read_g192,
    "g192-compact": g192.read_g192,
    "pcap": capture.read_capture,
    "ping": ping.read_ping,
    "irtt": read_irtt,
}
_NEEDS = {"rtp": "pcap", "udp_number": "pcap", "port": "pcap", "direction": "irtt", "columns": "csv"}
"""Options that only one format has."""


def read_trace(path: Path, options: TraceOptions | None = None) -> Trace:
    """Read a loss trace.

    Args:
        path: The file.
        options: What the file does not say about itself.

    Returns:
        The trace; True = received.

    Raises:
        InputError: The file can't be read, does not say what it holds (the message shows its first lines and the flag
            to give), or an option does not fit its format.

    >>> read_trace(Path("no such file"))
    Traceback (most recent call last):
    netsim.errors.InputError: cannot read trace no such file: No such file or directory
      a file of 0s and 1s, or another format of traces
    """
    path, options = Path(path), options or TraceOptions()
    format = options.format or recognised_format(path, options)
    if format == "mahimahi":
        hint = "it is the rate of a link, not a channel: `link: {mobile: {rate_trace: FILE}}`"
        raise InputError(f"trace {path} holds no losses", hint=hint, key=("format",))
    for key, needed in _NEEDS.items():
        if getattr(options, key) and format != needed and not (needed == "csv" and format == "text"):
            message = f"`{key}` is an option of {needed}, and {path} is {format}"
            raise InputError(message, hint=f"{format}: {LOSS_FORMATS[format]}", key=(key,))
    return _READERS[format](path, replace(options, format=format))


def recognised_format(path: Path, options: TraceOptions | None = None) -> str:
    """The format of a file by its first bytes.

    Args:
        path: The file.
        options: ``columns`` makes any text a table.

    Returns:
        A format's name.

    Raises:
        InputError: The file can't be read, or its beginning is that of no format.
    """
    head = head_bytes(path)
    if head[:4] in (*PCAP_MAGICS, PCAPNG_MAGIC):
        return "pcap"
    pattern = g192.looks_like(head)
    if pattern:
        return pattern
    text = head.decode("utf-8-sig", "replace")
    if options is not None and options.columns:
        return "csv"
    if text.lstrip().startswith("{"):
        return "irtt"
    if ping.looks_like(text):
        return "ping"
    if rate.looks_like(text):
        hint = f"{shown_head(head)}\nnumbers of packets: --columns seq; a Mahimahi trace: --format mahimahi"
        raise InputError(f"trace {path} does not say what its numbers are", hint=hint)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if (
        first.startswith("#")
        or not first
        or set(first.split()[-1]) <= {"0", "1"}
        or any(sign in first for sign in ",;\t")
    ):
        return "text"
    hint = f"{shown_head(head)}\na table: --columns; else --format: {', '.join(LOSS_FORMATS)}"
    raise InputError(f"trace {path} is of no known format", hint=hint)
