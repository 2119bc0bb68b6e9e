"""A run as a table: what is bold, what LaTeX gets, what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data
from typer.testing import CliRunner

import netsim
from netsim.cli import app
from netsim.errors import InputError
from netsim.report.table import result_table
from tests.analysis.test_paired import correlated, curve


def _log() -> pd.DataFrame:
    """Two schemes apart by half a dB slot by slot though their intervals overlap, and one that can't be told apart."""
    better, worse = correlated()
    other = better + np.random.default_rng(5).standard_normal(better.shape) - 0.02
    schemes = {"good 30% FEC": better, "bad_one": worse, "alike": other}
    return pd.concat([curve(name, psnr) for name, psnr in schemes.items()], ignore_index=True)


def test_what_differs_slot_by_slot_is_not_bold_though_intervals_overlap() -> None:
    table = result_table(_log())
    rows = table.numbers.set_index("scheme")
    assert rows.loc["bad_one", "high"] > rows.loc["good 30% FEC", "low"]
    assert rows["bold"].to_dict() == {"good 30% FEC": True, "bad_one": False, "alike": True}
    assert rows["best"].sum() == 1
    assert "**" in table.markdown()
    assert any("60 trials" in note for note in table.notes)


def test_a_table_in_latex_has_a_cell_for_each_column_and_no_letter_that_latex_takes_for_its_own() -> None:
    text = result_table(_log(), names={"alike": r"Ours~\cite{us}"}, digits=1).latex()
    body = [line for line in text.splitlines() if not line.startswith("%")]
    rows = [line for line in body if line.endswith(r"\\")]
    assert [row.split(" & ")[0] for row in rows] == ["scheme", r"good 30\% FEC", r"bad\_one", r"Ours~\cite{us}"]
    assert {row.count(" & ") for row in rows} == {2}
    assert body[0] == r"\begin{tabular}{lcc}"
    assert [r"\mathbf" in row for row in rows] == [False, True, False, True]
    low, high = (float(result_table(_log()).numbers.loc[1, name]) for name in ("low", "high"))
    value = float(result_table(_log()).numbers.loc[1, "value"])
    assert f"${value:.1f}^{{+{high - value:.1f}}}_{{-{value - low:.1f}}}$" in rows[2]
    with pytest.raises(InputError, match="bare `%`"):
        result_table(_log(), names={"alike": "50% FEC"}).latex()


def test_of_failures_the_lower_ratio_is_bold_and_what_was_never_shown_is_not() -> None:
    one, other = correlated()
    one, other = one.copy(), other.copy()
    other[:30] = np.nan
    log = pd.concat([curve("seldom", one), curve("often", other), curve("never shown", other * np.nan)])
    rows = result_table(log, metric="failure_ratio").numbers.set_index("scheme")
    assert rows["bold"].to_dict() == {"seldom": True, "often": False, "never shown": False}
    rows = result_table(log).numbers.set_index("scheme")
    assert np.isnan(rows.loc["never shown", "high"])  # nothing is known of its images
    assert rows["bold"].to_dict() == {"seldom": True, "often": False, "never shown": False}


def test_of_equal_numbers_the_one_that_is_known_best_is_the_best() -> None:
    one, _ = correlated()
    log = pd.concat([curve("sampled", one), curve("exact", one[:2], engine="exact"), curve("fails", one * np.nan)])
    rows = result_table(log, metric="failure_ratio").numbers.set_index("scheme")
    assert rows["best"].to_dict() == {"sampled": False, "exact": True, "fails": False}
    assert rows.loc["sampled", "bold"]


