"""Errors that are found only once a run sends something name the line of the scenario that they are about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netsim
from netsim.errors import InputError
from tests.plugin_files import GREY_CODEC, install

CODECS = {"netsim.codecs": {"grey": "greycodec:Grey"}, "netsim.channels": {"mine": "greychannel:Mine"}}
CHANNEL = """\
from netsim.channels.base import Channel


class Mine(Channel):
    name, loss_rate = "mine", 0.5

    def initial_state(self, u):
        return 0

    def enter_slot(self, state, u):
        return 0

    def receive_one(self, u_step, u_loss, state, steps=1):
        return 3

    def receive(self, uniforms, state, steps=1):
        return 3
"""
SCENARIO = """\
images: images
codecs:
  - jpeg: {quality: 50, packets: 2}
  - grey:
      bits: 8
      protection: PROTECTION
channels:
  - EP4
  - CHANNEL
link: LINK
engine: ENGINE
trials: 2
"""


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("codec", "changes", "where", "message"),
    [
        ("raise InputError('no bits')", {}, "s.yaml:4:5  codecs[1]", "grey at bits=8 of image `long`: no bits"),
        ("return None", {}, "s.yaml:4:5  codecs[1]", "codec `grey`: encode returns None"),
        ("", {"PROTECTION": "{repeat: {packets: [9999]}}"}, "s.yaml:4:5  codecs[1]", "there is no packet 9999"),
        ("", {"ENGINE": "exact"}, "s.yaml:4:5  codecs[1]", "3,100 packets of a slot can be lost"),
        ("", {"CHANNEL": "mine"}, "s.yaml:9:5  channels[1]", "channel `mine`: Mine.receive returns"),
        ("", {"CHANNEL": "mine", "ENGINE": "event"}, "s.yaml:9:5  channels[1]", "Mine.receive_one returns"),
        (
            "",
            {"LINK": "{geo: {mtu_bytes: 29}}"},
            "s.yaml:4:5  codecs[1]",
            "packet 0 of slot 0 has 4 bytes; link geo takes 1",
        ),
    ],
)
def test_the_place_of_the_codec_or_channel_is_named(
    codec: str,
    changes: dict[str, str],
    where: str,
    message: str,
    workers: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    source = GREY_CODEC.replace("        head =", f"        {codec}\n        head =", 1)
    files = {
        "greycodec.py": f"from netsim.errors import InputError\n{source}\nLEVEL = 128\n",
        "greychannel.py": CHANNEL,
    }
    install(tmp_path, monkeypatch, files, CODECS)
    Path("images").mkdir()
    Image.fromarray(np.zeros((3100, 2, 3), np.uint8)).save("images/long.png")
    scenario = SCENARIO
    for name, value in {"PROTECTION": "none", "CHANNEL": "EP5", "LINK": "ideal", "ENGINE": "array", **changes}.items():
        scenario = scenario.replace(name, value)
    Path("s.yaml").write_text(scenario)
    with pytest.raises(InputError) as caught:
        netsim.run("s.yaml", workers=workers)
    assert caught.value.where == where
    assert message in caught.value.message
