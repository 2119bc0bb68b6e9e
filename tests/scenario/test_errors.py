"""Broken scenarios: each gets one sentence, its place, and what would be right; exit code 2, no traceback."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from netsim.errors import InputError
from netsim.scenario.load import load_plan

GOOD = """\
name: good
images: {samples: [coffee]}
codecs:
  - jpeg: {quality: 50}
channels:
  - EP4
trials: 2
"""

# (what, text to replace, by what, line:column of the error, words of the message, words of the hint)
BROKEN = [
    ("unknown key", "trials: 2", "trails: 2", "7:1", "unknown key `trails`", "did you mean `trials`"),
    ("wrong type", "trials: 2", "trials: many", "7:9", "'many'", "trials: 100"),
    ("matrix row", "EP4", "{states: [G, B], rows: [[0.9, 0.1], [0.8, 0.8]], loss: [0, 1]}", "6:", "1.6", "sum to"),
    ("k above n", "trials: 2", "protection: {reed-solomon: [7, 10]}", "7:28", "10", "k"),
    ("missing folder", "{samples: [coffee]}", "no/such/folder", "2:9", "no/such/folder", ""),
    ("negative rate", "EP4", "{loss_rate: -0.1}", "6:", "-0.1", ""),
    (
        "burst in per cent",
        "EP4",
        "{loss_rate: 10%, mean_burst: 110%}",
        "6:34",
        "mean_burst '110%' is in per",
        "plain number",
    ),
    (
        "gap in per cent",
        "EP4",
        "{loss_rate: 10%, mean_burst: 2, mean_gap: 9%}",
        "6:47",
        "mean_gap '9%'",
        "plain number",
    ),
    ("time in per cent", "EP4", "{preset: EP4, step_s: 10%}", "6:27", "step_s '10%'", "plain number"),
    ("delay in per cent", "trials: 2", "link: {geo: {jitter_s: 10%}}", "7:24", "jitter_s '10%'", "a number"),
    ("unknown codec", "jpeg: {quality: 50}", "jpg2000: {bpp: 1}", "4:5", "jpg2000", "did you mean `jpeg2000`"),
    ("unknown preset", "- EP4", "- EP9", "6:5", "EP9", "EP"),
    ("printed, no chain", "EP4", "EP3-printed", "6:5", "1.6", ""),
    ("unknown setting", "quality: 50", "quality: 50, qualty: 3", "4:", "qualty", "did you mean `quality`"),
    ("no operating point", "{quality: 50}", "{}", "4:", "no operating point", "quality"),
    ("rate misspelt", "quality: 50", "qualty: 50", "4:20", "jpeg has no setting `qualty`", "did you mean `quality`"),
    ("rate of another codec", "jpeg: {quality: 50}", "jpeg2000: {qp: 3}", "4:20", "setting `qp`", "the rate: `bpp` or"),
    ("bpp misspelt", "jpeg: {quality: 50}", "jpeg2000: {bbp: 0.3}", "4:21", "no setting `bbp`", "did you mean `bpp`"),
    (
        "rate misspelt in choices",
        "quality: 50",
        "choices: [{qualty: 50}, {protection: none}]",
        "4:31",
        "jpeg has no setting `qualty`",
        "did you mean `quality`",
    ),
    (
        "protection beside the codec",
        "- jpeg: {quality: 50}",
        "- jpeg: {quality: 50}\n    protection: {reed-solomon: 30%}",
        "5:17",
        "`jpeg` and `protection` stand beside each other",
        "`protection` belongs inside, indented deeper: `jpeg: {…, protection: …}`",
    ),
    (
        "two codecs in an entry",
        "{quality: 50}",
        "{quality: 50}\n    webp: {quality: 9}",
        "4:",
        "`jpeg` and `webp`",
        "each",
    ),
    ("no codec in an entry", "jpeg: {quality: 50}", "{bpp: 3, quality: 9}", "4:", "`bpp` and `quality`", "a name with"),
    ("number for settings", "{quality: 50}", "50", "4:11", "codec jpeg gets 50, not a mapping", "a name with"),
    (
        "link's number beside it",
        "trials: 2",
        "link: {geo: {}, rate_bps: 3}",
        "7:27",
        "`geo` and `rate_bps` stand beside each other",
        "inside: `geo: {rate_bps: 3}`",
    ),
    (
        "no link among keys",
        "trials: 2",
        "link: {gso: {}, rate_bps: 3}",
        "7:",
        "no link's name among `gso`",
        "write `geo`",
    ),
    ("two links", "trials: 2", "link: {geo: {}, wlan: {}}", "7:", "link `geo` and `wlan`", "link: [geo, wlan]"),
    (
        "named Gilbert–Elliott",
        "EP4",
        "{ge: {p: 0.05, r: 0.4}}",
        "6:10",
        "unknown channel `ge`",
        "the keys alone are the channel: {p: 0.05, r: 0.4, h: …, k: …}",
    ),
    ("preset as a key", "EP4", "{EP4: {start: B}}", "6:11", "unknown channel `EP4`", "{preset: EP4, start: …}"),
    ("unknown with keys", "EP4", "{EP9: {a: 1}}", "6:11", "unknown channel `EP9`", "did you mean `EP"),
    ("two operating points", "{quality: 50}", "{quality: 50, bpp: 1}", "4:", "quality and bpp", ""),
    ("negative operating point", "{quality: 50}", "{bpp: [0.3, -0.3]}", "4:", "-0.3", "above zero"),
    ("engine of an entry", "{quality: 50}", "{quality: 50, engine: exct}", "4:", "exct", "did you mean `exact`"),
    ("fractional quality", "quality: 50", "quality: 50.5", "4:", "50.5", ""),
    ("unknown metric", "trials: 2", "metrics: [psnr]", "7:", "psnr", "psnr_db"),
    ("channel twice", "  - EP4", "  - EP4\n  - EP4", "7:5", "twice", ""),
    ("duplicate key", "trials: 2", "name: again", "7:1", "duplicate key", "once"),
    ("not YAML", "trials: 2", "trials: [2", "", "YAML", ""),
    ("negative link rate", "trials: 2", "link: {geo: {rate_bps: -3}}", "7:", "-3", ""),
    ("unknown link", "trials: 2", "link: gso", "7:7", "gso", "geo"),
    (
        "ARQ, no event",
        "trials: 2",
        "protection: [none, arq: {retries: 2}]\nengine: exact",
        "8:9",
        "arq 2",
        "engine: auto",
    ),
    (
        "control, stratified",
        "trials: 2",
        "protection: [none, {reed-solomon: 30%}]\ncontrol: previous-interval\nengine: stratified",
        "9:9",
        "engine stratified has no answer: a controller",
        "engine: auto or event",
    ),
    (
        "late at random, stratified",
        "trials: 2",
        "link: {wlan: {deadline_s: 0.1}}\nengine: stratified",
        "8:9",
        "jitter",
        "engine: auto or event or array",
    ),
    (
        "no chain, stratified, in an entry",
        "{quality: 50}\nchannels:\n  - EP4",
        "{quality: 50, engine: stratified}\nchannels:\n  - {switch: [EP3, EP5]}",
        "4:33",
        "is not a Markov chain",
        "engine: auto or event or array",
    ),
    (
        "controlled, engine of an entry",
        "{quality: 50}",
        "{quality: 50, engine: array, protection: [none, {reed-solomon: 30%}]}\ncontrol: previous-interval",
        "4:33",
        "a controller",
        "engine: auto or event",
    ),
    ("draws, precision", "trials: 2", "precision: 1 dB\nengine: stratified", "8:9", "precision", "engine: auto"),
    ("ARQ, no retries", "trials: 2", "protection: {arq: {retries: 0}}", "7:29", "0", "1 or more"),
    ("misspelt and lacking", "channels:", "chanels:", "5:1", "unknown key `chanels`", "did you mean `channels`"),
    ("capitals, codec", "jpeg:", "JPEG:", "4:5", "unknown codec `JPEG`", "did you mean `jpeg`"),
    ("capitals, link", "trials: 2", "link: GEO", "7:7", "unknown link `GEO`", "did you mean `geo`"),
    ("capitals, key", "trials: 2", "Trials: 2", "7:1", "unknown key `Trials`", "did you mean `trials`"),
    ("FEC, top", "trials: 2", "fec: 30%", "7:1", "unknown key `fec`", "did you mean `protection`"),
    ("FEC, entry", "quality: 50", "quality: 50, fec: 30%", "4:30", "no setting `fec`", "did you mean `protection`"),
    ("misspelt and wrong", "quality: 50", "quality: 50, packet: 3, packets: no", "4:33", "`packet`", "`packets`"),
    ("quality too high", "quality: 50", "quality: [50, 400]", "4:26", "jpeg has no quality 400", "from 1 to 95"),
    ("QP too high", "jpeg: {quality: 50}", "vvc: {qp: 99}", "4:15", "vvc has no qp 99", "qp is from 0 to 63"),
    ("learned, too high", "jpeg: {quality: 50}", "mbt-mean: {quality: 9}", "4:25", "no quality 9", "from 0 to 4"),
    ("ResiComp, too high", "jpeg: {quality: 50}", "resicomp: {quality: 9}", "4:25", "no quality 9", "from 0 to 4"),
    ("boolean number", "quality: 50", "quality: 50, packets: true", "4:34", "True is not a number", ""),
    ("text for a number", "quality: 50", "quality: 50, packets: '5'", "4:34", "'5' is not a number", ""),
    ("rate too high", "quality: 50", "bpp: 25", "4:17", "jpeg has no bpp 25", "to 24"),
    ("large seed", "trials: 2", "seed: 18446744073709551615", "7:7", "18446744073709551615", "seed"),
    ("larger seed", "trials: 2", f"seed: {2**128 - 1}", "7:7", str(2**128 - 1), "seed"),
    ("huge failure value", "trials: 2", "failure_db: 1.0e308", "7:13", "1e+308", "failure_db"),
    ("no precision", "trials: 2", "precision: []", "7:12  precision  ", "`[]`", "precision: 0.05 dB"),
    ("negative quality", "quality: 50", "quality: -1", "4:21", "jpeg has no quality -1", "from 1 to 95"),
    ("no name", "name: good", "name: 3", "1:7", "`3`", "name: short"),
    ("no qualities", "quality: 50", "quality: []", "4:21", "quality is an empty list", "one value or a list"),
    ("huge quality", "quality: 50", f"quality: {2**64}", "4:21", "jpeg has no quality 18446744073709551616", "1 to 95"),
    ("no failure value", "trials: 2", "failure_db: .nan", "7:13", "nan", "failure_db"),
    ("link's name", "trials: 2", "link: {geo: {name: 3}}", "7:20", "name 3", "name: slow geo"),
    ("link twice", "trials: 2", "link: [geo, geo: {rate_bps: 2400}]", "7:", "link `geo` is listed twice", "`name:`"),
    ("no channels", "channels:\n  - EP4\n", "", "1:1", "needs `channels`", "EP4"),
]


@pytest.mark.parametrize(("what", "old", "new", "place", "message", "hint"), BROKEN, ids=[b[0] for b in BROKEN])
def test_broken_scenario_says_where_and_what(
    tmp_path: Path, what: str, old: str, new: str, place: str, message: str, hint: str
) -> None:
    path = tmp_path / "mine.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(InputError) as caught:
        load_plan(path)
    text = str(caught.value)
    assert re.match(rf"{re.escape(str(path))}:\d+:\d+", text), text
    assert text.startswith(f"{path}:{place}"), text
    assert message in text
    assert hint in text
    assert len(text.splitlines()) <= 20


def test_good_scenario_is_good(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    assert len(load_plan(path).rows) == 1


def test_an_entrys_engine_holds_for_it_alone(tmp_path: Path) -> None:
    entries = "- jpeg: {quality: 50, engine: array}\n  - webp: {quality: 50}"
    path = tmp_path / "two.yaml"
    path.write_text(GOOD.replace("- jpeg: {quality: 50}", entries) + "engine: exact\n")
    assert {row.label: row.engine for row in load_plan(path).rows} == {"jpeg": "array", "webp": "exact"}


def test_truncated_image_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.new("RGB", (64, 64), (200, 30, 30)).save(folder / "whole.png")
    data = (folder / "whole.png").read_bytes()
    (folder / "half.png").write_bytes(data[: len(data) // 2])
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("{samples: [coffee]}", "images"))
    with pytest.raises(InputError, match=r"half\.png") as caught:
        load_plan(path)
    assert str(caught.value).startswith(f"{path}:2:9")


def test_command_line_exits_with_2_and_no_traceback(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD.replace("EP4", "EP3-printed"))
    command = [sys.executable, "-m", "netsim.cli", "run", str(path), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"{path}:6:5" in done.stderr
    assert not (tmp_path / "out").exists()


def test_override_errors_name_the_option(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD)
    with pytest.raises(InputError, match="many") as caught:
        load_plan(path, ["trials=many"])
    assert str(caught.value).startswith("--set trials=many")
    with pytest.raises(InputError, match="not an assignment"):
        load_plan(path, ["trials"])
    assert load_plan(path, ["codecs.0.jpeg.quality=[10, 20]", "trials=3"]).trials == 3


@pytest.mark.parametrize(
    ("assignment", "message", "hint"),
    [
        (
            "codecs.0.jpg.quality=3",
            "`jpeg` and `jpg` stand beside each other in an entry of a codec",
            "with --set: codecs.0.jpeg.quality=…",
        ),
        (
            "link.rate_bps=3",
            "`geo` and `rate_bps` stand beside each other in a link",
            "with --set: `geo.rate_bps` in place of `rate_bps`",
        ),
    ],
)
def test_an_override_beside_its_place_names_the_keys(tmp_path: Path, assignment: str, message: str, hint: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(GOOD + "link: {geo: {}}\n")
    with pytest.raises(InputError) as caught:
        load_plan(path, [assignment])
    assert caught.value.where.startswith(f"--set {assignment}")
    assert caught.value.message == message
    assert hint in caught.value.hint
    assert "{'" not in str(caught.value)
