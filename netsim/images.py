"""Image sets: the embedded samples, a folder, the Kodak set. Pixels are read when asked for, and hashed once."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError, did_you_mean
from netsim.image_file import read_image_file
from netsim.isolation import run_isolated
from netsim.paths import user_path

__all__ = [
    "ImageItem",
    "ImageSet",
    "images_from_spec",
    "kodak_checksums",
    "kodak_faults",
    "kodak_home",
    "read_image",
    "sample_names",
]

Pixels = NDArray[np.uint8]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".ppm")
_DEFAULT_SAMPLES = ("astronaut", "chelsea", "coffee", "rocket")
_SAMPLES = {  # the colour photographs in scikit-image's wheel, which need no download
    "astronaut": "astronaut.png",
    "chelsea": "chelsea.png",
    "coffee": "coffee.png",
    "hubble_deep_field": "hubble_deep_field.jpg",
    "ihc": "ihc.png",
    "motorcycle_left": "motorcycle_left.png",
    "motorcycle_right": "motorcycle_right.png",
    "retina": "retina.jpg",
    "rocket": "rocket.jpg",
}
_KEPT_BYTES = 256 << 20  # of recent images
_WAYS = (
    "images: samples                        (four embedded photographs)\n"
    "images: {samples: [astronaut, coffee]}\n"
    "images: path/to/folder                 (PNG, JPEG, WebP, TIFF, PPM)\n"
    "images: {folder: path, limit: 4}\n"
    "images: kodak                          (see `netsim data kodak`)"
)


@dataclass(frozen=True)
class ImageItem:
    """One image of a set: its name in logs and the file that holds it."""

    name: str
    path: Path

    @cached_property
    def _facts(self) -> tuple[str, tuple[int, int]]:
        """Digest and size, from one reading of the file."""
        pixels = read_image(self.path)
        return _sha256(pixels), (pixels.shape[0], pixels.shape[1])

    @property
    def sha256(self) -> str:
        """SHA-256 over the image's height, width and pixels (not over the file); computed once."""
        return self._facts[0]

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        return self._facts[1]

    def pixels(self) -> Pixels:
        """Read the image.

        Returns:
            uint8 [H, W, 3], RGB, read-only.

        Raises:
            InputError: The file is not a whole image, or holds other pixels than when ``sha256`` was taken.
        """
        pixels = read_image(self.path)
        if "_facts" in vars(self) and _sha256(pixels) != self.sha256:
            raise InputError(f"`{self.path}` has changed while it was in use", hint="run the same command again")
        return pixels


def _sha256(pixels: Pixels) -> str:
    head = np.array(pixels.shape[:2], dtype="<i8").tobytes()
    return hashlib.sha256(head + pixels.tobytes()).hexdigest()


@dataclass(frozen=True)
class ImageSet:
    """Images in the order in which they are sent.

    name: what the user wrote, in one line. spec: a plain value from which ``images_from_spec`` makes the
    same set from any folder.
    """

    name: str
    items: tuple[ImageItem, ...]
    spec: Any = None

    def __len__(self) -> int:
        return len(self.items)


def read_image(path: Path) -> Pixels:
    """An image file as 8-bit RGB; recent images are kept. See ``netsim.image_file.read_image_file``.

    Args:
        path: The file.

    Returns:
        uint8 [H, W, 3], read-only.

    Raises:
        InputError: It is missing, or no image; the message names the file.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise InputError(f"no image `{path}`: {error.strerror}") from None
    return _recent.read(path, (stat.st_dev, stat.st_ino, stat.st_ctime_ns, stat.st_mtime_ns, stat.st_size))


class _Recent:
    """The images that were read last, up to ``_KEPT_BYTES`` in all."""

    def __init__(self) -> None:
        self._pixels: OrderedDict[tuple[int, ...], Pixels] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, path: Path, file: tuple[int, ...]) -> Pixels:
        """Numbers tell files apart, not the path: a relative one is another file in another folder."""
        with self._lock:
            if file in self._pixels:
                self._pixels.move_to_end(file)
                return self._pixels[file]
        pixels = _read(path)
        with self._lock:
            if file not in self._pixels:  # another thread may have read it meanwhile
                self._pixels[file] = pixels
                self._bytes += pixels.nbytes
            while self._bytes > _KEPT_BYTES:
                self._bytes -= self._pixels.popitem(last=False)[1].nbytes
        return pixels


_recent = _Recent()


def _new_recent() -> None:
    global _recent
    _recent = _Recent()


os.register_at_fork(after_in_child=_new_recent)  # another thread of the parent may have held its lock


def _read(path: Path) -> Pixels:
    """A stranger's file may crash the library that reads it, or make it hang: a child process reads those."""
    if path.parent == _sample_folder():
        return read_image_file(path)
    folder = None if path.is_absolute() else os.getcwd()
    return run_isolated(_read_from, folder, read_image_file, path, what=f"`{path}`")


