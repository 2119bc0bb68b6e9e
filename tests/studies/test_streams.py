"""Studies of one image's packets: previews, first slices, images under given losses, context modes."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from netsim.analysis.strip import loss_pattern
from netsim.channels import bernoulli
from netsim.codec import create_codec
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError
from netsim.metrics.psnr import psnr_db
from netsim.runs.progress import Reporter
from netsim.studies.context_modes import context_matrix, usable_masks
from netsim.studies.plan_schemes import plan_schemes
from netsim.studies.preview_curve import preview_means
from netsim.studies.recipe import Recipe
from netsim.studies.reproduce import Reproduced, recipe_plan, reproduce
from tests.studies.conftest import MakeRecipe

SCHEMES = ["codecs=[{jpeg2000: {bpp: 1.2, packets: 6}}, {jpeg2000: {bpp: 1.2, packets: 6, receiver: resilient}}]"]
SCHEMES += ["link=null"]
RESILIENT = "jpeg2000 resilient"


def _reproduced(recipe: Recipe, tmp_path: Path) -> Reproduced:
    return reproduce(recipe, False, tmp_path / "out", 1, Reporter())


def _decoded(recipe: Recipe, scheme: str, image: int, lost: list[int]) -> tuple[float, Any, NDArray[np.uint8]]:
    """PSNR, stream and image with the numbered packets lost, straight from the codec."""
    plan, _ = recipe_plan(recipe, full=False)
    assert plan is not None
    coded = next(one for one in plan_schemes(plan) if one.label == scheme).images[image]
    codec = create_codec(coded.codec, dict(coded.settings))
    stream = codec.encode(coded.image.pixels(), coded.point, coded.packet_limit_bytes)
    mask = np.ones((1, len(stream)), dtype=bool)
    mask[0, np.flatnonzero(~stream.protected)[np.array(lost, dtype=int) - 1]] = False
    [made] = codec.decode(stream, codec.usable(stream, mask))
    return float(psnr_db(coded.image.pixels(), made[None])[0]), stream, made


def test_a_preview_ends_with_the_whole_stream(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study="preview_curve", quick=SCHEMES)
    found = _reproduced(recipe, tmp_path)
    images = pd.read_csv(next(path for path in found.files if path.name == "images.csv"))
    mine = images[(images["scheme"] == RESILIENT) & (images["image"] == "a")]
    whole, stream, _ = _decoded(recipe, RESILIENT, 0, [])
    assert mine["psnr_db"].iloc[-1] == pytest.approx(whole, abs=1e-6)
    assert mine["bpp"].iloc[-1] == pytest.approx(stream.bpp, abs=1e-6)
    after_two, _, _ = _decoded(recipe, RESILIENT, 0, list(range(3, int((~stream.protected).sum()) + 1)))
    assert mine[mine["packet"] == 2]["psnr_db"].iloc[0] == pytest.approx(after_two, abs=1e-6)
    table = found.comparison[found.comparison["quantity"] == "psnr_db"].set_index(["condition", "scheme"])
    both = images[(images["scheme"] == RESILIENT) & (images["packet"] == 2)]["psnr_db"]
    assert table.loc[("after packet 2", RESILIENT), "ours"] == pytest.approx(both.mean(), abs=1e-6)


def test_means_need_an_image_of_each_and_as_many_packets() -> None:
    columns = ["scheme", "operating_point", "image", "packet", "bpp", "psnr_db"]
    rows = [["s", "q=1", image, packet, 0.1 * packet, 20.0 + packet] for image in "ab" for packet in range(3)]
    rows[0][5] = np.nan
    assert preview_means(pd.DataFrame(rows, columns=columns))["packet"].tolist() == [1, 2]
    lossless = pd.DataFrame(rows, columns=columns).assign(psnr_db=np.inf)
    assert set(preview_means(lossless)["psnr_db"]) == {100.0}  # as in all means
    with pytest.raises(InputError, match="different numbers of packets"):
        preview_means(pd.DataFrame(rows[:-1], columns=columns))


def test_first_slices_are_what_the_decoder_shows_of_them(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"first_slices": {"slices": 2, "image": "b"}}, quick=SCHEMES)
    found = _reproduced(recipe, tmp_path)
    table = found.comparison.set_index(["condition", "scheme"])["ours"]
    _, stream, _ = _decoded(recipe, RESILIENT, 1, [])
    packets = int((~stream.protected).sum())
    for count, condition in ((0, "first 0 slices"), (1, "first slice"), (2, "first 2 slices")):
        psnr, _, _ = _decoded(recipe, RESILIENT, 1, list(range(count + 1, packets + 1)))
        assert table[condition, RESILIENT] == pytest.approx(psnr)
    assert [path.name for path in found.files] == ["comparison.csv", "first_slices_1.png", "first_slices_2.png"]


def test_a_strip_shows_each_scheme_under_the_same_losses(small: MakeRecipe, tmp_path: Path) -> None:
    codecs = SCHEMES[0][:-1] + ", {jpeg: {quality: 30, packets: 6, protection: [none, {reed-solomon: 50%}]}}]"
    recipe = small(study={"image_strip": {"lost": [2, 3]}}, quick=[codecs, "link=null"])
    found = _reproduced(recipe, tmp_path)
    ours = found.comparison.set_index("scheme")["ours"]
    assert set(found.comparison["condition"]) == {"a, packets 2, 3 lost"}
    assert ours[RESILIENT] == pytest.approx(_decoded(recipe, RESILIENT, 0, [2, 3])[0])
    assert np.isnan(ours["jpeg"])  # needs all its packets
    assert ours["jpeg + 50% FEC"] > 20  # three of six are parity
    strip = pd.read_csv(found.files[-1])
    assert set(strip["lost"]) == {"2 3"}


def test_a_pattern_has_a_loss_among_its_first_packets_and_repeats() -> None:
    rare = bernoulli(0.01)
    pattern = loss_pattern(rare, 30, seed=4)
    assert not pattern[:10].all()
    assert (pattern == loss_pattern(rare, 30, seed=4)).all()
    assert loss_pattern(bernoulli(0.0), 30, seed=4).all()


def _by_definition(matrix: NDArray[np.bool_]) -> int:
    found = set()
    for received in product([False, True], repeat=len(matrix)):
        usable = tuple(
            received[i] and all(received[j] for j in range(len(matrix)) if matrix[i, j]) for i in range(len(matrix))
        )
        found.add(usable)
    return len(found)


@pytest.mark.parametrize(("name", "rule"), [("LC", 1), ("MDC-2", 2), ("MDC-3", 3), ("ISC", 99)])
def test_usable_masks_are_counted_as_defined(name: str, rule: int) -> None:
    i, j = np.indices((8, 8))
    matrix = (j < i) & ((i - j) % rule == 0)
    assert usable_masks(matrix) == _by_definition(matrix)
    contexts = context_matrix(create_codec("resicomp", {"mode": name, "slices": 8}))
    assert (contexts == matrix).all()


def test_a_codec_without_a_matrix_is_refused() -> None:
    with pytest.raises(InputError, match="jpeg has no context matrix"):
        context_matrix(create_codec("jpeg", {}))


def test_the_published_counts_of_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At ten slices: by exhaustion, 11 for a chain to 1,024 for slices on their own."""
    from netsim.studies.recipe import find_recipe

    monkeypatch.chdir(tmp_path)
    table = _reproduced(find_recipe("resicomp/fig7"), tmp_path).comparison
    masks = table[table["quantity"] == "usable_masks"]["ours"].tolist()
    assert masks == [11, 21, 36, 63, 80, 144, 243, 513, 1024]


