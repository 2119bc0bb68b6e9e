"""Strings of the range coder beside an interval of whole numbers without end, and beside CompressAI's strings."""

from __future__ import annotations

import numpy as np
import pytest
from netcodecs.compressai_import import compressai
from netcodecs.transforms.entropy_tables import StreamDecoder, Tables
from netcodecs.transforms.range_coder import RangeDecoder

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


def _interval(tables: Tables, symbols: np.ndarray, indexes: np.ndarray) -> tuple[int, int, int]:
    """Lower end, width and bits of the interval of some symbols, without bytes that go out and carries."""
    low, width, bits = 0, 1 << 48, 48
    for symbol, index in zip(symbols.tolist(), indexes.tolist(), strict=True):
        row, value = tables.counts[index], symbol - tables.offsets[index]
        steps = []
        if 0 <= value < len(row) - 2:
            steps.append((row[value], row[value + 1]))
        else:
            steps.append((row[-2], row[-1]))
            beyond = -2 * value - 1 if value < 0 else 2 * (value - (len(row) - 2))
            digits = f"{beyond:x}" if beyond else ""
            steps += [
                (4096 * digit, 4096 * digit + 4096) for digit in (len(digits), *(int(d, 16) for d in digits[::-1]))
            ]
        for start, end in steps:
            low, width = low + (width >> 16) * start, (width >> 16) * (end - start)
            while width < 1 << 40:
                low, width, bits = low << 8, width << 8, bits + 8
    return low, width, bits


@pytest.mark.parametrize("size", [1, 2, 8, 40, 500])
def test_a_string_is_a_number_of_its_interval_and_comes_back_whole_and_in_parts(size: int) -> None:
    for _ in range(40):
        tables = _tables(6)
        indexes = RNG.integers(0, 6, size)
        symbols = _symbols(tables, indexes)
        coded = tables.encode(symbols, indexes)
        low, width, bits = _interval(tables, symbols, indexes)
        assert low <= int.from_bytes(coded, "big") << (bits - 8 * len(coded)) < low + width
        assert (RangeDecoder(coded).decode(indexes, *tables.arrays) == symbols).all()
        parts, decoder = np.array_split(indexes, 3), StreamDecoder(tables, coded)
        assert np.concatenate([decoder.decode(part) for part in parts if part.size]).tolist() == symbols.tolist()


