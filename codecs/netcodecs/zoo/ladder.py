"""What the zoo's codecs share: a checkpoint for each quality, and the search for the one nearest to a rate."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import field_validator

from netcodecs.common.rate import nearest_setting
from netcodecs.needs import need_packages
from netsim.codec import Codec, CodecSettings, OperatingPoint, Packet, Stream
from netsim.digests import file_sha256
from netsim.distribution import install_command
from netsim.errors import InputError, NotInstalledError

if TYPE_CHECKING:  # torch is loaded with the first image
    from netcodecs.zoo.networks import ImageNetworks

__all__ = ["LadderCodec", "LadderSettings", "PacketLadderCodec"]

Image = NDArray[np.uint8]

MOST_QUALITIES = 63  # the largest quality that a stream's header holds
_PER_OCTAVE = 1.6  # qualities that double the rate: CompressAI's eight span 0.12 to 1.6 bpp
_LOADED = 8  # checkpoints kept in memory
_PRETRAINED = (
    'where there is a network, once:  python -c "import torch; from compressai.zoo import {function}; '
    "torch.save({function}(quality=3, pretrained=True).state_dict(), '{name}-3.pth')\"\n"
    "then  {name}: {{quality: 1, weights: {name}-3.pth}}   (or a checkpoint that you trained with CompressAI)"
)


class LadderSettings(CodecSettings):
    """Settings of the zoo's codecs.

    Attributes:
        weights: A checkpoint of the model, of quality 1; or a list of checkpoints, of quality 1, 2, …
        device: Where g_a, h_a and g_s run (``cpu``, ``cuda``); what is range-coded does not depend on it.
    """

    weights: tuple[Path, ...] | None = None
    device: Literal["cpu", "cuda"] = "cpu"

    @field_validator("weights", mode="before")
    @classmethod
    def _a_ladder(cls, value: Any) -> Any:
        """One file is a ladder of one."""
        files = (value,) if isinstance(value, str | Path) else value
        if files is None:
            return None
        if not isinstance(files, list | tuple) or not 0 < len(files) <= MOST_QUALITIES:
            raise ValueError(f"a file, or a list of 1 to {MOST_QUALITIES} files")
        if not all(isinstance(file, str | Path) for file in files):
            raise ValueError("a file is given by its path")
        return tuple(files)


@lru_cache(maxsize=_LOADED)
def _loaded(kind: type[LadderCodec], path: Path, sha256: str, device: str) -> Any:
    """Networks of a checkpoint. sha256: of the file, so that another file of that name is another network."""
    from netcodecs.common.devices import check_device
    from netcodecs.zoo.checkpoints import load_model

    check_device(device)
    return kind.networks_of(load_model(kind.architecture, path), device)


class LadderCodec(Codec):
    """Base of the codecs that run one of CompressAI's models with the user's checkpoints."""

    #: name of the model, as in ``netcodecs.zoo.checkpoints``
    architecture: ClassVar[str]
    #: function of ``compressai.zoo`` that has trained weights; empty: there are none
    pretrained: ClassVar[str] = ""
    Settings: ClassVar[type[CodecSettings]] = LadderSettings
    operating_point_keys: ClassVar[Mapping[str, type]] = {"quality": int, "bpp": float}
    point_limits: ClassVar[Mapping[str, tuple[float, float]]] = {"quality": (1, MOST_QUALITIES)}
    hidden_settings: ClassVar[tuple[str, ...]] = ("device", "weights")  # added to labels where they differ
    settings: Any

    def __init__(self, settings: CodecSettings | None = None) -> None:
        super().__init__(settings)
        need_packages(self.name)
        if not self.checkpoints:
            hint = f"train {self.architecture} with CompressAI, whose zoo has no weights of it; then `weights: FILE`"
            if self.pretrained:
                hint = _PRETRAINED.format(name=self.name, function=self.pretrained)
            raise NotInstalledError(
                f"{self.name} needs a checkpoint: none ships with netsim", hint=hint, key=("weights",)
            )
        for path in self.checkpoints.values():
            if not path.is_file():
                raise NotInstalledError(f"{self.name}: no checkpoint at {path}", key=("weights",))

    @staticmethod
    @abstractmethod
    def networks_of(model: Any, device: str) -> ImageNetworks:
        """The networks of a model of this architecture."""

    @cached_property
    def checkpoints(self) -> Mapping[int, Path]:
        """The file of each quality, ascending."""
        return {quality: path.expanduser() for quality, path in enumerate(self.settings.weights or (), 1)}

    @property
    def input_files(self) -> Mapping[str, Path]:
        """See ``Codec.input_files``."""
        return {f"weights {quality}": path for quality, path in self.checkpoints.items()}

    @cached_property
    def fingerprint(self) -> Mapping[str, Any]:
        """See ``Codec.fingerprint``."""
        return {
            "format": 2,
            "weights": {str(quality): file_sha256(path) for quality, path in self.checkpoints.items()},
            "torch": version("torch"),
            "compressai": version("compressai"),
        }

    @property
    def uses_gpu(self) -> bool:
        """See ``Codec.uses_gpu``."""
        return bool(self.settings.device != "cpu")

    @property
    def parameters(self) -> int:
        """Trained parameters of the model of the lowest quality."""
        return self.networks(min(self.checkpoints)).parameters

    def networks(self, quality: int) -> Any:
        """The networks of a quality's checkpoint.

        Raises:
            InputError: There is no checkpoint of that quality, or it is of another model.
        """
        if quality not in self.checkpoints:
            known = ", ".join(map(str, self.checkpoints))
            raise InputError(
                f"{self.name} has no checkpoint of quality {quality}", hint=f"`weights` has quality {known}"
            )
        try:
            sha256 = self.fingerprint["weights"][str(quality)]
            return _loaded(type(self), self.checkpoints[quality], sha256, self.settings.device)
        except ModuleNotFoundError as error:
            raise InputError(f"{self.name} needs {error.name}", hint=install_command("learned")) from None

    def quality_of(self, point: OperatingPoint, bpp_of: Callable[[int], float]) -> int:
        """The quality of an operating point: ``quality`` itself, or the one whose rate is nearest to ``bpp``.

        Args:
            point: As a scenario has it.
            bpp_of: Rate of the image at a quality, in bits per pixel.

        Raises:
            InputError: Another key, no checkpoint of that quality, or a smallest stream far above the rate.
        """
        if point.key == "bpp":
            known = list(self.checkpoints)
            last = len(known) - 1
            return known[nearest_setting(lambda i: bpp_of(known[i]), point.value, 0, last, last // 2, _PER_OCTAVE)]
        if point.key != "quality":
            raise InputError(f"{self.name} has no operating point `{point.key}`", hint="give `quality` or `bpp`")
        if point.value != int(point.value):
            raise InputError(f"{self.name}: {point}", hint="`quality` is a whole number")
        self.networks(int(point.value))
        return int(point.value)

    def notes(self, quality: int) -> dict[str, Any]:
        """How a stream of a quality was made."""
        return {"tool": f"CompressAI {self.architecture}", **self.fingerprint, "quality": quality}


class PacketLadderCodec(LadderCodec):
    """Base of the codecs whose packets decode on their own or in order."""

    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """See ``Codec.encode``. Operating point: ``quality``, a checkpoint's; or ``bpp``: the nearest checkpoint's."""
        made: dict[int, list[Packet]] = {}

        def bpp_of(quality: int) -> float:
            made[quality] = self.packets(image, quality, packet_limit_bytes)
            return 8 * sum(len(packet.payload) for packet in made[quality]) / (image.shape[0] * image.shape[1])

        quality = self.quality_of(operating_point, bpp_of)
        packets = made[quality] if quality in made else self.packets(image, quality, packet_limit_bytes)
        return Stream(tuple(packets), (image.shape[0], image.shape[1]), operating_point, self.notes(quality))

    @abstractmethod
    def packets(self, image: Image, quality: int, limit: int | None) -> list[Packet]:
        """The image's packets.

        Args:
            image: uint8 (H, W, 3).
            quality: Of a checkpoint.
            limit: Most bytes of a packet; None: no limit.

        Raises:
            InputError: The limit is too small for a packet.
        """
