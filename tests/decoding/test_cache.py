"""Encoding and decoding through the store: once, in batches, smaller ones where memory is short."""

from pathlib import Path

import numpy as np
import pytest
from skimage import data

from netsim.codec import OperatingPoint
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.decoding.streams import StreamKey


class _Image:
    name, sha256 = "crop", "of-the-test"

    def pixels(self) -> np.ndarray:
        return np.ascontiguousarray(data.coffee()[100:164, 200:264])


STREAM_KEY = StreamKey(
    _Image(), "jpeg2000", (("receiver", "prefix"), ("packets", 10)), OperatingPoint("bpp", 1.0), None
)
MASKS = ["1" * (1 + k) + "0" * (10 - k) for k in range(11)]


@pytest.fixture
def cache(tmp_path: Path) -> CodecCache:
    return CodecCache(Store(tmp_path / "store.sqlite"))


def test_a_mask_is_decoded_once(cache: CodecCache, monkeypatch: pytest.MonkeyPatch) -> None:
    first = cache.qualities(STREAM_KEY, MASKS, ["psnr_db"])["psnr_db"]
    assert np.all(np.diff([first[mask] for mask in MASKS]) >= 0)
    assert first[MASKS[-1]] > first[MASKS[0]] + 5
    monkeypatch.setattr(type(cache.codec(STREAM_KEY)), "decode", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(type(cache.codec(STREAM_KEY)), "encode", lambda *_: pytest.fail("encoded again"))
    assert cache.qualities(STREAM_KEY, MASKS, ["psnr_db"])["psnr_db"] == first
    assert cache.missing(STREAM_KEY, [*MASKS, "10000000001"], ["psnr_db"]) == ["10000000001"]


class OutOfMemoryError(RuntimeError):
    """As a device's library calls it."""


@pytest.mark.parametrize("error", [MemoryError, OutOfMemoryError])
def test_batches_are_halved_until_they_fit(
    cache: CodecCache, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    kind = type(cache.codec(STREAM_KEY))
    real, sizes = kind.decode, []

    def decode(self: object, stream: object, masks: np.ndarray) -> np.ndarray:
        if len(masks) > 3:
            raise error
        sizes.append(len(masks))
        return real(self, stream, masks)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "decode", decode)
    assert len(cache.qualities(STREAM_KEY, MASKS, ["psnr_db"])["psnr_db"]) == len(MASKS)
    assert sizes == [2, 2, 2, 2, 2, 1]


def test_other_errors_are_not_hidden(cache: CodecCache, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> np.ndarray:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(cache.codec(STREAM_KEY)), "decode", decode)
    with pytest.raises(RuntimeError, match="a bug"):
        cache.qualities(STREAM_KEY, MASKS, ["psnr_db"])


def test_decoded_masks_are_counted(tmp_path: Path) -> None:
    counted: list[tuple[int, int]] = []
    cache = CodecCache(Store(tmp_path / "store.sqlite"), lambda more, done: counted.append((more, done)))
    cache.qualities(STREAM_KEY, MASKS[:4], ["psnr_db"])
    cache.qualities(STREAM_KEY, MASKS, ["psnr_db"])  # four are remembered
    assert [sum(numbers) for numbers in zip(*counted, strict=True)] == [len(MASKS), len(MASKS)]
