"""ResiComp as a codec: tokens in slices, each a packet that decodes from its own bytes and its contexts' alone."""

from __future__ import annotations

import csv
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from netcodecs.classical.rate import TOO_FAR, refuse_bpp
from netcodecs.progressive.methods import shipped_weights
from netcodecs.resicomp.modes import context_matrix, decoding_rounds, usable
from netcodecs.resicomp.packets import BETA_STEP, QUALITY_STEP, Head, read_head, read_slice, sound, write_head, write_slice
from netcodecs.resicomp.slices import slice_cells, slice_sizes
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.errors import InputError

if TYPE_CHECKING:  # torch is loaded with the first picture
    from netcodecs.resicomp.coding import Mixtures
    from netcodecs.resicomp.networks import Networks

__all__ = ["ResiComp", "ResiCompSettings", "usual_beta"]

BoolArray = NDArray[np.bool_]
Floats = NDArray[np.float64]
Image = NDArray[np.uint8]
Ints = NDArray[np.int64]
Mode = str | tuple[tuple[int, ...], ...]

SLICES = 10
BETA = 2.2  # the authors' release, for every mode
RATE_TOLERANCE = 0.002
FULL_TRIES = 4  # whole codings in a search for a rate
_SEARCH_STEPS = 8
_PACKET_BYTES = 5  # checksum, and what the range coder adds


class ResiCompSettings(CodecSettings):
    """mode: LC, TwoLoop, MDC-2…5, LMDC, SLC, ISC, or rows of an own context matrix. slices: how many, each a packet.
    beta: exponent of Eq. 10, a multiple of .05; the mode's own if None. conceal: what stands for lost tokens: the
    Transformer's guess (``plc``), the mixtures' ``mean``, or ``zero``. weights: those that ship if None.
    device: where the networks run (``cpu``, ``cuda``); what is range-coded does not depend on it.
    """

    mode: Mode = "LC"
    slices: int = SLICES
    beta: float | None = None
    conceal: Literal["plc", "mean", "zero"] = "plc"
    weights: Path | None = None
    device: Literal["cpu", "cuda"] = "cpu"


@lru_cache(maxsize=1)
def _betas() -> Mapping[str, float]:
    with Path(__file__).with_name("betas.csv").open(newline="", encoding="utf-8") as file:
        return {row["mode"]: float(row["beta"]) for row in csv.DictReader(file)}


def usual_beta(mode: Mode) -> float:
    """Exponent of Eq. 10 at which the mode's packets are alike, where it was found (``betas.csv``); else 2.2."""
    return _betas().get(mode, BETA) if isinstance(mode, str) else BETA


@dataclass(frozen=True)
class _Layout:
    """Where a stream's tokens are: the token grid, the contexts, and the cells of each slice."""

    grid: tuple[int, int]
    contexts: BoolArray
    cells: tuple[Ints, ...]

    def known(self, slices: Sequence[int]) -> BoolArray:
        """bool (h, w): tokens of these slices."""
        made = np.zeros(self.grid[0] * self.grid[1], dtype=bool)
        for number in slices:
            made[self.cells[number]] = True
        return made.reshape(self.grid)


@dataclass(frozen=True)
class _Coded:
    """All slices at one quality: their codes, and the bits of each token in order of slices."""

    quality: float
    codes: tuple[bytes, ...]
    token_bits: Floats

    @property
    def bytes_total(self) -> int:
        return sum(len(code) + 4 for code in self.codes)