def test_points_of_like_rate_form_a_part_and_unlike_rates_are_named() -> None:
    one, other = correlated()
    log = pd.concat(
        [
            curve("a", one, point="qp=30", bpp=0.3),
            curve("a", one + 2, point="qp=20", bpp=0.6),
            curve("b", other, point="q=1", bpp=0.36),
            curve("b", other + 2, point="q=2", bpp=0.6),
        ]
    )
    table = result_table(log)
    points = table.numbers.groupby("part")["operating_point"].apply(list).tolist()
    assert points == [["qp=30", "q=1"], ["qp=20", "q=2"]]
    assert any("differ by up to 20 %" in note for note in table.notes)
    assert table.latex().count(r"\midrule") == 2
    three = pd.concat([log, curve("b", other + 3, point="q=3", bpp=0.9)])
    with pytest.raises(InputError, match="`a` has 2, `b` has 3") as caught:
        result_table(three)
    assert "--near-bpp" in caught.value.hint
    assert result_table(three, near_bpp=[0.6]).numbers["operating_point"].tolist() == ["qp=20", "q=2"]


def test_rows_far_from_the_rate_that_was_asked_for_are_named(in_tmp_path: Path) -> None:
    one, other = correlated()
    log = pd.concat([curve("a", one, bpp=0.35), curve("b", other, bpp=2.95), curve("b", other, point="low", bpp=0.34)])
    note = "No operating point at 3 bit/pixel; the nearest: a 0.35."
    table = result_table(log, near_bpp=[3, 0.35])
    assert [text for text in table.notes if "operating point" in text] == [note]
    assert table.numbers["near_bpp"].tolist() == [3, 3, 0.35, 0.35]
    assert note in table.markdown()
    assert note in table.latex()

    coffee = {"images": {"samples": ["coffee"]}, "engine": "array", "trials": 2}
    netsim.run(codecs=[{"jpeg": {"quality": 10}}], channels=["EP4"], out="run", **coffee)
    done = CliRunner().invoke(app, ["table", "run", "--near-bpp", "9", "--out", "t.csv"])
    assert "note   No operating point at 9 bit/pixel; the nearest: jpeg" in done.stderr
    assert done.stdout == "wrote  t.csv\n"


def test_rows_and_columns_stand_in_the_order_asked_for() -> None:
    log = pd.concat([_log(), _log().assign(channel="EP6")], ignore_index=True)
    table = result_table(log, schemes=["alike", "bad_one"], channels=["EP6", "EP4"])
    assert table.numbers["scheme"].unique().tolist() == ["alike", "bad_one"]
    head = table.markdown().splitlines()[0].strip("| ").split("|")
    assert [cell.strip() for cell in head] == ["scheme", "bit/pixel", "EP6", "EP4"]


def test_a_further_metric_has_its_own_direction_and_digits() -> None:
    one, other = correlated()
    logs = [curve("a", one), curve("b", other)]
    shares = np.random.default_rng(3).uniform(0.0, 0.01, (2, one.size))
    log = pd.concat(
        [part.assign(ms_ssim=level + share) for part, level, share in zip(logs, (0.9, 0.95), shares, strict=True)]
    )
    table = result_table(log, metric="ms_ssim")
    assert table.numbers.set_index("scheme")["bold"].to_dict() == {"a": False, "b": True}
    assert "| **0.95" in table.markdown()
    assert len(table.markdown().split("**")[1]) == len("0.9550")


def test_one_rate_or_name_need_no_list_and_a_scheme_alone_is_not_bold() -> None:
    table = result_table(_log(), near_bpp=0.3, schemes="alike", channels="EP4")
    assert table.numbers["scheme"].tolist() == ["alike"]
    assert not table.numbers["bold"].any()
    assert not any("Bold" in note for note in table.notes)
    assert repr(table) == "<ResultTable psnr_db: 1 × 1 numbers, print() shows them>"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"metric": "ssim"}, "no metric `ssim`"),
        ({"schemes": ["goood"]}, "no scheme `goood`"),
        ({"channels": ["EP5"]}, "no channel `EP5`"),
        ({"names": {"nobody": "x"}}, "no scheme or channel `nobody`"),
        ({"digits": -1}, "-1 digits"),
    ],
)
def test_what_a_run_lacks_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        result_table(_log(), **options)  # type: ignore[arg-type]


