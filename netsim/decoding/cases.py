"""The cases of a part: distinct (image, scheme, usable mask), each decoded once however many log rows show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.decoding.cache import CodecCache
from netsim.decoding.collapse import Arrays
from netsim.decoding.streams import StreamKey, stream_key_of
from netsim.scenario.plan import Plan, PlanRow

__all__ = ["case_packets", "case_qualities", "needed_masks", "row_stream_keys"]


def row_stream_keys(plan: Plan, row: PlanRow) -> dict[tuple[int, int], StreamKey]:
    """The streams that a row sends.

    Args:
        plan: The plan.
        row: One of its rows.

    Returns:
        By (number of the image, number of one of the row's schemes).
    """
    return {
        (image, choice): stream_key_of(plan, row, image, scheme)
        for image in range(len(plan.image_names))
        for choice, scheme in enumerate(row.schemes)
    }


def needed_masks(keys: Mapping[tuple[int, int], StreamKey], arrays: Arrays) -> dict[StreamKey, set[str]]:
    """Usable masks that must be decoded.

    Args:
        keys: From ``row_stream_keys``.
        arrays: Of a part.

    Returns:
        Masks as text, by stream; one without a usable packet needs no decoding.
    """
    needed: dict[StreamKey, set[str]] = {}
    for image, choice, mask in zip(arrays["case_image"], arrays["case_choice"], arrays["case_mask"], strict=True):
        if "1" in str(mask):
            needed.setdefault(keys[int(image), int(choice)], set()).add(str(mask))
    return needed


def case_qualities(
    keys: Mapping[tuple[int, int], StreamKey], arrays: Arrays, cache: CodecCache, metrics: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """The quality of each case of a part.

    Args:
        keys: From ``row_stream_keys``.
        arrays: Of a part.
        cache: Has the qualities, or decodes.
        metrics: Names of metrics.

    Returns:
        By metric, float64 [cases]; NaN where there is no image.
    """
    found = {metric: np.full(len(arrays["case_mask"]), np.nan) for metric in metrics}
    at: dict[tuple[int, int], list[int]] = {}
    for i, (image, choice) in enumerate(zip(arrays["case_image"], arrays["case_choice"], strict=True)):
        at.setdefault((int(image), int(choice)), []).append(i)
    for place, cases in at.items():
        masks = {i: str(arrays["case_mask"][i]) for i in cases}
        decodable = [mask for mask in masks.values() if "1" in mask]
        known = cache.qualities(keys[place], decodable, metrics)
        for metric in metrics:
            for i, mask in masks.items():
                found[metric][i] = known[metric].get(mask, np.nan)
    return found


def case_packets(arrays: Arrays) -> NDArray[np.int64]:
    """How many packets the stream of each log row has.

    Args:
        arrays: Of a part.

    Returns:
        int64 [rows of the log].
    """
    return np.array([len(mask) for mask in arrays["case_mask"].tolist()], dtype=np.int64)[arrays["case"]]
