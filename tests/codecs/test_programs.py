"""Programs that the user names: found or refused, run with the right arguments, their failures reported."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import numpy as np
import pytest
from netcodecs.classical.ffmpeg import ffmpeg_path
from netcodecs.classical.hevc import Hevc, HevcSettings
from netcodecs.classical.programs import find_program, identity, run_program
from netcodecs.classical.vvc import Vvc, VvcSettings
from skimage import data

from netsim.codec import Image, OperatingPoint, create_codec
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db

IMAGE: Image = np.ascontiguousarray(data.astronaut()[:45, 160:223])  # 63 x 45: coded as 64 x 48
ALL = np.ones((1, 10), bool)

# Stand-ins for VTM's and BPG's programs: they check their arguments and "code" by zlib, losslessly.
ENCODER_APP = """
import sys, zlib
from pathlib import Path
print("VVCSoftware: VTM Encoder Version 23.4 [Linux]")
arguments = sys.argv[1:]
if not arguments:
    sys.exit(0)
options = dict(zip(arguments[:-4:2], arguments[1:-4:2]))
assert arguments[-4:] == ["--InputChromaFormat=444", "--InputBitDepth=10", "--InternalBitDepth=10",
                          "--OutputBitDepth=10"], arguments
assert {k: options[k] for k in ("-wdt", "-hgt", "-f", "-fr")} == {"-wdt": "64", "-hgt": "48", "-f": "1", "-fr": "1"}
assert Path(options["-c"]).read_text() == "IntraPeriod : 1"
planes = Path(options["-i"]).read_bytes()
assert len(planes) == 64 * 48 * 3 * 2, len(planes)
Path(options["-b"]).write_bytes(bytes([int(options["-q"])]) + zlib.compress(planes))
"""
DECODER_APP = """
import sys, zlib
from pathlib import Path
if len(sys.argv) == 1:
    sys.exit("VVCSoftware: VTM Decoder Version 23.4")
b, coded, o, planes, d, depth = sys.argv[1:]
assert (b, o, d, depth) == ("-b", "-o", "-d", "10")
Path(planes).write_bytes(zlib.decompress(Path(coded).read_bytes()[1:]))
"""
REAL_DECODER = f"""
import subprocess, sys
b, coded, o, planes, d, depth = sys.argv[1:]
subprocess.run([{ffmpeg_path()!r}, "-v", "error", "-threads", "1", "-f", "vvc", "-i", coded, "-f", "rawvideo", planes],
               check=True)
"""
BPGENC = """
import sys
from pathlib import Path
if len(sys.argv) == 1:
    sys.exit("BPG Image Encoder version 0.9.8")
assert sys.argv[1:11] == ["-q", "28", "-f", "444", "-c", "ycbcr", "-b", "8", "-e", "x265"], sys.argv
assert sys.argv[11] == "-o"
Path(sys.argv[12]).write_bytes(b"BPG" + Path(sys.argv[13]).read_bytes())
"""
BPGDEC = """
import sys
from pathlib import Path
data = Path(sys.argv[3]).read_bytes() if len(sys.argv) == 4 else b"BPG"
assert data[:3] == b"BPG", data[:3]
if len(sys.argv) == 4:
    assert sys.argv[1] == "-o"
    Path(sys.argv[2]).write_bytes(data[3:])
