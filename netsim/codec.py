"""The contract that a codec fulfils, and how codecs are found (entry point group ``netsim.codecs``).

A codec turns an image into packets, and any set of received packets back into an image. It sees no
channel and no clock. Masks are boolean with True = received, one entry per packet of the stream.
"""

from __future__ import annotations

import math
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, get_args, get_origin

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator

from netsim.digests import named_path, path_sha256
from netsim.errors import InputError, did_you_mean
from netsim.registry import entry_module, load_plugin, plugin_names
from netsim.signatures import method_takes, signature_text
from netsim.source import package_identity, source_identity
from netsim.text import number_text

__all__ = [
    "MAX_PIXELS",
    "Codec",
    "CodecSettings",
    "OperatingPoint",
    "Packet",
    "Stream",
    "check_codec_class",
    "check_point_value",
    "codec_class",
    "codec_entry",
    "codec_identity",
    "codec_names",
    "create_codec",
    "entry_keys",
    "path_settings",
]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

MAX_PIXELS = 1 << 27
"""Pixels of the largest image that is read, and of the largest that a payload may claim to hold."""


@dataclass(frozen=True, repr=False)
class Packet:
    """One packet.

    Attributes:
        payload: The bytes that cross the network.
        protected: A protected packet crosses the network in a form that is never lost.
    """

    payload: bytes
    protected: bool = False

    def __repr__(self) -> str:
        return f"<Packet: {len(self.payload)} bytes{', protected' if self.protected else ''}>"


@dataclass(frozen=True)
class OperatingPoint:
    """A codec's rate setting: ``OperatingPoint("bpp", 0.35)``, ``OperatingPoint("qp", 37)``.

    Attributes:
        key: What sets the rate: ``bpp``, ``qp``, ``quality``.
        value: Its value.
    """

    key: str
    value: float

    def __str__(self) -> str:
        return f"{self.key}={number_text(self.value)}"


@dataclass(frozen=True, repr=False)
class Stream:
    """A coded image: packets in sending order, and how they were made.

    Everything that a receiver must know is in a packet (protected where it must not be lost), so ``bytes_total`` is all
    that is sent. A decoder reads payloads of received packets, and nothing else of the stream except the number of
    packets.

    Attributes:
        packets: The packets in sending order.
        shape: (height, width) of the image, for the sender's accounting only.
        operating_point: The rate setting that made the stream.
        made_by: Which program, version, hash and command made the bytes; the manifest holds it.
    """

    packets: tuple[Packet, ...]
    shape: tuple[int, int]
    operating_point: OperatingPoint
    made_by: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.packets)

    def __repr__(self) -> str:
        height, width = self.shape
        size = f"{self.bytes_total} bytes" + (f", {self.bpp:.3g} bit/pixel" if height * width else "")
        return f"<Stream of {width}×{height} at {self.operating_point}: {len(self)} packets, {size}>"

    @cached_property
    def sizes_bytes(self) -> NDArray[np.int64]:
        """Payload size of each packet."""
        return np.array([len(p.payload) for p in self.packets], dtype=np.int64)

    @cached_property
    def protected(self) -> BoolArray:
        """True where a packet is never lost."""
        return np.array([p.protected for p in self.packets], dtype=bool)

    @property
    def bytes_total(self) -> int:
        return int(self.sizes_bytes.sum())

    @property
    def bpp(self) -> float:
        """Bits sent per pixel, protected packets included."""
        return 8 * self.bytes_total / (self.shape[0] * self.shape[1])


class CodecSettings(BaseModel):
    """Base of a codec's settings, a frozen pydantic model. Unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _as_written(cls, value: Any, info: ValidationInfo) -> Any:
        """A number is written as a number: `true` and `'5'` are not numbers."""
        kinds = _kinds(cls.model_fields[info.field_name or ""].annotation)
        if kinds & {int, float} and type(value) in {bool, str} - kinds and not kinds & {Any, Path}:
            raise ValueError(f"{value!r} is not a number")
        return value


def _kinds(annotation: Any) -> set[Any]:
    """Types in an annotation, those of a Literal's values included."""
    if get_origin(annotation) is Literal:
        return {type(value) for value in get_args(annotation)}
    inside = get_args(annotation)
    if inside:
        return set().union(*map(_kinds, inside))
    return {annotation} if annotation is Any or isinstance(annotation, type) else set()


