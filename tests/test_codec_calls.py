"""A codec's mistake is one sentence that names the codec, at registration, in a run, and in its checker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

import netsim
from netsim import registry
from netsim.codec import Codec, OperatingPoint, Packet, Stream
from netsim.conformance import CHECKS, check_codec
from netsim.errors import InputError
from netsim.registry import register
from tests.plugin_files import GREY_CODEC, install

pytestmark = pytest.mark.usefixtures("empty_registry", "in_tmp_path")


class Mean(Codec):
    """Four packets, each with the mean color."""

    name = "mean"
    operating_point_keys: ClassVar[Any] = {"bpp": float}

    def encode(self, image: Any, operating_point: Any, packet_limit_bytes: int | None = None) -> Any:
        color = bytes(image.mean(axis=(0, 1)).astype(np.uint8))
        return Stream(tuple(Packet(color) for _ in range(4)), image.shape[:2], operating_point)

    def usable(self, stream: Stream, received: Any) -> Any:
        return received

    def decode(self, stream: Stream, masks: Any) -> Any:
        color = np.frombuffer(stream.packets[0].payload, np.uint8)
        return np.broadcast_to(color, (len(masks), *stream.shape, 3)).copy()


def run(codec: type[Codec]) -> Any:
    register("codec", "mean")(codec)
    keys = {"codecs": [{"mean": {"bpp": 1}}], "channels": [{"loss_rate": 0.25}], "engine": "array", "trials": 3}
    return netsim.run({"images": {"samples": ["coffee"]}, "seed": 1, "slots": 1, **keys})


def breaks(*arguments: Any) -> Any:
    raise ZeroDivisionError("a bug")


@pytest.mark.parametrize("method", ["encode", "usable", "decode"])
def test_the_traceback_of_a_bug_ends_with_the_codec_and_what_it_did(method: str) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        run(type("Mine", (Mean,), {method: breaks}))
    [line] = caught.value.__notes__
    assert line.startswith(f"in {method} of codec `mean` at bpp=1")
    assert ("image `coffee`" in line) == (method != "usable")  # an engine knows no images


@pytest.mark.parametrize("workers", [1, 2])
def test_the_command_shows_the_traceback_of_a_bug_without_its_own_library(
    workers: int, in_tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = GREY_CODEC.replace("LEVEL", "1 // 0")
    install(in_tmp_path, monkeypatch, {"greycodec.py": source}, {"netsim.codecs": {"grey": "greycodec:Grey"}})
    scenario = "images: {samples: [coffee]}\ncodecs: [{grey: {bits: 8}}]\nchannels: [EP4]\nengine: array\ntrials: 2\n"
    Path("s.yaml").write_text(scenario)
    command = [sys.executable, "-m", "netsim", "run", "s.yaml", "--workers", str(workers)]
    path = os.pathsep.join([str(in_tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    *_, bug, line = done.stderr.splitlines()
    assert bug == "ZeroDivisionError: integer division or modulo by zero"
    assert line == "in decode of codec `grey` at bits=8, image `coffee`"
    assert 'greycodec.py", line' in done.stderr
    assert "typer" not in done.stderr
    assert "click" not in done.stderr


@pytest.fixture
def sent() -> tuple[Any, OperatingPoint]:
    return np.full((16, 24, 3), 90, np.uint8), OperatingPoint("bpp", 1)


def test_the_codec_without_a_mistake_runs() -> None:
    assert len(run(Mean).slots) == 3


def images(change: Any) -> Any:
    return lambda self, stream, masks: change(Mean.decode(self, stream, masks))


def encoded(change: Any) -> Any:
    return lambda self, image, operating_point, packet_limit_bytes=None: change(
        Mean.encode(self, image, operating_point)
    )


@pytest.mark.parametrize(
    ("method", "wrong", "words"),
    [
        ("usable", lambda self, stream, received: None, "usable returns None for masks of shape ["),
        ("usable", lambda self, stream, received: received.any(axis=-1), "usable returns "),
        ("usable", lambda self, stream, received: received.astype(float), "usable returns float64 ["),
        ("usable", lambda self, stream, received: received.tolist(), "usable returns list"),
        ("decode", images(list), "decode returns list for"),
        ("decode", images(lambda found: found / 255), "decode returns float64"),
        ("decode", images(lambda found: found[..., 0]), "decode returns uint8 ["),
        ("decode", images(lambda found: found[:0]), "decode returns uint8 [0, "),
        ("decode", images(lambda found: found[:, :-1]), "decode returns uint8 ["),
        ("decode", images(lambda found: None), "decode returns None"),
        ("encode", encoded(lambda stream: None), "encode returns None, not a Stream"),
        ("encode", encoded(lambda stream: [b"a", b"b"]), "encode returns list, not a Stream"),
        ("encode", encoded(lambda stream: Stream((), stream.shape, stream.operating_point)), "with no packet"),
        ("encode", encoded(lambda stream: Stream((b"a",), stream.shape, stream.operating_point)), "packet 0 is bytes"),  # type: ignore[arg-type]
        (
            "encode",
            encoded(lambda stream: Stream((Packet("text"),), stream.shape, stream.operating_point)),  # type: ignore[arg-type]
            "the payload of packet 0 is str, not bytes",
        ),
        ("encode", encoded(lambda stream: Stream(stream.packets, (3, 4), stream.operating_point)), "of shape (3, 4)"),
    ],
)
def test_a_wrong_return_value_is_one_sentence_in_a_run_and_in_the_checker(
    method: str, wrong: Any, words: str, sent: Any
) -> None:
    codec = type("Wrong", (Mean,), {method: wrong})
    with pytest.raises(InputError) as caught:
        run(codec)
    assert "codec `mean`" in caught.value.message
    assert words in caught.value.message
    assert caught.value.hint
    results = check_codec(codec(), [sent[0]], [sent[1]])
    failed = [one.detail for one in results if not one.passed]
    assert any(
        f"codec `mean`: {method}" in one or "codec `mean`: p" in one or "codec `mean`: the p" in one for one in failed
    )
    assert len(results) == (1 if method == "encode" else len(CHECKS))


@pytest.mark.parametrize(
    ("body", "words", "hint"),
    [
        (
            {"encode": lambda self, image, operating_point: None},
            "(self, image, operating_point)",
            "packet_limit_bytes=None",
        ),
        ({"operating_point_keys": ["bpp"]}, "operating_point_keys is ['bpp']", '{"bpp": float}'),
        ({"Settings": {"a": 1}}, "Settings is {'a': 1}", "CodecSettings"),
        ({"point_limits": {"bbp": (0, 1)}}, "point_limits has `bbp`", "did you mean `bpp`?"),
        ({"point_limits": {"bpp": 3}}, "point_limits is", "(1, 100)"),
    ],
)
def test_a_class_at_fault_is_refused_at_registration_and_by_the_checker(body: Any, words: str, hint: str) -> None:
    codec = type("Wrong", (Mean,), body)
    with pytest.raises(InputError) as caught:
        register("codec")(codec)
    assert caught.value.message.startswith("codec `mean`")
    assert words in caught.value.message
    assert hint in caught.value.hint


def test_a_method_may_be_static() -> None:
    register("codec")(type("Static", (Mean,), {"usable": staticmethod(lambda stream, received: received)}))
    assert registry.load_plugin("codec", "mean").usable(None, 3) == 3


def test_a_class_without_decode_is_refused_at_registration() -> None:
    body = {key: vars(Mean)[key] for key in ("name", "operating_point_keys", "encode", "usable")}
    with pytest.raises(InputError) as caught:
        register("codec")(type("Half", (Codec,), body))
    assert caught.value.message == "codec `mean` has no `decode`"
    assert "decode(self, stream, masks)" in caught.value.hint


@pytest.mark.parametrize("given", [Mean, "mean"])
def test_the_checker_takes_an_instance(given: Any, sent: Any) -> None:
    with pytest.raises(InputError) as caught:
        check_codec(given, [sent[0]], [sent[1]])
    assert "an instance" in caught.value.hint
