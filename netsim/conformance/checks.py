"""The checks: each tries out one sentence of ``netsim.codec.Codec`` on a real stream."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import product

import numpy as np

from netsim.codec import OperatingPoint, Packet, Stream
from netsim.codec_calls import decoded_images
from netsim.conformance.case import DECODED_MASKS, Broken, Case, fault, fresh, quality_db, shown
from netsim.conformance.new_process import digest, packets_elsewhere
from netsim.errors import InputError

__all__ = ["CHECKS"]

BATCH_TOLERANCE_DB = 1e-3


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
    quality = quality_db(case.image, decoded[0])
    grey = quality_db(case.image, np.full_like(case.image, round(case.image.mean())))
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
    for who, codec in (("the second encoding has", case.codec), ("a fresh instance makes", fresh(case.codec))):
        if codec.encode(case.image, case.point).packets != case.stream.packets:
            raise Broken(f"{case}: {who} other packets")
    kind = type(case.codec)
    if kind.__module__ == "__main__" or "<locals>" in kind.__qualname__:
        return "same packets from a fresh instance (the class can't be imported, so no new process was tried)"
    if case.seed == 0 and packets_elsewhere(case) != digest(case.stream):
        raise Broken(f"{case}: a new process makes other packets")
    return "same packets from a fresh instance and a new process"


def decoding_repeats(case: Case) -> str:
    """The same masks decode to the same images, also in a fresh instance.

    Args:
        case: Codec, image and operating point, with the stream and the masks made from them.

    Returns:
        What was tried, for the report.

    Raises:
        Broken: A second decoding has other pixels.
    """
    for codec in (case.codec, fresh(case.codec)):
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
            raise Broken(f"{case}, mask {shown(mask)}: garbage in a lost packet changes the image")
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
        raise Broken(f"{case}, mask {shown(case.masks[wrong[0]])}: usable {shown(usable[wrong[0]])} has a lost packet")
    folded = case.codec.usable(case.stream, case.masks[:, np.newaxis])[:, 0]
    for i in np.linspace(0, len(case.masks) - 1, 20, dtype=int):
        alone = case.codec.usable(case.stream, case.masks[i].copy())
        if not (np.array_equal(alone, usable[i]) and np.array_equal(folded[i], usable[i])):
            raise Broken(f"{case}, mask {shown(case.masks[i])}: usable alone is not usable among many")
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
                f"{case}, mask {shown(case.masks[wrong[0]])}: packet {int(np.argmax(lost[wrong[0]]))} is of no use "
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
            raise Broken(f"{case}: masks {shown(case.masks[a])} and {shown(case.masks[b])} have equal usable packets")
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
            difference = abs(quality_db(case.image, alone) - quality_db(case.image, decoded))
            if difference > BATCH_TOLERANCE_DB:
                raise Broken(f"{case}, mask {shown(mask)}: alone it differs by {difference:.3g} dB")
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
    if not np.array_equal(fresh(case.codec).decode(stripped, case.decoded), case.decoded_images):
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
                raise Broken(f"{case}: a damaged packet {victim} raises {fault(error, case.codec)}") from error
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
