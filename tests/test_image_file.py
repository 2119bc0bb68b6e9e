"""Image files are judged by what they hold: depth and transparency come from the file, whatever Pillow makes of it."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from netsim import image_file
from netsim.errors import InputError
from netsim.image_file import read_image_file

GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6  # PNG's colour types
CHANNELS = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}


def png(samples: np.ndarray, colour: int, depth: int, **chunks: bytes) -> bytes:
    """A PNG by the specification alone. samples: whole numbers [H, W, channels]."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = samples.shape[:2]
    rows = b""
    for row in samples.reshape(height, -1):
        bits = "".join(f"{value:0{depth}b}" for value in row)
        bits += "0" * (-len(bits) % 8)
        rows += b"\0" + bytes(int(bits[i : i + 8], 2) for i in range(0, len(bits), 8))
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    extra = b"".join(chunk(kind.encode(), body) for kind, body in chunks.items())
    body = chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + body


def samples(colour: int, depth: int) -> np.ndarray:
    """5 x 7, values up to the depth's highest but one."""
    return np.random.default_rng(depth).integers(0, (1 << depth) - 1, (5, 7, CHANNELS[colour]))


def written(folder: Path, data: bytes, name: str = "image.png") -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_fewer_bits_are_scaled(tmp_path: Path, depth: int) -> None:
    grey = samples(GREY, depth) + (np.indices((5, 7)).sum(axis=0) % 2)[..., np.newaxis]
    found = read_image_file(written(tmp_path, png(grey, GREY, depth)))
    assert found.dtype == np.uint8
    assert np.array_equal(found, np.repeat(grey * 255 // ((1 << depth) - 1), 3, axis=2))


@pytest.mark.parametrize("colour", [GREY, RGB, GREY_ALPHA, RGBA])
def test_sixteen_bit_pngs_are_refused(tmp_path: Path, colour: int) -> None:
    """PngSuite's basn0g16, basn2c16 (which Pillow cuts to 8 bits), basn4a16, basn6a16."""
    values = samples(colour, 16)
    with pytest.raises(InputError, match=r"image\.png` has 16 bits a sample") as caught:
        read_image_file(written(tmp_path, png(values, colour, 16)))
    assert "8 bits" in caught.value.hint


@pytest.mark.parametrize(("colour", "depth"), [(GREY, 1), (GREY, 2), (GREY, 4), (GREY, 8), (RGB, 8)])
def test_a_transparent_colour_is_refused_where_a_pixel_has_it(tmp_path: Path, colour: int, depth: int) -> None:
    """PngSuite's tbbn0g04, tbrn2c08 and their like; the chunk's numbers are of the file's own depth."""
    values = samples(colour, depth)
    highest = (1 << depth) - 1
    unused = struct.pack(f">{CHANNELS[colour]}H", *[highest] * CHANNELS[colour])
    found = read_image_file(written(tmp_path, png(values, colour, depth, tRNS=unused)))
    assert np.array_equal(found, np.broadcast_to(values * 255 // highest, (5, 7, 3)))
    values[2, 3] = highest
    with pytest.raises(InputError, match="has transparent pixels"):
        read_image_file(written(tmp_path, png(values, colour, depth, tRNS=unused)))


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_a_transparent_palette_entry_is_refused_where_a_pixel_has_it(tmp_path: Path, depth: int) -> None:
    palette = np.random.default_rng(1).integers(0, 256, (1 << depth, 3))
    colours, clear = palette.astype(np.uint8).tobytes(), bytes([255] * ((1 << depth) - 1) + [0])
    values = samples(PALETTE, depth)
    found = read_image_file(written(tmp_path, png(values, PALETTE, depth, PLTE=colours, tRNS=clear)))
    assert np.array_equal(found, palette[values[..., 0]])
    values[1, 1] = (1 << depth) - 1
    with pytest.raises(InputError, match="has transparent pixels"):
        read_image_file(written(tmp_path, png(values, PALETTE, depth, PLTE=colours, tRNS=clear)))


@pytest.mark.parametrize(("colour", "alpha"), [(GREY_ALPHA, 255), (RGBA, 255), (GREY_ALPHA, 254), (RGBA, 254)])
def test_alpha_is_dropped_where_it_hides_nothing(tmp_path: Path, colour: int, alpha: int) -> None:
    values = samples(colour, 8)
    values[..., -1] = 255
    values[4, 6, -1] = alpha
    path = written(tmp_path, png(values, colour, 8))
    if alpha < 255:
        with pytest.raises(InputError, match="has transparent pixels"):
            read_image_file(path)
    else:
        assert np.array_equal(read_image_file(path), np.broadcast_to(values[..., :-1], (5, 7, 3)))


@pytest.mark.parametrize("comment", ["", "# made by hand\n", "#1023\n# 9\n"])
@pytest.mark.parametrize("maxval", [31, 255, 256, 1023, 65535])
def test_a_ppm_is_judged_by_its_maxval(tmp_path: Path, maxval: int, comment: str) -> None:
    """Pillow cuts 10 and 16 bits to 8."""
    values = np.random.default_rng(3).integers(0, maxval + 1, (5, 7, 3))
    head = f"P6\n{comment}7 5\n{comment}{maxval}\n".encode()
    path = written(tmp_path, head + values.astype(">u2" if maxval > 255 else "u1").tobytes(), "image.ppm")
    if maxval > 255:
        with pytest.raises(InputError, match=rf"image\.ppm` has {maxval.bit_length()} bits a sample"):
            read_image_file(path)
    else:
        assert np.abs(read_image_file(path) - values * 255 / maxval).max() <= 0.5


@pytest.mark.parametrize("kind", ["uint16", "int8", "int16", "float16", "float32", "float64", "uint32"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_tiff_is_judged_by_its_sample_format(tmp_path: Path, kind: str, channels: int) -> None:
    values = np.arange(35 * channels, dtype=kind).reshape(5, 7, channels)
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, values.squeeze(), photometric="rgb" if channels == 3 else "minisblack")
    with pytest.raises(InputError, match=r"image\.tif`"):
        read_image_file(path)


def test_an_eight_bit_tiff_is_read(tmp_path: Path) -> None:
    values = np.random.default_rng(5).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    tifffile.imwrite(tmp_path / "image.tif", values, photometric="rgb")
    assert np.array_equal(read_image_file(tmp_path / "image.tif"), values)


def test_a_twelve_bit_jpeg_is_told_by_its_depth(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (90, 50, 20)).save(buffer, "JPEG")
    data = bytearray(buffer.getvalue())
    data[data.index(b"\xff\xc0") + 4] = 12
    with pytest.raises(InputError, match="has 12 bits a sample"):
        read_image_file(written(tmp_path, bytes(data), "image.jpg"))


@pytest.mark.parametrize("gain_map_last", [True, False])
def test_a_phones_jpeg_with_more_images_gives_the_primary_one(tmp_path: Path, gain_map_last: bool) -> None:
    first = Image.fromarray(np.random.default_rng(6).integers(0, 256, (16, 24, 3), dtype=np.uint8))
    second = Image.new("RGB", (8, 8), (5, 5, 5)) if gain_map_last else first.transpose(Image.Transpose.ROTATE_90)
    first.save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=[second], quality=95)
    first.save(tmp_path / "plain.jpg", "JPEG", quality=95)
    with Image.open(tmp_path / "phone.jpg") as phone:
        assert phone.format == "MPO"
        assert getattr(phone, "n_frames", 1) == 2
    assert np.array_equal(read_image_file(tmp_path / "phone.jpg"), read_image_file(tmp_path / "plain.jpg"))


def test_animations_are_refused(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in (0, 90, 180)]
    for name in ("many.tif", "many.png", "many.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], lossless=True)
        with pytest.raises(InputError, match="3 frames"):
            read_image_file(tmp_path / name)


def claims(width: int, height: int) -> dict[str, bytes]:
    """Small files whose headers claim a size."""
    jpeg, tiff = io.BytesIO(), io.BytesIO()
    small = Image.new("RGB", (16, 16), (90, 50, 20))
    small.save(jpeg, "JPEG", progressive=True)
    small.save(tiff, "TIFF")
    data = bytearray(jpeg.getvalue())
    struct.pack_into(">HH", data, data.index(b"\xff\xc2") + 5, height, width)
    tags = bytearray(tiff.getvalue())
    for tag, value in ((256, width), (257, height)):
        at = next(at for kind in (3, 4) if (at := tags.find(struct.pack("<HHI", tag, kind, 1))) >= 0)
        struct.pack_into("<HHII", tags, at, tag, 4, 1, value)
    small_png = bytearray(png(samples(RGB, 8), RGB, 8))
    struct.pack_into(">II", small_png, 16, width, height)
    struct.pack_into(">I", small_png, 29, zlib.crc32(bytes(small_png[12:29])))
    return {
        "image.jpg": bytes(data),
        "image.tif": bytes(tags),
        "image.png": bytes(small_png),
        "image.ppm": f"P6 {width} {height} 255\n".encode() + bytes(99),
    }


@pytest.mark.parametrize("name", ["image.jpg", "image.tif", "image.png", "image.ppm"])
@pytest.mark.parametrize("side", [13_000, 60_000])
def test_a_claim_of_too_many_pixels_is_refused_before_memory_is_taken(tmp_path: Path, name: str, side: int) -> None:
    with pytest.raises(InputError, match="is too large") as caught:
        read_image_file(written(tmp_path, claims(side, side)[name], name))
    assert "134,217,728 pixels" in caught.value.hint
    assert "damaged" not in str(caught.value)


def test_the_limit_is_on_pixels_and_includes_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, png(samples(RGB, 8), RGB, 8))
    monkeypatch.setattr(image_file, "MAX_PIXELS", 35)
    read_image_file(path)
    monkeypatch.setattr(image_file, "MAX_PIXELS", 34)
    with pytest.raises(InputError, match="is too large: 7x5 pixels"):
        read_image_file(path)


def test_formats_that_are_not_named_are_not_opened(tmp_path: Path) -> None:
    """A suffix says nothing: what a file holds decides, and Pillow would start Ghostscript for this one."""
    path = written(tmp_path, b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\n", "image.png")
    with pytest.raises(InputError, match="is not an image that can be read"):
        read_image_file(path)


def test_a_tiff_without_dimensions_is_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "TIFF")
    data = buffer.getvalue()
    for tag in (256, 257):
        at = next(at for kind in (3, 4) if (at := data.find(struct.pack("<HHI", tag, kind, 1))) >= 0)
        data = data[:at] + struct.pack("<H", 65000 + tag) + data[at + 2 :]
    with pytest.raises(InputError, match=r"image\.tif`"):
        read_image_file(written(tmp_path, data, "image.tif"))
