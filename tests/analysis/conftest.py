"""A tiny run by the exact engine."""

import pytest
from PIL import Image
from skimage import data

import netsim


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> netsim.Run:
    """Two tiny images by the exact engine; the store lies beside the run."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "images").mkdir()
    for name, image in (("a", data.astronaut()[60:124, 180:260]), ("b", data.coffee()[100:164, 200:264])):
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
    codecs = [
        {"jpeg2000": {"bpp": [1.0, 2.0], "receiver": "resilient", "packets": 5}},
        {"jpeg2000": {"bpp": 1.5, "receiver": "prefix", "packets": 5}},
        {"jpeg": {"quality": 30, "protection": ["none", {"reed-solomon": "30%"}]}},
    ]
    scenario = {
        "name": "tiny",
        "images": str(folder / "images"),
        "codecs": codecs,
        "channels": ["EP2", "EP4", {"loss_rate": 0.2, "mean_burst": 3}],
        "engine": "exact",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STORE", str(folder / "store.sqlite"))
        return netsim.run(scenario, out=folder / "run")
