"""Packets and images don't depend on how many threads torch has."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage import data

from netsim.codec import OperatingPoint, create_codec


@pytest.mark.parametrize(("name", "settings"), [("mbt-mean", {}), ("resicomp", {"mode": "ISC"})])
def test_the_number_of_threads_changes_nothing(name: str, settings: dict[str, str]) -> None:
    image, before = np.ascontiguousarray(data.chelsea()), torch.get_num_threads()
    made = []
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            codec = create_codec(name, settings)
            stream = codec.encode(image, OperatingPoint("quality", 2.0))
            masks = np.random.default_rng(0).random((2, len(stream))) < 0.7
            shown = codec.decode(stream, masks | stream.protected)
            assert torch.get_num_threads() == threads
            made.append(([packet.payload for packet in stream.packets], shown))
    finally:
        torch.set_num_threads(before)
    assert made[0][0] == made[1][0]
    assert np.array_equal(made[0][1], made[1][1])
