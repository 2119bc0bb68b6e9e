"""Whether the order is the paper's: by printed numbers, and by what the text claims."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from netsim.errors import InputError
from netsim.statistics.intervals import Estimate
from netsim.studies.comparison import Comparison, certain
from netsim.studies.order import NO, NOT_MEASURED, NOT_TOLD_APART, YES, orders, verdict
from netsim.studies.rate_distortion import curve_levels
from tests.studies.conftest import MakeRecipe


def _row(ours: float, low: float = math.nan, high: float = math.nan) -> dict[str, Any]:
    return {"ours": ours, "ours_low": low, "ours_high": high}


@pytest.mark.parametrize(
    ("better", "worse", "higher", "expected"),
    [
        (_row(31, 30.5, 31.5), _row(30, 29.5, 30.4), True, YES),
        (_row(31, 30.5, 31.5), _row(30, 29.5, 30.6), True, NOT_TOLD_APART),
        (_row(29, 28.5, 29.4), _row(30, 29.5, 30.6), True, NO),
        (_row(-10), _row(-5), False, YES),
        (_row(-5), _row(-10), False, NO),
        (_row(0.1, 0.05, 0.2), _row(0.3, 0.25, 0.4), False, YES),
        (_row(5, 5, 5), _row(5, 5, 5), True, NOT_TOLD_APART),
        (_row(13, 13), _row(30, 29.5, 30.6), True, NOT_TOLD_APART),  # every slot failed: the upper end is unknown
        (_row(30, 29.5, 30.6), _row(13, 13), True, NOT_TOLD_APART),
        (_row(30, 29.5), _row(13, 13, 29), True, YES),
        (_row(math.nan), _row(30), True, NOT_MEASURED),
        (None, _row(30), True, NOT_MEASURED),
    ],
)
def test_verdicts(better: Any, worse: Any, higher: bool, expected: str) -> None:
    assert verdict(better, worse, higher) == expected


PRINTED = """\
condition,scheme,point,quantity,published
5%,A,1,psnr_mean_db,26.0
5%,B,1,psnr_mean_db,27.0
5%,C,1,psnr_mean_db,28.0
5%,A,1,psnr_variance,0.5
5%,B,1,psnr_variance,0.1
5%,A,1,bpp,0.1
5%,B,1,bpp,0.2
5%,A,2,psnr_mean_db,29.0
"""


def test_each_pair_of_printed_numbers_is_an_order(small: MakeRecipe) -> None:
    recipe = small(PRINTED)
    table = Comparison(recipe)
    table.add("5%", "A", "psnr_mean_db", Estimate(26.5, 26.2, 26.8), point="1")
    table.add("5%", "B", "psnr_mean_db", Estimate(26.9, 26.7, 27.1), point="1")
    table.add("5%", "A", "psnr_variance", certain(0.05), point="1")
    table.add("5%", "B", "psnr_variance", certain(0.2), point="1")
    found = orders(recipe, table.frame(), None)
    verdicts = {(row.quantity, row.better, row.worse): row.verdict for row in found.itertuples()}
    assert verdicts == {
        ("psnr_mean_db", "B", "A"): NOT_TOLD_APART,
        ("psnr_mean_db", "C", "A"): NOT_MEASURED,
        ("psnr_mean_db", "C", "B"): NOT_MEASURED,
        ("psnr_variance", "B", "A"): NO,
    }
    first = found[found["verdict"] == NOT_TOLD_APART].iloc[0]
    assert (first["by"], first["ours"]) == pytest.approx((1.0, 0.4))


CLAIMS = """\
condition,quantity,better,worse,words
EP4,psnr_db,a,b,"a is ahead"
,psnr_db,a,c,"always"
"""


def test_claims_are_judged_by_whole_curves(small: MakeRecipe, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("# PUBLISHED. Source: a text.\n" + CLAIMS)
    recipe = small(claims="claims.csv")
    rows = [
        ["EP4", scheme, bpp, base + 10 * bpp, base + 10 * bpp - 0.1, base + 10 * bpp + 0.1]
        for scheme, base in (("a", 28.0), ("b", 27.0))
        for bpp in (0.2, 0.4)
    ]
    columns = ["channel", "scheme", "bpp", "psnr_db", "psnr_low", "psnr_high"]
    levels = curve_levels(pd.DataFrame(rows, columns=columns).assign(link="ideal", codec="vvc"))
    a_db = 30 + 2 * (2 - 1 / math.log(2))  # the mean of 30 + 2·log2(r / .2) over r from .2 to .4
    expected = {"a": a_db, "b": a_db - 1, "best of vvc": a_db}
    assert levels.set_index("scheme")["ours"].to_dict() == pytest.approx(expected)
    found = orders(recipe, Comparison(recipe).frame(), levels)
    assert found[["better", "worse", "verdict", "words"]].to_numpy().tolist() == [
        ["a", "b", YES, "a is ahead"],
        ["a", "c", NOT_MEASURED, "always"],
    ]
    (tmp_path / "claims.csv").write_text(CLAIMS)
    with pytest.raises(InputError, match="published"):
        orders(recipe, Comparison(recipe).frame(), levels)


def test_a_paired_difference_decides_a_claim_before_the_intervals_do(small: MakeRecipe, tmp_path: Path) -> None:
    (tmp_path / "claims.csv").write_text("# PUBLISHED. Source: a text.\n" + CLAIMS)
    recipe = small(claims="claims.csv")
    rows = [["EP4", scheme, "psnr_db", value, 20.0, 40.0] for scheme, value in (("a", 30.0), ("b", 29.9), ("c", 31.0))]
    columns = ["condition", "scheme", "quantity", "ours", "ours_low", "ours_high"]
    levels, frame = pd.DataFrame(rows, columns=columns), Comparison(recipe).frame()
    assert set(orders(recipe, frame, levels)["verdict"]) == {NOT_TOLD_APART}
    apart = {("EP4", "a", "b"): Estimate(0.1, 0.05, 0.15), ("EP4", "a", "c"): Estimate(-1.0, -1.5, -0.5)}
    found = orders(recipe, frame, levels, lambda *names: apart.get(names))
    assert found[["verdict", "ours"]].to_numpy().tolist() == [[YES, 0.1], [NO, -1.0]]
