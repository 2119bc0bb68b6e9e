"""The channel-progressive codec: a learned latent in packets of whole channels, decoded from those that arrive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.latent_spans import LatentSpan, greedy_spans, split_to_fit
from netcodecs.common.rate import TOO_FAR, refuse_bpp
from netcodecs.common.stream_header import StreamHeader, read_header, write_header
from netcodecs.needs import need_packages
from netcodecs.progressive.methods import shipped_weights
from netcodecs.progressive.packets import (
    MAX_PACKET_BYTES,
    read_span,
    room_bits,
    span_bytes,
    usable_packets,
    write_span,
)
from netcodecs.progressive.rate_control import CodecNetworks, EncodedLatent, encode_near, nearest_quality
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.digests import file_sha256
from netsim.distribution import install_command
from netsim.errors import InputError, NotInstalledError

if TYPE_CHECKING:  # torch is loaded with the first image
    from netcodecs.progressive.backbone import Backbone

__all__ = ["ChannelProgressive", "ProgressiveSettings"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

QUALITIES = (0.0, 4.0)  # of the weights that ship
ONE_QUALITY = (1.0, 1.0)  # of a checkpoint that was trained for one rate


class ProgressiveSettings(CodecSettings):
    """Settings of the family.

    Attributes:
        weights: A file from ``netcodecs.training.export``, or CompressAI's checkpoint of mbt2018-mean; those that ship
            if None.
        effort: Of the encoder's search for a better latent (``netcodecs.progressive.search``): 0 none, 1 and 2 some
            3 and 4 % less loss for a hundred and three hundred gradient steps. The decoder is the same. Where the
            device multiplies bfloat16, the search does, too.
        device: Where the networks run (``cpu``, ``cuda``); what is range-coded does not depend on it.
    """

    weights: Path | None = None
    effort: Literal[0, 1, 2] = 0
    device: Literal["cpu", "cuda"] = "cpu"


class ChannelProgressive(Codec):
    """A method of paper 1 as a codec; subclasses name it. One set of weights for all rates between its outermost λ.

    What SCR and MCA do to a packet or an image follows from the weights: their file says which method they are of.
    """

    Settings = ProgressiveSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": float, "bpp": float}
    point_limits: ClassVar[Mapping[str, tuple[float, float]]] = {"quality": QUALITIES}
    hidden_settings: ClassVar[tuple[str, ...]] = ("device",)
    settings: ProgressiveSettings

    def __init__(self, settings: CodecSettings | None = None) -> None:
        super().__init__(settings)
        need_packages(self.name)
        if not self._weights.is_file():
            hint = f"{install_command('weights')}, name a file with `weights:`, or train them: docs/how-to/training.md"
            raise NotInstalledError(f"{self.name}: no weights at {self._weights}", hint=hint)

    @property
    def method(self) -> str:
        """Which of ``netcodecs.progressive.methods`` the weights must be of."""
        return self.name

    @property
    def _weights(self) -> Path:
        return shipped_weights(self.method) if self.settings.weights is None else self.settings.weights.expanduser()

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        made = {
            "format": 4,
            "reconstruction": 3,  # counts changes that move a sample by a level
            "weights": file_sha256(self._weights),
            "torch": version("torch"),
            "compressai": version("compressai"),
        }
        if self.settings.effort:
            from netcodecs.common.devices import search_arithmetic

            made["search"] = search_arithmetic(self.settings.device)
        return made

    @property
    def uses_gpu(self) -> bool:
        """See ``Codec.uses_gpu``."""
        return self.settings.device != "cpu"

    @property
    def parameters(self) -> int:
        """Trained parameters of the network, gains (which fold away) not counted."""
        return self._networks.transforms.parameters

    @property
    def remark(self) -> str:
        """See ``Codec.remark``: says so if the weights are without a step of the method's own training."""
        from netcodecs.weight_files import read_weights

        if self._weights.suffix != ".safetensors" or read_weights(self._weights)[1].get("steps") != 0:
            return ""
        return (
            f"{self.label} is not trained yet: its weights are the baseline's, with the method's modules at their"
            " initial values. Its results say nothing about the trained method."
        )

    def for_timing(self) -> ChannelProgressive:
        """See ``Codec.for_timing``: the networks are shared, they remember no image."""
        other = type(self)(self.settings)
        other.__dict__.update(_networks=self._networks, fingerprint=self.fingerprint)
        return other

    @cached_property
    def _networks(self) -> CodecNetworks:
        try:
            from netcodecs.common.devices import check_device
            from netcodecs.progressive.transforms import Transforms
            from netcodecs.progressive.weights import load_weights
            from netcodecs.transforms.latent_coder import LatentCoder
            from netcodecs.transforms.latent_context import LatentContext
        except ModuleNotFoundError as error:
            raise InputError(f"{self.name} needs {error.name}", hint=install_command("learned")) from None
        backbone, method = load_weights(self._weights)
        if method.name != self.method:
            raise InputError(f"{self._weights.name} holds weights of {method.name}, not of {self.method}")
        self._complete(backbone)
        check_device(self.settings.device)
        qualities = (0.0, len(backbone.lambdas) - 1.0) if len(backbone.lambdas) > 1 else ONE_QUALITY
        # SCR mixes channels: beside a symbol lie those of others
        context = LatentContext(len(backbone.context.bias)) if backbone.scr else backbone.context
        coder = LatentCoder(context, backbone.symbol_counts.numpy())
        return CodecNetworks(Transforms(backbone, self.settings.device), coder, qualities)

    def _complete(self, backbone: Backbone) -> None:
        """Adds to the network what its weights file does not hold; nothing, unless a subclass does."""

    def _check(self, operating_point: OperatingPoint) -> None:
        if operating_point.key not in self.operating_point_keys:
            raise InputError(
                f"{self.name} has no operating point `{operating_point.key}`", hint="give `quality` or `bpp`"
            )
        if operating_point.key == "bpp":
            refuse_bpp(operating_point.value)
            return
        low, high = self._networks.qualities
        if not low <= operating_point.value <= high:
            hint = f"between {low:g} and {high:g}" if low < high else f"weights of one rate have quality {low:g} only"
            raise InputError(f"{self.name}: quality {operating_point.value:g}", hint=hint)

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating points: ``quality`` 0…4 (λ .0005, .0018, .0035, .0067 and .013 at 0, 1, …,
        log-linear between), or ``bpp`` of all that is sent: the nearest that the weights' range of rates holds.

        Packets have at most 900 bytes, or ``packet_limit_bytes`` if that is less.
        """
        limit = min(MAX_PACKET_BYTES, packet_limit_bytes or MAX_PACKET_BYTES)
        self._check(operating_point)
        networks = self._networks
        effort = self.settings.effort
        if operating_point.key == "quality":
            quality = nearest_quality(operating_point.value)
            latent = None if effort else networks.transforms.analyse(image)
            coded = networks.searched(image, quality, effort) if latent is None else networks.encode(latent, quality)
        else:
            target_bytes = operating_point.value * image.shape[0] * image.shape[1] / 8
            coded = self._for_bytes(image, target_bytes, limit)
        packets = self._packets(coded, (image.shape[0], image.shape[1]), limit)
        made_by = {"tool": f"netcodecs {self.method}", **self.fingerprint, "quality": coded.quality}
        return Stream(packets, (image.shape[0], image.shape[1]), operating_point, made_by)

    def _for_bytes(self, image: Image, target_bytes: float, limit: int) -> EncodedLatent:
        """The image at the quality whose packets come nearest to a number of bytes.

        A search for a better latent takes fewer bytes at the same quality: how many fewer is found at the quality that
        would do without, and the second search is at the one that does with.
        """
        networks, effort = self._networks, self.settings.effort
        latent = networks.transforms.analyse(image)
        coded, least = encode_near(networks, latent, target_bytes, limit)
        if least > TOO_FAR:
            hint = f"the smallest stream has {least:.3g} times as many bytes"
            raise InputError(f"{self.name}: {target_bytes:.0f} bytes can't be reached", hint=hint)
        if not effort:
            return coded
        searched = networks.searched(image, coded.quality, effort)
        saved = coded.estimated_bytes(limit, networks.group) / searched.estimated_bytes(limit, networks.group)
        quality = encode_near(networks, latent, target_bytes * saved, limit)[0].quality
        return searched if quality == searched.quality else networks.searched(image, quality, effort)

    def _packets(self, coded: EncodedLatent, size: tuple[int, int], limit: int) -> tuple[Packet, ...]:
        networks, rows = self._networks, coded.symbols.shape[1]
        hyper = networks.transforms.hyper_coder.encode(coded.hyper_symbols, coded.quality)
        header = write_header(StreamHeader(*size, coded.quality, hyper), limit)

        def encode(span: LatentSpan) -> bytes:
            return networks.latent_coder.encode(coded.symbols[span.region], coded.indexes[span.region], span.first)

        spans = split_to_fit(
            greedy_spans(coded.channel_bits, rows, room_bits(limit), networks.group),
            encode,
            lambda span, code: span_bytes(span, rows, code),
            limit,
            networks.group,
        )
        payloads = [write_span(s, rows, code, header[0], place) for place, (s, code) in enumerate(spans, len(header))]
        return (*(Packet(payload, protected=True) for payload in header), *map(Packet, payloads))

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """All that were received and are undamaged, if the protected ones (first in the stream) are among them."""
        headers, intact = usable_packets([packet.payload for packet in stream.packets])
        if not headers:
            return np.zeros_like(received)
        return received & intact & received[..., :headers].all(axis=-1, keepdims=True)

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``. Each packet is decoded once for any number of masks; a damaged one counts as lost.

        Raises InputError if a protected packet is damaged or missing.
        """
        payloads = [packet.payload for packet in stream.packets]
        headers, intact = usable_packets(payloads)
        if not headers or not masks[:, :headers].all():
            raise InputError(f"{self.name}: a protected packet is damaged or missing")
        header = read_header(payloads[:headers])
        low, high = self._networks.qualities
        if not low <= header.quality <= high:
            raise InputError(f"{self.name}: damaged payload (quality {header.quality:g} of {low:g} to {high:g})")
        used, which = np.unique(masks & intact, axis=0, return_inverse=True)
        means, spans = self._decoded(header, payloads, headers, used.any(axis=0))
        latents = np.zeros((len(used), *means.shape), np.float32)
        present = np.zeros(latents.shape, bool)
        for latent, here, mask in zip(latents, present, used, strict=True):
            arrived = [spans[place] for place in np.flatnonzero(mask[headers:]) + headers]
            for span, symbols in arrived:
                latent[span.region], here[span.region] = symbols + means[span.region], True
            self._fill(latent, arrived, means)
        shown = self._networks.transforms.synthesise(
            latents, present, header.quality, header.height, header.width, means
        )
        return shown[which.reshape(-1)]

    def _fill(self, latent: NDArray[np.float32], arrived: Sequence[tuple[LatentSpan, Ints]], means: Floats) -> None:
        """Puts something in place of what did not arrive; zero, which is there already, unless a subclass does."""

    def _decoded(
        self, header: StreamHeader, payloads: Sequence[bytes], headers: int, wanted: BoolArray
    ) -> tuple[Floats, dict[int, tuple[LatentSpan, Ints]]]:
        """Means of the latent, and the symbols of each wanted packet with their place in it."""
        from netcodecs.progressive.transforms import STRIDE

        networks = self._networks
        rows, columns = -(-header.height // STRIDE), -(-header.width // STRIDE)
        hyper_symbols = networks.transforms.hyper_coder.decode(header.hyperprior, rows, columns, header.quality)
        indexes, means = networks.transforms.entropy_parameters(hyper_symbols)
        spans = {}
        for place in np.flatnonzero(wanted[headers:]) + headers:
            span, coded = read_span(payloads[place], indexes.shape[1])
            spans[int(place)] = (span, networks.latent_coder.decode(coded, indexes[span.region], span.first))
        return means, spans
