"""The command line: help that answers at once and shows an example, exit codes, the same from Python."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from netsim.cli import main
from netsim.scenario.load import load_plan

COMMANDS = [
    "run",
    "sweep",
    "validate",
    "plot",
    "table",
    "compare",
    "explain",
    "report",
    "init",
    "export",
    "reproduce",
    "codecs",
    "check-codec",
    "channels",
    "data",
]
HEAVY = ["numpy", "pandas", "matplotlib", "torch", "scipy", "pyarrow", "numba", "pydantic", "simpy"]


@dataclass
class Done:
    """What a command gave."""

    returncode: int
    stdout: str
    stderr: str


Netsim = Callable[..., Done]


@pytest.fixture
def netsim(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Netsim:
    """The command line in this process; an unexpected exception comes through."""

    def run(*arguments: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["netsim", *arguments])
        capsys.readouterr()
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        assert isinstance(code, int)
        return Done(code, *capsys.readouterr())

    return run


def test_help_loads_nothing_heavy() -> None:
    code = f"""
import sys
from netsim import cli
sys.argv = ["netsim", "--help"]
try:
    cli.main()
except SystemExit:
    pass
print("loaded:", [name for name in {HEAVY!r} if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert "loaded: []" in done.stdout
    for command in COMMANDS:
        assert f"  {command}" in done.stdout


def test_python_m_netsim_is_the_command(netsim: Netsim) -> None:
    command = [sys.executable, "-m", "netsim", "channels", "show", "EP4", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout) == json.loads(netsim("channels", "show", "EP4", "--json").stdout)


def test_bad_input_is_the_exit_code_of_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "netsim.cli", "run", "nowhere.yaml"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd=tmp_path)
    assert done.returncode == 2
    assert "no scenario file `nowhere.yaml`" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [*COMMANDS, "channels show", "data kodak"])
def test_every_command_shows_an_example(command: str, netsim: Netsim) -> None:
    done = netsim(*command.split(), "--help")
    assert done.returncode == 0
    assert f"netsim {command}" in done.stdout
    assert "Example" in done.stdout or "For example" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "nowhere.yaml"], "no scenario file `nowhere.yaml`"),
        (["report", "nowhere"], "no run folder `nowhere`"),
        (["plot", "rader", "nowhere"], "did you mean `radar`"),
        (["reproduce", "resicomp/fig99"], "no recipe `resicomp/fig99`"),
        (["reproduce", "table1"], "did you mean `loss-resilient-lic/table1` or `resicomp/table1`?"),
        (["reproduce", "resicomp/fig12", "--images", "nope"], "--images  no image folder `nope`\n"),
        (["reproduce", "resicomp/fig12", "--images", "docs"], "--images docs  image folder"),
        (["check-codec", "vcc"], "did you mean `vvc`"),
        (["channels", "show", "EP9"], "EP9"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_bad_input_is_a_sentence_and_exit_code_2(
    arguments: list[str], words: str, netsim: Netsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if arguments[0] != "reproduce":
        monkeypatch.chdir(tmp_path)
    done = netsim(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_sweep_is_run_with_axes_from_the_command_line(
    netsim: Netsim, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    scenario = tmp_path / "mine.yaml"
    scenario.write_text(
        "images: {samples: [coffee]}\ncodecs: [{jpeg: {quality: 20}}, {webp: {quality: 20}}]\nchannels: [uniform-5]\n"
    )
    arguments = ["sweep", str(scenario), "--channels", "EP1..EP3,EP6", "--codec", "jpeg", "--workers", "1"]
    done = netsim(*arguments)
    assert done.returncode == 0, done.stderr
    assert "netsim plot failure runs/mine-1" in done.stderr  # one scheme at one operating point
    manifest = json.loads((tmp_path / "runs" / "mine-1" / "manifest.json").read_text())
    assert manifest["scenario"]["channels"] == ["EP1", "EP2", "EP3", "EP6"]
    assert [list(codec) for codec in manifest["scenario"]["codecs"]] == [["jpeg"]]
    assert manifest["command"][1] == "sweep"
    unknown = netsim(*arguments[:-3], "bpg")
    assert unknown.returncode == 2
    assert "no codec `bpg`" in unknown.stderr


def test_channels_json_holds_every_preset_and_variant(netsim: Netsim) -> None:
    found = json.loads(netsim("channels", "--json").stdout)
    by_key = {(one["name"], one["variant"]): one for one in found}
    assert by_key["EP3", "corrected"]["loss_rate"] == pytest.approx(0.065)
    assert by_key["EP5", "released"]["mean_burst"] == pytest.approx(2.5)
    assert not by_key["EP2", "printed"]["valid"]
    assert "1.0024" in by_key["EP2", "printed"]["error"]
    shown = json.loads(netsim("channels", "show", "EP4", "--packets", "10", "--json").stdout)
    assert len(shown["loss_count_probabilities"]) == 11
    assert sum(shown["loss_count_probabilities"]) == pytest.approx(1)


def test_validate_prints_the_plan(netsim: Netsim) -> None:
    root = Path(__file__).parents[1]
    for path in sorted((root / "scenarios").glob("*.yaml")):
        assert load_plan(path, []).rows
    plan = json.loads(netsim("validate", str(root / "scenarios" / "quickstart.yaml"), "--json").stdout)
    assert len(plan["rows"]) == 12
