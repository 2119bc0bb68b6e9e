"""Mean and variance over loss traces, beside the published ones."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

import netsim
from netsim.runs.progress import Reporter
from netsim.statistics.intervals import variance_interval
from netsim.studies.comparison import Comparison
from netsim.studies.published import published_table
from netsim.studies.recipe import find_recipe
from netsim.studies.reproduce import reproduce
from netsim.studies.traces import matched_cells, traces_markdown
from tests.studies.conftest import MakeRecipe

PUBLISHED = """\
condition,scheme,point,quantity,published
20%,JP2,1,bpp,0.78
20%,JP2,1,psnr_mean_db,24.5
20%,JP2,1,psnr_variance,0.25
20%,JP2,2,bpp,1.9
20%,JP2,2,psnr_mean_db,26.0
20%,JP2,2,psnr_variance,0.5
"""
NAMES = {"uniform-20": "20%", "jpeg2000 prefix": "JP2"}


def test_a_run_is_compared_trace_by_trace(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(PUBLISHED, "traces", paper_names=NAMES, paper_images="kodak")
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    assert [path.name for path in files] == ["comparison.csv", "table.md", "rd.png", "rd.svg", "rd.csv"]
    log = netsim.load(tmp_path / "out").log
    mine = log[(log["scheme"] == "jpeg2000 prefix") & (log["operating_point"] == "bpp=0.8")]
    means = mine[mine["channel"] == "uniform-20"].groupby("trial")["psnr_db"].mean().to_numpy()
    assert len(means) == 10
    table = pd.read_csv(files[0]).set_index(["condition", "scheme", "operating_point", "quantity"])
    mean = table.loc[("uniform-20", "jpeg2000 prefix", "bpp=0.8", "psnr_mean_db")]
    half = t.ppf(0.975, 9) * means.std(ddof=1) / np.sqrt(10)
    assert list(mean[["ours", "ours_low", "ours_high"]]) == pytest.approx(
        [means.mean(), means.mean() - half, means.mean() + half]
    )
    assert mean["published"] == 24.5
    assert mean["difference"] == pytest.approx(means.mean() - 24.5)
    variance = table.loc[("uniform-20", "jpeg2000 prefix", "bpp=0.8", "psnr_variance")]
    assert list(variance[["ours", "ours_low", "ours_high"]]) == pytest.approx(list(variance_interval(means)))
    assert variance["ours"] == pytest.approx(means.var(ddof=1))
    drawn = pd.read_csv(files[-1]).set_index(["channel", "scheme", "operating_point"])
    shown = drawn.loc[("uniform-20", "jpeg2000 prefix", "bpp=0.8")]
    assert tuple(shown[["psnr_least_db", "psnr_most_db"]]) == pytest.approx((means.min(), means.max()))
    text = files[1].read_text()
    assert "The images are not the paper's (kodak)" in text
    assert f"2 images ({tmp_path / 'images'})" in text or "2 images (images)" in text


def _spread(rates: dict[str, float], means: dict[str, float], variances: dict[str, float]) -> pd.DataFrame:
    rows = []
    for scheme in means:
        for point, bpp in rates.items():
            row = {
                "channel": "uniform-20",
                "link": "ideal",
                "scheme": scheme,
                "operating_point": point,
                "bpp": bpp,
                "traces": 10,
            }
            row |= {f"psnr_mean_{end}": means[scheme] + bpp for end in ("db", "low", "high")}
            row |= {f"psnr_variance{end}": variances[scheme] for end in ("", "_low", "_high")}
            rows.append(row)
    return pd.DataFrame(rows)


def test_rates_are_matched_where_each_is_the_others_nearest(small: MakeRecipe) -> None:
    recipe = small(PUBLISHED, "traces", paper_names=NAMES)
    levels = {"jpeg2000 prefix": 24.0, "vvc": 23.0}
    spread = _spread({"bpp=0.5": 0.5, "bpp=0.8": 0.8}, levels, dict.fromkeys(levels, 1.0))
    cells = {(cell.scheme, cell.point): cell for cell in matched_cells(Comparison(recipe), spread.iloc[::-1])}
    assert cells["jpeg2000 prefix", "bpp=0.5"].published == {}
    assert cells["jpeg2000 prefix", "bpp=0.8"].published["psnr_mean_db"] == 24.5
    assert cells["vvc", "bpp=0.8"].published == {}
    assert [cells["vvc", point].rank for point in ("bpp=0.5", "bpp=0.8")] == [0, 1]
    table = Comparison(recipe)
    recipe.study.compare(table, SimpleNamespace(spread=spread))
    frame = table.frame()
    assert frame[frame["ours"].notna()]["published"].notna().sum() == 3
    assert frame[frame["ours"].isna()]["published"].tolist() == [1.9, 26.0, 0.5]  # printed, and not measured here


def test_a_channel_over_two_links_is_two_conditions(small: MakeRecipe) -> None:
    one = _spread({"bpp=0.8": 0.8}, {"vvc": 23.0}, {"vvc": 1.0})
    other = _spread({"bpp=0.8": 0.8}, {"vvc": 20.0}, {"vvc": 1.0}).assign(link="slow")
    cells = matched_cells(Comparison(small(PUBLISHED, "traces")), pd.concat([one, other]))
    found = {cell.channel: cell.ours["psnr_mean_db"] for cell in cells}
    assert found == pytest.approx({"uniform-20, ideal": 23.8, "uniform-20, slow": 20.8})


def test_the_best_of_each_column_is_bold_ours_among_ours(small: MakeRecipe) -> None:
    recipe = small(PUBLISHED, "traces", paper_names=NAMES)
    spread = _spread({"bpp=0.8": 0.8}, {"jpeg2000 prefix": 24.0, "vvc": 23.0}, {"jpeg2000 prefix": 2.0, "vvc": 1.0})
    lines = traces_markdown(recipe, matched_cells(Comparison(recipe), spread), 24, "kodak").splitlines()
    assert lines[4] == "| uniform-20 | jpeg2000 prefix | ours | 0.800 | **24.800** | 2.000 |"
    assert lines[5] == "|  | JP2 | published | 0.780 | 24.500 | 0.250 |"
    assert lines[6] == "|  | vvc | ours | 0.800 | 23.800 | **1.000** |"
    assert not any("not the paper's" in line for line in lines)


def test_the_papers_table_is_whole_and_its_method_the_best_in_it() -> None:
    recipe = find_recipe("loss-resilient-lic/table1")
    table = published_table(recipe)
    assert len(table) == 3 * 5 * 3 * 3
    means = table[table["quantity"] == "psnr_mean_db"]
    best = means.loc[means.groupby(["condition", "point"])["published"].idxmax()]
    assert set(best["scheme"]) == {"Ours"}  # as the paper's bold figures have it
    variances = table[table["quantity"] == "psnr_variance"]
    least = variances.loc[variances.groupby(["condition", "point"])["published"].idxmin()]
    assert list(least["scheme"]) == ["Ours"] * 3 + ["Random", "Ours", "Random"] + ["Ours"] * 3
    assert set(recipe.paper_names.values()) == set(table["condition"]) | set(table["scheme"])


def test_a_traces_chain_runs_on_from_image_to_image(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study="traces")
    path = tmp_path / "scenario.yaml"
    path.write_text(path.read_text().replace("uniform-20", "{loss_rate: 0.5, mean_burst: 400}") + "slots: 40\n")
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    log = netsim.load(files[0].parent).log
    log = log[(log["channel"] != "no loss") & (log["scheme"] == "jpeg2000 prefix")]
    lost = (log["packets_lost"] > 0).to_numpy().reshape(-1, 40)  # point and trial, slot
    assert 0.1 < lost.mean() < 0.9
    assert (lost[:, 1:] == lost[:, :-1]).mean() > 0.9  # a chain that began anew for each image would give about .5


def test_a_changed_scenario_replaces_an_earlier_run_only_where_asked(small: MakeRecipe, tmp_path: Path) -> None:
    recipe, out = small("", "traces"), tmp_path / "out"
    run = ["codecs=[{jpeg2000: {bpp: 0.5, packets: 1}}]", "images={folder: images, limit: 1}"]
    first = reproduce(recipe, False, out, 1, Reporter(), overrides=run)
    again = reproduce(recipe, False, out, 1, Reporter(), overrides=[*run, "seed=8"])
    replaced = reproduce(recipe, False, out, 1, Reporter(), overrides=[*run, "seed=9"], exist="overwrite")
    assert [one.files[0].parent.name for one in (first, again, replaced)] == ["out", "out-2", "out"]
    assert netsim.load(out).manifest["seed"] == 9
