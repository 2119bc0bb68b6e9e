"""Small recipes: two crops, JPEG 2000 in packets of at most 200 bytes, a store of their own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from skimage import data

from netsim.studies.kinds import study_from_spec
from netsim.studies.recipe import Recipe

SCENARIO = """\
name: small
images: images
codecs:
  - jpeg2000: {bpp: [0.5, 0.8, 1.2], receiver: prefix, packets: 1}
  - jpeg2000: {bpp: [0.5, 0.8, 1.2], receiver: resilient, packets: 4}
channels: [uniform-20, {loss_rate: 0, name: no loss}]
link: {ideal: {mtu_bytes: 250}}
engine: array
trials: 10
seed: 7
"""

MakeRecipe = Callable[..., Recipe]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRecipe:
    """Makes a recipe of the small scenario: its study, further keys, ``published`` as the text of its CSV."""
    (tmp_path / "images").mkdir()
    for name, image in (("a", data.astronaut()[60:156, 180:308]), ("b", data.coffee()[100:196, 200:300])):
        Image.fromarray(image).save(tmp_path / "images" / f"{name}.png")
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))

    def make(published: str = "", study: Any = "rate_distortion", **keys: Any) -> Recipe:
        named: dict[str, Any] = {"title": "A table", "source": "A paper", "scenario": "scenario.yaml"} | keys
        if published:
            (tmp_path / "published.csv").write_text(f"# PUBLISHED. Source: a paper.\n{published}")
            named["published"] = "published.csv"
        return Recipe(**named, study=study_from_spec(study), name="paper/table", folder=tmp_path)

    return make
