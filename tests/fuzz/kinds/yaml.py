"""Texts of scenarios, damaged: a document or an InputError."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from netsim.scenario.document import Document
from tests.fuzz.mutations import damaged

WORDS = [
    *(b"{", b"}", b"[", b"]", b"? ", b": ", b"- ", b"&a ", b"*a", b"<<: *a", b"!!set ", b"!!python/name:os.system "),
    *(
        b"|\n",
        b">-\n",
        b'"\\ud800"',
        b"'",
        b'"',
        b"%YAML 1.1\n---\n",
        b"---\n",
        b"...\n",
        b"\t",
        b"\r",
        b"\xef\xbb\xbf",
    ),
    *(b".inf", b".nan", b"1.2.3%", b"2024-13-45", b"0x1F", b"1e999", b"9" * 5000, b"~", b"null", b"\x00", b"\xff"),
    *(b"\xef\xbb\xbf", b"# ", b"[" * 60, b"\n", b"  "),
]


def attempt(rng: Random, folder: Path) -> object:
    """Reads a text and looks up the place of every value in it."""
    text = rng.choice(_texts())
    path = folder / "case.yaml"
    path.write_bytes(damaged(text, rng, WORDS) if rng.random() < 0.95 else text)
    document = Document.read(path)
    paths: list[tuple[str | int, ...]] = [()]
    for at in paths:
        value = document.data
        for part in at:
            value = value[part]  # type: ignore[index]
        assert document.where(at).startswith(f"{path}:")
        inside = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
        paths += [(*at, part) for part in inside]
    return document.data


@cache
def _texts() -> list[bytes]:
    root = Path(__file__).parents[3]
    return [path.read_bytes() for path in sorted((root / "scenarios").glob("*.yaml"))]
