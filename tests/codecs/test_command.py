"""``netsim codecs`` and ``netsim check-codec``."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest
import typer
from typer.testing import CliRunner, Result

from netsim import plugins
from netsim.commands.codecs import check_codec_command, codecs_command
from netsim.errors import InputError

app = typer.Typer()
app.command("codecs")(codecs_command)
app.command("check-codec")(check_codec_command)


def call(*arguments: str) -> Result:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, InputError):
        raise result.exception
    return result


def test_codecs_lists_what_is_installed() -> None:
    listing = {codec["name"]: codec for codec in json.loads(call("codecs", "--json").output)}
    assert {"jpeg2000", "vvc", "hevc", "jpeg", "webp"} <= set(listing)
    assert listing["jpeg2000"]["settings"] == {"receiver": "prefix", "packets": 10}
    assert listing["vvc"]["operating_points"] == ["qp", "bpp"]
    table = call("codecs").output
    assert "receiver: prefix" in table
    assert "libvvenc" in table


def test_a_codec_that_cannot_be_imported_is_listed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("learned", "no_such_module:Codec", "netsim.codecs")
    monkeypatch.setattr(plugins, "_group", lambda group: {"learned": point})
    (codec,) = json.loads(call("codecs", "--json").output)
    assert codec["error"] == "No module named 'no_such_module'"
    assert "can't be loaded" in call("codecs").output


def test_check_codec_passes_a_sound_codec() -> None:
    result = call("check-codec", "jpeg", "--set", "packets=4", "--at", "quality=60")
    assert result.exit_code == 0
    assert "jpeg keeps its contract" in result.output
    assert "4 packets" in result.output


def test_check_codec_tells_a_failure_by_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    from netcodecs.classical.still import Jpeg

    monkeypatch.setattr(Jpeg, "usable", lambda self, stream, received: received.copy())
    result = call("check-codec", "jpeg", "--at", "quality=60", "--json")
    assert result.exit_code == 1
    report = json.loads(result.output)
    assert not report["passed"]
    assert not next(c for c in report["checks"] if c["name"] == "decoding repeats")["passed"]
    assert "checks failed" in call("check-codec", "jpeg", "--at", "quality=60").output


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (["jpg2000"], "unknown codec `jpg2000`", "did you mean `jpeg2000`?"),
        (["jpeg", "--set", "packet=3"], "codec jpeg has no setting `packet`", "did you mean `packets`?"),
        (["jpeg", "--set", "packets"], "`packets` is no KEY=VALUE", "packets=20"),
        (["jpeg", "--at", "qp=3"], "codec jpeg has no operating point `qp`", "known: bpp, quality"),
        (["jpeg", "--at", "quality=high"], "operating point quality = 'high' is no number", "--at quality=1"),
    ],
)
def test_wrong_arguments_are_told(arguments: list[str], message: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        call("check-codec", *arguments)
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_the_commands_load_nothing_heavy() -> None:
    heavy = ("numpy", "skimage", "rich.table", "PIL")
    script = f"import sys, netsim.commands.codecs; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
