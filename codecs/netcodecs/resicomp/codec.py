"""ResiComp as a codec: each slice is a packet that decodes from its own bytes and those of its contexts."""

from __future__ import annotations

import csv
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_serializer

from netcodecs.common.rate import refuse_bpp
from netcodecs.common.shipped import shipped_weights
from netcodecs.needs import need_packages
from netcodecs.resicomp.modes import context_matrix, usable
from netcodecs.resicomp.packets import (
    BETA_STEP,
    QUALITY_STEP,
    ResiCompHeader,
    read_header,
    read_slice,
    verify_checksums,
    write_header,
    write_slice,
)
from netcodecs.resicomp.rate_control import (
    EncodedSlices,
    SliceEncoder,
    SliceLayout,
    layout_of,
    nearest_quality,
    predicted_slices,
)
from netcodecs.resicomp.slice_cache import SliceCache
from netcodecs.resicomp.slices import slice_sizes
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.digests import file_sha256
from netsim.distribution import install_command
from netsim.errors import InputError, NotInstalledError

if TYPE_CHECKING:  # torch is loaded with the first image
    from netcodecs.resicomp.densities import TokenDensities
    from netcodecs.resicomp.networks import Networks

__all__ = ["ResiComp", "ResiCompSettings", "usual_beta"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]

SLICES = 10
BETA = 2.2  # the authors' release, for every mode
MOST_SLICES = 4096
_ROWS = re.compile(r"[01]+(/[01]+)*")
_CACHED_STREAMS = 4
_PACKET_BYTES = 5  # checksum, and what the range coder adds


class ResiCompSettings(CodecSettings):
    """Settings of ResiComp.

    Attributes:
        mode: ``LC``, ``TwoLoop``, ``MDC-2`` … ``MDC-5``, ``LMDC``, ``SLC``, ``ISC``, or a context matrix: rows of 0 and
            1, also as a text (``000/100/110``).
        slices: Number of slices, each a packet; 10 if None, or the number of rows of a matrix.
        beta: Exponent of Eq. 10, a multiple of .05; the mode's own if None.
        conceal: What replaces lost tokens: the estimate of the Transformer's second head (``plc``), the ``mean`` of the
            mixtures, or ``zero``.
        weights: A file of ``netcodecs.training.export``; the one that ships if None.
        device: Where the networks run (``cpu``, ``cuda``); what is range-coded does not depend on it.
        arithmetic: Of concealment and synthesis. ``bfloat16`` changes no byte of a stream, and an image's PSNR by some
            .001 dB; processors with AVX-512 BF16 or AMX then decode a mask in two thirds of the time. Others, which
            would take several times as long, compute in float32 all the same.
        effort: Of the encoder's search for a better latent (``netcodecs.resicomp.search``): 0 none, 1 and 2 some tens
            of seconds and minutes per image. The decoder is the same. Where the device multiplies bfloat16, the search
            does, too.
    """

    mode: Any = "LC"
    slices: int | None = Field(default=None, ge=1, le=MOST_SLICES)
    beta: float | None = None
    conceal: Literal["plc", "mean", "zero"] = "plc"
    weights: Path | None = None
    device: Literal["cpu", "cuda"] = "cpu"
    arithmetic: Literal["float32", "bfloat16"] = "float32"
    effort: Literal[0, 1, 2] = 0

    @field_serializer("mode")
    def _one_word(self, mode: Any) -> str:
        """Settings are plain values in logs and keys: a matrix becomes a text."""
        return mode if isinstance(mode, str) else "/".join("".join(str(int(entry)) for entry in row) for row in mode)


@lru_cache(maxsize=2)
def _loaded(path: Path, sha256: str, device: str, bfloat16: bool) -> Networks:
    """The networks of a weights file, shared by all modes. sha256: of the file, part of the key."""
    from netcodecs.resicomp.networks import Networks
    from netcodecs.resicomp.weights import load_weights

    return Networks(load_weights(path), device, bfloat16=bfloat16)


@lru_cache(maxsize=1)
def _betas() -> Mapping[str, float]:
    with Path(__file__).with_name("betas.csv").open(newline="", encoding="utf-8") as file:
        return {row["mode"]: float(row["beta"]) for row in csv.DictReader(file)}


def usual_beta(mode: Any) -> float:
    """Exponent of Eq. 10 at which the mode's packets are alike (``betas.csv``); 2.2 for modes that are not listed."""
    return _betas().get(mode, BETA) if isinstance(mode, str) else BETA


