"""What was encoded or decoded once is remembered: a content-addressed store on disk.

One SQLite file: its transactions make it safe against a kill and against several processes writing at once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import platformdirs

from netsim.codec import OperatingPoint, Packet, Stream

__all__ = ["Store", "default_store_path", "digest"]

_SCHEMA = """
create table if not exists streams (key text primary key, head text not null, payload blob not null) without rowid;
create table if not exists qualities (key text, metric text, value real, primary key (key, metric)) without rowid;
"""
_BUSY_S = 120.0
_KEYS_AT_ONCE = 500  # SQLite's default limit on parameters of one statement is 999 in old versions


def default_store_path() -> Path:
    """``$NETSIM_STORE``, else the user's cache folder."""
    named = os.environ.get("NETSIM_STORE")
    return Path(named) if named else Path(platformdirs.user_cache_dir("netsim")) / "store.sqlite"


def digest(*parts: Any) -> str:
    """Content address of plain data: SHA-256 of its canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Store:
    """Streams and picture qualities by content address.

    path: the SQLite file; its folder is made. Values are immutable: writing a key twice keeps the first.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_store_path()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.path, timeout=_BUSY_S)
        self._db.executescript(_SCHEMA)

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def stream(self, key: str) -> Stream | None:
        """The stream remembered under ``key``, or None."""
        row = self._db.execute("select head, payload from streams where key = ?", (key,)).fetchone()
        return None if row is None else _unpack(json.loads(row[0]), row[1])

    def put_stream(self, key: str, stream: Stream) -> None:
        payload = b"".join(packet.payload for packet in stream.packets)
        with self._db:
            self._db.execute(
                "insert or ignore into streams values (?, ?, ?)", (key, json.dumps(_head(stream)), payload)
            )

    def has_stream(self, key: str) -> bool:
        return self._db.execute("select 1 from streams where key = ?", (key,)).fetchone() is not None

    def qualities(self, keys: Iterable[str], metric: str) -> dict[str, float]:
        """Remembered values of a metric, for those of ``keys`` that are known."""
        wanted = list(keys)
        found: dict[str, float] = {}
        for i in range(0, len(wanted), _KEYS_AT_ONCE):
            part = wanted[i : i + _KEYS_AT_ONCE]
            marks = ",".join("?" * len(part))
            query = f"select key, value from qualities where metric = ? and key in ({marks})"
            found.update(self._db.execute(query, (metric, *part)))
        return found

    def put_qualities(self, values: Mapping[str, float], metric: str) -> None:
        with self._db:
            rows = [(key, metric, float(value)) for key, value in values.items()]
            self._db.executemany("insert or ignore into qualities values (?, ?, ?)", rows)


def _head(stream: Stream) -> dict[str, Any]:
    return {
        "sizes": [len(packet.payload) for packet in stream.packets],
        "protected": [packet.protected for packet in stream.packets],
        "shape": list(stream.shape),
        "operating_point": [stream.operating_point.key, stream.operating_point.value],
        "made_by": dict(stream.made_by),
    }


def _unpack(head: Mapping[str, Any], payload: bytes) -> Stream:
    packets, start = [], 0
    for size, protected in zip(head["sizes"], head["protected"], strict=True):
        packets.append(Packet(payload[start : start + size], protected))
        start += size
    height, width = head["shape"]
    return Stream(tuple(packets), (height, width), OperatingPoint(*head["operating_point"]), head["made_by"])
