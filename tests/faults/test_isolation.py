"""Native decoders of received bytes: whatever they do, the process that called them goes on."""

from __future__ import annotations

import io
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netsim
from netsim import images, isolation
from netsim.codec import OperatingPoint, Packet, Stream, create_codec
from netsim.errors import InputError
from netsim.isolation import run_isolated
from tests.faults.native_decoders import MEMORY_BYTES, TIMEOUT_S, FaultyCodec, decoded, decoded_file

LIMITS = {"timeout_s": TIMEOUT_S, "memory_bytes": MEMORY_BYTES}
FAULTS = {
    "s": "faulty: the decoder crashed (SIGSEGV)",
    "a": "faulty: the decoder crashed (SIGABRT)",
    "l": "faulty: the decoder took longer than 1 s",
    "m": "faulty: the decoder found no memory; its limit is 0.25 GiB",
}


def _pid() -> int:
    return int(run_isolated(_own_pid, what="pid").item())


def _own_pid() -> np.ndarray:
    return np.array(os.getpid())


def _of_kind(kind: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(kind)


@pytest.mark.parametrize("way", FAULTS)
def test_a_fault_is_an_input_error_and_the_next_image_decodes(way: str) -> None:
    with pytest.raises(InputError, match="faulty") as caught:
        run_isolated(decoded, way.encode(), what="faulty", **LIMITS)
    assert caught.value.message == FAULTS[way]
    assert (run_isolated(decoded, b"i\x09", what="faulty", **LIMITS) == np.full((4, 4, 3), 9)).all()


@pytest.mark.parametrize("way", FAULTS)
def test_a_run_with_such_a_payload_ends_with_one_error_that_names_the_codec(
    tmp_path: Path, way: str, empty_registry: None
) -> None:
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save(tmp_path / "a.png")
    netsim.register("codec")(FaultyCodec)
    codecs = [{"faulty": {"quality": ord(way)}}]
    plan = netsim.plan(images=[str(tmp_path / "a.png")], codecs=codecs, channels=["EP4"], trials=1)
    with pytest.raises(InputError) as caught:
        netsim.run(plan, out=tmp_path / "run", workers=1)
    assert FAULTS[way] in str(caught.value)


@pytest.mark.parametrize("way", "sa")
def test_an_image_file_that_crashes_its_reader_is_one_error_that_names_it(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(way.encode() + b"\x05")
    monkeypatch.setattr(images, "read_image_file", decoded_file)
    with pytest.raises(InputError, match=r"a\.png`: the decoder crashed"):
        netsim.plan(images=[str(path)], codecs=[{"jpeg": {"quality": 30}}], channels=["EP4"])
    path.write_bytes(b"i\x05")
    assert (images.read_image(path) == 5).all()


def test_errors_of_the_function_arrive() -> None:
    with pytest.raises(InputError) as caught:
        run_isolated(decoded, b"r", what="faulty")
    error = caught.value
    assert (error.message, error.where, error.hint, error.key) == ("refused", "a place", "a hint", ("rows", 1))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: a bug"):
        run_isolated(decoded, b"b", what="faulty")
    with pytest.raises(RuntimeError, match="not numbers"):
        run_isolated(np.array, "text", what="faulty")


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 2), (5,), (2, 3, 4)])
@pytest.mark.parametrize("kind", ["bool", "uint8", "int64", ">u2", "float32"])
def test_arrays_arrive_whole(kind: str, shape: tuple[int, ...]) -> None:
    found, expected = run_isolated(_of_kind, kind, shape, what="arrays"), _of_kind(kind, shape)
    assert found.dtype == expected.dtype
    assert found.shape == shape
    assert np.array_equal(found, expected)
    assert not found.flags.writeable


def test_an_answer_is_a_copy_of_its_own() -> None:
    large, small = (run_isolated(np.full, size, value, what="copies") for size, value in ((100_000, 1), (9, 2)))
    assert (large == 1).all()
    assert (small == 2).all()


