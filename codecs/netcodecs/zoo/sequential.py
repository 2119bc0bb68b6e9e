"""Autoregressive models: one bitstream in N packets, all of them needed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from netcodecs.common.bitstream import BitstreamCodec, BitstreamSettings, EncodedBitstream, framed, unframed
from netcodecs.common.seal import is_intact, sealed, unsealed
from netcodecs.common.varint import integers, varint
from netcodecs.zoo.ladder import LadderCodec, LadderSettings
from netsim.codec import OperatingPoint
from netsim.errors import InputError

if TYPE_CHECKING:
    from netcodecs.zoo.autoregressive import AutoregressiveNetworks

__all__ = ["Cheng2020Anchor", "Cheng2020Attention", "Mbt2018", "SequentialCodec"]

Image = NDArray[np.uint8]


class SequentialSettings(LadderSettings, BitstreamSettings):
    """``packets``, ``weights`` and ``device``."""


class SequentialCodec(LadderCodec, BitstreamCodec):
    """Base of the autoregressive codecs.

    The bitstream: width, height, then quality, length of the hyperprior's code, both codes, and a CRC-32 over all that
    follows the size. The native decoder sees no byte that the encoder did not write.
    """

    Settings = SequentialSettings
    setting_key = "quality"

    @staticmethod
    def networks_of(model: Any, device: str) -> AutoregressiveNetworks:
        """See ``LadderCodec.networks_of``."""
        from netcodecs.zoo.autoregressive import AutoregressiveNetworks

        return AutoregressiveNetworks(model, device)

    def setting(self, image: Image, operating_point: OperatingPoint) -> int:
        """See ``BitstreamCodec.setting``: a checkpoint's quality."""
        return self.quality_of(operating_point, lambda quality: self.bpp(image, quality))

    def made_by(self) -> Mapping[str, Any]:
        """Model and checkpoints."""
        return {"tool": f"CompressAI {self.architecture}", **self.fingerprint}

    def compress(self, image: Image, setting: int) -> EncodedBitstream:
        """See ``BitstreamCodec.compress``."""
        networks: AutoregressiveNetworks = self.networks(setting)
        encoded = networks.encode(image)
        assert encoded.hyper_symbols is not None
        hyper = networks.hyper.encode(encoded.hyper_symbols)
        code = networks.tables.encode(encoded.symbols, encoded.indexes)
        body = sealed(varint(setting) + varint(len(hyper)) + hyper + code)
        return EncodedBitstream(framed(body, image), f"netcodecs {self.name}: quality={setting}")

    def decompress(self, data: bytes) -> Image:
        """See ``BitstreamCodec.decompress``."""
        payload, width, height = unframed(data)
        if not is_intact(payload):
            raise InputError(f"{self.name}: damaged payload")
        body = unsealed(payload)
        fields = list(islice(integers(body), 2))
        if len(fields) < 2:
            raise InputError(f"{self.name}: damaged payload")
        quality, length = fields
        codes = body[len(varint(quality)) + len(varint(length)) :]
        networks: AutoregressiveNetworks = self.networks(quality)
        hyper_symbols = networks.hyper.decode(codes[:length], height, width)
        latent = networks.decode(codes[length:], hyper_symbols, height, width)
        return networks.synthesise(latent[np.newaxis], height, width)[0]


class Mbt2018(SequentialCodec):
    """Minnen et al., "Joint autoregressive and hierarchical priors for learned image compression", NeurIPS 2018."""

    name = "mbt2018"
    summary = "learned, autoregressive (CompressAI, your checkpoints): one bitstream, all packets needed"
    architecture = "mbt2018"
    pretrained = "mbt2018"


class Cheng2020Anchor(SequentialCodec):
    """Cheng et al., CVPR 2020, without attention."""

    name = "cheng2020-anchor"
    summary = "learned, autoregressive (CompressAI, your checkpoints): one bitstream, all packets needed"
    architecture = "cheng2020-anchor"
    pretrained = "cheng2020_anchor"


class Cheng2020Attention(SequentialCodec):
    """Cheng et al., "Learned image compression with discretized Gaussian mixture likelihoods and attention modules",
    CVPR 2020, with one Gaussian as CompressAI has it."""

    name = "cheng2020-attn"
    summary = "learned, autoregressive (CompressAI, your checkpoints): one bitstream, all packets needed"
    architecture = "cheng2020-attn"
    pretrained = "cheng2020_attn"
