"""Rate–distortion points in CompressAI's JSON format, to and from other tools.

The format (CompressAI, ``compressai.utils.bench`` and its folder ``results``)::

    {"name": "mbt2018", "description": "…", "results": {"bpp": […], "psnr-rgb": […], "ms-ssim-rgb": […]}}

Every list has one entry per operating point, a mean over images.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netsim.errors import InputError
from netsim.paths import read_regular

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["METRICS", "rd_json", "rd_json_files", "read_rd_json"]

METRICS = {"psnr_db": "psnr-rgb", "ms_ssim": "ms-ssim-rgb"}
"""Column of a summary -> key of the format."""

_CURVE = ["scheme", "channel", "link"]
_LIMIT_BYTES = 2**24
_FORMAT = 'CompressAI\'s format: {"name": …, "results": {"bpp": [0.1, 0.2], "psnr-rgb": [28.0, 30.1]}}'


def rd_json(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """One document for each scheme, channel and link of a summary, points by ascending rate.

    Args:
        summary: Of a run (``Run.summary``).

    Returns:
        Documents of the format. ``description`` says channel, link, engine and what a failed image counts. A metric of
        which a point has no value is left out.
    """
    made = []
    for key, part in summary.groupby(_CURVE, sort=False):
        scheme, channel, link = map(str, key)
        points = part.sort_values("bpp", kind="stable")
        engines = list(dict.fromkeys(points["engine"]))  # ``auto`` chooses by operating point
        results = {"bpp": points["bpp"].astype(float).tolist()}
        for column, name in METRICS.items():
            if column in points and points[column].map(math.isfinite).all():
                results[name] = points[column].astype(float).tolist()
        failed = f"a failed image counts {points['failure_db'].iloc[0]:g} dB"
        description = f"netsim: channel {channel}, link {link}, {_named(engines)}; {failed}"
        made.append({"name": scheme, "description": description, "results": results})
    return made


def _named(engines: list[str]) -> str:
    return f"engine{'' if len(engines) == 1 else 's'} {', '.join(engines)}"


def rd_json_files(summary: pd.DataFrame) -> dict[str, str]:
    """The documents of :func:`rd_json` as text, by file name: scheme, channel and, where there are several, link.

    Args:
        summary: Of a run (``Run.summary``).

    Returns:
        {file name: JSON text}.
    """
    documents = rd_json(summary)
    keys = [tuple(map(str, key)) for key, _ in summary.groupby(_CURVE, sort=False)]
    several_links = len({link for _, _, link in keys}) > 1
    files: dict[str, str] = {}
    for key, document in zip(keys, documents, strict=True):
        parts = key if several_links else key[:2]
        name = "-".join(re.sub(r"[^\w.=]+", "_", part).strip("_") for part in parts)
        while f"{name}.json" in files:  # two names that differ in their punctuation alone
            name += "_"
        files[f"{name}.json"] = json.dumps(document, indent=2) + "\n"
    return files


def read_rd_json(path: Path) -> pd.DataFrame:
    """The points of a file.

    Args:
        path: A JSON file of the format.

    Returns:
        Columns scheme (the file's ``name``), operating_point (the point's number), bpp, and those of ``METRICS`` that
        the file has; by ascending rate.

    Raises:
        InputError: The file is missing, is not JSON of the format, or its lists differ in length.
    """
    import pandas as pd

    try:
        document = json.loads(read_regular(path, _LIMIT_BYTES))
    except OSError as error:
        raise InputError(f"no rate–distortion points at `{path}`: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"`{path}` is not JSON: {error}", hint=_FORMAT) from None
    results = document.get("results") if isinstance(document, Mapping) else None
    if not isinstance(results, Mapping):
        raise InputError(f"`{path}` has no `results`", hint=_FORMAT)
    lists = {"bpp": _numbers(path, results, "bpp"), "psnr_db": _numbers(path, results, "psnr-rgb")}
    if "ms-ssim-rgb" in results:
        lists["ms_ssim"] = _numbers(path, results, "ms-ssim-rgb")
    lengths = {len(values) for values in lists.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError(f"`{path}`: lists of {' and '.join(map(str, sorted(lengths)))} points", hint=_FORMAT)
    frame = pd.DataFrame(lists).sort_values("bpp", kind="stable").reset_index(drop=True)
    name = document.get("name")
    frame.insert(0, "scheme", name if isinstance(name, str) and name.strip() else path.stem)
    frame.insert(1, "operating_point", [str(number) for number in range(1, len(frame) + 1)])
    return frame


def _numbers(path: Path, results: Mapping[str, Any], key: str) -> list[float]:
    values = results.get(key)
    if not isinstance(values, list) or any(type(v) not in (int, float) or not math.isfinite(v) for v in values):
        raise InputError(f"`{path}`: `results.{key}` is not a list of numbers", hint=_FORMAT)
    if key == "bpp" and any(value <= 0 for value in values):
        raise InputError(f"`{path}`: a rate of {min(values):g} bpp", hint="rates are above 0")
    return [float(value) for value in values]
