"""Image sets: what a scenario may write, and what is said about files that are not images."""

import hashlib
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netsim import images
from netsim.errors import InputError
from netsim.images import images_from_spec, read_image, sample_names


def _write(path: Path, seed: int = 0, mode: str = "RGB", size: tuple[int, int] = (20, 12)) -> Path:
    bands = {"RGB": 3, "RGBA": 4, "L": 1}[mode]
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], bands), dtype=np.uint8)
    Image.fromarray(pixels.squeeze(), mode).save(path)
    return path


def test_samples_are_four_embedded_colour_photographs() -> None:
    found = images_from_spec("samples")
    assert [item.name for item in found.items] == ["astronaut", "chelsea", "coffee", "rocket"]
    for item in found.items:
        pixels = item.pixels()
        assert pixels.dtype == np.uint8
        assert pixels.ndim == 3
        assert pixels.shape[2] == 3


def test_every_sample_name_opens() -> None:
    for item in images_from_spec({"samples": "all"}).items:
        assert item.pixels().std() > 10
    assert set(sample_names()) == {item.name for item in images_from_spec({"samples": "all"}).items}


def test_folder_is_sorted_reads_grey_as_rgb_and_ignores_other_files(tmp_path: Path) -> None:
    _write(tmp_path / "b.png", 1)
    _write(tmp_path / "a.PNG", 2, mode="L")
    _write(tmp_path / "c.webp", 3)
    _write(tmp_path / "d.tiff", 4)
    _write(tmp_path / "e.ppm", 5)
    (tmp_path / "notes.txt").write_text("no image")
    found = images_from_spec(tmp_path.name, tmp_path.parent)
    assert [item.name for item in found.items] == ["a", "b", "c", "d", "e"]
    grey = found.items[0].pixels()
    assert grey.shape == (12, 20, 3)
    assert (grey[..., 0] == grey[..., 2]).all()


def test_one_stem_twice_keeps_the_suffix(tmp_path: Path) -> None:
    _write(tmp_path / "a.png", 1)
    _write(tmp_path / "a.tif", 2)
    assert [item.name for item in images_from_spec(str(tmp_path)).items] == ["a.png", "a.tif"]


def test_hash_is_of_the_pixels_not_of_the_file(tmp_path: Path) -> None:
    png = _write(tmp_path / "a.png", 1)
    Image.open(png).save(tmp_path / "b.ppm")
    _write(tmp_path / "c.png", 2)
    a, b, c = images_from_spec(str(tmp_path)).items
    assert a.sha256 == b.sha256 != c.sha256
    head = np.array([12, 20], dtype="<i8").tobytes()
    assert a.sha256 == hashlib.sha256(head + a.pixels().tobytes()).hexdigest()


def test_hash_tells_shapes_apart(tmp_path: Path) -> None:
    for name, size in (("a", (4, 6)), ("b", (6, 4))):
        Image.new("RGB", size, (7, 7, 7)).save(tmp_path / f"{name}.png")
    a, b = images_from_spec(str(tmp_path)).items
    assert a.sha256 != b.sha256


def test_pixels_can_not_be_written_to(tmp_path: Path) -> None:
    pixels = read_image(_write(tmp_path / "a.png"))
    with pytest.raises(ValueError, match="read-only"):
        pixels[0, 0] = 0


def test_limit_list_and_spec_give_the_same_set_again(tmp_path: Path) -> None:
    for name in "abc":
        _write(tmp_path / f"{name}.png", ord(name))
    limited = images_from_spec({"folder": str(tmp_path), "limit": 2})
    assert [item.name for item in limited.items] == ["a", "b"]
    joined = images_from_spec(["c.png", {"samples": ["coffee"]}], tmp_path)
    assert [item.name for item in joined.items] == ["c", "coffee"]
    for found in (limited, joined, images_from_spec("samples"), images_from_spec("a.png", tmp_path)):
        again = images_from_spec(found.spec, Path("/elsewhere"))
        assert [item.sha256 for item in again.items] == [item.sha256 for item in found.items]


