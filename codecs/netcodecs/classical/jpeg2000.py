"""JPEG 2000 by OpenJPEG (Pillow): a protected base layer and droppable packets of enhancement layers."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PillowImage
from PIL import features
from pydantic import Field

from netcodecs.classical.chains import cut_chains, join_chains, usable_chains
from netcodecs.classical.codestream import CodestreamError, read_protected, split_codestream
from netcodecs.classical.layers import cut_layers, join_layers, pieces_per_layer, usable_layers
from netcodecs.classical.still_files import decode_still
from netcodecs.common.rate import TOO_FAR, refuse_bpp
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.errors import InputError

__all__ = ["Jpeg2000", "Jpeg2000Settings"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

RATE_TOLERANCE = 0.004
RATE_STEPS = 6
HEADER_BYTES = 110  # for a first guess
LIMIT_STEPS = 6
MAX_PACKETS = 5000
LAYERS_PER_PACKET = 0.6  # resilient: fewer layers, less overhead and longer chains; more, packets of like size


class Jpeg2000Settings(CodecSettings):
    """receiver: what is done after a loss. packets: droppable packets, beside the protected one."""

    receiver: Literal["prefix", "resilient"] = "prefix"
    packets: int = Field(default=10, ge=1, le=MAX_PACKETS)


def _compress(image: Image, cumulative_bpp: list[float]) -> bytes:
    height, width = image.shape[:2]
    buffer = io.BytesIO()
    PillowImage.fromarray(image).save(
        buffer,
        "JPEG2000",
        no_jp2=True,
        irreversible=True,
        mct=1,
        progression="LRCP",
        plt=True,
        num_resolutions=max(1, min(6, int(math.log2(min(height, width))))),
        quality_mode="rates",
        quality_layers=[24 / bpp for bpp in cumulative_bpp],
    )
    return buffer.getvalue()


class Jpeg2000(Codec):
    """JPEG 2000 in packets. ``prefix``: one quality layer each; ``resilient``: regrouped so that losses stay local."""

    name = "jpeg2000"
    summary = "JPEG 2000 (OpenJPEG): protected base layer, droppable enhancement packets"
    Settings = Jpeg2000Settings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"bpp": float}
    label_settings = ("receiver",)
    settings: Jpeg2000Settings

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        return {"format": 1, "openjpeg": str(features.version_codec("jpg_2000"))}

    @property
    def _resilient(self) -> bool:
        return self.settings.receiver == "resilient"

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating point: ``bpp``, of all that is sent; met to within .5 % on photographs."""
        if operating_point.key != "bpp":
            raise InputError(f"jpeg2000 has no operating point `{operating_point.key}`", hint="give `bpp`")
        refuse_bpp(operating_point.value)
        payloads = self._payloads(image, operating_point.value, packet_limit_bytes)
        packets = tuple(Packet(payload, protected=i == 0) for i, payload in enumerate(payloads))
        made_by = {
            "tool": "openjpeg",
            "version": f"{features.version_codec('jpg_2000')} (Pillow {PillowImage.__version__})",
            "command": "Pillow save JPEG2000: irreversible, mct, LRCP, layers by rate",
            "colour": "4:4:4 (irreversible colour transform)",
        }
        return Stream(packets, (image.shape[0], image.shape[1]), operating_point, made_by)

    def _payloads(self, image: Image, target_bpp: float, limit: int | None) -> list[bytes]:
        """Payloads near the target rate, each within the limit: more packets until they fit."""
        packets = self.settings.packets
        if limit is None:
            return self._at_rate(image, target_bpp, packets)
        total_bytes = target_bpp * image.shape[0] * image.shape[1] / 8
        packets = max(packets, math.ceil(total_bytes / limit) - 1)
        for _ in range(LIMIT_STEPS):
            payloads = self._at_rate(image, target_bpp, packets)
            largest = max(map(len, payloads))
            if largest <= limit:
                return payloads
            if limit < _least_protected_bytes(payloads[0]):
                break
            packets = min(MAX_PACKETS, max(packets + 1, min(math.ceil(packets * largest / limit), 2 * packets)))
        least = _least_protected_bytes(payloads[0])
        hint = f"the protected packet alone has {least} bytes or more; `receiver: prefix` cuts finer than `resilient`"
        raise InputError(
            f"jpeg2000: can't cut {total_bytes:.0f} bytes into packets of at most {limit} bytes", hint=hint
        )

    def _at_rate(self, image: Image, target_bpp: float, packets: int) -> list[bytes]:
        """Payloads whose total is nearest to the target, by repeated proportion."""
        target_bytes = target_bpp * image.shape[0] * image.shape[1] / 8
        best: list[bytes] = []
        best_off = math.inf
        body_bpp = max(target_bpp / 2, target_bpp * (1 - HEADER_BYTES / target_bytes))
        for _ in range(RATE_STEPS):
            payloads = self._cut(image, body_bpp, packets)
            off = sum(map(len, payloads)) / target_bytes
            if abs(math.log(off)) < best_off:
                best, best_off, best_ratio = payloads, abs(math.log(off)), off
            if best_off < RATE_TOLERANCE or (off < 1 and body_bpp >= 24):
                break
            body_bpp = min(24.0, body_bpp / off)
        if best_ratio > TOO_FAR:
            bpp = best_ratio * target_bpp
            raise InputError(f"jpeg2000: bpp {target_bpp:g} can't be reached", hint=f"the nearest is {bpp:.3g} bpp")
        return best

    def _cut(self, image: Image, body_bpp: float, packets: int) -> list[bytes]:
        if self._resilient:
            layers = min(99, max(2, math.ceil(LAYERS_PER_PACKET * packets)))
        else:
            pieces = pieces_per_layer(packets)
            layers = -(-packets // pieces)
            packets = layers * pieces
        base = 1 / (packets + 1)  # the protected packet's share: as much as any other packet's
        shares = [base + (1 - base) * layer / layers for layer in range(layers + 1)]
        header, j2k_packets = split_codestream(_compress(image, [body_bpp * share for share in shares]))
        return (cut_chains if self._resilient else cut_layers)(header, j2k_packets, packets)

    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """``prefix``: the packets before the first loss. ``resilient``: those whose chain's beginning arrived, damaged
        ones left out. None if the protected packet is damaged."""
        payloads = [packet.payload for packet in stream.packets]
        try:
            if not payloads:
                raise CodestreamError("no packets")
            if self._resilient:
                return usable_chains(payloads, received)
            read_protected(payloads[0])
            return usable_layers(received)
        except CodestreamError:
            return np.zeros_like(received)

    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """See ``Codec.decode``. Each distinct codestream is decoded once. Raises InputError for a damaged payload."""
        join = join_chains if self._resilient else join_layers
        images: dict[bytes, Image] = {}
        codestreams = []
        if not len(stream):
            raise InputError("jpeg2000: a stream without packets")
        for mask in masks:
            received = zip(stream.packets, mask, strict=True)
            try:
                codestream = join([packet.payload if arrived else None for packet, arrived in received])
            except CodestreamError as error:
                raise InputError(f"jpeg2000: damaged payload ({error})") from None
            codestreams.append(codestream)
            if codestream not in images:
                images[codestream] = decode_still(codestream, "JPEG2000", self.name)
        if len({shown.shape for shown in images.values()}) > 1:
            raise InputError("jpeg2000: damaged payload (images of several sizes)")
        return np.stack([images[codestream] for codestream in codestreams])


def _least_protected_bytes(payload: bytes) -> int:
    """Size of a protected packet whose base layer is empty: header, and a byte per chain."""
    _, geometry, base = read_protected(payload)
    return len(payload) - len(base) + geometry.per_layer