class ResiComp(Codec):
    """ResiComp (Wang et al. 2025): context modes over a dual-functional masked Transformer.

    Raises:
        InputError: A mode or a beta that can't be, or no weights.
    """

    name = "resicomp"
    summary = "learned (ResiComp): slices with context modes, lost tokens concealed by the same Transformer"
    Settings = ResiCompSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": float, "bpp": float}
    point_limits: ClassVar[Mapping[str, tuple[float, float]]] = {"quality": (0.0, 4.0)}  # weights may know less
    label_settings: ClassVar[tuple[str, ...]] = ("mode",)
    hidden_settings: ClassVar[tuple[str, ...]] = ("device", "arithmetic")
    settings: ResiCompSettings

    def __init__(self, settings: CodecSettings | None = None) -> None:
        super().__init__(settings)
        need_packages(self.name)
        self._slice_cache = SliceCache()
        try:
            context_matrix(self._mode, self._slices)  # refuses an unknown mode
        except InputError as error:
            raise InputError(error.message, hint=error.hint, key=("mode", *error.key)) from None
        steps = self._beta / BETA_STEP
        if not math.isfinite(steps) or abs(steps - round(steps)) > 1e-6:
            raise InputError(
                f"resicomp: beta = {self._beta:g}", hint=f"a multiple of {BETA_STEP:g}: 2.2", key=("beta",)
            )
        if not self._weights.is_file():
            hint = f"{install_command('weights')}, name a file with `weights:`, or train them: docs/how-to/training.md"
            raise NotInstalledError(f"resicomp: no weights at {self._weights}", hint=hint)

    @cached_property
    def _mode(self) -> Any:
        """A name, or the rows of a matrix; a text such as ``000/100/110`` gives rows."""
        mode = self.settings.mode
        if not isinstance(mode, str):
            return mode
        return tuple(tuple(map(int, row)) for row in mode.split("/")) if _ROWS.fullmatch(mode) else mode

    @property
    def _slices(self) -> int:
        if self.settings.slices is not None:
            return self.settings.slices
        return len(self._mode) if isinstance(self._mode, Sequence) and not isinstance(self._mode, str) else SLICES

    @property
    def _beta(self) -> float:
        return usual_beta(self._mode) if self.settings.beta is None else self.settings.beta

    def _header(self, height: int, width: int, quality: float) -> ResiCompHeader:
        mode = self._mode if isinstance(self._mode, str) else tuple(tuple(map(int, row)) for row in self._mode)
        return ResiCompHeader(height, width, quality, self._slices, self._beta, mode)

    @property
    def _weights(self) -> Path:
        given = self.settings.weights
        return shipped_weights("resicomp") if given is None else given.expanduser()

    @property
    def label(self) -> str:
        """As every codec's; a matrix is shown as a short digest."""
        if isinstance(self._mode, str):
            return super().label
        rows = str(self.settings.mode)
        digest = hashlib.sha256(repr(context_matrix(self._mode, self._slices).tolist()).encode()).hexdigest()
        return super().label.replace(rows, "own-" + digest[:6], 1)

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        made = {
            "format": 4,
            "reconstruction": 3,  # counts changes that move a sample by a level
            "beta": self._beta,
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
        """Trained parameters of transforms and Transformer, gains (which fold away) not counted."""
        return self.networks.parameters

    @cached_property
    def networks(self) -> Networks:
        try:
            from netcodecs.common.devices import check_device

            check_device(self.settings.device)
            return _loaded(
                self._weights,
                self.fingerprint["weights"],
                self.settings.device,
                self.settings.arithmetic == "bfloat16",
            )
        except ModuleNotFoundError as error:
            raise InputError(f"resicomp needs {error.name}", hint=install_command("learned")) from None

    def _check(self, operating_point: OperatingPoint) -> None:
        if operating_point.key not in self.operating_point_keys:
            raise InputError(f"resicomp has no operating point `{operating_point.key}`", hint="give `quality` or `bpp`")
        if operating_point.key == "bpp":
            refuse_bpp(operating_point.value)
            return
        low, high = self.networks.qualities
        if not low - QUALITY_STEP / 2 <= operating_point.value <= high + QUALITY_STEP / 2:
            hint = f"these weights were trained for {low:.4g} to {high:.4g}"
            raise InputError(f"resicomp: quality {operating_point.value:g}", hint=hint)

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating points: ``quality`` 0…4 (λ .0005, .0018, .0035, .0067, .013, log-linear
        between), or ``bpp`` of all that is sent: the nearest that the weights' range of rates holds.

        Each slice is one packet. If a slice is larger than the limit, the InputError says how many slices would do.
        """
        self._check(operating_point)
        height, width = image.shape[:2]
        header = self._header(height, width, 0.0)
        layout = layout_of(header)
        if operating_point.key == "quality":
            quality = nearest_quality(operating_point.value, *self.networks.qualities)
            encoder = self._encoder(image, layout, quality)
            coded = encoder.encode(quality)
        else:
            target_bytes = operating_point.value * height * width / 8 - len(write_header(header))
            encoder, coded = self._near(image, layout, target_bytes)
        first = write_header(self._header(height, width, coded.quality))
        payloads = [first, *(write_slice(code, first, place) for place, code in enumerate(coded.codes, 1))]
        if packet_limit_bytes is not None and max(map(len, payloads)) > packet_limit_bytes:
            raise self._limit_error(packet_limit_bytes, payloads, encoder.token_bits(coded.quality))
        self._remember(payloads, layout, coded)
        packets = (Packet(first, protected=True), *map(Packet, payloads[1:]))
        made_by = {"tool": "netcodecs resicomp", **self.fingerprint, "quality": coded.quality}
        return Stream(packets, (height, width), operating_point, made_by)

    def _encoder(self, image: Image, layout: SliceLayout, quality: float) -> SliceEncoder:
        """Of the image's latent, or of one that a search found for the quality."""
        networks, effort = self.networks, self.settings.effort
        latent = networks.searched(image, quality, layout, effort) if effort else networks.analyse(image)
        return SliceEncoder(networks, layout, latent)

    def _near(self, image: Image, layout: SliceLayout, target_bytes: float) -> tuple[SliceEncoder, EncodedSlices]:
        """The image at the quality whose slices come nearest to a number of bytes.

        A search takes fewer bytes at the same quality: how many fewer shows at the quality that would do without, and
        the second search is at the one that does with.
        """
        encoder = SliceEncoder(self.networks, layout, self.networks.analyse(image))
        if not self.settings.effort:
            return encoder, encoder.encode_near(target_bytes)
        searched: dict[float, SliceEncoder] = {}

        def encode(quality: float) -> EncodedSlices:
            searched[quality] = self._encoder(image, layout, quality)
            return searched[quality].encode(quality)

        coded = encoder.encode_near(target_bytes, encode)
        return searched[coded.quality], coded

    def _remember(self, payloads: Sequence[bytes], layout: SliceLayout, coded: EncodedSlices) -> None:
        """Puts what the encoder has decoded into the cache, under the bytes that it was decoded from."""
        if read_header(payloads[0], len(payloads)).quality != coded.quality:
            return  # a receiver would read other distributions
        wanted = np.isin(np.arange(len(layout.cells)), list(coded.decoded))
        for number, key in SliceCache.keys(payloads, layout.contexts, wanted).items():
            self._slice_cache.put(key, coded.decoded[number], _CACHED_STREAMS * len(wanted))

    def _limit_error(self, limit: int, payloads: Sequence[bytes], token_bits: Floats) -> InputError:
        """The error for a packet limit that the payloads exceed; its hint is a number of slices that would do."""
        message = f"resicomp: packets of {limit} bytes are too small for "
        if len(payloads[0]) > limit:
            return InputError(message + f"the protected header of {len(payloads[0])}")
        largest = max(map(len, payloads[1:]))
        message += f"{self._slices} slices, whose largest has {largest}"
        if not isinstance(self._mode, str):
            return InputError(message, hint="give a matrix of more slices")
        tokens = min(len(token_bits), MOST_SLICES)
        slices = self._slices
        while (slices := max(slices + 1, slices * 21 // 20)) <= tokens:
            sizes = slice_sizes(len(token_bits), context_matrix(self._mode, slices), self._beta)
            bits = np.add.reduceat(token_bits, np.cumsum(sizes) - sizes)
            if bits.max() / 8 + _PACKET_BYTES <= limit:
                hint = f"about `slices: {slices}` would do for this image at this rate; another may need a quarter more"
                return InputError(message, hint=hint)
        return InputError(message, hint="not even a slice for each token would do: lower the rate")

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """Intact slices whose contexts are usable (Algorithm 3), provided the header arrived.

        The header is usable iff some slice is.
        """
        payloads = [packet.payload for packet in stream.packets]
        made = np.zeros_like(received)
        intact = verify_checksums(payloads)
        if not intact.any():
            return made
        try:
            contexts = read_header(payloads[0], len(payloads)).contexts
        except InputError:
            return made
        here = received & intact
        made[..., 1:] = usable(contexts, here[..., 1:]) & here[..., :1]
        made[..., 0] = made[..., 1:].any(axis=-1)
        return made

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``. Each slice is decoded once for any number of masks; a damaged one counts as lost.

        Raises InputError if the header is damaged or missing, or a mask has no usable slice.
        """
        used, which = np.unique(self.usable(stream, masks), axis=0, return_inverse=True)
        if not used.any(axis=1).all():
            raise InputError("resicomp: the protected header is damaged or missing, or no slice is usable")
        payloads = [packet.payload for packet in stream.packets]
        header = read_header(payloads[0], len(payloads))
        low, high = self.networks.qualities
        if not low - QUALITY_STEP <= header.quality <= high + QUALITY_STEP:
            raise InputError(f"resicomp: damaged payload (quality {header.quality:g} of {low:.4g} to {high:.4g})")
        layout = layout_of(header)
        symbols = self._decoded(header, layout, payloads, used[:, 1:].any(axis=0))
        known, size = layout.known(used[:, 1:]), (header.height, header.width)
        return self.networks.images(symbols, known, header.quality, size, self.settings.conceal)[which.reshape(-1)]

    def token_packets(self, stream: Stream) -> Ints:
        """The packet of each token of the latent, int64 (h/16, w/16)."""
        payloads = [packet.payload for packet in stream.packets]
        return layout_of(read_header(payloads[0], len(payloads))).slices + 1

    def latent_errors(self, stream: Stream, masks: BoolArray) -> Floats:
        """Mean squared error of each token after concealment, in quantisation steps (ResiComp, Fig. 19, row 2).

        The error is between the tokens that the synthesis transform gets and those that were encoded; 0 for a token
        that arrived.

        Args:
            stream: All its packets are read, for the encoded tokens.
            masks: Usable masks, bool [m, n].

        Returns:
            float64 [m, rows, columns].
        """
        payloads = [packet.payload for packet in stream.packets]
        header = read_header(payloads[0], len(payloads))
        layout = layout_of(header)
        symbols = self._decoded(header, layout, payloads, np.ones(len(payloads) - 1, dtype=bool))
        known = layout.known(self.usable(stream, masks)[:, 1:])
        return self.networks.latent_errors(symbols, known, header.quality, self.settings.conceal)

    @property
    def contexts(self) -> BoolArray:
        """The context matrix, bool [slices, slices]: entry (i, j) is true where slice i is predicted from slice j."""
        return context_matrix(self._mode, self._slices)

    def token_densities(self, stream: Stream, contexts: int) -> TokenDensities:
        """Predicted distributions of the last slice's tokens, given the stream's first ``contexts`` slices.

        Raises:
            InputError: There are not as many slices before the last.
        """
        from netcodecs.resicomp.densities import token_densities

        payloads = [packet.payload for packet in stream.packets]
        header = read_header(payloads[0], len(payloads))
        layout = layout_of(header)
        if not 0 <= contexts < len(layout.cells):
            raise InputError(f"resicomp: {contexts} context slices of {len(layout.cells)} slices")
        symbols = self._decoded(header, layout, payloads, np.ones(len(payloads) - 1, dtype=bool))
        return token_densities(self.networks, layout, symbols, header.quality, contexts)

    def _decoded(
        self, header: ResiCompHeader, layout: SliceLayout, payloads: Sequence[bytes], wanted: BoolArray
    ) -> Ints:
        """Symbols of the wanted slices in their places, int64 (h, w, C); slices in the cache are not decoded again."""
        symbols = self.networks.no_symbols(layout.slices.shape)
        flat = symbols.reshape(-1, symbols.shape[2])
        keys = SliceCache.keys(payloads, layout.contexts, wanted)
        missing = wanted.copy()
        for number, key in keys.items():
            known = self._slice_cache.get(key)
            if known is not None:
                flat[layout.cells[number]], missing[number] = known, False
        for number, mixtures in predicted_slices(self.networks, layout, symbols, header.quality, missing):
            try:
                tokens = self.networks.coder.decode(read_slice(payloads[number + 1]), mixtures)
            except ValueError:
                raise InputError(f"resicomp: slice {number + 1} can't be decoded") from None
            flat[layout.cells[number]] = tokens
            self._slice_cache.put(keys[number], tokens, _CACHED_STREAMS * len(wanted))
        return symbols
