"""CompressAI's RD JSON: what a run exports is what a figure reads back; other files are refused in one sentence."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pandas as pd
import pytest

import netsim
from netsim.analysis.summary import summarise
from netsim.errors import InputError
from netsim.figures.kinds import make
from netsim.published import published_curves
from netsim.rd_json import rd_json, rd_json_files, read_rd_json
from tests.figures.synthetic import sampled_log


@pytest.fixture(scope="module")
def log() -> pd.DataFrame:
    return sampled_log(["vvc + 30% FEC", "jpeg2000 prefix"], ["EP1", "EP4"], trials=2, slots=2)


def test_a_document_has_compressais_keys_and_the_summarys_points_by_rate(log: pd.DataFrame) -> None:
    summary = summarise(log)
    documents = rd_json(summary)
    assert [sorted(document) for document in documents] == [["description", "name", "results"]] * 4
    first = documents[0]
    mine = summary[(summary["scheme"] == first["name"]) & (summary["channel"] == "EP1")].sort_values("bpp")
    assert first["results"]["bpp"] == mine["bpp"].tolist()
    assert first["results"]["psnr-rgb"] == mine["psnr_db"].tolist()
    assert "channel EP1" in first["description"]
    assert "13 dB" in first["description"]


def test_what_is_written_is_read_back(log: pd.DataFrame, tmp_path: Path) -> None:
    files = rd_json_files(summarise(log))
    assert set(files) == {
        f"{scheme}-{channel}.json" for scheme in ("vvc_30_FEC", "jpeg2000_prefix") for channel in ("EP1", "EP4")
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        frame, document = read_rd_json(tmp_path / name), json.loads(text)
        assert frame["scheme"].unique().tolist() == [document["name"]]
        assert frame["bpp"].tolist() == document["results"]["bpp"]
        assert frame["psnr_db"].tolist() == document["results"]["psnr-rgb"]


def test_a_file_is_drawn_as_a_curve_of_its_own(log: pd.DataFrame, tmp_path: Path) -> None:
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({"name": "mine", "results": {"bpp": [0.5, 0.2], "psnr-rgb": [32.0, 29.0]}}))
    curves = published_curves([str(path), "vtm"])
    assert curves["scheme"].unique().tolist() == ["mine (file)", "VTM (published)"]
    assert curves["bpp"].tolist()[:2] == [0.2, 0.5]
    numbers, figure = make("rd", log, summarise(log), published=[str(path)])
    assert numbers.loc[numbers["published"], "psnr_db"].tolist() == [29.0, 32.0] * 2
    assert "others' points" in " ".join(figure.legends[0].get_title().get_text().split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "has no `results`"),
        ('{"results": {"bpp": [0.1]}}', "`results.psnr-rgb` is not a list of numbers"),
        ('{"results": {"bpp": [0.1, 0.2], "psnr-rgb": [30]}}', "lists of 1 and 2 points"),
        ('{"results": {"bpp": [], "psnr-rgb": []}}', "lists of 0 points"),
        ('{"results": {"bpp": [0.0], "psnr-rgb": [30]}}', "a rate of 0 bpp"),
        ('{"results": {"bpp": [NaN], "psnr-rgb": [30]}}', "`results.bpp` is not a list of numbers"),
        ('{"results": {"bpp": [true], "psnr-rgb": [30]}}', "`results.bpp` is not a list of numbers"),
    ],
)
def test_a_file_that_holds_no_curve_is_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "faulty.json"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        published_curves([str(path)])
    assert message in caught.value.message
    with pytest.raises(InputError, match="no rate–distortion points"):
        published_curves([str(tmp_path / "absent.json")])


def test_a_run_exports_its_points_and_its_summary_goes_to_csv_and_back(tmp_path: Path) -> None:
    plan = netsim.plan(
        images={"samples": ["coffee"]}, codecs=[{"jpeg": {"quality": [30, 60]}}], channels=["EP4"], metrics=["ms_ssim"]
    )
    run = netsim.run(plan, out=tmp_path / "run")
    (path,) = run.export_rd()
    assert path == tmp_path / "run" / "rd_json" / "jpeg-EP4.json"
    results = json.loads(path.read_text())["results"]
    summary = run.summary.sort_values("bpp")
    assert results["psnr-rgb"] == summary["psnr_db"].tolist()
    assert results["ms-ssim-rgb"] == summary["ms_ssim"].tolist()
    text = io.StringIO(run.summary.to_csv(index=False))
    pd.testing.assert_frame_equal(pd.read_csv(text), run.summary)


def test_a_scheme_whose_points_have_several_engines_is_one_document(log: pd.DataFrame) -> None:
    """``engine: auto`` chooses by operating point."""
    summary = summarise(log)
    mixed = summary.assign(engine=["exact" if bpp < 0.3 else "array" for bpp in summary["bpp"]])
    documents = rd_json(mixed)
    assert [one["results"] for one in documents] == [one["results"] for one in rd_json(summary)]
    assert "engines exact, array;" in documents[0]["description"]
    assert set(rd_json_files(mixed)) == set(rd_json_files(summary))