"""
MIRROR = """
from PIL import Image
from PIL.ImageOps import mirror
mirror(Image.open(sys.argv[2])).save(sys.argv[2])
"""


def program(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{text}")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def vtm(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bin").mkdir()
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "encoder_intra_vtm.cfg").write_text("IntraPeriod : 1")
    folder = tmp_path / "bin"
    return {
        "encoder": program(folder, "EncoderAppStatic", ENCODER_APP),
        "decoder": program(folder, "DecoderAppStatic", DECODER_APP),
    }


def test_vtm_gets_444_10_bit_planes_and_its_configuration(vtm: dict[str, str]) -> None:
    codec = create_codec("vvc", vtm)
    stream = codec.encode(IMAGE, OperatingPoint("qp", 22))
    assert b"".join(p.payload for p in stream.packets)[4] == 22
    assert psnr_db(IMAGE, codec.decode(stream, ALL))[0] > 50  # colour conversion alone
    assert stream.made_by["tool"] == "VTM"
    assert stream.made_by["version"] == "23.4"
    assert stream.made_by["colour"].startswith("4:4:4 10 bit")
    assert stream.made_by["command"] == (
        "EncoderAppStatic -c encoder_intra_vtm.cfg -i in.yuv -b out.vvc -o out.yuv -wdt 64 -hgt 48 -f 1 -fr 1 -q 22 "
        "--InputChromaFormat=444 --InputBitDepth=10 --InternalBitDepth=10 --OutputBitDepth=10"
    )
    assert codec.fingerprint["encoder"]["sha256"] != codec.fingerprint["decoder"]["sha256"]


def test_vtm_decoder_reads_libvvencs_420(tmp_path: Path) -> None:
    """A decoder that writes 4:2:0 planes is understood by their size."""
    codec = Vvc(VvcSettings(preset="faster", decoder=program(tmp_path, "DecoderApp", REAL_DECODER)))
    stream = codec.encode(IMAGE, OperatingPoint("qp", 30))
    own = create_codec("vvc", {"preset": "faster"})
    assert np.array_equal(codec.decode(stream, ALL), own.decode(stream, ALL))


def test_a_decoder_is_checked_against_the_encoders_own_reconstruction(tmp_path: Path) -> None:
    grey = f"from pathlib import Path\nimport sys\nPath(sys.argv[4]).write_bytes(b'\\x00\\x02' * {64 * 64 * 3 // 2})"
    codec = Vvc(VvcSettings(preset="faster", decoder=program(tmp_path, "DecoderApp", grey)))
    with pytest.raises(InputError, match="DecoderApp decodes a bitstream to another image than its encoder"):
        codec.encode(IMAGE, OperatingPoint("qp", 30))


def test_vtms_reconstruction_is_what_its_decoder_must_give(vtm: dict[str, str]) -> None:
    encoder = Path(vtm["encoder"])
    written = 'Path(options["-b"])'
    wrong = ENCODER_APP.replace(written, f"Path(sys.argv[8]).write_bytes(planes[::-1])\n{written}")
    assert "sys.argv[8]" in wrong
    right = wrong.replace("planes[::-1]", "planes")
    program(encoder.parent, encoder.name, right)
    create_codec("vvc", vtm).encode(IMAGE, OperatingPoint("qp", 22))
    program(encoder.parent, encoder.name, wrong)
    with pytest.raises(InputError, match="DecoderAppStatic decodes a bitstream to another image"):
        create_codec("vvc", vtm).encode(IMAGE, OperatingPoint("qp", 22))


def test_without_a_reconstruction_two_decodings_must_agree(tmp_path: Path) -> None:
    """Two decoders that write another image the second time; the encoders give no reconstruction."""
    flaky = "\nmark = Path(sys.argv[0] + '.mark')\nfirst = not mark.exists()\nlen(sys.argv) == 4 and mark.touch()\n"
    turned = "import io\nfrom PIL import Image\nfrom PIL.ImageOps import mirror\n"
    bpgdec = (
        BPGDEC + flaky + turned + "first or len(sys.argv) < 4 or mirror(Image.open(sys.argv[2])).save(sys.argv[2])\n"
    )
    tools = {"encoder": program(tmp_path, "bpgenc", BPGENC), "decoder": program(tmp_path, "bpgdec", bpgdec)}
    codec = create_codec("hevc", tools)
    with pytest.raises(InputError, match="bpgdec decodes one bitstream to two images"):
        codec.encode(IMAGE, OperatingPoint("qp", 28))


def test_every_later_decoding_is_checked_against_the_first(tmp_path: Path) -> None:
    """The program turns bad after the stream was made."""
    tools = {"encoder": program(tmp_path, "bpgenc", BPGENC), "decoder": program(tmp_path, "bpgdec", BPGDEC)}
    codec = create_codec("hevc", tools)
    stream = codec.encode(IMAGE, OperatingPoint("qp", 28))
    turned = (
        "\nfrom PIL import Image\nfrom PIL.ImageOps import mirror\nmirror(Image.open(sys.argv[2])).save(sys.argv[2])\n"
    )
    program(tmp_path, "bpgdec", BPGDEC + turned)
    with pytest.raises(InputError, match="hevc: the decoded image is not the one that was checked"):
        codec.decode(stream, ALL)


def test_damage_before_a_named_decoder_is_an_input_error(vtm: dict[str, str]) -> None:
    codec = create_codec("vvc", vtm)
    other = create_codec("vvc", {"preset": "faster"}).encode(IMAGE, OperatingPoint("qp", 40))
    with pytest.raises(InputError, match="DecoderAppStatic failed with exit code 1") as caught:
        codec.decode(other, ALL)
    assert "zlib.error" in caught.value.hint


def test_without_a_configuration_vtm_is_refused(tmp_path: Path, vtm: dict[str, str]) -> None:
    (tmp_path / "cfg" / "encoder_intra_vtm.cfg").unlink()
    with pytest.raises(InputError, match="no VTM configuration"):
        create_codec("vvc", vtm)
    own = tmp_path / "own.cfg"
    own.write_text("IntraPeriod : 1")
    codec = create_codec("vvc", {**vtm, "config": str(own)})
    assert codec.encode(IMAGE, OperatingPoint("qp", 30)).made_by["command"].startswith("EncoderAppStatic -c own.cfg")


def test_bpg_by_its_own_programs(tmp_path: Path) -> None:
    tools = {"encoder": program(tmp_path, "bpgenc", BPGENC), "decoder": program(tmp_path, "bpgdec", BPGDEC)}
    codec = create_codec("hevc", tools)
    stream = codec.encode(IMAGE, OperatingPoint("qp", 28))
    assert np.array_equal(codec.decode(stream, ALL)[0], IMAGE)
    assert (stream.made_by["tool"], stream.made_by["version"]) == ("BPG", "0.9.8")
    assert stream.made_by["command"] == "bpgenc -q 28 -f 444 -c ycbcr -b 8 -e x265 -o out.bpg in.png"


def test_bpg_needs_both_programs(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="codec hevc: no `decoder`"):
        Hevc(HevcSettings(encoder=program(tmp_path, "bpgenc", BPGENC)))


@pytest.mark.parametrize(("name", "setting"), [("vvc", "encoder"), ("vvc", "decoder")])
def test_a_named_program_that_is_not_there(name: str, setting: str) -> None:
    with pytest.raises(InputError, match="codec vvc: no program `/no/such/App`") as caught:
        create_codec(name, {setting: "/no/such/App"})
    assert caught.value.key == (setting,)


def test_a_program_is_found_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = program(tmp_path, "bpgenc", BPGENC)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("bpgenc", "hevc", "encoder") == str(Path(path).resolve())


def test_a_failure_carries_the_last_words(tmp_path: Path) -> None:
    failing = program(tmp_path, "App", "import sys\nsys.exit('one\\ntwo: no such level')")
    with pytest.raises(InputError, match="App failed with exit code 1") as caught:
        run_program([failing])
    assert "two: no such level" in caught.value.hint


def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = program(tmp_path, "App", "import time\ntime.sleep(60)")
    with pytest.raises(InputError, match=r"App took longer than 0\.3 s"):
        run_program([hanging], timeout_s=0.3)


def test_an_encoder_that_writes_nothing_is_told(tmp_path: Path, vtm: dict[str, str]) -> None:
    (tmp_path / "bin" / "EncoderAppStatic").write_text(f"#!{sys.executable}\n")
    with pytest.raises(InputError, match=r"EncoderAppStatic ended without an error but wrote no out\.vvc"):
        create_codec("vvc", vtm).encode(IMAGE, OperatingPoint("qp", 22))


def test_a_changed_program_has_another_identity(tmp_path: Path) -> None:
    first = identity(program(tmp_path, "App", "print('App version 1.0')"))
    second = identity(program(tmp_path, "App", "print('App version 1.0 ')"))
    assert first["version"] == "1.0"
    assert first["sha256"] != second["sha256"]


def test_a_program_that_a_scenario_names_runs_only_where_the_user_allows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, witness = tmp_path / "bin" / "EncoderApp", tmp_path / "ran"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {witness}\n")
    program.chmod(0o755)
    for allowed in ("", str(tmp_path / "other"), str(tmp_path / "bi")):
        monkeypatch.setenv("NETSIM_PROGRAMS", allowed)
        with pytest.raises(InputError, match=rf"not allowed\n.*NETSIM_PROGRAMS={program.parent}") as caught:
            create_codec("vvc", {"encoder": str(program)})
        assert caught.value.key == ("encoder",)
        with pytest.raises(InputError, match="not allowed"):
            find_program("sh", "vvc", "decoder")
    assert not witness.exists()
    for allowed in (program, program.parent):
        monkeypatch.setenv("NETSIM_PROGRAMS", f"{tmp_path / 'other'}:{allowed}")
        assert find_program(str(program), "vvc", "encoder") == str(program)


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="needs Linux")
def test_a_program_gets_no_more_memory_than_its_limit() -> None:
    code = "import sys; sys.stdin.read(); print(len(bytearray(300 << 20)))"
    assert run_program([sys.executable, "-c", code]) == b"314572800\n"
    with pytest.raises(InputError, match="failed with exit code 1") as caught:
        run_program([sys.executable, "-c", code], memory_bytes=200 << 20)
    assert "MemoryError" in caught.value.hint
