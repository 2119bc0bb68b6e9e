"""Does a codec keep its contract? A battery that anybody runs on their own class (``netsim check-codec NAME``).

Each check is one sentence of ``netsim.codec.Codec``, tried out on real streams; a codec that breaks one is
told which, and how.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.codec import Codec, OperatingPoint, Packet, Stream, check_codec_class
from netsim.codec_calls import checked_stream, decoded_images, usable_packets
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

__all__ = ["CHECKS", "CheckResult", "check_codec"]

BoolArray = NDArray[np.bool_]
Image = NDArray[np.uint8]

EXHAUSTIVE = 12  # up to so many droppable packets, every mask is tried with `usable`
SAMPLED = 2000  # masks tried above that
DECODED_MASKS = 6  # masks decoded per stream
BATCH_TOLERANCE_DB = 1e-3


@dataclass(frozen=True)
class CheckResult:
    """One check's outcome. detail: what was tried, or what went wrong and where."""

    name: str
    passed: bool
    detail: str


class Broken(Exception):
    """A sentence of the contract that doesn't hold."""


@dataclass
class Case:
    """One image at one operating point, and masks to try on its stream."""

    codec: Codec
    image: Image
    point: OperatingPoint
    seed: int

    @cached_property
    def stream(self) -> Stream:
        return checked_stream(self.codec, self.codec.encode(self.image, self.point), self.image)

    @cached_property
    def masks(self) -> BoolArray:
        """bool [m, n]: every mask, or a sample with loss rates from 0 to 1; protected packets always received."""
        droppable = np.flatnonzero(~self.stream.protected)
        if len(droppable) <= EXHAUSTIVE:
            drawn = np.array(list(product([True, False], repeat=len(droppable))), dtype=bool)
        else:
            rng = np.random.default_rng(self.seed)
            drawn = rng.random((SAMPLED, len(droppable))) >= rng.random((SAMPLED, 1))
            drawn = np.concatenate([np.ones((1, len(droppable)), bool), ~np.eye(len(droppable), dtype=bool), drawn])
        masks = np.ones((len(drawn), len(self.stream)), dtype=bool)
        masks[:, droppable] = drawn
        return masks

    @cached_property
    def usable(self) -> BoolArray:
        return usable_packets(self.codec, self.stream, self.masks)

    @cached_property
    def decoded(self) -> BoolArray:
        """bool [k, n]: a few masks with different usable packets, all received first."""
        decodable = np.flatnonzero(self.usable.any(axis=1))
        _, first = np.unique(self.usable[decodable], axis=0, return_index=True)
        picks = np.random.default_rng(self.seed).permutation(np.sort(first)[1:])[: DECODED_MASKS - 1]
        return self.masks[[0, *decodable[picks]]]

    @cached_property
    def decoded_images(self) -> Image:
        """uint8 [k, H, W, 3] of ``decoded``."""
        return decoded_images(self.codec, self.stream, self.decoded)

    def __str__(self) -> str:
        return f"{self.image.shape[1]}x{self.image.shape[0]} at {self.point}"


def _quality_db(image: Image, decoded: Image) -> float:
    return float(psnr_db(image, decoded[np.newaxis])[0])


def _fresh(codec: Codec) -> Codec:
    """Another instance that shares nothing with this one, as at a receiver."""
    return type(codec)(codec.settings)


def _show(mask: BoolArray) -> str:
    return "".join("1" if arrived else "0" for arrived in mask)


def round_trip(case: Case) -> str:
    """All received: an image of the same shape, nearer to the image than a grey one.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: ``usable`` leaves out a packet of a complete stream, or the image is no nearer than a grey one.
    """
    if not case.usable[0].all():
        raise Broken("with all packets received, `usable` leaves some out")
    decoded = decoded_images(case.codec, case.stream, case.masks[:1])
    quality = _quality_db(case.image, decoded[0])
    grey = _quality_db(case.image, np.full_like(case.image, round(case.image.mean())))
    if quality <= grey:
        raise Broken(f"the image has {quality:.1f} dB, a grey one {grey:.1f} dB")
    return f"{case}: {len(case.stream)} packets, {case.stream.bpp:.3f} bpp, {quality:.1f} dB"


def encoding_repeats(case: Case) -> str:
    """The same instance, a fresh one and one in a new process (once: it takes time) make the same packets.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: Another encoding makes other packets, or fails in a new process.
    """
    for who, codec in (("the second encoding has", case.codec), ("a fresh instance makes", _fresh(case.codec))):
        if codec.encode(case.image, case.point).packets != case.stream.packets:
            raise Broken(f"{case}: {who} other packets")
    kind = type(case.codec)
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        return "same packets from a fresh instance (the class can't be imported, so no new process was tried)"
    if case.seed == 0 and _packets_elsewhere(case) != _digest(case.stream):
        raise Broken(f"{case}: a new process makes other packets")
    return "same packets from a fresh instance and a new process"


