"""Slices, times, BD-rates and parameters in one table; printed BD-rates beside ours of the same anchor alone."""

from pathlib import Path

import pandas as pd
import pytest

from netsim.runs.progress import Reporter
from netsim.studies.reproduce import reproduce
from netsim.studies.tradeoff import TradeoffOptions, tradeoff_numbers
from tests.figures.synthetic import sampled_log
from tests.studies.conftest import MakeRecipe

PUBLISHED = """\
condition,scheme,quantity,published
,Theirs,cpu_decode_s,3.6
,Theirs,bd_rate_percent,-27.9
,MLIC,bd_rate_percent,-29.82
"""
CURVES = "condition,scheme,point,quantity,published\n" + "".join(
    f"no loss,{name},{i},bpp,{factor * rate}\nno loss,{name},{i},psnr_db,{20 + 10 * i}\n"
    for name, factor in (("BPG", 1.0), ("ELIC", 0.7))
    for i, rate in enumerate([0.2, 0.8, 3.2, 9.0])
)
OPTIONS = {"channel": "no loss", "anchor": "BPG (published)", "stand_in": "jpeg2000 prefix", "curves": "curves.csv"}
QUICK = ["channels=[{loss_rate: 0, name: no loss}]", "trials=1"]
NAMES = {"jpeg2000 resilient": "Theirs"}


@pytest.mark.parametrize("same", [True, False])
def test_a_table_of_costs(small: MakeRecipe, tmp_path: Path, same: bool) -> None:
    recipe = small(
        PUBLISHED, {"codec_table": OPTIONS}, paper_names=NAMES, quick=QUICK, paper_images=None if same else "kodak"
    )
    (recipe.folder / "curves.csv").write_text("# PUBLISHED. Source: a paper.\n" + CURVES)
    found = reproduce(recipe, False, tmp_path / "out", 1, Reporter())
    table = found.comparison.set_index(["scheme", "quantity"])
    assert table.loc[("jpeg2000 resilient", "cpu_decode_s"), "published"] == 3.6
    assert 0 < table.loc[("jpeg2000 resilient", "cpu_decode_s"), "ours"] < 60
    rate = table.loc[("jpeg2000 resilient", "bd_rate_percent")]
    assert rate["condition"] == f"no loss, against {'BPG (published)' if same else 'jpeg2000 prefix'}"
    assert pd.isna(table.loc[("MLIC", "bd_rate_percent"), "ours"])
    if same:
        assert rate["published"] == -27.9
    else:
        assert pd.isna(rate["published"])  # another anchor, another number
        assert table.loc[("Theirs", "bd_rate_percent"), "published"] == -27.9


def test_published_codecs_have_an_efficiency_and_no_resilience() -> None:
    log = sampled_log(["vvc", "hevc"], ["EP1", "EP4"], (0.2, 0.28, 0.35, 0.5), trials=4, slots=8)
    from netsim.analysis.summary import summarise

    columns = ["channel", "scheme", "operating_point", "bpp", "psnr_db"]
    rows = [
        ["EP1", f"{name} (published)", str(i), factor * 2**i / 10, 28.0 + 3 * i]
        for name, factor in (("BPG", 1.0), ("ELIC", 0.75))
        for i in range(4)
    ]
    curves = pd.DataFrame(rows, columns=columns)
    asked = TradeoffOptions(channel="EP1", anchor="vvc", published_anchor="BPG (published)")
    found = tradeoff_numbers(log, summarise(log, 13.0), asked, 13.0, curves, same_images=False).set_index("scheme")
    assert found.loc["ELIC (published)", "bd_rate_percent"] == pytest.approx(-25.0, abs=1e-6)
    assert pd.isna(found.loc["ELIC (published)", "psnr_db"])
    assert found.loc["hevc", "anchor"] == "vvc"
    assert found.loc["ELIC (published)", "anchor"] == "BPG (published)"
    on_the_papers = tradeoff_numbers(log, summarise(log, 13.0), asked, 13.0, curves).set_index("scheme")
    assert on_the_papers.loc["hevc", "anchor"] == "BPG (published)"

    from netsim.figures.tradeoff import draw

    axes = draw(found.reset_index()).axes[0]
    assert [text.get_text().strip() for text in axes.texts] == ["ELIC"]