def test_no_shorter_number_is_in_the_interval() -> None:
    for _ in range(200):
        tables = _tables(3)
        indexes = RNG.integers(0, 3, 20)
        symbols = _symbols(tables, indexes)
        coded = tables.encode(symbols, indexes)
        low, width, bits = _interval(tables, symbols, indexes)
        unit = 1 << (bits - 8 * (len(coded) - 1))
        assert -(-low // unit) * unit >= low + width


def test_a_carry_runs_through_bytes_that_are_out() -> None:
    """Symbols at the upper end of every interval, then one that begins a little above."""
    tables = Tables([[0, 65000, 65535, 1 << 16], [0, 1, 65535, 1 << 16]], [0, 0])
    for count in range(1, 60):
        indexes = np.array([0] * count + [1])
        symbols = np.array([1] * count + [1])
        assert tables.decode(tables.encode(symbols, indexes), indexes).tolist() == symbols.tolist()
    rng = np.random.default_rng(0)
    for _ in range(2000):  # nearly certain symbols near the end: long runs of 255
        indexes = np.zeros(30, int)
        symbols = rng.choice([0, 1, 1, 1, 2], 30)
        assert tables.decode(tables.encode(symbols, indexes), indexes).tolist() == symbols.tolist()


def test_strings_are_five_bytes_shorter_than_compressais() -> None:
    """And little more than half a byte longer than their symbols' information."""
    shorter, longer = [], []
    for _ in range(300):
        tables = _tables(6)
        indexes = RNG.integers(0, 6, 300)
        symbols = _symbols(tables, indexes)
        coder, sizes = compressai.ans.RansEncoder(), [len(row) for row in tables.counts]
        theirs = coder.encode_with_indexes(symbols.tolist(), indexes.tolist(), tables.counts, sizes, tables.offsets)
        ours = len(tables.encode(symbols, indexes))
        shorter.append(len(theirs) - ours)
        longer.append(ours - tables.bits(symbols, indexes).sum() / 8)
    assert np.mean(shorter) > 5
    assert 0.3 < np.mean(longer) < 0.9


def test_damaged_strings_give_other_symbols_or_are_refused() -> None:
    tables = _tables(6)
    indexes = RNG.integers(0, 6, 60)
    coded, whole = tables.encode(_symbols(tables, indexes), indexes), 0
    for _ in range(1000):
        damaged = bytearray(coded[: RNG.integers(0, len(coded) + 1)])
        if damaged:
            damaged[RNG.integers(len(damaged))] ^= RNG.integers(1, 256)
        try:
            found = StreamDecoder(tables, bytes(damaged)).decode(indexes)
        except InputError:
            continue
        assert found.shape == indexes.shape
        whole += 1
    assert whole > 300


def test_behind_the_end_are_zeros() -> None:
    tables = Tables([[0, 40000, 65535, 1 << 16]], [3])
    for coded in (b"", b"\1", b"\xff\2\3\4\5"):
        found, longer = (RangeDecoder(c).decode(np.zeros(50, int), *tables.arrays) for c in (coded, coded + bytes(99)))
        assert found is not None
        assert longer is not None
        assert found.tolist() == longer.tolist()
    assert tables.encode(np.array([3]), np.zeros(1, int)) == b"\0"


def test_a_string_that_is_too_short_for_its_symbols_is_refused() -> None:
    """Even where zeros at its end could be left out, an encoder writes what a decoder asks for."""
    tables = Tables([[0, 30000, 60000, 1 << 16]], [3])
    symbols, indexes = np.full(400, 3), np.zeros(400, int)
    coded = tables.encode(symbols, indexes)
    assert not any(coded)
    assert tables.decode(coded, indexes).tolist() == symbols.tolist()
    with pytest.raises(InputError, match="55 bytes for 400 symbols"):
        tables.decode(coded[:-1], indexes)


def test_digits_without_end_are_refused() -> None:
    escape = Tables([[0, 1, 1 << 16]], [0])
    assert RangeDecoder(b"\xff" * 400).decode(np.zeros(5, int), *escape.arrays) is None
    with pytest.raises(InputError, match="damaged payload"):
        StreamDecoder(escape, b"\xff" * 400).decode(np.zeros(5, int))


@pytest.mark.parametrize("index", [-1, 1])
def test_a_table_that_is_not_there_is_no_memory_read(index: int) -> None:
    tables = Tables([[0, 40000, 65535, 1 << 16]], [3])
    with pytest.raises(IndexError):
        RangeDecoder(b"").decode(np.array([index]), *tables.arrays)
    with pytest.raises(IndexError):
        tables.encode(np.array([3]), np.array([index]))


@pytest.mark.parametrize("far", [1 << 31, -(1 << 31) - 1, 1 << 40, -(1 << 63)])
def test_symbols_of_more_digits_than_a_decoder_reads_are_refused(far: int) -> None:
    """Their digits would be written beyond the memory that the string has."""
    tables = Tables([[0, 40000, 65535, 1 << 16]], [0])
    with pytest.raises(InputError, match="too large to be coded"):
        tables.encode(np.full(500, far), np.zeros(500, int))
    farthest = np.array([(1 << 31) - 1, 1 - (1 << 31)] * 200)
    found = RangeDecoder(tables.encode(farthest, np.zeros(400, int))).decode(np.zeros(400, int), *tables.arrays)
    assert found is not None
    assert found.tolist() == farthest.tolist()


def test_the_bytes_of_a_string() -> None:
    """Whoever changes them raises `format` in the fingerprints of all codecs that have such strings (progressive, zoo):
    stores hold streams and images under it."""
    tables = Tables([[0, 30000, 60000, 1 << 16], [0, 1, 65535, 1 << 16]], [0, -1])
    coded = tables.encode(np.array([0, 1, 900, -70, 1, 0, 0, -1]), np.array([0, 0, 0, 1, 0, 1, 0, 1]))
    assert coded.hex() == "67ad8af325a4214f17"