class Codec(ABC):
    """A codec with its settings. Subclass it, name it, and register it under ``netsim.codecs``.

    Attributes:
        name: As in a scenario.
        summary: One line for ``netsim codecs``.
        Settings: A subclass of ``CodecSettings``.
        operating_point_keys: Each key that may set the rate, with its type. A scenario gives exactly one.
        point_limits: Least and greatest value of those keys that have them, checked before anything runs.
        label_settings: Settings that are always part of a scheme's name; others only if not the default.
        hidden_settings: Settings that are never part of it, since they change no byte, and no image visibly.
        all_needed: True if an image decodes from all packets or not at all.
        settings: The settings of this instance.
    """

    name: ClassVar[str]
    summary: ClassVar[str] = ""
    Settings: ClassVar[type[CodecSettings]] = CodecSettings
    operating_point_keys: ClassVar[Mapping[str, type]]
    point_limits: ClassVar[Mapping[str, tuple[float, float]]] = {}
    label_settings: ClassVar[tuple[str, ...]] = ()
    hidden_settings: ClassVar[tuple[str, ...]] = ()
    all_needed: ClassVar[bool] = False

    def __init__(self, settings: CodecSettings | None = None) -> None:
        self.settings = settings if settings is not None else self.Settings()

    def __repr__(self) -> str:
        return f"<Codec {self.label}>"

    @property
    def label(self) -> str:
        """How the codec with its settings is called in logs and figures; packet count left out."""
        shown = []
        for key, info in type(self.settings).model_fields.items():
            value = getattr(self.settings, key)
            hidden = key == "packets" or key in self.hidden_settings
            if not hidden and (key in self.label_settings or value != info.default):
                shown.append(str(value) if key in self.label_settings else f"{key}={value}")
        return " ".join([self.name, *shown])

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """What besides settings and source decides bytes and images: versions and hashes of tools and weights.

        Part of the content address of every stream and every decoded mask, together with the codec's source and the
        contents of files that its settings name. The default holds the versions of what the codec imports and a
        digest of the other files in its package.
        """
        return package_identity(type(self))

    @property
    def input_files(self) -> Mapping[str, Path]:
        """Files (and, where the setting is a path, folders) that the settings name, by setting; of a list, by number.

        Their contents are part of the content address.
        """
        found = {}
        for key in type(self.settings).model_fields:
            value = getattr(self.settings, key)
            if isinstance(value, str | Path) and value and (path := named_path(value, folder=isinstance(value, Path))):
                found[key] = path
            elif isinstance(value, tuple | list):
                paths = [named_path(one, folder=True) for one in value if isinstance(one, Path)]
                found |= {f"{key} {number}": path for number, path in enumerate(paths, 1) if path}
        return found

    @property
    def uses_gpu(self) -> bool:
        """Whether encoding and decoding need a GPU: on a cluster, a process that has one to itself does them."""
        return False

    @property
    def parameters(self) -> int | None:
        """Number of trained parameters that encoder and decoder need together; None if nothing in it was trained.

        May load the codec's weights.
        """
        return None

    @property
    def remark(self) -> str:
        """What must be said beside results of this codec, as one sentence; empty if there is nothing to say.

        A table or figure of a paper carries it as a note: for example that the weights are not trained yet.
        """
        return ""

    def for_timing(self) -> Codec:
        """Another instance that remembers no image and checks nothing, its weights loaded.

        A codec that remembers images outside of its instances drops them here.

        Returns:
            The new instance, with the same settings.
        """
        other = type(self)(self.settings)
        _ = other.parameters
        return other

    @abstractmethod
    def encode(self, image: Image, operating_point: OperatingPoint, packet_limit_bytes: int | None = None) -> Stream:
        """Encode one image.

        Args:
            image: uint8 [H, W, 3], RGB.
            operating_point: The rate setting.
            packet_limit_bytes: No payload may be larger (the link's MTU less headers). None: the codec's own packet
                count alone decides.

        Returns:
            The stream.

        Raises:
            InputError: The limit can't be met.
        """

    @abstractmethod
    def usable(self, stream: Stream, received: BoolArray) -> BoolArray:
        """Which received packets the decoder can use.

        Two masks with equal usable packets decode to equal images. An image fails to decode iff no packet is usable.

        Args:
            stream: The stream.
            received: True = received, bool [..., n].

        Returns:
            bool [..., n], a subset of ``received``, and monotone: one packet more never makes another unusable.
        """

    @abstractmethod
    def decode(self, stream: Stream, masks: BoolArray) -> Image:
        """Decode images from the packets in ``masks`` alone.

        Args:
            stream: The stream.
            masks: Usable packets, bool [m, n]; each mask has at least one.

        Returns:
            uint8 [m, H, W, 3], RGB.
        """


