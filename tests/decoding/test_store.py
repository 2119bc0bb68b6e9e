"""The store: immutable values, safe against several writers."""

import math
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from netsim.codec import OperatingPoint, Packet, Stream
from netsim.decoding.masks import mask_text, masks_from_text
from netsim.decoding.store import Store
from netsim.digests import digest
from netsim.errors import InputError

STREAM = Stream(
    (Packet(b"head", protected=True), Packet(b""), Packet(b"\x00\xff" * 40)),
    (48, 64),
    OperatingPoint("bpp", 0.35),
    {"encoder": "toy", "command": ["toy", "-q"]},
)


def test_stream_comes_back_as_it_was(tmp_path: Path) -> None:
    with Store(tmp_path / "deep" / "store.sqlite") as store:
        assert store.stream("a") is None
        assert not store.has_stream("a")
        store.put_stream("a", STREAM)
    with Store(tmp_path / "deep" / "store.sqlite") as store:
        assert store.stream("a") == STREAM
        assert store.has_stream("a")


def test_first_value_stays(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        store.put_qualities({"a": 31.25, "b": float("inf")}, "psnr_db")
        store.put_qualities({"a": 5.0}, "psnr_db")
        assert store.qualities(["a", "b", "c"], "psnr_db") == {"a": 31.25, "b": float("inf")}
        assert store.qualities(["a"], "ms_ssim") == {}


def test_many_keys_in_one_question(tmp_path: Path) -> None:
    values = {f"key{i}": float(i) for i in range(2500)}
    with Store(tmp_path / "store.sqlite") as store:
        store.put_qualities(values, "psnr_db")
        assert store.qualities(values, "psnr_db") == values


def test_two_processes_write_at_once(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from netsim.decoding.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for i in range(200):\n"
        "    store.put_qualities({f'{sys.argv[2]}{i}': i, f'both{i}': i}, 'psnr_db')\n"
        "    store.write()\n"
    )
    path = tmp_path / "store.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    with Store(path) as store:
        keys = [f"{name}{i}" for name in ("a", "b", "both") for i in range(200)]
        assert len(store.qualities(keys, "psnr_db")) == 600


def test_rows_are_written_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, stream = tmp_path / "store.sqlite", Stream((Packet(b"abc"),), (8, 8), OperatingPoint("quality", 1.0), {})
    with Store(path) as one, Store(path) as other:
        monkeypatch.setattr("netsim.decoding.store._BETWEEN_WRITES_S", math.inf)
        one.put_stream("s", stream)
        one.put_qualities({"q": 31.25}, "psnr_db")
        assert (one.stream("s"), one.qualities(["q"], "psnr_db")) == (stream, {"q": 31.25})
        assert (other.stream("s"), other.qualities(["q"], "psnr_db")) == (None, {})
        monkeypatch.setattr("netsim.decoding.store._BETWEEN_WRITES_S", 0.0)
        one.put_qualities({"r": 5.0}, "psnr_db")
        assert (other.stream("s"), other.qualities(["q", "r"], "psnr_db")) == (stream, {"q": 31.25, "r": 5.0})
        monkeypatch.setattr("netsim.decoding.store._BETWEEN_WRITES_S", math.inf)
        one.put_qualities({"t": 6.0}, "psnr_db")
    with Store(path) as later:
        assert later.qualities(["t"], "psnr_db") == {"t": 6.0}


def test_digest_depends_on_content_not_on_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_mask_text_round_trip() -> None:
    masks = np.random.default_rng(5).random((7, 13)) < 0.5
    np.testing.assert_array_equal(masks_from_text(mask_text(masks)), masks)


def test_an_edited_value_is_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        store.put_qualities({"a": 31.25, "b": 30.0, "c": float("nan")}, "psnr_db")
        store.put_stream("s", STREAM)
        store.put_stream("t", STREAM)
    with sqlite3.connect(path) as db:
        db.execute("update qualities set value = value + 3 where key = 'a'")
        db.execute("update streams set payload = zeroblob(length(payload)) where key = 's'")
    with Store(path) as store:
        found = store.qualities(["a", "b", "c"], "psnr_db")
        assert found.pop("b") == 30.0
        assert np.isnan(found.pop("c"))
        assert not found
        assert store.stream("s") is None
        assert not store.has_stream("s")
        assert store.stream("t") == STREAM
        store.put_qualities({"a": 31.25}, "psnr_db")  # made again, it takes the old one's place
        store.put_stream("s", STREAM)
        assert store.qualities(["a"], "psnr_db") == {"a": 31.25}
        assert store.stream("s") == STREAM


def test_values_that_change_places_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        store.put_qualities({"a": 31.25, "b": 30.0}, "psnr_db")
        store.put_qualities({"a": 0.9}, "ms_ssim")
        store.put_stream("s", STREAM)
    with sqlite3.connect(path) as db:
        db.execute("update qualities set key = 'x' where key = 'a' and metric = 'psnr_db'")
        db.execute("update qualities set key = 'a' where key = 'b'")
        db.execute("update qualities set metric = 'vif' where metric = 'ms_ssim'")
        db.execute("update streams set key = 't'")
    with Store(path) as store:
        assert store.qualities(["a", "b", "x"], "psnr_db") == {}
        assert store.qualities(["a"], "vif") == {}
        assert store.stream("t") is None


def test_every_single_bit_flip_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    """Each bit of the pages in use: the value, nothing, or an InputError."""
    path, damaged = tmp_path / "store.sqlite", tmp_path / "damaged.sqlite"
    with Store(path) as store:
        store.put_qualities({"a": 31.25, "b": 30.0}, "psnr_db")
        store.put_stream("s", STREAM)
    content = bytearray(path.read_bytes())
    used = [i for i, byte in enumerate(content) if byte]
    outcomes = Counter()
    for i in used:
        content[i] ^= 1 << (i % 8)
        damaged.write_bytes(content)
        content[i] ^= 1 << (i % 8)
        try:
            with Store(damaged) as store:
                values = store.qualities(["a", "b"], "psnr_db")
                stream = store.stream("s")
        except InputError:
            outcomes["refused"] += 1
            continue
        assert values.items() <= {"a": 31.25, "b": 30.0}.items()
        assert stream in (None, STREAM)
        outcomes["whole" if len(values) == 2 and stream else "forgotten"] += 1
    assert set(outcomes) == {"refused", "whole", "forgotten"}


def test_what_no_store_can_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    for path in (tmp_path, tmp_path / "text", tmp_path / "text" / "store.sqlite"):
        with pytest.raises(InputError, match="store"):
            Store(path)


def test_a_store_of_another_version_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with sqlite3.connect(path) as db:
        db.execute("create table qualities (key text, metric text, value real, primary key (key, metric))")
        db.execute("insert into qualities values ('a', 'psnr_db', 99.0)")
    with Store(path) as store:
        assert store.qualities(["a"], "psnr_db") == {}
        store.put_qualities({"a": 1.0}, "psnr_db")
        assert store.qualities(["a"], "psnr_db") == {"a": 1.0}


@pytest.mark.parametrize(
    ("made", "words"),
    [("folder", "is a folder"), ("text", "is not a store"), ("database", "another program"), ("none", "can't")],
)
def test_what_is_no_store_is_refused_and_left_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: str, words: str
) -> None:
    path = tmp_path / "mine" if made != "none" else Path("/dev/null/store.sqlite")
    if made == "folder":
        path.mkdir()
    elif made == "text":
        path.write_text("name: my scenario, which is not a cache\n")
    elif made == "database":
        with sqlite3.connect(path) as other:
            other.execute("create table streams (song text)")
            other.execute("create table albums (name text)")
            other.execute("insert into streams values ('a')")
        other.close()
    before = path.read_bytes() if path.is_file() else None
    monkeypatch.setenv("NETSIM_STORE", str(path))
    with pytest.raises(InputError, match=words) as caught:
        Store()
    assert str(path) in str(caught.value) or made == "none"
    assert (path.read_bytes() if path.is_file() else None) == before


def test_the_store_may_lie_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETSIM_STORE", "~/store.sqlite")
    with Store() as store:
        assert store.path == tmp_path / "store.sqlite"
    monkeypatch.setenv("NETSIM_STORE", "x" * 300)
    with pytest.raises(InputError, match="File name too long"):
        Store()
