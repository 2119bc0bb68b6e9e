"""``netsim codecs`` and ``netsim check-codec``."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from netsim import registry
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


BROKEN = {
    "missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "syntax": ("def f(:", "SyntaxError"),
    "name": ("undefined_name", "NameError: name 'undefined_name' is not defined"),
    "zero": ("1 / 0", "ZeroDivisionError: division by zero"),
    "leaves": ("raise SystemExit('bye')", "SystemExit: bye"),
    "lacks": ("Other = 1", "AttributeError"),
    "number": ("Codec = 7", "codec `number` is 7"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_plug_in_that_cannot_be_imported_is_listed_and_refused_in_one_sentence(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, words = BROKEN[name]
    module = f"broken_plug_in_{name}"
    (tmp_path / f"{module}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    sound = EntryPoint("jpeg", "netcodecs.classical.still:Jpeg", "netsim.codecs")
    points = {name: EntryPoint(name, f"{module}:Codec", "netsim.codecs"), "jpeg": sound}
    monkeypatch.setattr(registry, "_group", lambda group: points)
    listing = {codec["name"]: codec for codec in json.loads(call("codecs", "--json").output)}
    assert words in listing[name]["error"]
    assert listing["jpeg"]["error"] is None
    assert name in call("codecs").output
    with pytest.raises(InputError, match=f"codec `{name}`") as caught:
        call("check-codec", name, "--at", "quality=50")
    assert words in caught.value.message
    assert caught.value.hint


def test_a_module_beside_the_plug_in_that_is_not_installed_is_named_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "plug_in_of_two_files.py").write_text("import its_other_file")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("two", "plug_in_of_two_files:Codec", "netsim.codecs")
    error = ModuleNotFoundError("No module named 'its_other_file'", name="its_other_file")
    assert registry._way_out(point, error).endswith("needs its_other_file: install it")
    (tmp_path / "its_other_file.py").touch()
    assert "its_other_file.py stands beside" in registry._way_out(point, error)


def test_a_missing_package_of_an_extra_is_named_with_the_extra() -> None:
    from importlib.metadata import entry_points

    (point,) = entry_points(group="netsim.codecs", name="mbt-mean")
    error = ModuleNotFoundError("No module named 'torch'", name="torch")
    assert registry._way_out(point, error).endswith(f'needs torch: pip install "{point.dist.name}[learned]"')  # type: ignore[union-attr]


def test_without_torch_a_learned_codec_is_refused_by_validate_and_run(tmp_path: Path) -> None:
    """In a process of its own, which finds no torch."""
    for name in ("mbt-mean", "scr-mca-ge", "resicomp"):
        text = f"images: {{samples: [coffee]}}\ncodecs: [{{{name}: {{quality: 1}}}}]\nchannels: [{{loss_rate: 0.1}}]\n"
        (tmp_path / f"{name}.yaml").write_text(text)
    script = (
        "import sys, importlib.util as u\n"
        "find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name.split('.')[0] == 'torch' else find(name, *rest)\n"
        "sys.modules['torch'] = None\n"
        "from netsim.cli import main\n"
        "for name in ('mbt-mean', 'scr-mca-ge', 'resicomp'):\n"
        "    for command in ('validate', 'run'):\n"
        "        sys.argv = ['netsim', command, name + '.yaml']\n"
        "        try:\n"
        "            main()\n"
        "        except SystemExit as end:\n"
        "            print('code', end.code, file=sys.stderr)\n"
    )
    arguments = [sys.executable, "-c", script]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path)
    assert "Traceback" not in done.stderr
    told = done.stderr.split("code 2\n")
    assert len(told) == 7
    assert told[-1] == ""
    for number, text in enumerate(told[:-1]):
        assert "needs torch, which is not installed" in text
        assert f"{('mbt-mean', 'scr-mca-ge', 'resicomp')[number // 2]}.yaml:2" in text


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
        (["jpeg", "--set", "packets"], "`packets` is not KEY=VALUE", "packets=20"),
        (["jpeg", "--at", "qp=3"], "codec jpeg has no operating point `qp`", "known: bpp, quality"),
        (["jpeg", "--at", "quality=200"], "codec jpeg has no quality 200", "quality is from 1 to 95"),
        (["jpeg", "--at", "quality=50", "--at", "quality=50.5"], "quality = 50.5 is not a whole number", "37"),
        (["jpeg2000", "--at", "bpp=0"], "bpp = 0", "above zero"),
        (["scr-mca-u", "--at", "quality=9"], "codec scr-mca-u has no quality 9", "quality is from 0 to 4"),
        (["jpeg", "--at", "quality=high"], "quality = 'high' is not a whole number", "quality: 37"),
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
