"""The Python face: public names, scenarios as Python values, errors that quote them, short reprs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError

SCENARIO = {
    "images": {"samples": ["coffee"]},
    "codecs": [{"jpeg": {"quality": 30, "packets": 1}}],
    "channels": [{"loss_rate": 0.25}],
    "engine": "array",
    "trials": 4,
    "seed": 2,
}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_dir_shows_exactly_the_public_names_and_each_is_there() -> None:
    assert dir(netsim) == sorted(netsim.__all__)
    assert all(getattr(netsim, name) is not None for name in netsim.__all__)
    for name in ("codecs", "rum", "Chanel"):
        with pytest.raises(AttributeError, match="did you mean"):
            getattr(netsim, name)


def test_importing_netsim_loads_no_numpy() -> None:
    code = "import sys, netsim; netsim.__version__, dir(netsim); print('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"


def test_the_version_is_that_of_the_distribution() -> None:
    assert netsim.__version__[0].isdigit()


def test_keys_by_name_a_mapping_and_a_file_make_the_same_plan() -> None:
    yaml = "images: {samples: [coffee]}\ncodecs: [{jpeg: {quality: 30, packets: 1}}]\nchannels: [{loss_rate: 0.25}]\n"
    Path("scenario.yaml").write_text(yaml + "engine: array\ntrials: 4\nseed: 1\n")
    plans = [netsim.plan(**SCENARIO), netsim.plan(SCENARIO), netsim.plan("scenario.yaml", seed=2)]
    assert len({plan.run_id for plan in plans}) == 1
    assert netsim.plan(plans[0]) is plans[0]
    with pytest.raises(InputError, match="a plan is complete"):
        netsim.plan(plans[0], seed=3)


def test_python_values_of_other_types_are_taken_for_what_they_say() -> None:
    codec = netsim.codec("jpeg", quality=np.arange(30, 41, 10), packets=np.int64(1))
    channels = (netsim.channels["EP4"], netsim.channels[{"loss_rate": 0.25}])
    plan = netsim.plan(images={"samples": ("coffee",)}, codecs=(codec,), channels=channels, seed=np.uint8(3))
    assert [(row.operating_point, row.channel_name) for row in plan.rows] == [
        ("quality=30", "EP4"),
        ("quality=40", "EP4"),
        ("quality=30", "loss 25 %"),
        ("quality=40", "loss 25 %"),
    ]
    assert plan.resolved["codecs"] == [{"jpeg": {"quality": [30, 40], "packets": 1}}]


BAD = [
    ({"codecs": [{"jpeg": {"quality": {30, 40}}}]}, "codecs[0].jpeg.quality", "is a set"),
    ({"codecs": [{"jpeg": {"quality": 1j}}]}, "codecs[0].jpeg.quality", "1j is a complex"),
    ({"codecs": [{"jpeg": {"quality": "high"}}]}, "codecs[0].jpeg.quality", "'high' is not a whole number"),
    ({"codecs": [{"jpg": {"quality": 30}}]}, "codecs[0]", "unknown codec `jpg`"),
    ({"channels": ["EP44"]}, "channels[0]", "unknown channel `EP44`"),
    ({"channels": [{"rows": [[0.5, 0.6], [1, 0]], "loss": [0, 1]}]}, "channels[0].rows[0]", "1.1"),
    ({"channels": [{1: 2}]}, "channels[0]", "a key that is not text: 1"),
    ({"channels": [b"EP4"]}, "channels[0]", "b'EP4' is a bytes"),
    ({"trials": 0}, "trials", "`0`"),
    ({"trails": 5}, "trails", "unknown key `trails`"),
    ({"name": "\ud800"}, "name", "half a surrogate pair"),
    ({"seed": 10**60}, "seed", "too many digits"),
    ({"codecs": None}, "codecs", "`None`"),
]


@pytest.mark.parametrize(("change", "place", "words"), BAD)
def test_an_error_quotes_the_python_value_and_its_key_path(change: dict, place: str, words: str) -> None:
    for given in ({**SCENARIO, **change}, change):
        scenario = given if given is not change else SCENARIO
        with pytest.raises(InputError) as caught:
            netsim.plan(scenario, **(change if given is change else {}))
        assert caught.value.where == place
        assert words in caught.value.message


def test_an_error_in_a_key_given_by_name_names_no_line_of_the_file() -> None:
    Path("scenario.yaml").write_text("codecs: [{jpeg: {quality: 30}}]\nchannels: [EP4]\nengine: array\n")
    with pytest.raises(InputError) as caught:
        netsim.plan("scenario.yaml", channels=["EP44"])
    assert caught.value.where == "channels[0]"
    with pytest.raises(InputError) as caught:
        netsim.plan("scenario.yaml", channels=["EP4"], overrides=["channels=[EP44]"])
    assert caught.value.where.startswith("--set channels=[EP44]")


def test_a_scenario_that_holds_itself_is_refused() -> None:
    scenario = dict(SCENARIO)
    scenario["images"] = scenario
    with pytest.raises(InputError, match="nested"):
        netsim.plan(scenario)
    with pytest.raises(InputError, match="int is not a scenario"):
        netsim.plan(3)
    with pytest.raises(InputError, match="a scenario needs `codecs`"):
        netsim.plan()


def test_a_value_of_netsim_without_a_name_says_how_to_name_it() -> None:
    from netsim.channels import bernoulli

    with pytest.raises(InputError) as caught:
        netsim.plan({**SCENARIO, "channels": [bernoulli(0.1)]})
    assert 'netsim.register("channel")' in caught.value.hint
    with pytest.raises(InputError) as caught:
        netsim.codec("jpeg", qualty=30)
    assert "did you mean `quality`?" in caught.value.hint


def test_reprs_are_short_and_notebooks_get_tables() -> None:
    plan = netsim.plan(**SCENARIO)
    run = netsim.run(plan, out="mine")
    channel = netsim.channels["EP4"]
    assert repr(channel) == "<Channel EP4: loss 13.8 %, mean burst 1.69, 3 states>"
    assert repr(plan) == "<Plan scenario: 1 channel × 1 scheme: 1 row; 4 trials of 1 slot over 1 image>"
    assert repr(run) == "<Run mine: scenario, 1 row of the plan, 4 trials of 1 slot over 1 image>"
    assert "<td>jpeg</td>" in plan._repr_html_()
    assert "EP4" in channel._repr_html_()
    assert "<table" in run._repr_html_()
    packet = netsim.Packet(b"12345", protected=True)
    stream = netsim.Stream((packet,), (2, 4), netsim.OperatingPoint("bpp", 5))
    assert repr(packet) == "<Packet: 5 bytes, protected>"
    assert repr(stream) == "<Stream of 4×2 at bpp=5: 1 packets, 5 bytes, 5 bit/pixel>"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> netsim.Run:
    folder = tmp_path_factory.mktemp("finished")
    codecs = [{"jpeg": {"quality": 30, "packets": 3}}, {"webp": {"quality": 30, "packets": 3}}]
    return netsim.run({**SCENARIO, "codecs": codecs, "slots": 3}, out=folder / "run")


@pytest.mark.parametrize("kind", ["radar", "failure", "rd", "timeline"])
def test_a_run_draws_its_figures_anew_or_into_given_axes(kind: str, finished: netsim.Run) -> None:
    from matplotlib.figure import Figure

    options = {"low_bpp": 0.0, "high_bpp": 9.0} if kind == "radar" else {}
    figure = finished.plot(kind, **options)
    mine = Figure()
    left, right = mine.subplots(1, 2)
    assert finished.plot(kind, ax=right, **options) is mine
    assert not left.lines
    labels = [text.get_text().rstrip("†‡") for text in right.get_legend().get_texts()]
    assert labels == ["jpeg", "webp"]
    drawn, again = ([line.get_xydata().tolist() for line in axes.lines] for axes in (figure.axes[0], right))
    assert len(drawn) == len(again) > 0
    for one, other in zip(drawn, again, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(InputError, match="no option"):
        finished.plot(kind, colour="red")
    with pytest.raises(InputError) as caught:
        finished.plot(f"{kind}s")
    assert f"did you mean `{kind}`?" in caught.value.hint


def test_axes_that_a_figure_can_not_use_are_refused() -> None:
    from matplotlib.figure import Figure

    run = netsim.run({**SCENARIO, "channels": ["EP1", "EP4", "EP6"]})
    with pytest.raises(InputError, match="has 3 panels, ax= is one"):
        run.plot("rd", ax=Figure().subplots())
    with pytest.raises(InputError, match="needs polar axes"):
        run.plot("radar", ax=Figure().subplots(), low_bpp=0.0, high_bpp=9.0)
    axes = Figure().add_subplot(projection="polar")
    assert run.plot("radar", ax=axes, low_bpp=0.0, high_bpp=9.0) is axes.figure


def test_a_run_compares_explains_and_reports_as_the_commands_do(finished: netsim.Run, tmp_path: Path) -> None:
    from netsim.analysis.paired import compare_schemes

    rows = finished.compare("jpeg", "webp")
    assert rows.equals(compare_schemes(finished.log, "jpeg", "webp", 13.0))
    found = finished.explain("coffee", "jpeg")
    assert len(found.packets) == 3
    page = finished.report(tmp_path / "page.html")
    assert "jpeg" in page.read_text()
    with pytest.raises(InputError) as caught:
        finished.compare("jpg", "webp")
    assert "did you mean `jpeg`?" in caught.value.hint


def test_a_figure_is_as_wide_as_a_papers_column_from_python_and_from_the_command_line() -> None:
    run = netsim.run(**SCENARIO, out="run")
    assert run.plot("rd", width_in=3.25).get_size_inches()[0] == 3.25
    assert run.plot("rd").get_size_inches()[0] != 3.25
    with pytest.raises(InputError, match="ax= has a width already"):
        run.plot("rd", ax=run.plot("rd").axes[0], width_in=3.25)
    done = CliRunner().invoke(app, ["plot", "rd", "run", "--bars", "range", "--width-in", "3.25", "--paper"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in Path("run").glob("rd-*.pdf")} == {"rd-1col.pdf", "rd-2col.pdf", "rd-3.25in.pdf"}
    assert "traces" in Path("run/rd.csv").read_text().splitlines()[0]
    done = CliRunner().invoke(app, ["plot", "rd", "run", "--width-in", "0.3"])
    assert "a figure of 0.3 in" in done.output + str(done.exception)