def _layout(head: Head) -> _Layout:
    from netcodecs.resicomp.networks import STRIDE

    contexts = head.contexts
    grid = -(-head.height // STRIDE), -(-head.width // STRIDE)
    return _Layout(grid, contexts, slice_cells(*grid, slice_sizes(grid[0] * grid[1], contexts, head.beta)))


class ResiComp(Codec):
    """ResiComp (Wang et al. 2025): context modes over a dual-functional masked Transformer."""

    name = "resicomp"
    summary = "learned (ResiComp): slices with context modes, lost tokens concealed by the same Transformer"
    Settings = ResiCompSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": float, "bpp": float}
    label_settings: ClassVar[tuple[str, ...]] = ("mode",)
    hidden_settings: ClassVar[tuple[str, ...]] = ("device",)
    settings: ResiCompSettings

    def __init__(self, settings: CodecSettings | None = None) -> None:
        super().__init__(settings)
        context_matrix(self.settings.mode, self._slices)  # refuses a mode that is none
        steps = self._beta / BETA_STEP
        if not math.isfinite(steps) or abs(steps - round(steps)) > 1e-6:
            raise InputError(f"resicomp: beta = {self._beta:g}", hint=f"a multiple of {BETA_STEP:g}: 2.2")
        if not self._weights.is_file():
            hint = "train and export them (docs/training.md), or name a file with `weights:`"
            raise InputError(f"resicomp: no weights at {self._weights}", hint=hint)

    @property
    def _slices(self) -> int:
        rows = self.settings.mode
        own = not isinstance(rows, str) and "slices" not in self.settings.model_fields_set
        return len(rows) if own else self.settings.slices

    @property
    def _beta(self) -> float:
        return usual_beta(self.settings.mode) if self.settings.beta is None else self.settings.beta

    @property
    def _weights(self) -> Path:
        given = self.settings.weights
        return shipped_weights("resicomp-compact") if given is None else given.expanduser()

    @property
    def label(self) -> str:
        """As every codec's; an own matrix goes by a short digest."""
        if isinstance(self.settings.mode, str):
            return super().label
        rows = str(self.settings.mode)
        return super().label.replace(rows, "own-" + hashlib.sha256(rows.encode()).hexdigest()[:6], 1)

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        return {
            "format": 1,
            "beta": self._beta,
            "weights": hashlib.sha256(self._weights.read_bytes()).hexdigest(),
            "torch": version("torch"),
            "compressai": version("compressai"),
            "constriction": version("constriction"),
        }

    @property
    def parameters(self) -> int:
        """Trained parameters of transforms and Transformer, gains (which fold away) not counted."""
        return self._networks.parameters

    @cached_property
    def _networks(self) -> Networks:
        try:
            from netcodecs.progressive.transforms import check_device
            from netcodecs.resicomp.networks import Networks
            from netcodecs.resicomp.weights import load_weights
        except ModuleNotFoundError as error:
            raise InputError(f"resicomp needs {error.name}", hint="install netsim[learned]") from None
        check_device(self.settings.device)
        return Networks(load_weights(self._weights), self.settings.device)

    def _check(self, operating_point: OperatingPoint) -> None:
        if operating_point.key not in self.operating_point_keys:
            raise InputError(f"resicomp has no operating point `{operating_point.key}`", hint="give `quality` or `bpp`")
        if operating_point.key == "bpp":
            refuse_bpp(operating_point.value)
            return
        low, high = self._networks.qualities
        if not low - QUALITY_STEP / 2 <= operating_point.value <= high + QUALITY_STEP / 2:
            hint = f"these weights were trained for {low:.4g} to {high:.4g}"
            raise InputError(f"resicomp: quality {operating_point.value:g}", hint=hint)

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating points: ``quality`` 1…3 (λ .0018, .0035, .0067, log-linear between; as far
        below 1, towards .0005 at 0, as the weights were trained), or ``bpp`` of all that is sent: the nearest that the
        weights' range of rates holds.

        One packet a slice: if one is larger than the limit, InputError says how many slices would do.
        """
        self._check(operating_point)
        height, width = image.shape[:2]
        head = Head(height, width, 0.0, self._slices, self._beta, self.settings.mode)
        coder = _Coder(self._networks, _layout(head), self._networks.analyse(image))
        if operating_point.key == "quality":
            coded = coder.coded(_in_steps(operating_point.value, *self._networks.qualities))
        else:
            coded = coder.near(operating_point.value * height * width / 8 - len(write_head(head)))
        start = write_head(Head(height, width, coded.quality, self._slices, self._beta, self.settings.mode))
        payloads = [start, *(write_slice(code, start, place) for place, code in enumerate(coded.codes, 1))]
        if packet_limit_bytes is not None and max(map(len, payloads)) > packet_limit_bytes:
            raise self._too_small(packet_limit_bytes, payloads, coded)
        packets = (Packet(start, protected=True), *map(Packet, payloads[1:]))
        made_by = {"tool": "netcodecs resicomp", **self.fingerprint, "quality": coded.quality}
        return Stream(packets, (height, width), operating_point, made_by)

    def _too_small(self, limit: int, payloads: Sequence[bytes], coded: _Coded) -> InputError:
        """What is wrong with a packet limit, and with how many slices it would be met: by the bits of each token now."""
        message = f"resicomp: packets of {limit} bytes are too small for "
        if len(payloads[0]) > limit:
            return InputError(message + f"the protected head of {len(payloads[0])}")
        largest = max(map(len, payloads[1:]))
        message += f"{self._slices} slices, whose largest has {largest}"
        if not isinstance(self.settings.mode, str):
            return InputError(message, hint="give a matrix of more slices")
        tokens = len(coded.token_bits)
        slices = self._slices
        while (slices := max(slices + 1, slices * 21 // 20)) <= tokens:
            sizes = slice_sizes(tokens, context_matrix(self.settings.mode, slices), self._beta)
            bits = np.add.reduceat(coded.token_bits, np.cumsum(sizes) - sizes)
            if bits.max() / 8 + _PACKET_BYTES <= limit:
                return InputError(message, hint=f"about `slices: {slices}` would do")
        return InputError(message, hint="not even a slice for each token would do: lower the rate")

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """Undamaged slices whose contexts are usable too (Algorithm 3), if the head is there; the head, if a slice is."""
        payloads = [packet.payload for packet in stream.packets]
        made = np.zeros_like(received)
        intact = sound(payloads)
        if not intact.any():
            return made
        try:
            contexts = read_head(payloads[0], len(payloads)).contexts
        except InputError:
            return made
        here = received & intact
        made[..., 1:] = usable(contexts, here[..., 1:]) & here[..., :1]
        made[..., 0] = made[..., 1:].any(axis=-1)
        return made

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``. Each slice is decoded once, whatever the number of masks; a damaged one counts as
        lost. Raises InputError if the protected head is damaged or missing, or a mask has no usable slice."""
        used, which = np.unique(self.usable(stream, masks), axis=0, return_inverse=True)
        if not used.any(axis=1).all():
            raise InputError("resicomp: the protected head is damaged or missing, or no slice is usable")
        payloads = [packet.payload for packet in stream.packets]
        head = read_head(payloads[0], len(payloads))
        layout = _layout(head)
        symbols = self._decoded(head, layout, payloads[1:], used[:, 1:].any(axis=0))
        known = np.stack([layout.known(np.flatnonzero(mask[1:]).tolist()) for mask in used])
        size = (head.height, head.width)
        return self._networks.pictures(symbols, known, head.quality, size, self.settings.conceal)[which.reshape(-1)]

    def _decoded(self, head: Head, layout: _Layout, payloads: Sequence[bytes], wanted: BoolArray) -> Ints:
        """Symbols of the wanted slices in their places, int64 (h, w, C)."""
        from netcodecs.resicomp.coding import decode

        symbols = self._networks.no_symbols(layout.grid)
        flat = symbols.reshape(-1, symbols.shape[2])
        for number, mixtures in _rounds(self._networks, layout, symbols, head.quality, wanted):
            try:
                found = decode(read_slice(payloads[number]), mixtures)
            except ValueError:
                raise InputError(f"resicomp: slice {number + 1} can't be decoded") from None
            flat[layout.cells[number]] = found.reshape(len(layout.cells[number]), -1)
        return symbols


def _rounds(
    networks: Networks, layout: _Layout, symbols: Ints, quality: float, wanted: BoolArray | None = None
) -> Iterator[tuple[int, Mixtures]]:
    """Each slice with its symbols' distributions, slices that share their contexts in one pass of the Transformer.

    symbols: read as each pass begins; what a decoder finds until then is context.
    """
    for one in decoding_rounds(layout.contexts, wanted):
        cells = np.concatenate([layout.cells[number] for number in one.slices])
        together = networks.densities(symbols, layout.known(one.contexts), quality, cells)
        start = 0
        for number in one.slices:
            end = start + len(layout.cells[number]) * symbols.shape[2]
            yield number, together.part(start, end)
            start = end


class _Coder:
    """One picture's latent, to be coded at one quality or more."""

    def __init__(self, networks: Networks, layout: _Layout, latent: Floats) -> None:
        self._networks, self._layout, self._latent = networks, layout, latent
        self._alone: dict[float, float] = {}

    def coded(self, quality: float) -> _Coded:
        from netcodecs.resicomp.coding import coded_bits, encode

        symbols = self._networks.symbols(self._latent, quality)
        flat = symbols.reshape(-1, symbols.shape[2])
        codes: dict[int, bytes] = {}
        bits: dict[int, Floats] = {}
        for number, mixtures in _rounds(self._networks, self._layout, symbols, quality):
            chosen = flat[self._layout.cells[number]]
            codes[number] = encode(chosen.reshape(-1), mixtures)
            bits[number] = coded_bits(chosen.reshape(-1), mixtures).reshape(chosen.shape).sum(axis=1)
        order = range(len(codes))
        return _Coded(quality, tuple(codes[n] for n in order), np.concatenate([bits[n] for n in order]))

    def near(self, target_bytes: float) -> _Coded:
        """The coding whose bytes are nearest to the target.

        A coding takes a pass of the Transformer a round; all tokens from mask tokens alone take one, and their bits
        rise with the quality in proportion: so the search goes over these, and whole codings only correct the factor.
        Raises InputError if the lowest quality has more than a tenth too many.
        """
        low, high = self._networks.qualities
        known: dict[float, tuple[float, _Coded]] = {}
        factor = 0.0  # natural log of a whole coding over tokens alone
        while len(known) < FULL_TRIES:
            quality = self._alone_at(math.log(max(target_bytes, 1.0)) - factor)
            if quality in known:
                break
            coded = self.coded(quality)
            size = math.log(coded.bytes_total)
            off = size - math.log(max(target_bytes, 1.0))
            known[quality] = off, coded
            if abs(off) <= RATE_TOLERANCE or (quality == _in_steps(low, low, high) and off > 0):
                break
            factor = size - self._alone_off(quality)
        off, best = min(known.values(), key=lambda pair: abs(pair[0]))
        if best.quality == _in_steps(low, low, high) and math.exp(off) > TOO_FAR:
            hint = f"the smallest stream has {math.exp(off):.3g} times as many bytes"
            raise InputError(f"resicomp: {target_bytes:.0f} bytes can't be reached", hint=hint)
        return best

    def _alone_off(self, quality: float) -> float:
        """Natural log of the bytes of all tokens, each from mask tokens alone."""
        from netcodecs.resicomp.coding import coded_bits

        if quality not in self._alone:
            symbols = self._networks.symbols(self._latent, quality)
            cells = np.arange(symbols.shape[0] * symbols.shape[1])
            nothing = np.zeros(symbols.shape[:2], bool)
            mixtures = self._networks.densities(symbols, nothing, quality, cells)
            self._alone[quality] = math.log(coded_bits(symbols.reshape(-1), mixtures).sum() / 8)
        return self._alone[quality]

    def _alone_at(self, goal: float) -> float:
        """The quality at which :meth:`_alone_off` is nearest to a goal, by false position."""
        bounds = self._networks.qualities
        low, high = (_in_steps(bound, *bounds) for bound in bounds)
        below, above = self._alone_off(low) - goal, self._alone_off(high) - goal
        if below >= 0 or above <= 0:
            return low if below >= 0 else high
        for _ in range(_SEARCH_STEPS):
            middle = _in_steps(low + (high - low) * below / (below - above), *bounds)
            off = self._alone_off(middle) - goal
            if abs(off) <= RATE_TOLERANCE / 2 or middle in (low, high):
                return middle
            low, below, high, above = (low, below, middle, off) if off > 0 else (middle, off, high, above)
        return middle


def _in_steps(quality: float, low: float, high: float) -> float:
    """The nearest quality that the head can say and the weights were trained for."""
    steps = round(quality / QUALITY_STEP)
    return max(math.ceil(low / QUALITY_STEP - 1e-9), min(math.floor(high / QUALITY_STEP + 1e-9), steps)) * QUALITY_STEP