def codec_identity(codec: Codec) -> Mapping[str, Any]:
    """Everything besides settings that decides what a codec does: fingerprint, source, contents of named files.

    Args:
        codec: The codec.

    Returns:
        Keys fingerprint, source, files.
    """
    return {
        "fingerprint": dict(codec.fingerprint),
        "source": source_identity(type(codec), *entry_module("codec", codec.name)),
        "files": {key: path_sha256(path) for key, path in codec.input_files.items()},
    }


def codec_names() -> list[str]:
    """Names of all codecs, installed or registered."""
    return plugin_names("codec")


def codec_class(name: str) -> type[Codec]:
    """The class of an installed codec.

    Args:
        name: As in ``netsim codecs``.

    Returns:
        A subclass of ``Codec``.

    Raises:
        InputError: There is no codec of this name, it can't be imported, or it is not a codec.
    """
    kind = load_plugin("codec", name)
    if not (isinstance(kind, type) and issubclass(kind, Codec)):
        raise InputError(
            f"codec `{name}` is {kind!r}", hint="its entry point must name a subclass of netsim.codec.Codec"
        )
    check_codec_class(name, kind)
    return kind


@lru_cache(maxsize=256)
def check_codec_class(name: str, kind: type[Codec]) -> None:
    """Check what a codec's class says, before anything is coded.

    Args:
        name: As in a scenario.
        kind: The class.

    Raises:
        InputError: A method is missing or takes other arguments, or a class attribute is not what it should be.
    """
    if missing := sorted(kind.__abstractmethods__):
        raise InputError(
            f"codec `{name}` has no `{missing[0]}`", hint=f"write {signature_text(Codec.__dict__[missing[0]])}"
        )
    for method, arguments in (("encode", 3), ("usable", 2), ("decode", 2)):
        if not method_takes(kind, method, arguments):
            message = f"codec `{name}` can't be called as netsim calls it: {signature_text(getattr(kind, method))}"
            raise InputError(message, hint=signature_text(Codec.__dict__[method]))
    if not (isinstance(kind.Settings, type) and issubclass(kind.Settings, CodecSettings)):
        hint = "class Settings(netsim.CodecSettings), with one annotated field for each setting"
        raise InputError(f"codec `{name}`: Settings is {kind.Settings!r}", hint=hint)
    keys = getattr(kind, "operating_point_keys", None)
    if not isinstance(keys, Mapping) or not keys or not all(isinstance(one, type) for one in keys.values()):
        hint = 'operating_point_keys = {"bpp": float}: each key that sets the rate, with its type'
        raise InputError(f"codec `{name}`: operating_point_keys is {keys!r}", hint=hint)
    limits, known = kind.point_limits, [*keys, *(["sent_bpp"] if "bpp" in keys else [])]
    if not isinstance(limits, Mapping) or not all(_is_range(one) for one in limits.values()):
        raise InputError(f"codec `{name}`: point_limits is {limits!r}", hint='point_limits = {"quality": (1, 100)}')
    for key in limits:
        if key not in known:
            message = f"codec `{name}`: point_limits has `{key}`, which is not an operating point key"
            raise InputError(message, hint=did_you_mean(str(key), known))


def _is_range(value: Any) -> bool:
    return isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(one, int | float) for one in value)


