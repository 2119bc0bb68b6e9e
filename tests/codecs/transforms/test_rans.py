"""The decoder of strings beside CompressAI's own, which is another implementation; and strings without an end."""

from __future__ import annotations

import numpy as np
import pytest
from netcodecs.compressai_import import compressai
from netcodecs.transforms.entropy_tables import StreamDecoder, Tables
from netcodecs.transforms.rans import RansDecoder

from netsim.errors import InputError

RNG = np.random.default_rng(5)


def _tables(count: int) -> Tables:
    """Of 2 to 40 symbols, the escape among them, some of them as unlikely as can be."""
    counts = []
    for _ in range(count):
        inner = RNG.choice(np.arange(1, 1 << 16), RNG.integers(1, 40), replace=False)
        counts.append([0, *sorted({*inner.tolist(), 1, 65535}), 1 << 16])
    return Tables(counts, RNG.integers(-30, 5, count).tolist())


def _symbols(tables: Tables, indexes: np.ndarray) -> np.ndarray:
    """Some of each table's, some beyond either end."""
    sizes = np.array([len(row) - 1 for row in tables.counts])[indexes]
    spread = RNG.choice([1, 3, 4000], indexes.size)
    return np.array(tables.offsets)[indexes] + (RNG.uniform(-0.2, 1.2, indexes.size) * sizes * spread).astype(int)


def _theirs(tables: Tables, coded: bytes, indexes: np.ndarray) -> np.ndarray:
    decoder = compressai.ans.RansDecoder()
    decoder.set_stream(coded + bytes(200 * (len(coded) + indexes.size)))  # it reads past the end
    sizes = [len(row) for row in tables.counts]
    return np.array(decoder.decode_stream(indexes.tolist(), tables.counts, sizes, tables.offsets))


@pytest.mark.parametrize("size", [8, 40, 500])  # their encoder has too little room for fewer
def test_what_compressai_encodes_comes_back_whole_and_in_parts(size: int) -> None:
    for _ in range(40):
        tables = _tables(6)
        indexes = RNG.integers(0, 6, size)
        symbols = _symbols(tables, indexes)
        coded = tables.encode(symbols, indexes)
        assert (RansDecoder(coded).decode(indexes, *tables.arrays) == symbols).all()
        parts, decoder = np.array_split(indexes, 3), StreamDecoder(tables, coded)
        assert np.concatenate([decoder.decode(part) for part in parts if part.size]).tolist() == symbols.tolist()


def test_damaged_strings_give_what_compressai_gives_or_are_refused() -> None:
    tables = _tables(6)
    indexes = RNG.integers(0, 6, 60)
    coded, equal = tables.encode(_symbols(tables, indexes), indexes), 0
    for _ in range(1000):
        damaged = bytearray(coded[: RNG.integers(0, len(coded) + 1)])
        if damaged:
            damaged[RNG.integers(len(damaged))] ^= RNG.integers(1, 256)
        try:
            found = StreamDecoder(tables, bytes(damaged)).decode(indexes)
        except InputError:
            continue
        assert (found == _theirs(tables, bytes(damaged), indexes)).all()
        equal += 1
    assert equal > 300


def test_a_string_may_be_empty_or_odd() -> None:
    tables = Tables([[0, 40000, 65535, 1 << 16]], [3])
    for coded in (b"", b"\1", b"\1\2\3\4\5"):
        assert (
            RansDecoder(coded).decode(np.zeros(50, int), *tables.arrays) == _theirs(tables, coded, np.zeros(50, int))
        ).all()


def test_digits_without_end_are_refused() -> None:
    escape = Tables([[0, 1, 1 << 16]], [0])
    assert RansDecoder(b"\xff" * 400).decode(np.zeros(5, int), *escape.arrays) is None
    with pytest.raises(InputError, match="damaged payload"):
        StreamDecoder(escape, b"\xff" * 400).decode(np.zeros(5, int))


@pytest.mark.parametrize("index", [-1, 1])
def test_a_table_that_is_not_there_is_no_memory_read(index: int) -> None:
    tables = Tables([[0, 40000, 65535, 1 << 16]], [3])
    with pytest.raises(IndexError):
        RansDecoder(b"").decode(np.array([index]), *tables.arrays)