def _digest(stream: Stream) -> str:
    parts = [hashlib.sha256(packet.payload).hexdigest() + str(packet.protected) for packet in stream.packets]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _packets_elsewhere(case: Case) -> str:
    """Digest of the packets that a new process makes: nothing remembered, another hash seed."""
    kind = type(case.codec)
    order = {
        "module": kind.__module__,
        "kind": kind.__qualname__,
        "settings": case.codec.settings.model_dump(mode="json", exclude_unset=True),
        "point": [case.point.key, case.point.value],
        "shape": case.image.shape,
    }
    done = subprocess.run(
        [sys.executable, "-m", "netsim.conformance"],
        input=json.dumps(order).encode() + b"\n" + case.image.tobytes(),
        capture_output=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        check=False,
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Broken(f"{case}: encoding in a new process fails: {' '.join(last)}")
    return done.stdout.decode().strip()


def _encode_as_told() -> None:
    """The new process's part: reads an order and an image, prints the packets' digest."""
    order = json.loads(sys.stdin.buffer.readline())
    kind: Any = importlib.import_module(order["module"])
    for part in order["kind"].split("."):
        kind = getattr(kind, part)
    image = np.frombuffer(sys.stdin.buffer.read(), np.uint8).reshape(order["shape"])
    print(_digest(kind(kind.Settings(**order["settings"])).encode(image, OperatingPoint(*order["point"]))))


def decoding_repeats(case: Case) -> str:
    """The same masks decode to the same images, also in a fresh instance.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: A second decoding has other pixels.
    """
    for codec in (case.codec, _fresh(case.codec)):
        if not np.array_equal(codec.decode(case.stream, case.decoded), case.decoded_images):
            raise Broken(f"{case}: the second decoding has other pixels")
    return f"{len(case.decoded)} masks, twice"


def lost_payloads_unread(case: Case) -> str:
    """Random bytes in place of every lost packet, of any length, change nothing.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: The image depends on the bytes of a lost packet.
    """
    rng = np.random.default_rng(case.seed + 1)
    lengths: Iterable[Callable[[int], int]] = (lambda n: n, lambda n: 2 * n + 7, lambda n: 0)
    tried = 0
    alone = [case.codec.decode(case.stream, mask[np.newaxis]) for mask in case.decoded]
    for length, (mask, decoded) in product(lengths, zip(case.decoded, alone, strict=True)):
        packets = tuple(
            p if arrived else Packet(rng.bytes(length(len(p.payload))), p.protected)
            for p, arrived in zip(case.stream.packets, mask, strict=True)
        )
        garbled = replace(case.stream, packets=packets)
        if not np.array_equal(case.codec.decode(garbled, mask[np.newaxis]), decoded):
            raise Broken(f"{case}, mask {_show(mask)}: garbage in a lost packet changes the image")
        tried += int((~mask).any())
    return f"{tried} masks with garbage of the same length, longer, none" if tried else "every packet is needed"


def usable_is_subset(case: Case) -> str:
    """bool, same shape, no packet that was lost; the same for one mask as for many.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: A lost packet counts as usable, or a mask alone has another result than among others.
    """
    usable = case.usable
    wrong = np.flatnonzero((usable & ~case.masks).any(axis=1))
    if len(wrong):
        raise Broken(f"{case}, mask {_show(case.masks[wrong[0]])}: usable {_show(usable[wrong[0]])} has a lost packet")
    folded = case.codec.usable(case.stream, case.masks[:, np.newaxis])[:, 0]
    for i in np.linspace(0, len(case.masks) - 1, 20, dtype=int):
        alone = case.codec.usable(case.stream, case.masks[i].copy())
        if not (np.array_equal(alone, usable[i]) and np.array_equal(folded[i], usable[i])):
            raise Broken(f"{case}, mask {_show(case.masks[i])}: usable alone is not usable among many")
    return f"{len(case.masks)} masks, {len(np.unique(usable, axis=0))} told apart"


def usable_is_monotone(case: Case) -> str:
    """One more packet received never makes another unusable.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: A packet is of no use any more once another one arrives.
    """
    for packet in np.flatnonzero(~case.stream.protected):
        more = case.masks.copy()
        more[:, packet] = True
        lost = case.usable & ~case.codec.usable(case.stream, more)
        wrong = np.flatnonzero(lost.any(axis=1))
        if len(wrong):
            raise Broken(
                f"{case}, mask {_show(case.masks[wrong[0]])}: packet {int(np.argmax(lost[wrong[0]]))} is of no use "
                f"once packet {packet} arrives too"
            )
    return f"{len(case.masks)} masks, {int((~case.stream.protected).sum())} packets"


def usable_decides_image(case: Case) -> str:
    """Masks with equal usable packets decode to equal images.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: Two masks with equal usable packets decode to different images.
    """
    groups: dict[bytes, list[int]] = {}
    for i in np.flatnonzero(case.usable.any(axis=1)):
        groups.setdefault(case.usable[i].tobytes(), []).append(int(i))
    pairs = [(group[0], group[-1]) for group in groups.values() if len(group) > 1]
    chosen = np.random.default_rng(case.seed + 2).permutation(len(pairs))[:DECODED_MASKS]
    for a, b in (pairs[i] for i in chosen):
        one, other = (case.codec.decode(case.stream, case.masks[i : i + 1]) for i in (a, b))
        if not np.array_equal(one, other):
            raise Broken(f"{case}: masks {_show(case.masks[a])} and {_show(case.masks[b])} have equal usable packets")
    return f"{len(chosen)} pairs of masks" if pairs else "no two masks have equal usable packets"


def packet_limit(case: Case) -> str:
    """No payload over the limit, or an InputError.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: A packet is larger than the limit, or a limit is refused that the packets meet without one.
    """
    largest = int(case.stream.sizes_bytes.max())
    done = []
    for limit in (largest, max(1, largest * 3 // 4), max(1, largest // 3), 1):
        try:
            got = int(case.codec.encode(case.image, case.point, limit).sizes_bytes.max())
        except InputError:
            if limit == largest:
                raise Broken(
                    f"{case}: a limit of {limit} bytes, which its packets meet without one, is refused"
                ) from None
            done.append(f"{limit} refused")
            continue
        if got > limit:
            raise Broken(f"{case}: a packet of {got} bytes under a limit of {limit}")
        done.append(f"{limit} met")
    return "bytes: " + ", ".join(done)


def batch_of_one(case: Case) -> str:
    """The same image alone as among others.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: An image alone differs by more than the tolerance from the same image among others.
    """
    for mask, decoded in zip(case.decoded, case.decoded_images, strict=True):
        alone = case.codec.decode(case.stream, mask[np.newaxis])[0]
        if not np.array_equal(alone, decoded):
            difference = abs(_quality_db(case.image, alone) - _quality_db(case.image, decoded))
            if difference > BATCH_TOLERANCE_DB:
                raise Broken(f"{case}, mask {_show(mask)}: alone it differs by {difference:.3g} dB")
    return f"{len(case.decoded)} masks, within {BATCH_TOLERANCE_DB:g} dB"


def bytes_counted(case: Case) -> str:
    """A receiver with the packets alone shows the same images: nothing is known that wasn't sent.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: Decoding needs more than the packets' bytes.
    """
    stripped = Stream(case.stream.packets, (0, 0), OperatingPoint("unknown", 0.0))
    if not np.array_equal(_fresh(case.codec).decode(stripped, case.decoded), case.decoded_images):
        raise Broken(f"{case}: without the sender's notes (shape, operating point, made_by) the images differ")
    return f"{case.stream.bytes_total} bytes are all"


def odd_size(case: Case) -> str:
    """An image with odd sides comes back in its size.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: The image comes back in another size.
    """
    height, width = (n - 1 if n % 2 == 0 else n for n in case.image.shape[:2])
    image = np.ascontiguousarray(case.image[:height, :width])
    stream = case.codec.encode(image, case.point)
    decoded = case.codec.decode(stream, np.ones((1, len(stream)), bool))
    if decoded.shape != (1, height, width, 3):
        raise Broken(f"{width}x{height} comes back as {list(decoded.shape)}")
    return f"{width}x{height}"


def damaged_payload(case: Case) -> str:
    """Of a damaged payload, ``usable`` gives a mask and ``decode`` an image, or either an InputError.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: A damaged payload leads to another error, or to a mask or an image of another shape.
    """
    rng = np.random.default_rng(case.seed + 3)
    refused = 0
    everything = case.masks[:1]
    victims = rng.permutation(len(case.stream))[:DECODED_MASKS]
    for victim in {0, *map(int, victims)}:
        payload = case.stream.packets[victim].payload
        flipped = bytearray(payload)
        for place in rng.integers(0, max(1, len(payload)), 4 if payload else 0):
            flipped[place] ^= int(rng.integers(1, 256))
        for damaged in (bytes(flipped), payload[: len(payload) // 2], rng.bytes(len(payload))):
            packets = list(case.stream.packets)
            packets[victim] = replace(packets[victim], payload=damaged)
            stream = replace(case.stream, packets=tuple(packets))
            try:
                usable = case.codec.usable(stream, case.masks)
                if not usable[0].any():
                    refused += 1
                    continue
                decoded = case.codec.decode(stream, everything)
            except InputError:
                refused += 1
                continue
            except Exception as error:
                raise Broken(f"{case}: a damaged packet {victim} raises {type(error).__name__}: {error}") from error
            if decoded.dtype != np.uint8 or decoded.ndim != 4 or decoded.shape[::3] != (1, 3):
                raise Broken(f"{case}: a damaged packet {victim} decodes to {decoded.dtype} {list(decoded.shape)}")
    return f"{3 * len({0, *map(int, victims)})} damaged payloads, {refused} refused"


CHECKS: dict[str, Callable[[Case], str]] = {
    "round trip": round_trip,
    "encoding repeats": encoding_repeats,
    "decoding repeats": decoding_repeats,
    "lost payloads unread": lost_payloads_unread,
    "usable is a subset": usable_is_subset,
    "usable is monotone": usable_is_monotone,
    "usable decides the image": usable_decides_image,
    "packet limit": packet_limit,
    "batch of one": batch_of_one,
    "bytes counted": bytes_counted,
    "odd size": odd_size,
    "damaged payload": damaged_payload,
}
"""Name of each check, in order, with what tries it out."""


def _default_points(codec: Codec) -> Iterator[OperatingPoint]:
    if "bpp" not in codec.operating_point_keys:
        keys = ", ".join(codec.operating_point_keys)
        hint = f"name at least one, by {keys}"
        raise InputError(f"codec {codec.name} has no operating point `bpp` to check it at", hint=hint)
    yield OperatingPoint("bpp", 0.5)


def check_codec(
    codec: Codec,
    images: Sequence[Image],
    operating_points: Sequence[OperatingPoint] | None = None,
    *,
    damage: bool = True,
) -> list[CheckResult]:
    """Run every check on every image at every operating point.

    Args:
        codec: The codec with its settings.
        images: uint8 [H, W, 3] each; small ones suffice.
        operating_points: None: .5 bpp, if the codec takes bpp.
        damage: Also try damaged payloads. Leave this out for a codec whose native decoder may end the process.

    Returns:
        One result per check, in the order of ``CHECKS``. An exception inside a check counts as a failure. Where
        ``encode`` returns no stream nothing else can be tried: the only result is that of the first check.

    Raises:
        InputError: ``codec`` is not an instance, its class is at fault, or no operating point is given and the codec
            takes no bpp.
    """
    if not isinstance(codec, Codec):
        message = f"check_codec takes a codec with its settings, not {codec!r}"
        raise InputError(message, hint='an instance: MyCodec(), or create_codec("my-codec", {})')
    check_codec_class(codec.name, type(codec))
    points = list(operating_points) if operating_points is not None else list(_default_points(codec))
    cases = [Case(codec, image, point, seed) for seed, (image, point) in enumerate(product(images, points))]
    names = [name for name in CHECKS if damage or name != "damaged payload"]
    if broken := next(filter(None, map(_no_stream, cases)), None):
        return [broken]
    return [_run(name, cases) for name in names]


def _no_stream(case: Case) -> CheckResult | None:
    """The failure of a case whose image makes no stream."""
    try:
        _ = case.stream
    except InputError as error:
        return CheckResult(next(iter(CHECKS)), False, f"{case}: {error.message}")
    except Exception as error:  # a codec under test may raise anything
        return CheckResult(next(iter(CHECKS)), False, f"{case}: encode raises {type(error).__name__}: {error}")
    return None


def _run(name: str, cases: Sequence[Case]) -> CheckResult:
    details = []
    for case in cases:
        try:
            details.append(CHECKS[name](case))
        except Broken as broken:
            return CheckResult(name, False, str(broken))
        except InputError as error:
            return CheckResult(name, False, f"{case}: {error.message}")
        except Exception as error:  # a codec under test may raise anything
            return CheckResult(name, False, f"{case}: {type(error).__name__}: {error}")
    return CheckResult(name, True, "; ".join(dict.fromkeys(details)))


if __name__ == "__main__":
    _encode_as_told()
