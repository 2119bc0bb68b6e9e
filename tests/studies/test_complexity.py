"""Parameters and times against a reference."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from netsim.codec import create_codec
from netsim.errors import InputError
from netsim.runs.progress import Reporter
from netsim.scenario.load import load_plan
from netsim.studies.comparison import Comparison
from netsim.studies.complexity import Measured, add_complexity, hardware, measure_complexity
from netsim.studies.published import published_table
from netsim.studies.recipe import find_recipe
from netsim.studies.reproduce import reproduce
from tests.studies.conftest import MakeRecipe

PUBLISHED = """\
condition,scheme,quantity,published
,old,encode_ms,10
,old,parameters_mib,20
,new,encode_ms,15
,new,parameters_mib,25
"""
ONE_POINT = ["codecs=[{jpeg2000: {bpp: 1.2}}, {jpeg: {quality: 30}}]"]


@pytest.mark.parametrize(("load", "busy"), [(0.9, False), (12.34, True)])
def test_the_machine_is_named_with_what_keeps_it_busy(monkeypatch: pytest.MonkeyPatch, load: float, busy: bool) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (load, 50.0, 50.0))
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    assert "2 cores" in hardware()
    assert hardware().endswith("busy with other programs (load 12.3)") == busy


def test_ratios_are_of_each_image_and_the_papers_of_its_numbers(
    small: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getloadavg", lambda: (1.0, 1.0, 1.0))
    recipe = small(PUBLISHED, {"complexity": {"reference": "a"}}, paper_names={"a": "old", "b": "new"})
    slow = np.array([1.0, 10.0, 2.0, 3.0, 5.0, 4.0])
    measured = [Measured("a", 2**18, slow, 2 * slow), Measured("b", 2**19, 3 * slow, slow)]
    comparison = Comparison(recipe)
    add_complexity(comparison, measured, "a")
    frame = comparison.frame()
    assert set(frame["condition"]) == {hardware()}
    table = frame.set_index(["scheme", "quantity"])
    assert table.loc[("a", "parameters_mib"), "ours"] == 1.0
    assert table.loc[("b", "parameters_ratio"), "ours"] == 2.0
    assert table.loc[("b", "parameters_ratio"), "published"] == 1.25
    assert tuple(table.loc[("a", "encode_ms"), ["ours", "ours_low", "ours_high"]]) == (3.5, 1.0, 10.0)
    assert tuple(table.loc[("b", "encode_ratio"), ["ours", "ours_low", "ours_high"]]) == pytest.approx((3.0,) * 3)
    assert table.loc[("b", "encode_ratio"), "published"] == 1.5
    assert pd.isna(table.loc[("b", "decode_ratio"), "published"])
    assert ("a", "encode_ratio") not in table.index
    with pytest.raises(InputError, match="no scheme `c`"):
        add_complexity(comparison, measured, "c")


def test_every_image_is_coded_by_every_scheme(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"complexity": {"reference": "jpeg"}}, quick=ONE_POINT)
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    times = pd.read_csv(files[1])
    assert list(times["image"]) == ["a", "b"] * 2
    assert (times[["encode_ms", "decode_ms"]] > 0).all(axis=None)
    assert "parameters" not in set(pd.read_csv(files[0])["quantity"])  # nothing trained in either


@pytest.mark.parametrize("scheme", ["jpeg: {quality: 30}", "hevc: {qp: 40, preset: fast}"])
def test_every_repeat_encodes_anew_and_checks_nothing(
    small: MakeRecipe, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """Three repeats of two images and one beforehand, whatever this process has encoded before."""
    kind = type(create_codec(scheme.partition(":")[0], {}))
    compressed, compress = [], kind.compress  # type: ignore[attr-defined]
    monkeypatch.setattr(kind, "compress", lambda *args: compressed.append(1) or compress(*args))
    monkeypatch.setattr(kind, "decompress_checked", lambda *args: pytest.fail("a timing checked the decoder"))
    recipe = small(study={"complexity": {"reference": "jpeg"}}, quick=[f"codecs=[{{{scheme}}}]"])
    plan = load_plan(recipe.folder / "scenario.yaml", recipe.quick)
    for _ in range(2):
        compressed.clear()
        measure_complexity(plan)
        assert len(compressed) == 3 * len(plan.images.items) + 1


def test_a_timed_decoder_has_decoded_nothing_before() -> None:
    """ResiComp keeps the slices that it decoded: a fresh instance has none of them."""
    codec = create_codec("resicomp", {"mode": "LC", "slices": 2})
    codec._slice_cache.put(b"slice", np.zeros(1, np.int64), 9)  # type: ignore[attr-defined]
    other = codec.for_timing()
    assert other is not codec
    assert other._slice_cache.get(b"slice") is None  # type: ignore[attr-defined]
    assert other.networks is codec.networks  # type: ignore[attr-defined]


def test_several_operating_points_are_refused(small: MakeRecipe) -> None:
    recipe = small(study={"complexity": {"reference": "jpeg2000 prefix"}})
    with pytest.raises(InputError, match="several operating points"):
        measure_complexity(load_plan(recipe.folder / "scenario.yaml"))


def test_a_codec_without_training_has_no_parameters() -> None:
    assert create_codec("jpeg2000", {}).parameters is None


def test_the_papers_mebibytes_are_the_parameters_of_its_networks() -> None:
    recipe = find_recipe("loss-resilient-lic/table2")
    table = published_table(recipe).set_index(["scheme", "quantity"])["published"]
    for scheme, parameters in (("w/o our method", 7_028_003), ("w/ our method", 7_479_847)):
        assert table[scheme, "parameters_mib"] == pytest.approx(parameters * 4 / 2**20, abs=0.011)
    assert set(recipe.paper_names.values()) == {scheme for scheme, _ in table.index}
