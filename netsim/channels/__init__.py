"""What happens to a packet: loss channels, the papers' presets, and closed forms of all of them.

The module itself is a read-only mapping from names to channels:

>>> from netsim import channels
>>> channels["EP4"]
<Channel EP4: loss 13.8 %, mean burst 1.69, 3 states>
>>> "EP4" in channels, list(channels)[:2]
(True, ['uniform-5', 'uniform-10'])
"""

import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.chains import bernoulli, burst, gilbert_elliott, three_state
from netsim.channels.markov import MarkovChannel
from netsim.channels.presets import VARIANTS, preset, preset_names, preset_variants, published
from netsim.channels.spec import channel_from_spec, expand_range, known_names
from netsim.channels.switching import SwitchingChannel
from netsim.channels.trace import TraceChannel, trace_channel
from netsim.channels.traces import TraceOptions, read_trace

__all__ = [
    "VARIANTS",
    "Channel",
    "MarkovChannel",
    "SwitchingChannel",
    "TraceChannel",
    "TraceOptions",
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


class _Channels(ModuleType):
    """The module as a mapping: presets, plug-ins and saved channels by name."""

    def __getitem__(self, spec: Any) -> Channel:
        """A channel as a scenario in the current folder writes it.

        Args:
            spec: The name of a preset, of a plug-in or of a saved channel (``netsim trace fit --save NAME``), or a
                mapping: ``channels[{"loss_rate": 0.1, "mean_burst": 4}]``.

        Raises:
            InputError: An unknown name, with the nearest known one; or values that make no valid channel.
        """
        from netsim.channels.saved import read_channel

        written, channel = read_channel(spec)
        channel.written = written
        return channel

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def keys(self) -> list[str]:
        """Names of all presets, plug-ins and saved channels."""
        from netsim.channels.saved import saved_channel_names

        names = known_names()
        return [*names, *(name for name in saved_channel_names() if name not in names)]

    def __repr__(self) -> str:
        return f"<netsim.channels: {', '.join(self.keys())}>"


sys.modules[__name__].__class__ = _Channels