def _read_from(folder: str | None, reader: Callable[[Path], Pixels], path: Path) -> Pixels:
    """In the child process, which began in the folder of an earlier call."""
    if folder is not None:
        os.chdir(folder)
    return reader(path)


def images_from_spec(spec: Any, base_dir: Path = Path()) -> ImageSet:
    """An image set as a scenario names it.

    Args:
        spec: ``samples``, ``kodak``, a folder or one image file; ``{samples: [names]}``, ``{folder: path}``, ``{kodak:
            path}``, each with an optional ``limit: n`` (the first n); or a list of image files and of such sets,
            joined.
        base_dir: Folder at which relative paths start.

    Returns:
        The set. Only names are looked up here: pixels are read later.

    Raises:
        InputError: None of these, a missing or empty folder, Kodak files that differ from the known checksums, or two
            images of one name; ``key`` is relative to ``spec``.

    >>> [item.name for item in images_from_spec({"samples": ["coffee", "rocket"]}).items]
    ['coffee', 'rocket']
    """
    if isinstance(spec, str):
        return _from_text(spec, base_dir)
    if isinstance(spec, Mapping):
        return _from_mapping(spec, base_dir)
    if isinstance(spec, Sequence) and spec:
        parts = [_keyed(images_from_spec, one, base_dir, key=i) for i, one in enumerate(spec)]
        items = _distinct([item for part in parts for item in part.items])
        return ImageSet(", ".join(part.name for part in parts), items, [part.spec for part in parts])
    raise InputError(f"`{spec!r}` names no images", hint=_WAYS)


def sample_names() -> list[str]:
    """Names of the embedded images.

    Returns:
        Sorted.
    """
    return sorted(_SAMPLES)


def _from_text(text: str, base_dir: Path) -> ImageSet:
    if text == "samples":
        return _samples(list(_DEFAULT_SAMPLES))
    if text == "kodak":
        return _kodak(None, base_dir)
    path = user_path(text, base_dir)
    if path.is_file():
        return ImageSet(text, (ImageItem(path.stem, path),), str(path.resolve()))
    return _folder(text, base_dir)


def _from_mapping(spec: Mapping[str, Any], base_dir: Path) -> ImageSet:
    makers: dict[str, Callable[[Any], ImageSet]] = {
        "samples": _samples,
        "folder": lambda value: _folder(value, base_dir),
        "kodak": lambda value: _kodak(value, base_dir),
    }
    for key in spec:
        if key not in (*makers, "limit"):
            raise InputError(f"unknown key `{key}`", hint=did_you_mean(str(key), [*makers, "limit"]), key=(key,))
    kinds = [key for key in spec if key != "limit"]
    if len(kinds) != 1:
        raise InputError(f"images of {len(kinds)} kinds: `{dict(spec)}`", hint=_WAYS)
    found = _keyed(makers[kinds[0]], spec[kinds[0]], key=kinds[0])
    if "limit" not in spec:
        return found
    limit = spec["limit"]
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise InputError(f"limit = {limit!r}", hint="how many images to take, at least 1", key=("limit",))
    inner = found.spec if isinstance(found.spec, Mapping) else {kinds[0]: spec[kinds[0]]}
    name = f"{found.name} (first {limit})" if limit < len(found) else found.name
    return replace(found, name=name, items=found.items[:limit], spec={**inner, "limit": limit})


def _keyed(maker: Callable[..., ImageSet], *arguments: Any, key: str | int) -> ImageSet:
    """Puts ``key`` before the key path of an error raised by ``maker``."""
    try:
        return maker(*arguments)
    except InputError as error:
        raise InputError(error.message, where=error.where, hint=error.hint, key=(key, *error.key)) from None