def check_point_value(kind: type[Codec], key: str, value: Any) -> None:
    """Check the value of an operating point, before anything is coded.

    Args:
        kind: The codec's class.
        key: One of its ``operating_point_keys``, or ``sent_bpp``.
        value: What was written.

    Raises:
        InputError: Not a number of the key's type, or outside ``point_limits``.
    """
    whole, is_bpp = kind.operating_point_keys.get(key) is int, key in ("bpp", "sent_bpp")
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf
    if not number or (whole and value != int(value)):
        word = "a whole number" if whole else "a number"
        raise InputError(f"{key} = {value!r} is not {word}", hint=f"{key}: {'37' if whole else '0.35'}")
    low, high = kind.point_limits.get(key, (0, _MOST_BPP if is_bpp else _POINT_LIMIT))
    if value > high or (value < low and (value >= 0 or key in kind.point_limits)):
        message = f"codec {kind.name} has no {key} {value if isinstance(value, int) else number_text(value)}"
        raise InputError(message, hint=f"{key} is from {low:g} to {high:g}")
    if value < 0 or (is_bpp and value == 0):
        raise InputError(f"negative rate: {key} = {value!r}" if value < 0 else f"{key} = 0", hint="above zero")


_MOST_BPP = 24.0  # an RGB image as it is
_POINT_LIMIT = 1e9  # far above every operating point; NaN is not below it


def path_settings(kind: type[Codec]) -> set[str]:
    """The settings of a codec that are paths, or lists of paths.

    Args:
        kind: The codec's class.

    Returns:
        Names of settings.
    """
    return {key for key, info in kind.Settings.model_fields.items() if Path in _kinds(info.annotation)}


def create_codec(name: str, parameters: Mapping[str, Any]) -> Codec:
    """A codec by name with its settings.

    Args:
        name: As in a scenario.
        parameters: Its settings, without an operating point.

    Returns:
        The codec.

    Raises:
        InputError: An unknown codec, an unknown setting or a bad value; weights or packages that are not there
            (``NotInstalledError``).
    """
    kind = codec_class(name)
    try:
        settings = kind.Settings(**parameters)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        key, path = ".".join(map(str, first["loc"])), tuple(first["loc"])
        if first["type"] == "extra_forbidden":
            known = [*kind.Settings.model_fields, *kind.operating_point_keys, "protection"]
            raise InputError(f"codec {name} has no setting `{key}`", hint=did_you_mean(key, known), key=path) from None
        if first["type"] == "missing":
            hint = f"it has no default: `{name}: {{{key}: …}}` in a scenario, `--set {key}=…` for check-codec"
            raise InputError(f"codec {name} needs the setting `{key}`", hint=hint, key=path) from None
        raise InputError(
            f"codec {name}: {key} = {first['input']!r}: {first['msg'].removeprefix('Value error, ')}", key=path
        ) from None
    return kind(settings)


def entry_keys(kind: type[Codec]) -> list[str]:
    """All keys that a scenario's entry for a codec may have.

    Args:
        kind: The codec's class.

    Returns:
        Settings, operating points, and what every codec takes.
    """
    fields = kind.Settings.model_fields
    points = [*kind.operating_point_keys, *(["sent_bpp"] if "bpp" in kind.operating_point_keys else [])]
    aliases = [info.alias for info in fields.values() if info.alias]
    return [*fields, *aliases, *points, "protection", "engine", "choices", "control"]


def codec_entry(name: str, **settings: Any) -> dict[str, dict[str, Any]]:
    """A scenario's entry for a codec, its keys checked: ``netsim.codec("jpeg2000", bpp=0.35)``.

    Args:
        name: A codec, as in ``netsim codecs``.
        **settings: Its settings and its operating point; ``protection``, ``engine`` and ``choices`` as in a scenario.

    Returns:
        The entry, for ``codecs=[...]``.

    Raises:
        InputError: An unknown codec or setting; the hint is the nearest known one.

    >>> codec_entry("jpeg2000", bpp=[0.2, 0.35], receiver="prefix")
    {'jpeg2000': {'bpp': [0.2, 0.35], 'receiver': 'prefix'}}
    """
    known = entry_keys(codec_class(name))
    for key in settings:
        if key not in known:
            raise InputError(f"codec {name} has no setting `{key}`", hint=did_you_mean(key, known), key=(key,))
    return {name: settings}


class _CodecModule(ModuleType):
    """The module can be called, so that ``netsim.codec`` is a function, too."""

    def __call__(self, name: str, **settings: Any) -> dict[str, dict[str, Any]]:
        return codec_entry(name, **settings)


sys.modules[__name__].__class__ = _CodecModule
