"""Small runs: two crops, quick codecs, a store of their own."""

from pathlib import Path

import pytest
from PIL import Image
from skimage import data

SCENARIO = """\
name: small
images: images
codecs:
  - jpeg2000: {bpp: [0.5, 1.0], receiver: prefix}
  - jpeg2000: {bpp: 1.0, receiver: resilient, packets: 6}
  - jpeg: {quality: 30, protection: [none, {reed-solomon: 30%}]}
channels: [EP4, {switch: [EP3, EP5], name: switching}]
link: {wlan: {period_s: 0.05, deadline_s: 0.05, jitter_s: 0}}
trials: 20
slots: 5
seed: 7
"""


@pytest.fixture
def scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of a scenario that runs in a second or two."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, image in (("a", data.astronaut()[60:156, 180:308]), ("b", data.coffee()[100:196, 200:300])):
        Image.fromarray(image).save(folder / f"{name}.png")
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "small.yaml"
    path.write_text(SCENARIO)
    return path