def test_the_command_writes_by_the_ending_what_python_gives(in_tmp_path: Path) -> None:
    run = netsim.run(
        images={"samples": ["coffee"]},
        codecs=[{"jpeg": {"quality": [10, 30], "packets": 2}}],
        channels=["EP4"],
        engine="array",
        trials=6,
        out="run",
    )
    arguments = ["table", "run", "--name", f"{run.summary['scheme'][0]}=JPEG"]
    for ending in (".tex", ".md", ".csv"):
        done = CliRunner().invoke(app, [*arguments, "--out", f"made/t{ending}"])
        assert done.exit_code == 0, done.output
    table = run.table(names={run.summary["scheme"][0]: "JPEG"})
    assert Path("made/t.tex").read_text() == table.latex() == CliRunner().invoke(app, [*arguments, "--latex"]).output
    assert Path("made/t.md").read_text() == table.markdown() == CliRunner().invoke(app, arguments).output
    assert pd.read_csv("made/t.csv")["value"].tolist() == pytest.approx(table.numbers["value"].tolist())
    assert run.manifest["run_id"] in table.latex()
    for bad, message in (
        (["--out", "t.docx"], "a table in `t.docx`"),
        (["--name", "JPEG"], "`JPEG` renames nothing"),
    ):
        assert message in str(CliRunner().invoke(app, ["table", "run", *bad]).exception)


def test_unlike_numbers_of_trials_are_both_named(tmp_path: Path) -> None:
    """Under `precision` each row has as many as it needs; a report named the most, as if all had so many."""
    Image.fromarray(data.astronaut()[100:196, 150:250]).save(tmp_path / "part.png")
    keys = {"images": tmp_path, "codecs": [{"jpeg": {"quality": [10, 60]}}], "channels": ["EP2", "EP6"]}
    run = netsim.run(**keys, engine="array", precision=1, trials=2000, out=tmp_path / "run")
    least, most = int(run.summary["trials"].min()), int(run.summary["trials"].max())
    assert least < most
    page = run.report(tmp_path / "report.html").read_text()
    assert f"{least} to {most:,} trials, {int(run.summary['slots'].sum()):,} slots in all" in page


def test_notes_name_trials_only_where_trials_were_sampled(tmp_path: Path) -> None:
    """The rows of the stratified engine count its replicates as trials; those of the exact engine may have bounds."""
    log = _log()
    weighted = log.assign(engine="exact", weight=1 / 60)
    weighted.loc[weighted["trial"] == 7, ["status", "psnr_db"]] = "unresolved", np.nan
    assert "Intervals: bounds, whatever the masks that were not decoded show." in result_table(weighted).notes
    one_exact = pd.concat([log[log["scheme"] != "alike"], weighted[weighted["scheme"] == "alike"]])
    notes = result_table(one_exact).notes
    assert "Intervals: 95 %, over the losses of 60 trials, for these images." in notes
    assert "Other intervals of alike: bounds, whatever the masks that were not decoded show." in notes

    Image.fromarray(data.astronaut()[100:196, 150:250]).save(tmp_path / "part.png")
    resilient = netsim.codec("jpeg2000", bpp=2, receiver="resilient", packets=8)
    run = netsim.run(images=tmp_path, codecs=[resilient], channels=["EP6"], engine="stratified", out=tmp_path / "run")
    assert run.summary["psnr_low"].iloc[0] < run.summary["psnr_high"].iloc[0]
    notes = run.table().notes
    assert "Intervals: 95 %, over the sampling of masks (no trials), for these images." in notes
    assert not any("1 trial" in note for note in notes)
    page = run.report(tmp_path / "report.html").read_text()
    assert "1 image; stratified: a sample of the masks; stratified engine" in page
    assert "interval over the sampling of masks, not over trials" in page
    assert "t over the trials" not in page


def test_where_a_schemes_points_have_several_engines_a_note_names_the_points() -> None:
    log = pd.concat([_log(), _log().assign(operating_point="more", bpp=0.7)])
    weighted = log.assign(engine="exact", weight=1 / 60)
    weighted.loc[weighted["trial"] == 7, ["status", "psnr_db"]] = "unresolved", np.nan
    where = (log["scheme"] == "alike") & (log["operating_point"] == "more")
    notes = result_table(pd.concat([log[~where], weighted[where]])).notes
    assert "Other intervals of alike at more: bounds, whatever the masks that were not decoded show." in notes
