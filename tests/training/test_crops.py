"""Training images and crops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from netcodecs.training.core.crops import RandomCrops, centre_crop, load_folder
from PIL import Image

from netsim.errors import InputError


def test_crops_are_parts_of_the_images_in_proportion_to_their_area() -> None:
    images = [np.full((64, 64 * n, 3), 50 * n, np.uint8) for n in (1, 3)]
    crops = 255 * RandomCrops(images, 64).draw(400, np.random.default_rng(0))
    assert crops.shape == (400, 3, 64, 64)
    assert bool((crops == crops[:, :1, :1, :1]).all())
    assert set(crops[:, 0, 0, 0].round().int().tolist()) == {50, 150}
    assert (crops[:, 0, 0, 0] > 100).float().mean() == pytest.approx(0.75, abs=0.07)


def test_crops_are_mirrored_and_transposed_and_reach_every_border() -> None:
    image = np.zeros((5, 4, 3), np.uint8)
    image[..., 0], image[..., 1] = np.mgrid[:5, :4]
    crops = (255 * RandomCrops([image], 3).draw(500, np.random.default_rng(0))).round().int()
    rows, columns = crops[:, 0], crops[:, 1]
    assert rows.min() == columns.min() == 0
    assert rows.max() == 4
    assert columns.max() == 3
    steps = {tuple((crop[:2, 1, 1] - crop[:2, 0, 0]).tolist()) for crop in crops}
    assert steps == {(1, 1), (1, -1)}  # mirrored left to right only
    along = {tuple((crop[:2, 0, 1] - crop[:2, 0, 0]).tolist()) for crop in crops}
    assert along == {(0, 1), (0, -1), (1, 0)}


def test_equal_generators_draw_equal_crops(images: list[np.ndarray]) -> None:
    first, again, other = (RandomCrops(images, 64).draw(3, np.random.default_rng(s)) for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_share_of_the_crops_is_of_smaller_images() -> None:
    """Squares of one pixel, black and white, keep no pixel of either colour where the image was made smaller."""
    squares = (np.indices((96, 120)).sum(0) % 2 * 255).astype(np.uint8)[..., None].repeat(3, 2)
    crops = RandomCrops([squares, squares], 64, smaller_share=0.25)
    drawn = (255 * crops.draw(2000, np.random.default_rng(0))).round()
    given = ((drawn == 0) | (drawn == 255)).flatten(1).all(1)
    assert given.float().mean() == pytest.approx(0.75, abs=0.03)
    assert float((drawn[~given] - 127.5).abs().mean()) < 60
    assert (crops.images, crops.megapixels) == (2, 0.0)
    again = RandomCrops([squares, squares], 64, smaller_share=0.25).draw(2000, np.random.default_rng(0))
    assert torch.equal((255 * again).round(), drawn)


def test_images_are_made_no_smaller_than_a_crop() -> None:
    crops = RandomCrops([np.zeros((64, 200, 3), np.uint8), np.zeros((70, 200, 3), np.uint8)], 64, smaller_share=1)
    assert crops.draw(50, np.random.default_rng(0)).shape == (50, 3, 64, 64)


def test_the_centre_is_cut_to_multiples() -> None:
    image = np.zeros((130, 200, 3), np.uint8)
    image[1, 4] = image[128, 195] = 255
    crop = centre_crop(image)
    assert crop.shape == (1, 3, 128, 192)
    assert crop[0, 0, 0, 0] == crop[0, 0, -1, -1] == 1


def test_folders_are_searched_with_their_subfolders_in_order(tmp_path: Path) -> None:
    for number, name in enumerate(("b/2.png", "a.png", "b/small.png", ".hidden.png", "b/notes.txt")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        side = 32 if "small" in name else 64
        Image.fromarray(np.full((side, side, 3), number, np.uint8)).save(path, format="PNG")
    found = load_folder(tmp_path, at_least=64)
    assert [int(image[0, 0, 0]) for image in found] == [1, 0]
    assert [int(i[0, 0, 0]) for i in load_folder(tmp_path, at_least=16, limit=1)] == [1]


def test_folders_that_hold_no_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder of images at"):
        load_folder(tmp_path / "none", at_least=64)
    with pytest.raises(InputError, match="no image of at least 64×64"):
        load_folder(tmp_path, at_least=64)
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"bad.png` is not an image that can be read"):
        load_folder(tmp_path, at_least=64)
