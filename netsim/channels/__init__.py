"""What happens to a packet: loss channels, the papers' presets, and closed forms of all of them."""

from netsim.channels.base import Channel
from netsim.channels.markov import MarkovChannel, bernoulli, burst, gilbert_elliott, three_state
from netsim.channels.presets import VARIANTS, preset, preset_names, preset_variants, published
from netsim.channels.spec import channel_from_spec, expand_range
from netsim.channels.switching import SwitchingChannel
from netsim.channels.trace import TraceChannel, trace_channel
from netsim.channels.trace_file import read_trace

__all__ = [
    "VARIANTS",
    "Channel",
    "MarkovChannel",
    "SwitchingChannel",
    "TraceChannel",
    "bernoulli",
    "burst",
    "channel_from_spec",
    "expand_range",
    "gilbert_elliott",
    "preset",
    "preset_names",
    "preset_variants",
    "published",
    "read_trace",
    "three_state",
    "trace_channel",
]