STUDIES = [
    {"first_slices": {"image": "bb"}},
    {"token_densities": {"image": "bb"}},
    {"image_strip": {"lost": [2], "image": "bb"}},
    {"progressive": {"lost": [2], "image": "bb"}},
    {"masked": {"shares": [0.5], "image": "bb"}},
]


@pytest.mark.parametrize("study", STUDIES, ids=lambda study: str(next(iter(study))))
def test_an_image_that_is_not_there_is_an_error(study: dict[str, Any], small: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the scenario has no image `bb`") as caught:
        _reproduced(small(study=study, quick=SCHEMES), tmp_path)
    assert caught.value.hint == "did you mean `b`? known: a, b"


def test_the_first_image_stands_in_for_one_of_the_papers_and_a_note_says_so(small: MakeRecipe, tmp_path: Path) -> None:
    study = {"image_strip": {"lost": [2], "image": "kodim20"}}
    found = _reproduced(small(study=study, quick=SCHEMES, paper_images="kodak"), tmp_path)
    assert found.notes[-1] == "`kodim20` is not among these images: `a` is shown in its place."
    assert set(found.comparison["condition"]) == {"a, packet 2 lost"}


def test_streams_of_the_studies_come_from_the_store(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study={"first_slices": {}}, quick=SCHEMES)
    _reproduced(recipe, tmp_path)
    plan, _ = recipe_plan(recipe, full=False)
    assert plan is not None
    with Store() as store:
        cache = CodecCache(store)
        assert all(store.has_stream(cache.key(one.images[0])) for one in plan_schemes(plan))
