"""A run with hostile names, small enough to be made in a second or two."""

import pytest
from PIL import Image
from skimage import data

import netsim

EVIL = "<img src=x onerror=alert(1)> & \"quoted\" 'x'"
EVIL_IMAGE = "a<script>alert(2)<&'\"b"
EVIL_CHANNEL = "{{ 7 * 7 }}<svg onload=alert(3)>"


@pytest.fixture(scope="session")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> netsim.Run:
    """Two tiny images by the event engine and, in one entry, the exact one; the store lies beside the run."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "images").mkdir()
    crops = ((EVIL_IMAGE, data.astronaut()[60:124, 180:260]), ("b", data.coffee()[100:164, 200:264]))
    for name, image in crops:
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
    scenario = {
        "name": EVIL,
        "images": str(folder / "images"),
        "codecs": [
            {"jpeg2000": {"bpp": [1.0, 2.0], "receiver": "resilient", "packets": 5}},
            {"jpeg": {"quality": 30, "protection": ["none", {"reed-solomon": "30%"}]}},
            {"jpeg2000": {"bpp": 1.0, "receiver": "prefix", "packets": 5, "engine": "exact"}},
        ],
        "channels": ["EP3-released", {"loss_rate": 0.3, "mean_burst": 2, "name": EVIL_CHANNEL}],
        "engine": "event",
        "trials": 2,
        "slots": 12,
        "seed": 3,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETSIM_STORE", str(folder / "store.sqlite"))
        return netsim.run(scenario, out=folder / "run")
