"""Small runs: two crops, quick codecs, a store of their own."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import pytest
from PIL import Image
from skimage import data

import netsim
from netsim.codec import Stream
from netsim.decoding.collapse import Arrays
from netsim.runs import tasks, transport
from netsim.runs.parts import PartKey
from netsim.scenario.plan import Plan

KilledAfter = Callable[[int], AbstractContextManager[list[PartKey]]]

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
    monkeypatch.setenv("NETSIM_STORE", str(tmp_path / "store.sqlite"))
    monkeypatch.chdir(tmp_path)
    return _written(tmp_path)


def _written(folder: Path) -> Path:
    """The scenario's file, with its images beside it."""
    (folder / "images").mkdir()
    for name, image in (("a", data.astronaut()[60:156, 180:308]), ("b", data.coffee()[100:196, 200:300])):
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
    path = folder / "small.yaml"
    path.write_text(SCENARIO)
    return path


RunOf = Callable[..., netsim.Run]


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> RunOf:
    """``run_of("trials=3")``: a run of the scenario with these overrides, once for a file; tests must not change it."""
    folder = tmp_path_factory.mktemp("runs")
    path = _written(folder)

    @cache
    def run(*overrides: str) -> netsim.Run:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("NETSIM_STORE", str(folder / "store.sqlite"))
            return netsim.run(path, out=folder / "run", overrides=list(overrides))

    return run


@pytest.fixture
def killed_after(monkeypatch: pytest.MonkeyPatch) -> KilledAfter:
    """``with killed_after(2) as parts:`` a run there must end as by Ctrl-C, before its third part."""
    real = transport.transport_part

    @contextmanager
    def killed(parts: int) -> Iterator[list[PartKey]]:
        calls: list[PartKey] = []

        def breaks(plan: Plan, key: PartKey, streams: Mapping[tuple[int, int], Stream]) -> Arrays:
            if len(calls) == parts:
                raise KeyboardInterrupt
            calls.append(key)
            return real(plan, key, streams)

        with monkeypatch.context() as patch:
            patch.setattr(tasks, "transport_part", breaks)
            with pytest.raises(KeyboardInterrupt):
                yield calls

    return killed
