"""``mbt-mean``: mbt2018-mean in packets of whole channels, decoded from whichever arrived (paper 1's baseline)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.rate import TOO_FAR, refuse_bpp
from netcodecs.progressive.packets import (
    MAX_PACKET_BYTES,
    QUALITY_STEP,
    Head,
    Piece,
    cut_head,
    first_pieces,
    fitting,
    read_head,
    read_piece,
    sound,
    write_piece,
)
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.errors import InputError

if TYPE_CHECKING:  # torch is loaded with the first picture
    from torch import Tensor

    from netcodecs.progressive.entropy import Tables
    from netcodecs.progressive.transforms import Transforms

__all__ = ["MbtMean", "MbtMeanSettings"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHIPPED = Path(__file__).parents[1] / "weights" / "mbt-mean.safetensors"
QUALITIES = (1.0, 3.0)
RATE_TOLERANCE = 0.002
RATE_STEPS = 6


class MbtMeanSettings(CodecSettings):
    """weights: a safetensors file from ``netcodecs.training.export``; those that ship if None.
    lost: what stands in place of a lost channel: zero (the papers'), or the mean that the hyperprior expects.
    """

    weights: Path | None = None
    lost: Literal["zero", "mean"] = "zero"


@dataclass(frozen=True)
class _Coded:
    """A latent at one quality, ready for packets: everything that costs bits. latent arrays are (M, h, w)."""

    quality: float
    hyper_symbols: Ints
    symbols: Ints
    indexes: Ints
    channel_bits: Floats
    hyper_bits: float

    def bytes_about(self, limit_bytes: int) -> float:
        """What the packets will have in all."""
        pieces = len(first_pieces(self.channel_bits, self.symbols.shape[1], limit_bytes))
        return float(self.channel_bits.sum() + self.hyper_bits) / 8 + 12 * pieces + 17


@dataclass(frozen=True)
class _Networks:
    """What the weights make: transforms and tables."""

    transforms: Transforms
    latent_tables: Tables
    hyper_tables: Tables

    def coded(self, latent: Tensor, quality: float) -> _Coded:
        from netcodecs.progressive.entropy import scale_indexes

        gained, hyper_symbols = self.transforms.at_quality(latent, quality)
        scales, means = self.transforms.entropy_parameters(hyper_symbols)
        symbols, indexes = np.rint(gained - means).astype(np.int64), scale_indexes(scales)
        bits = self.latent_tables.bits(symbols, indexes).sum(axis=(1, 2))
        hyper_bits = float(self.hyper_tables.bits(hyper_symbols, _own_table(hyper_symbols.shape)).sum())
        return _Coded(quality, hyper_symbols, symbols, indexes, bits, hyper_bits)


def _own_table(shape: tuple[int, ...]) -> Ints:
    """Index of the table of each hyperprior symbol: its channel's own."""
    return np.broadcast_to(np.arange(shape[0])[:, None, None], shape)


class MbtMean(Codec):
    """mbt2018-mean with gains: one set of weights for all rates between its outermost λ."""

    name = "mbt-mean"
    summary = "learned (mbt2018-mean): protected hyperprior, latent channels in packets that decode on their own"
    Settings = MbtMeanSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": float, "bpp": float}
    settings: MbtMeanSettings

    def __init__(self, settings: CodecSettings | None = None) -> None:
        super().__init__(settings)
        if not self._weights.is_file():
            hint = "train and export them (docs/training.md), or name a file with `weights:`"
            raise InputError(f"mbt-mean: no weights at {self._weights}", hint=hint)

    @property
    def _weights(self) -> Path:
        return SHIPPED if self.settings.weights is None else self.settings.weights.expanduser()

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        return {
            "format": 1,
            "weights": hashlib.sha256(self._weights.read_bytes()).hexdigest(),
            "torch": version("torch"),
            "compressai": version("compressai"),
        }

    @cached_property
    def _networks(self) -> _Networks:
        try:
            from netcodecs.progressive.backbone import load_backbone
            from netcodecs.progressive.entropy import bottleneck_tables, gaussian_tables
            from netcodecs.progressive.transforms import Transforms
        except ModuleNotFoundError as error:
            raise InputError(f"mbt-mean needs {error.name}", hint="install netsim[learned]") from None
        backbone = load_backbone(self._weights)
        return _Networks(Transforms(backbone), gaussian_tables(), bottleneck_tables(backbone.model.entropy_bottleneck))

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating points: ``quality`` 1…3 (λ .0018, .0035 and .0067 at 1, 2 and 3, log-linear
        between), or ``bpp`` of all that is sent: the nearest that the weights' range of rates holds.

        Packets have at most 900 bytes, or ``packet_limit_bytes`` if that is less.
        """
        limit = min(MAX_PACKET_BYTES, packet_limit_bytes or MAX_PACKET_BYTES)
        if operating_point.key not in self.operating_point_keys:
            raise InputError(f"mbt-mean has no operating point `{operating_point.key}`", hint="give `quality` or `bpp`")
        low, high = QUALITIES
        if operating_point.key == "quality" and not low <= operating_point.value <= high:
            raise InputError(f"mbt-mean: quality {operating_point.value:g}", hint=f"between {low:g} and {high:g}")
        if operating_point.key == "bpp":
            refuse_bpp(operating_point.value)
        networks = self._networks
        latent = networks.transforms.analyse(image)
        if operating_point.key == "quality":
            coded = networks.coded(latent, _in_steps(operating_point.value))
        else:
            coded = _near(networks, latent, operating_point.value * image.shape[0] * image.shape[1] / 8, limit)
        packets = self._packets(coded, (image.shape[0], image.shape[1]), limit)
        made_by = {"tool": "netcodecs mbt-mean", **self.fingerprint, "quality": coded.quality}
        return Stream(packets, (image.shape[0], image.shape[1]), operating_point, made_by)

    def _packets(self, coded: _Coded, size: tuple[int, int], limit: int) -> tuple[Packet, ...]:
        networks, rows = self._networks, coded.symbols.shape[1]
        hyper = networks.hyper_tables.encode(coded.hyper_symbols, _own_table(coded.hyper_symbols.shape))
        head = cut_head(Head(*size, coded.quality, hyper), limit)

        def code(piece: Piece) -> bytes:
            return networks.latent_tables.encode(coded.symbols[piece.region], coded.indexes[piece.region])

        pieces = fitting(first_pieces(coded.channel_bits, rows, limit), rows, code, limit)
        payloads = [write_piece(p, rows, c, head[0], place) for place, (p, c) in enumerate(pieces, len(head))]
        return (*(Packet(payload, protected=True) for payload in head), *map(Packet, payloads))

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """All that were received and are undamaged, if the protected ones (first in the stream) are among them."""
        heads, intact = sound([packet.payload for packet in stream.packets])
        if not heads or not intact[:heads].all():
            return np.zeros_like(received)
        return received & intact & received[..., :heads].all(axis=-1, keepdims=True)

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``. Each packet is decoded once, whatever the number of masks; a damaged one counts as
        lost. Raises InputError if a protected one is damaged or missing."""
        payloads = [packet.payload for packet in stream.packets]
        heads, intact = sound(payloads)
        if not heads or len(payloads) < heads or not intact[:heads].all() or not masks[:, :heads].all():
            raise InputError("mbt-mean: a protected packet is damaged or missing")
        head = read_head(payloads[:heads])
        used, which = np.unique(masks & intact, axis=0, return_inverse=True)
        means, pieces = self._decoded(head, payloads, heads, used.any(axis=0))
        transforms = self._networks.transforms
        latents = np.empty((len(used), *means.shape), np.float32)
        latents[:] = means if self.settings.lost == "mean" else 0
        for latent, mask in zip(latents, used, strict=True):
            for place, (region, symbols) in pieces.items():
                if mask[place]:
                    latent[region] = symbols + means[region]
        return transforms.synthesise(latents, head.quality, head.height, head.width)[which.reshape(-1)]

    def _decoded(
        self, head: Head, payloads: Sequence[bytes], heads: int, wanted: BoolArray
    ) -> tuple[Floats, dict[int, tuple[tuple[slice, slice], Ints]]]:
        """Means of the latent, and the symbols of each wanted packet with their region."""
        from netcodecs.progressive.entropy import scale_indexes
        from netcodecs.progressive.transforms import STRIDE

        networks = self._networks
        shape = (len(networks.hyper_tables.offsets), -(-head.height // STRIDE), -(-head.width // STRIDE))
        hyper_symbols = networks.hyper_tables.decode(head.hyperprior, _own_table(shape))
        scales, means = networks.transforms.entropy_parameters(hyper_symbols)
        indexes = scale_indexes(scales)
        pieces = {}
        for place in np.flatnonzero(wanted[heads:]) + heads:
            piece, coded = read_piece(payloads[place], indexes.shape[1])
            pieces[int(place)] = (piece.region, networks.latent_tables.decode(coded, indexes[piece.region]))
        return means, pieces


def _in_steps(quality: float) -> float:
    """The quality that the head can say."""
    return round((quality - 1) / QUALITY_STEP) * QUALITY_STEP + 1


def _near(networks: _Networks, latent: Tensor, target_bytes: float, limit: int) -> _Coded:
    """The latent at the quality whose packets come nearest to the target: false position, entropies only.

    Raises InputError if the lowest quality is more than 10 % above.
    """
    low, high = QUALITIES
    known: dict[float, tuple[float, _Coded]] = {}

    def off(quality: float) -> float:  # natural log of the rate over the target
        coded = networks.coded(latent, quality)
        known[quality] = (math.log(coded.bytes_about(limit) / target_bytes), coded)
        return known[quality][0]

    least, most = off(low), off(high)
    if least > math.log(TOO_FAR):
        hint = f"the smallest stream has {math.exp(least):.3g} times as many bytes"
        raise InputError(f"mbt-mean: {target_bytes:.0f} bytes can't be reached", hint=hint)
    while len(known) < RATE_STEPS and least < 0 < most and min(abs(o) for o, _ in known.values()) > RATE_TOLERANCE:
        middle = _in_steps(low + (high - low) * least / (least - most))
        if middle in known:
            break
        middle_off = off(middle)
        low, least, high, most = (
            (low, least, middle, middle_off) if middle_off > 0 else (middle, middle_off, high, most)
        )
    return min(known.values(), key=lambda pair: abs(pair[0]))[1]