@pytest.mark.skipif(not hasattr(mmap, "MADV_REMOVE"), reason="the system can't give a file's memory back")
def test_memory_of_a_large_image_is_given_back_by_both_processes() -> None:
    """100 MiB; 64 of them stay for the next image. What the system counts: the file, and what each process holds."""
    pid, size = _pid(), 100 << 20
    before = _shared_kib(os.getpid())
    for value in (7, 8):
        assert (run_isolated(np.full, size, np.uint8(value), what="large") == value).all()
        shared = isolation._children[0]._shared
        assert os.fstat(shared._number).st_size == size
        assert os.fstat(shared._number).st_blocks * 512 <= 64 << 20
        assert _shared_kib(pid) <= 65 << 10
        assert _shared_kib(os.getpid()) - before <= 65 << 10
    assert _pid() == pid


def _shared_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("RssShmem:")[2].split()[0])


def test_one_child_serves_all_calls_until_it_ends() -> None:
    first = _pid()
    assert first == _pid() != os.getpid()
    os.kill(first, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while isolation._children[0].usable() and time.monotonic() < deadline:
        time.sleep(0.01)
    second = _pid()
    assert second != first


def test_a_child_that_is_killed_during_a_call_is_said_to_be() -> None:
    threading.Timer(0.5, os.kill, (_pid(), signal.SIGKILL)).start()
    with pytest.raises(InputError, match="the decoder was killed"):
        run_isolated(decoded, b"l", what="faulty", timeout_s=60)


def test_an_interrupted_call_leaves_no_half_answer() -> None:
    class Stop(Exception):
        pass

    def ring(number: int, frame: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGALRM, ring)
    try:
        _pid()
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(Stop):
            run_isolated(decoded, b"l", what="faulty", timeout_s=60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (run_isolated(decoded, b"i\x09", what="faulty") == 9).all()


def test_threads_take_turns() -> None:
    found: dict[int, bool] = {}

    def work(value: int) -> None:
        answers = [run_isolated(np.full, 1000, value, what="threads") for _ in range(20)]
        found[value] = all((answer == value).all() for answer in answers)

    threads = [threading.Thread(target=work, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(range(4), True)


def test_a_forked_process_has_a_child_of_its_own_while_a_thread_of_its_parent_waits_for_an_answer() -> None:
    began, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with isolation._lock:
            began.set()
            go_on.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    began.wait()
    if (forked := os.fork()) == 0:
        signal.alarm(60)
        try:
            os._exit(0 if _pid() != os.getpid() else 1)
        finally:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(forked, 0)[1])
    go_on.set()
    thread.join()
    assert code == 0


def test_modules_of_the_current_folder_do_not_replace_those_of_python(tmp_path: Path) -> None:
    """A user's json.py must not run in the child of a command that does not see it either."""
    (tmp_path / "program").mkdir()
    (tmp_path / "json.py").write_text("raise RuntimeError('a file of the user')")
    program = tmp_path / "program" / "main.py"
    program.write_text("from tests.faults.test_isolation import _pid\nprint(_pid())")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_an_entry_of_the_search_path_that_is_no_text_is_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [Path("/nowhere"), *sys.path])
    os.kill(_pid(), signal.SIGKILL)  # the next child starts with this path
    isolation._children[0]._process.wait()
    assert _pid() > 0


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    code = "import numpy as np, os\nfrom tests.faults.test_isolation import _pid\nprint(_pid(), flush=True)\nos.abort()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    child, deadline = Path(f"/proc/{int(done.stdout)}"), time.monotonic() + 60
    while child.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not child.exists()


@pytest.mark.parametrize(("name", "kind"), [("jpeg", "JPEG"), ("webp", "WEBP")])
def test_pillow_decodes_in_the_child_and_gives_the_same_image(
    name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.add.outer(np.arange(24) * 5, np.arange(33) * 3)[..., np.newaxis] + np.arange(3, dtype=np.uint8) * 20
    codec = create_codec(name, {"packets": 2})
    stream = codec.encode(pixels.astype(np.uint8), OperatingPoint("quality", 50))
    data = b"".join(packet.payload for packet in stream.packets)
    with Image.open(io.BytesIO(data), formats=[kind]) as image:
        expected = np.asarray(image.convert("RGB"))

    def opened(*arguments: object, **options: object) -> None:
        raise AssertionError("a payload was opened in this process")

    monkeypatch.setattr(Image, "open", opened)
    assert np.array_equal(codec.decode(stream, np.ones((1, 2), bool))[0], expected)
    damaged = Stream((Packet(data[:40]), Packet(data[41:])), stream.shape, stream.operating_point)
    with pytest.raises(InputError, match=f"{name}: damaged payload"):
        codec.decode(damaged, np.ones((1, 2), bool))
