"""Encoding and decoding through the store: once, in batches, smaller ones where memory is short."""

from pathlib import Path

import numpy as np
import pytest
from skimage import data

from netsim.codec import OperatingPoint
from netsim.decoding.store import Store
from netsim.decoding.workshop import CodedPicture, Workshop


class _Picture:
    name, sha256 = "crop", "of-the-test"

    def pixels(self) -> np.ndarray:
        return np.ascontiguousarray(data.coffee()[100:164, 200:264])


CODED = CodedPicture(
    _Picture(), "jpeg2000", (("receiver", "prefix"), ("packets", 10)), OperatingPoint("bpp", 1.0), None
)
MASKS = ["1" * (1 + k) + "0" * (10 - k) for k in range(11)]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(Store(tmp_path / "store.sqlite"))


def test_a_mask_is_decoded_once(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    first = shop.qualities(CODED, MASKS, ["psnr_db"])["psnr_db"]
    assert np.all(np.diff([first[mask] for mask in MASKS]) >= 0)
    assert first[MASKS[-1]] > first[MASKS[0]] + 5
    monkeypatch.setattr(type(shop.codec(CODED)), "decode", lambda *_: pytest.fail("decoded again"))
    monkeypatch.setattr(type(shop.codec(CODED)), "encode", lambda *_: pytest.fail("encoded again"))
    assert shop.qualities(CODED, MASKS, ["psnr_db"])["psnr_db"] == first
    assert shop.missing(CODED, [*MASKS, "10000000001"], ["psnr_db"]) == ["10000000001"]


class OutOfMemoryError(RuntimeError):
    """As a device's library calls it."""


@pytest.mark.parametrize("error", [MemoryError, OutOfMemoryError])
def test_batches_are_halved_until_they_fit(
    shop: Workshop, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    kind = type(shop.codec(CODED))
    real, sizes = kind.decode, []

    def decode(self: object, stream: object, masks: np.ndarray) -> np.ndarray:
        if len(masks) > 3:
            raise error
        sizes.append(len(masks))
        return real(self, stream, masks)  # type: ignore[arg-type]

    monkeypatch.setattr(kind, "decode", decode)
    assert len(shop.qualities(CODED, MASKS, ["psnr_db"])["psnr_db"]) == len(MASKS)
    assert sizes == [2, 2, 2, 2, 2, 1]


def test_other_errors_are_not_hidden(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    def decode(*_: object) -> np.ndarray:
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(shop.codec(CODED)), "decode", decode)
    with pytest.raises(RuntimeError, match="a bug"):
        shop.qualities(CODED, MASKS, ["psnr_db"])


def test_decoded_masks_are_counted(tmp_path: Path) -> None:
    counted: list[tuple[int, int]] = []
    shop = Workshop(Store(tmp_path / "store.sqlite"), lambda more, done: counted.append((more, done)))
    shop.qualities(CODED, MASKS[:4], ["psnr_db"])
    shop.qualities(CODED, MASKS, ["psnr_db"])  # four are remembered
    assert [sum(numbers) for numbers in zip(*counted, strict=True)] == [len(MASKS), len(MASKS)]
