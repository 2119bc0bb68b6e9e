"""The log: Parquet, one row per time slot, streamed part by part so that it never stands in memory whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from netsim.decoding.cache import CodecCache, StreamKey
from netsim.errors import InputError
from netsim.metrics.further import LOG_COLUMNS, further_metrics
from netsim.runs.atomic import write_atomically
from netsim.runs.collapse import Arrays
from netsim.runs.context import stream_key_of
from netsim.runs.transport import PartKey, read_part
from netsim.scenario.plan import Plan, PlanRow

__all__ = ["case_qualities", "log_schema", "needed_masks", "read_log", "write_log"]

_INTEGERS = ("sent", "delivered", "lost", "late", "dropped", "recovered", "usable")

_WHOLE = pa.int32()
_TYPES = {
    **dict.fromkeys(("row", "trial", "slot", "packet", "drawn"), _WHOLE),
    **{f"packets_{name}": _WHOLE for name in _INTEGERS},
    **dict.fromkeys(("seed", "bytes"), pa.int64()),
    "can_fail": pa.bool_(),
    **dict.fromkeys(("start_s", "time_s", "design_weight", "bpp", "psnr_db", "weight"), pa.float64()),
}  # strings are the rest


def log_schema(metrics: Iterable[str]) -> pa.Schema:
    """Columns of a log: those of every log, and one for each metric of the plan."""
    names = [name for name in LOG_COLUMNS if name != "weight"] + [*further_metrics(metrics), "weight"]
    further = dict.fromkeys(further_metrics(metrics), pa.float64())
    return pa.schema([pa.field(name, (_TYPES | further).get(name, pa.string())) for name in names])


def needed_masks(plan: Plan, key: PartKey, arrays: Arrays) -> dict[StreamKey, set[str]]:
    """Which pictures must be decoded from which usable masks; failed pictures need no decoding."""
    row = plan.rows[key.row]
    needed: dict[StreamKey, set[str]] = {}
    for image, tag, mask in zip(arrays["case_image"], arrays["case_tag"], arrays["case_mask"], strict=True):
        if "1" in str(mask):
            stream_key = stream_key_of(plan, row, int(image), row.schemes[int(tag)])
            needed.setdefault(stream_key, set()).add(str(mask))
    return needed


def write_log(
    path: Path,
    plan: Plan,
    parts: Iterable[tuple[PartKey, Path]],
    cache: CodecCache,
    step: Callable[[], None] = lambda: None,
) -> None:
    """Join receptions with qualities and write the log, in plan order."""

    def write(file: Any) -> None:
        schema = log_schema(plan.metrics)
        with pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer:
            for key, part in parts:
                writer.write_table(_table(plan, plan.rows[key.row], key, read_part(part), cache))
                step()

    write_atomically(path, write)


def read_log(path: Path) -> pa.Table:
    """Read a log whole, its pages checked.

    Raises:
        InputError: If it is no Parquet file, or a page does not match its checksum.
    """
    try:  # not by pandas.read_parquet: its readers' threads may abort the interpreter at exit
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"`{path}` is damaged: {reason}", hint="run the scenario again") from None


def _table(plan: Plan, row: PlanRow, key: PartKey, arrays: Arrays, cache: CodecCache) -> pa.Table:
    total, case, tag = len(arrays["trial"]), arrays["case"], arrays["tag"]
    pixels = np.array([_pixels(plan, i) for i in range(len(plan.image_names))])
    packet, sampled = arrays["packet"], ~np.isnan(arrays["design_weight"])
    qualities = case_qualities(plan, key, arrays, cache)
    columns: dict[str, Any] = {
        "run_id": _repeat(plan.run_id, total),
        "row": np.full(total, row.index, np.int32),
        "engine": _repeat(row.engine, total),
        "trial": arrays["trial"],
        "slot": arrays["slot"],
        "packet": pa.array(packet, mask=packet < 0),
        "start_s": arrays["start_s"],
        "time_s": arrays["time_s"],
        "image": _choose(plan.image_names, arrays["image"]),
        "codec": _choose([scheme.codec.name for scheme in row.schemes], tag),
        "settings": _choose([row.settings_text(choice) for choice in range(len(row.schemes))], tag),
        "operating_point": _repeat(row.operating_point, total),
        "mode": _choose([scheme.codec.mode for scheme in row.schemes], tag),
        "protection": _choose([scheme.protection_name for scheme in row.schemes], tag),
        "scheme": _repeat(row.label, total),
        "channel": _repeat(row.channel_name, total),
        "link": _repeat(row.link_name, total),
        "seed": np.full(total, plan.seed, np.int64),
        "bytes": arrays["bytes"],
        "bpp": 8 * arrays["bytes"] / pixels[arrays["image"]],
        "status": _choose(["full", "partial", "failed", "unresolved"], _status(arrays)),
        "weight": arrays["weight"],
        "can_fail": arrays["can_fail"],
        "drawn": pa.array(arrays["drawn"], mask=arrays["drawn"] == 0),
        "usable_mask": pa.array(arrays["case_mask"][case], pa.string(), mask=~sampled),
        "design_weight": pa.array(arrays["design_weight"], mask=~sampled),
    }
    columns |= {f"packets_{name}": arrays[name] for name in _INTEGERS}
    for metric in plan.metrics:
        values = qualities[metric][case]
        columns[metric] = pa.array(values, pa.float64(), mask=np.isnan(values))
    schema = log_schema(plan.metrics)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def _pixels(plan: Plan, image: int) -> int:
    """Number of pixels of a picture of the plan."""
    height, width = plan.images.items[image].shape
    return int(height * width)


def _status(arrays: Arrays) -> np.ndarray:
    usable = arrays["usable"]
    packets = np.array([len(mask) for mask in arrays["case_mask"].tolist()])[arrays["case"]]
    return np.select([arrays["unresolved"], usable == 0, usable < packets], [3, 2, 1], 0)


def case_qualities(plan: Plan, key: PartKey, arrays: Arrays, cache: CodecCache) -> dict[str, np.ndarray]:
    """Per case and metric its value; NaN where the picture failed."""
    row = plan.rows[key.row]
    found = {metric: np.full(len(arrays["case_mask"]), np.nan) for metric in plan.metrics}
    at: dict[tuple[int, int], list[int]] = {}
    for i, (image, tag) in enumerate(zip(arrays["case_image"], arrays["case_tag"], strict=True)):
        at.setdefault((int(image), int(tag)), []).append(i)
    for (image, tag), cases in at.items():
        masks = {i: str(arrays["case_mask"][i]) for i in cases}
        decodable = [mask for mask in masks.values() if "1" in mask]
        stream_key = stream_key_of(plan, row, image, row.schemes[tag])
        known = cache.qualities(stream_key, decodable, plan.metrics)
        for metric in plan.metrics:
            for i, mask in masks.items():
                found[metric][i] = known[metric].get(mask, np.nan)
    return found


def _repeat(value: str, count: int) -> pa.Array:
    return pa.repeat(pa.scalar(value, pa.string()), count)


def _choose(values: Iterable[str], index: np.ndarray) -> pa.Array:
    return pa.array(list(values), pa.string()).take(pa.array(index))
