"""Packed training images: they fit, they are the photos, and the same photos give the same files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from netcodecs.training.core.crops import load_folder
from netcodecs.training.pack import pack
from numpy.typing import NDArray
from PIL import Image

from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db


@pytest.fixture
def folders(tmp_path: Path, images: list[NDArray[np.uint8]]) -> list[Path]:
    """Two PNG files, one in a subfolder, and one held out."""
    places = ("photos/a.png", "photos/more/b.png", "my_validation/c.png")
    for name, image in zip(places, images, strict=True):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(tmp_path / name)
    return [tmp_path / "photos", tmp_path / "my_validation"]


def _files(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*.jpg"))}


@pytest.mark.parametrize("limit_bytes", [400_000, 120_000])
def test_photos_fit_and_fill_most_of_the_size(folders: list[Path], tmp_path: Path, limit_bytes: int) -> None:
    words = [pack(folders, tmp_path / name, limit_bytes) for name in ("one", "two")]
    files = _files(tmp_path / "one")
    assert list(files) == ["my_validation/00000.jpg", "photos/00000.jpg", "photos/00001.jpg"]
    assert 0.7 * limit_bytes < sum(map(len, files.values())) <= limit_bytes
    assert files == _files(tmp_path / "two")
    assert "3 photos" in words[0]
    assert (tmp_path / "one" / ".gitignore").read_text() == "*\n"


def test_photos_keep_their_size_where_quality_alone_is_enough(
    folders: list[Path], tmp_path: Path, images: list[NDArray[np.uint8]]
) -> None:
    pack(folders, tmp_path / "out", 400_000)
    for made, image in zip(load_folder(tmp_path / "out" / "photos", at_least=256), images[:2], strict=True):
        assert psnr_db(image, made[None])[0] > 35


def test_smaller_photos_keep_256_pixels_and_their_shape(folders: list[Path], tmp_path: Path) -> None:
    pack(folders, tmp_path / "out", 100_000)
    (held_out,) = load_folder(tmp_path / "out" / "my_validation", at_least=256)
    assert held_out.shape[0] < 400
    assert held_out.shape[1] / held_out.shape[0] == pytest.approx(600 / 400, abs=0.01)


def test_a_jpeg_file_that_is_smaller_as_it_is_is_copied(tmp_path: Path, images: list[NDArray[np.uint8]]) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(images[0]).save(tmp_path / "photos" / "a.jpg", quality=50)
    pack([tmp_path / "photos"], tmp_path / "out", 400_000)
    assert _files(tmp_path / "out")["photos/00000.jpg"] == (tmp_path / "photos" / "a.jpg").read_bytes()


def test_what_cannot_be_packed_is_one_sentence(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match=r"3 photos don't fit in 0\.00953674 MiB") as caught:
        pack(folders, out, 10_000)
    assert "at their smallest they take 1 MiB" in caught.value.hint
    with pytest.raises(InputError, match="two folders have one name"):
        pack([folders[0], folders[0]], out, 400_000)
    with pytest.raises(InputError, match="no folder of images"):
        pack([tmp_path / "none"], out, 400_000)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no images in .*empty"):
        pack([tmp_path / "empty"], out, 400_000)
    assert not out.exists()
    with pytest.raises(InputError, match="photos holds something"):
        pack([folders[1]], folders[0], 400_000)
