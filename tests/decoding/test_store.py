"""The store: immutable values, safe against several writers."""

import subprocess
import sys
from pathlib import Path

import numpy as np

from netsim.codec import OperatingPoint, Packet, Stream
from netsim.decoding.store import Store, digest
from netsim.decoding.workshop import mask_text, masks_from_text

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
        "for i in range(200): store.put_qualities({f'{sys.argv[2]}{i}': i, f'both{i}': i}, 'psnr_db')\n"
    )
    path = tmp_path / "store.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [writer.wait(timeout=300) for writer in writers] == [0, 0]
    with Store(path) as store:
        keys = [f"{name}{i}" for name in ("a", "b", "both") for i in range(200)]
        assert len(store.qualities(keys, "psnr_db")) == 600


def test_digest_depends_on_content_not_on_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})


def test_mask_text_round_trip() -> None:
    masks = np.random.default_rng(5).random((7, 13)) < 0.5
    np.testing.assert_array_equal(masks_from_text(mask_text(masks)), masks)
