"""Tokens and bytes of each packet."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from netsim.codec import Codec, OperatingPoint, Packet, Stream
from netsim.decoding.cache import CodecCache
from netsim.decoding.store import Store
from netsim.errors import InputError
from netsim.runs.progress import Reporter
from netsim.scenario.load import load_plan
from netsim.studies.comparison import Comparison
from netsim.studies.packet_sizes import add_sizes, packet_sizes
from netsim.studies.recipe import Recipe
from netsim.studies.reproduce import reproduce
from netsim.studies.tokens import packet_tokens, token_packets
from tests.studies.conftest import MakeRecipe

SCHEMES = ["codecs=[{jpeg2000: {bpp: 1.2, packets: 5, receiver: resilient}}]", "link=null"]
GRID = np.array([[1, 1, 2], [2, 1, 1]])


class Tokens(Codec):
    """A head and two packets, of 4 and 2 tokens."""

    name = "tokens"
    operating_point_keys: ClassVar[Mapping[str, type]] = {"q": int}

    def encode(
        self, image: NDArray[np.uint8], operating_point: OperatingPoint, packet_limit_bytes: int | None = None
    ) -> Stream:
        raise AssertionError

    def usable(self, stream: Stream, received: NDArray[np.bool_]) -> NDArray[np.bool_]:
        return received

    def decode(self, stream: Stream, masks: NDArray[np.bool_]) -> NDArray[np.uint8]:
        raise AssertionError

    def token_packets(self, stream: Stream) -> NDArray[np.int64]:
        return GRID


def test_tokens_are_counted_by_packet(small: MakeRecipe, tmp_path: Path) -> None:
    stream = Stream((Packet(b"h", True), Packet(b"ab"), Packet(b"c")), (32, 48), OperatingPoint("q", 1))
    counted, grid = packet_tokens(Tokens(), stream), token_packets(Tokens(), stream)
    assert counted is not None
    assert counted.tolist() == [0, 4, 2]
    assert grid is GRID
    plan = load_plan(small(study="packet_sizes").folder / "scenario.yaml", SCHEMES)
    with Store(tmp_path / "store.sqlite") as store:
        assert packet_sizes(plan, CodecCache(store))["tokens"].isna().all()  # JPEG 2000 has none


def test_bytes_add_up_to_what_is_sent(small: MakeRecipe, tmp_path: Path) -> None:
    recipe = small(study="packet_sizes")
    plan = load_plan(recipe.folder / "scenario.yaml", SCHEMES)
    with Store(tmp_path / "store.sqlite") as store:
        cache = CodecCache(store)
        sizes = packet_sizes(plan, cache)
        from netsim.studies.plan_schemes import plan_schemes

        [scheme] = plan_schemes(plan)
        for key in scheme.images:
            stream, mine = cache.encode(key), sizes[sizes["image"] == key.image.name]
            assert mine["bytes"].sum() == stream.bytes_total
            assert mine["bpp"].sum() == pytest.approx(stream.bpp)
            droppable = int((~stream.protected).sum())
            assert droppable > 2
            assert mine["packet"].tolist() == list(range(droppable + 1))
            assert mine["protected"].tolist() == [True] + [False] * droppable


def _sizes(packets: list[list[int]]) -> pd.DataFrame:
    """Bytes per image and packet; twice as many bytes as tokens."""
    rows = [
        ["s", "q=1", f"image {i}", packet, packet == 0, size / 2, size, size / 100]
        for i, sizes in enumerate(packets)
        for packet, size in enumerate(sizes)
    ]
    columns = ["scheme", "operating_point", "image", "packet", "protected", "tokens", "bytes", "bpp"]
    return pd.DataFrame(rows, columns=columns)


def test_means_over_the_images_beside_the_papers(small: MakeRecipe) -> None:
    recipe = small(
        "condition,scheme,quantity,published\npacket 2,S,tokens,17\n", "packet_sizes", paper_names={"s": "S"}
    )
    comparison = Comparison(recipe)
    add_sizes(comparison, _sizes([[10, 20, 30], [10, 20, 40]]))
    table = comparison.frame().set_index(["condition", "quantity"])
    assert table.loc[("packet 2", "bytes"), "ours"] == 35
    assert table.loc[("packet 2", "tokens"), "difference"] == pytest.approx(0.5)
    assert pd.isna(table.loc[("packet 1", "tokens"), "published"])
    assert table.loc[("all packets", "bytes_largest_to_mean"), "ours"] == pytest.approx((30 / 25 + 40 / 30) / 2)
    with pytest.raises(InputError, match="different numbers of packets"):
        add_sizes(comparison, _sizes([[10, 20, 30], [10, 20]]))


def test_files(small: MakeRecipe, tmp_path: Path) -> None:
    recipe: Recipe = small(study="packet_sizes", quick=SCHEMES)
    files = reproduce(recipe, False, tmp_path / "out", 1, Reporter()).files
    assert [path.name for path in files] == ["comparison.csv", "images.csv", "sizes.png", "sizes.svg", "sizes.csv"]
    means = pd.read_csv(files[-1])
    assert means["bytes"].tolist() == pytest.approx(pd.read_csv(files[1]).groupby("packet")["bytes"].mean().tolist())
    assert (tmp_path / "out" / "manifest.json").is_file()
