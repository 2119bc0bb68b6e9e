"""Traces: recorded losses, and rates of links, from and to files."""

from netsim.channels.traces.model import FORMATS, LOSS_FORMATS, Recording, Trace, TraceOptions
from netsim.channels.traces.rate import RateTrace, read_rate_trace
from netsim.channels.traces.read import read_trace
from netsim.channels.traces.write import WRITABLE, trace_bytes

__all__ = [
    "FORMATS",
    "LOSS_FORMATS",
    "WRITABLE",
    "RateTrace",
    "Recording",
    "Trace",
    "TraceOptions",
    "read_rate_trace",
    "read_trace",
    "trace_bytes",
]
