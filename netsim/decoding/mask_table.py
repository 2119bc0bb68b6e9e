"""The mask table: an image's quality under every mask of its packets. Any channel is only another weighting of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.channels.base import Channel
from netsim.channels.markov import MarkovChannel
from netsim.codec import Stream
from netsim.decoding.cache import CodecCache
from netsim.decoding.masks import at_risk_packets, mask_text, usable_masks
from netsim.decoding.streams import StreamKey
from netsim.engines.exact import ALL_MASKS_PACKETS, all_masks, distributions
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, PacketBurst
from netsim.links.profile import LinkProfile
from netsim.metrics.further import LOSSLESS_DB
from netsim.protection.base import Protection
from netsim.protection.calls import protected_stream

__all__ = [
    "ALL_IN_TIME",
    "QualityTable",
    "Timing",
    "expected_db",
    "mask_probabilities",
    "quality_table",
    "reweighted",
    "slot_probabilities",
    "table_without_quality",
]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Timing:
    """One way in which the link treats an image's packets, and in which share of the image's slots it does so.

    late, dropped: numbers of the packets sent that are late, or never sent because the queue is full, whatever the
    channel does. A late packet still crosses the channel.
    """

    late: tuple[int, ...] = ()
    dropped: tuple[int, ...] = ()
    share: float = 1.0


ALL_IN_TIME = Timing()


@dataclass(frozen=True)
class QualityTable:
    """Quality of one image under every mask of the packets that can be lost.

    at_risk: int64 [n], which of the packets sent the channel can take (the others are protected, or dropped).
    sizes_bytes: int64 [sent].
    bpp: all that is sent. usable: bool [u, data packets], the distinct usable masks; psnr_db: float64 [u], NaN where
    no image can be had. which: int64 [2**n], the usable mask of each mask, masks in ``all_masks``' order.
    """

    at_risk: NDArray[np.int64]
    sizes_bytes: NDArray[np.int64]
    bpp: float
    usable: BoolArray
    psnr_db: Floats
    which: NDArray[np.int64]

    @property
    def packets(self) -> int:
        """How many packets can be lost."""
        return len(self.at_risk)

    @property
    def masks(self) -> BoolArray:
        """Every mask of the packets at risk, bool [2**n, n]."""
        return all_masks(self.packets)

    def quality_db(self, failure_db: float) -> Floats:
        """PSNR under every mask.

        Args:
            failure_db: What counts where no image can be shown.

        Returns:
            float64 [2**n] in dB; a lossless image counts as 100 dB.
        """
        db = np.minimum(self.psnr_db, LOSSLESS_DB)
        return np.where(np.isnan(db), failure_db, db)[self.which]

    @property
    def failed(self) -> BoolArray:
        """Whether a mask gives no image, bool [2**n]."""
        return np.asarray(~self.usable.any(axis=1)[self.which])


def table_without_quality(
    cache: CodecCache, stream_key: StreamKey, protection: Protection, timing: Timing = ALL_IN_TIME, scheme: str = ""
) -> tuple[QualityTable, list[int]]:
    """The table of an image without its qualities (all NaN), and which usable masks give an image.

    Args:
        cache: Has the stream, or encodes it.
        stream_key: The stream.
        protection: What is added.
        timing: Packets that are late or dropped under every mask.
        scheme: The scheme's label, for messages; empty: made of the codec's and the protection.

    Returns:
        The table, and the places of the usable masks that give an image.

    Raises:
        InputError: More packets can be lost than have a table, or packets are sent again.
    """
    stream, codec = cache.encode(stream_key), cache.codec(stream_key)
    called = scheme or (codec.label if protection.name == "none" else f"{codec.label} under {protection.name}")
    if protection.arq is not None:
        raise InputError(
            f"{called} has no mask table",
            hint="with retransmission the time decides what arrives: the event engine samples it",
        )
    protected = protected_stream(protection, stream)
    at_risk = at_risk_packets(protected, timing.dropped)
    if len(at_risk) > ALL_MASKS_PACKETS:
        place = f"{called} at {stream_key.point} sends `{stream_key.image.name}`"
        raise InputError(
            f"{place} in {len(at_risk)} packets that can be lost: 2^{len(at_risk)} masks",
            hint=f"a mask table holds up to {ALL_MASKS_PACKETS} of them: {_fewer_packets(stream_key, stream)}",
        )
    masks = usable_masks(codec, stream, protected, at_risk, never=(*timing.late, *timing.dropped))
    table = QualityTable(
        at_risk=at_risk,
        sizes_bytes=protected.sent.sizes_bytes,
        bpp=protected.sent.bpp,
        usable=masks.usable,
        psnr_db=np.full(len(masks.usable), np.nan),
        which=masks.which,
    )
    return table, np.flatnonzero(masks.decodable).tolist()


def _fewer_packets(stream_key: StreamKey, stream: Stream) -> str:
    """The way out of too many packets."""
    asked = dict(stream_key.settings).get("packets")
    if not isinstance(asked, int):
        return "ask the codec for fewer packets"
    if int((~stream.protected).sum()) > asked:
        return "the link's packet limit makes more than the codec's `packets`; a lower rate needs fewer"
    return f"set the codec's `packets` to {ALL_MASKS_PACKETS} or less, parity included, and run again"


def quality_table(
    cache: CodecCache, stream_key: StreamKey, protection: Protection, timing: Timing = ALL_IN_TIME, scheme: str = ""
) -> QualityTable:
    """The mask table of an image; what the store does not remember is decoded now.

    Args:
        cache: Has the stream and the qualities, or makes them.
        stream_key: The stream.
        protection: What is added.
        timing: Packets that are late or dropped under every mask.
        scheme: The scheme's label, for messages; empty: made of the codec's and the protection.

    Returns:
        The table.

    Raises:
        InputError: More packets can be lost than have a table, or packets are sent again.
    """
    table, decodable = table_without_quality(cache, stream_key, protection, timing, scheme)
    texts = mask_text(table.usable[decodable])
    known = cache.qualities(stream_key, texts, ("psnr_db",))["psnr_db"]
    table.psnr_db[decodable] = [known[text] for text in texts]
    return table


def mask_probabilities(channel: MarkovChannel, packets: int) -> Floats:
    """Probability of every mask.

    The channel steps once per packet, or as often as the channel itself says (``MarkovChannel.every``).

    Args:
        channel: The channel.
        packets: How many can be lost.

    Returns:
        float64 [2**packets]; the one mask of no packets is certain.
    """
    return channel.mask_probabilities(packets) if packets else np.ones(1)


def slot_probabilities(table: QualityTable, channel: Channel, link: LinkProfile) -> Floats:
    """Probability of every mask when the image is sent alone over a link.

    The exact engine's own answer for a first slot.

    Args:
        table: The image's table.
        channel: The channel.
        link: The link.

    Returns:
        float64 [2**n]: lost, late and dropped packets alike are False in a mask.

    Raises:
        InputError: There is no closed form, or the link delays or drops a protected packet.
    """
    protected = np.ones(len(table.sizes_bytes), dtype=bool)
    protected[table.at_risk] = False
    burst = PacketBurst(tuple(table.sizes_bytes.tolist()), tuple(protected.tolist()), 0)
    (batch,) = distributions(1, lambda slot: burst, channel, link, 1.0, lambda slot: None)
    received = batch.outcome[:, table.at_risk] == DELIVERED
    if (batch.outcome[:, protected] != DELIVERED).any():
        raise InputError(
            f"link {link.name} makes a protected packet late or drops it", hint="a mask table takes them as there"
        )
    index = received @ (1 << np.arange(table.packets, dtype=np.int64))
    return np.bincount(index, batch.weight, minlength=1 << table.packets).astype(np.float64)


def expected_db(quality_db: Floats, probabilities: Floats) -> Floats:
    """Expected quality under any number of channels at once: one matrix product.

    Args:
        quality_db: float64 [images, masks].
        probabilities: float64 [channels, masks].

    Returns:
        [images, channels].

    >>> expected_db(np.array([[13.0, 30.0]]), np.array([[0.1, 0.9], [0.5, 0.5]]))
    array([[28.3, 21.5]])
    """
    return np.asarray(quality_db @ probabilities.T)


def reweighted(tables: Sequence[QualityTable], channels: Sequence[MarkovChannel], failure_db: float) -> Floats:
    """Expected quality of each table's image over each channel; nothing is decoded.

    One matrix product for all tables of equally many packets.

    Args:
        tables: One per image.
        channels: They step once per packet.
        failure_db: What counts where no image can be shown.

    Returns:
        float64 [tables, channels] in dB.
    """
    found = np.empty((len(tables), len(channels)))
    for packets in {table.packets for table in tables}:
        mine = [i for i, table in enumerate(tables) if table.packets == packets]
        quality = np.stack([tables[i].quality_db(failure_db) for i in mine])
        found[mine] = expected_db(quality, np.stack([mask_probabilities(channel, packets) for channel in channels]))
    return found