def test_opaque_alpha_is_dropped_and_transparency_refused(tmp_path: Path) -> None:
    opaque = Image.new("RGBA", (5, 4), (10, 20, 30, 255))
    opaque.save(tmp_path / "opaque.png")
    assert read_image(tmp_path / "opaque.png")[0, 0].tolist() == [10, 20, 30]
    opaque.putpixel((1, 1), (0, 0, 0, 0))
    opaque.save(tmp_path / "clear.png")
    with pytest.raises(InputError, match=r"clear\.png` has transparent pixels"):
        read_image(tmp_path / "clear.png")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".ppm"])
def test_truncated_image_is_named(tmp_path: Path, suffix: str) -> None:
    whole = _write(tmp_path / f"cut{suffix}", size=(64, 64)).read_bytes()
    (tmp_path / f"cut{suffix}").write_bytes(whole[: len(whole) // 2])
    item = images_from_spec(str(tmp_path)).items[0]
    with pytest.raises(InputError, match=f"cut{suffix}"):
        item.pixels()


@pytest.mark.filterwarnings("ignore")  # Pillow tells about bad tags
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_damaged_image_is_read_or_refused_never_a_crash(tmp_path: Path, suffix: str) -> None:
    rng = np.random.default_rng(11)
    whole = np.frombuffer(_write(tmp_path / f"whole{suffix}", size=(48, 48)).read_bytes(), dtype=np.uint8)
    refused = 0
    for i in range(60):
        damaged = whole.copy()
        damaged[rng.integers(0, min(len(whole), 400), 6)] = rng.integers(0, 256, 6)
        path = tmp_path / f"{i}{suffix}"
        path.write_bytes(damaged.tobytes())
        refused += _refused(path)
    assert refused > 0


def _refused(path: Path) -> bool:
    try:
        return read_image(path).shape[2] != 3
    except InputError as error:
        return path.name in error.message


def test_hidden_files_are_no_images(tmp_path: Path) -> None:
    """What macOS and Windows leave in folders."""
    _write(tmp_path / "a.png")
    for name in ("._a.png", ".b.png", ".DS_Store", "Thumbs.db", "desktop.ini"):
        (tmp_path / name).write_bytes(b"\0\5\x16\7")
    assert [item.name for item in images_from_spec(str(tmp_path)).items] == ["a"]
    (tmp_path / "a.png").unlink()
    with pytest.raises(InputError, match="holds no image"):
        images_from_spec(str(tmp_path))


def test_a_link_to_a_file_that_is_not_there_is_not_left_out(tmp_path: Path) -> None:
    _write(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to(tmp_path / "annex" / "b.png")
    with pytest.raises(InputError, match=r"b\.png` is a link to a file that is not there"):
        images_from_spec(str(tmp_path))
    (tmp_path / "annex").mkdir()
    _write(tmp_path / "annex" / "b.png")
    assert [item.name for item in images_from_spec(str(tmp_path)).items] == ["a", "b"]


def test_recent_images_are_kept_up_to_a_number_of_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (_write(tmp_path / name, size=(20, 10)) for name in ("a.png", "b.png"))
    monkeypatch.setattr(images, "_recent", images._Recent())
    monkeypatch.setattr(images, "_KEPT_BYTES", 700)
    first = read_image(a)
    assert read_image(a) is first
    read_image(b)
    assert read_image(a) is not first
    assert sum(kept.nbytes for kept in images._recent._pixels.values()) == 600


@pytest.mark.parametrize(
    ("spec", "message", "key"),
    [
        ("nowhere", "no image folder `nowhere`", ()),
        ({"folder": "nowhere"}, "no image folder `nowhere`", ("folder",)),
        ({"folder": 3}, "folder = 3", ("folder",)),
        ({"foldr": "x"}, "unknown key `foldr`", ("foldr",)),
        ({"samples": ["astronut"]}, "no sample image `astronut`", ("samples", 0)),
        ({"samples": ["coffee", "coffee"]}, "two images are called `coffee`", ("samples",)),
        ({"samples": ["coffee"], "limit": 0}, "limit = 0", ("limit",)),
        ({"samples": ["coffee"], "folder": "x"}, "images of 2 kinds", ()),
        ([{"samples": ["coffee"]}, "nowhere"], "no image folder", (1,)),
        ({"kodak": "nowhere"}, "no Kodak folder `nowhere`", ("kodak",)),
        (7, "`7` names no images", ()),
        ([], "names no images", ()),
    ],
)
def test_bad_specs_say_what_is_wrong_and_where(
    tmp_path: Path, spec: object, message: str, key: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        images_from_spec(spec, tmp_path)
    assert message in caught.value.message
    assert caught.value.key == key


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no image"):
        images_from_spec(str(tmp_path))


def test_kodak_is_checked_file_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = _write(tmp_path / "kodim01.png", 1), _write(tmp_path / "kodim02.png", 2)
    known = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (first, second)}
    monkeypatch.setattr(images, "kodak_checksums", lambda: known)
    monkeypatch.setenv("NETSIM_KODAK", str(tmp_path))
    assert [item.name for item in images_from_spec("kodak").items] == ["kodim01", "kodim02"]
    assert len(images_from_spec({"kodak": None, "limit": 1})) == 1
    second.write_bytes(second.read_bytes() + b"\0")
    first.unlink()
    with pytest.raises(InputError, match=r"2 of 2 files are wrong") as caught:
        images_from_spec("kodak")
    assert "kodim01.png is missing\nkodim02.png differs" in caught.value.hint


def test_kodak_checksums_are_of_24_files() -> None:
    known = images.kodak_checksums()
    assert list(known) == [f"kodim{i:02d}.png" for i in range(1, 25)]
    assert all(len(digest) == 64 and int(digest, 16) >= 0 for digest in known.values())


def test_missing_kodak_folder_says_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSIM_KODAK", os.path.join("no", "such", "folder"))
    with pytest.raises(InputError, match="from NETSIM_KODAK") as caught:
        images_from_spec("kodak")
    assert "netsim data kodak" in caught.value.hint


def test_a_relative_path_is_read_from_the_folder_that_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child process that reads it stays in the folder where it began."""
    for level in (10, 200):
        folder = tmp_path / str(level)
        folder.mkdir()
        Image.new("RGB", (8, 8), (level, 0, 0)).save(folder / "a.png")
        monkeypatch.chdir(folder)
        assert images._read(Path("a.png"))[0, 0, 0] == level


def test_two_files_of_one_relative_path_size_and_time_are_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As from an archive that sets all times, with uncompressed pixels."""
    for level in (10, 200):
        folder = tmp_path / str(level)
        folder.mkdir()
        (folder / "a.ppm").write_bytes(b"P6 2 2 255\n" + bytes([level] * 12))
        os.utime(folder / "a.ppm", (10**9, 10**9))
        monkeypatch.chdir(folder)
        assert (read_image(Path("a.ppm")) == level).all()


def test_a_folder_that_was_removed_under_the_process_does_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (8, 8), (7, 0, 0)).save(tmp_path / "a.png")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.syspath_prepend("")
    gone.rmdir()
    assert read_image(tmp_path / "a.png")[0, 0, 0] == 7


def test_threads_that_read_one_image_at_a_time_do_not_count_it_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are kept once; counted twice, they would have to be forgotten twice."""
    monkeypatch.setattr(images, "_KEPT_BYTES", 1000)
    kept = images._Recent()
    both = threading.Barrier(2)

    def read(path: Path) -> images.Pixels:
        if path.name == "shared":
            both.wait(60)
        return np.zeros((10, 20, 3), np.uint8)  # 600 bytes

    monkeypatch.setattr(images, "_read", read)
    for number in range(3):
        threads = [threading.Thread(target=kept.read, args=(Path("shared"), (number,))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    kept.read(Path("alone"), (9,))
    assert (kept._bytes, list(kept._pixels)) == (600, [(9,)])