def _samples(names: Any) -> ImageSet:
    if names is None or names == "all":
        names = list(_DEFAULT_SAMPLES) if names is None else sample_names()
    if not isinstance(names, list) or not names:
        raise InputError(f"samples = {names!r}", hint="a list of names: " + ", ".join(sample_names()))
    for i, name in enumerate(names):
        if not isinstance(name, str) or name not in _SAMPLES:
            raise InputError(f"no sample image `{name}`", hint=did_you_mean(str(name), _SAMPLES), key=(i,))
    folder = _sample_folder()
    items = _distinct([ImageItem(name, folder / _SAMPLES[name]) for name in names])
    text = "samples" if tuple(names) == _DEFAULT_SAMPLES else "samples: " + ", ".join(names)
    return ImageSet(text, items, {"samples": list(names)})


@cache
def _sample_folder() -> Path:
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise InputError("the sample images need scikit-image", hint="pip install scikit-image")
    return Path(found.origin).parent / "data"


def _folder(text: Any, base_dir: Path) -> ImageSet:
    if not isinstance(text, str) or not text:
        raise InputError(f"folder = {text!r}", hint="the path of a folder of images")
    folder = user_path(text, base_dir)
    if not folder.is_dir():
        looked = "" if str(folder) == text else f" (looked at {folder})"
        raise InputError(f"no image folder `{text}`{looked}", hint=_WAYS)
    named = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES and not p.name.startswith("."))
    broken = next((p for p in named if p.is_symlink() and not p.exists()), None)
    if broken is not None:
        hint = "fetch the file (git annex, DVC and others leave such links), or remove the link"
        raise InputError(f"`{broken}` is a link to a file that is not there", hint=hint)
    paths = [path for path in named if path.is_file()]
    if not paths:
        raise InputError(f"image folder `{text}` holds no image", hint="PNG, JPEG, WebP, TIFF or PPM files")
    stems = Counter(path.stem for path in paths)
    items = [ImageItem(path.stem if stems[path.stem] == 1 else path.name, path) for path in paths]
    return ImageSet(text, _distinct(items), {"folder": str(folder.resolve())})


def _distinct(items: list[ImageItem]) -> tuple[ImageItem, ...]:
    twice = [name for name, count in Counter(item.name for item in items).items() if count > 1]
    if twice:
        raise InputError(f"two images are called `{twice[0]}`", hint="a log tells images apart by name: rename one")
    return tuple(items)


def kodak_home() -> Path:
    """Where ``netsim data kodak`` puts the set if it is not told otherwise.

    Returns:
        A folder, which need not exist.
    """
    from platformdirs import user_data_path

    return user_data_path("netsim") / "kodak"


def kodak_checksums() -> dict[str, str]:
    """Known SHA-256 of each of the 24 files.

    Returns:
        In hexadecimal, by file name.
    """
    lines = (files("netsim") / "kodak.sha256").read_text(encoding="ascii").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def kodak_faults(folder: Path) -> list[str]:
    """What is wrong with a folder of the Kodak set.

    Args:
        folder: Where the files are.

    Returns:
        One sentence per file; empty if nothing is wrong.
    """
    faults = []
    for name, expected in kodak_checksums().items():
        path = folder / name
        if not path.is_file():
            faults.append(f"{name} is missing")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            faults.append(f"{name} differs from the known checksum")
    return faults


def _kodak(value: Any, base_dir: Path) -> ImageSet:
    if value is not None and (not isinstance(value, str) or not value):
        raise InputError(f"kodak = {value!r}", hint="the path of the folder with kodim01.png … kodim24.png")
    set_in_environment = os.environ.get("NETSIM_KODAK")
    text = value or set_in_environment or str(kodak_home())
    folder = user_path(text, base_dir if value else Path())
    if not folder.is_dir():
        origin = "" if value else (" (from NETSIM_KODAK)" if set_in_environment else " (the default place)")
        hint = "set NETSIM_KODAK to the folder, or write images: {kodak: path}; `netsim data kodak` tells more"
        raise InputError(f"no Kodak folder `{text}`{origin}", hint=hint)
    faults = kodak_faults(folder)
    if faults:
        listing = "\n".join(faults[:8]) + (f"\nand {len(faults) - 8} more" if len(faults) > 8 else "")
        message = f"`{text}` is not the Kodak set: {len(faults)} of {len(kodak_checksums())} files are wrong"
        raise InputError(message, hint=f"{listing}\n`netsim data kodak` fetches the set")
    items = tuple(ImageItem(Path(name).stem, folder / name) for name in sorted(kodak_checksums()))
    return ImageSet("kodak", items, {"kodak": str(folder.resolve())})
