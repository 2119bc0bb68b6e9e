"""What was encoded or decoded once is remembered: a content-addressed store on disk.

One SQLite file: its transactions make it safe against a kill and against several processes writing at once. Each waits
for the disk, so rows are written together, once a second at most, and on closing; a kill loses those that came since.
Every row has a checksum over its key and its value. A row that does not match is dropped, and what it held is made
again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import sqlite3
import struct
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import platformdirs

from netsim.codec import OperatingPoint, Packet, Stream
from netsim.errors import InputError
from netsim.paths import user_path

__all__ = ["Store", "default_store_path"]

_VERSION = 2
_SCHEMA = """
create table if not exists streams (key text primary key, head text, payload blob, checksum text) without rowid;
create table if not exists qualities
    (key text, metric text, value real, checksum text, primary key (key, metric)) without rowid;
"""
_BUSY_S = 120.0
_BETWEEN_WRITES_S = 1.0
_KEYS_AT_ONCE = 500  # SQLite's default limit on parameters of one statement is 999 in old versions


def default_store_path() -> Path:
    """``$NETSIM_STORE``, else the user's cache folder.

    Returns:
        Path of the file.
    """
    named = os.environ.get("NETSIM_STORE")
    return user_path(named) if named else Path(platformdirs.user_cache_dir("netsim")) / "store.sqlite"


class Store:
    """Streams and image qualities by content address.

    Values are immutable: writing a key twice keeps the first.

    Args:
        path: The SQLite file; its folder is made. None: :func:`default_store_path`.

    Raises:
        InputError: Here and in every method, if the file can't be opened, read or written, or is damaged.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path or default_store_path()
        with self._access():
            self._refuse_other_files()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, timeout=_BUSY_S)
            self._db.text_factory = lambda text: text.decode("utf-8", "replace")  # a damaged text fails its checksum
            if self._db.execute("pragma user_version").fetchone()[0] != _VERSION:
                self._begin()
        self._new_streams: dict[str, Stream] = {}
        self._new_qualities: dict[tuple[str, str], float] = {}
        self._written_at = time.monotonic()

    def _refuse_other_files(self) -> None:
        """A folder, and a file of another program, which is never written to."""
        if self.path.is_dir():
            raise InputError(f"the store `{self.path}` is a folder", hint=_HINT)
        if not self.path.is_file():
            return
        with self.path.open("rb") as file:
            head = file.read(len(_SQLITE))
        if head and head != _SQLITE:
            raise InputError(f"`{self.path}` is not a store", hint=f"{_HINT}; a damaged store may be deleted")

    def _begin(self) -> None:
        """Tables of this version; those of another version lack checksums, and nothing can take values from them."""
        with self._db:
            self._db.execute("begin immediate")
            tables = {name for (name,) in self._db.execute("select name from sqlite_master where type = 'table'")}
            if tables - {"streams", "qualities"}:
                hint = f"{_HINT}; this one has the tables {', '.join(sorted(tables)[:5])}"
                raise InputError(f"`{self.path}` is the database of another program", hint=hint)
            if self._db.execute("pragma user_version").fetchone()[0] != _VERSION:
                for table in ("streams", "qualities"):
                    self._db.execute(f"drop table if exists {table}")
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"pragma user_version = {_VERSION}")

    def close(self) -> None:
        """Writes what is new, and closes the database."""
        try:
            self.write()
        finally:
            self._db.close()

    def write(self) -> None:
        """Writes what is new."""
        if not (self._new_streams or self._new_qualities):
            return
        streams = [_stream_row(key, stream) for key, stream in self._new_streams.items()]
        qualities = [
            (key, metric, value, _quality_checksum(key, metric, value))
            for (key, metric), value in self._new_qualities.items()
        ]
        with self._access(), self._db:
            self._db.executemany("insert or ignore into streams values (?, ?, ?, ?)", streams)
            self._db.executemany("insert or ignore into qualities values (?, ?, ?, ?)", qualities)
        self._new_streams, self._new_qualities = {}, {}
        self._written_at = time.monotonic()

    def _write_soon(self) -> None:
        if time.monotonic() - self._written_at >= _BETWEEN_WRITES_S:
            self.write()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _access(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InputError(
                f"can't make the store's folder `{self.path.parent}`: {error.strerror}", hint=_HINT
            ) from None
        except (sqlite3.Error, UnicodeDecodeError) as error:
            damaged = type(error) in (sqlite3.DatabaseError, UnicodeDecodeError)
            hint = "delete the file: it is a cache, and what it held is made again" if damaged else _HINT
            raise InputError(f"can't use the store `{self.path}`: {error}", hint=hint) from None

    def stream(self, key: str) -> Stream | None:
        """The stream remembered under ``key``, or None.

        Args:
            key: Content address.

        Returns:
            The stream, or None.
        """
        with self._access():
            row = self._db.execute("select head, payload, checksum from streams where key = ?", (key,)).fetchone()
            if row is None:
                return self._new_streams.get(key)
            head, payload, checksum = row
            if not isinstance(payload, bytes) or checksum != _stream_checksum(key, str(head), payload):
                self._drop("delete from streams where key = ?", [(key,)])
                return None
        return _unpack(json.loads(head), payload)

    def put_stream(self, key: str, stream: Stream) -> None:
        """Remembers a stream; one that is there under ``key`` stays.

        Args:
            key: Content address.
            stream: The stream to remember.
        """
        self._new_streams.setdefault(key, stream)
        self._write_soon()

    def has_stream(self, key: str) -> bool:
        """Whether a stream is remembered under ``key``.

        Args:
            key: Content address.

        Returns:
            True if the stream is there and undamaged.
        """
        return self.stream(key) is not None

    def qualities(self, keys: Iterable[str], metric: str) -> dict[str, float]:
        """Remembered values of a metric, for those of ``keys`` that are known.

        Args:
            keys: Content addresses, each with its mask.
            metric: Identity of the metric.

        Returns:
            {key: value}, NaN included.
        """
        wanted = list(keys)
        new = {key: self._new_qualities[key, metric] for key in wanted if (key, metric) in self._new_qualities}
        found: dict[str, float] = {}
        damaged = []
        with self._access():
            for i in range(0, len(wanted), _KEYS_AT_ONCE):
                part = wanted[i : i + _KEYS_AT_ONCE]
                marks = ",".join("?" * len(part))
                query = f"select key, value, checksum from qualities where metric = ? and key in ({marks})"
                for key, value, checksum in self._db.execute(query, (metric, *part)):
                    number = math.nan if value is None else value  # SQLite has no NaN
                    if (
                        isinstance(key, str)
                        and isinstance(number, float)
                        and checksum == _quality_checksum(key, metric, number)
                    ):
                        found[key] = number
                    else:
                        damaged.append((key, metric))
            if damaged:
                self._drop("delete from qualities where key = ? and metric = ?", damaged)
        return new | found

    def put_qualities(self, values: Mapping[str, float], metric: str) -> None:
        """Remembers values of a metric; those that are there already stay.

        Args:
            values: {content address with mask: value}, NaN included.
            metric: Identity of the metric.
        """
        for key, value in values.items():
            self._new_qualities.setdefault((key, metric), float(value))
        self._write_soon()

    def replace_from(self, other: Path) -> None:
        """Take over everything from another store, in place of what is remembered under the same keys.

        Args:
            other: The other store's file.
        """
        self.write()
        with self._access():
            self._db.execute("attach ? as other", (str(other),))
            with self._db:
                for table in ("streams", "qualities"):
                    self._db.execute(f"insert or replace into main.{table} select * from other.{table}")
            self._db.execute("detach other")

    def _drop(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        with self._db:
            self._db.executemany(statement, rows)


def _stream_row(key: str, stream: Stream) -> tuple[str, str, bytes, str]:
    head, payload = json.dumps(_head(stream)), b"".join(packet.payload for packet in stream.packets)
    return key, head, payload, _stream_checksum(key, head, payload)


_SQLITE = b"SQLite format 3\0"
_HINT = "NETSIM_STORE names a file that can be written to"


def _stream_checksum(key: str, head: str, payload: bytes) -> str:
    text = f"{len(key)} {len(head)} {key}{head}".encode()
    return hashlib.sha256(text + payload).hexdigest()


def _quality_checksum(key: str, metric: str, value: float) -> str:
    number = math.nan if math.isnan(value) else value  # one NaN of many
    text = f"{len(key)} {key}{metric}".encode("utf-8", "replace")
    return hashlib.sha256(text + struct.pack("<d", number)).hexdigest()[:16]


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
