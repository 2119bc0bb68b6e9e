"""What the driver of a run works with. Tasks get the plan alone (``netsim.runs.tasks``)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from netsim.decoding.cache import CodecCache
from netsim.decoding.streams import StreamKey, plan_stream_keys
from netsim.digests import path_sha256
from netsim.errors import InputError
from netsim.images import ImageItem
from netsim.scenario.plan import Plan

__all__ = ["CHANGED_HINT", "RunContext"]

CHANGED_HINT = "run the same command again: it begins a run with the inputs as they are now"


@dataclass(frozen=True)
class RunContext:
    """A run's plan, codec cache and folder of parts.

    Attributes:
        plan: The plan.
        cache: Streams and qualities, remembered in a store.
        parts: The folder of the parts' files.
    """

    plan: Plan
    cache: CodecCache
    parts: Path

    @cached_property
    def stream_keys(self) -> tuple[StreamKey, ...]:
        """Distinct streams that the plan sends, in plan order."""
        return tuple(plan_stream_keys(self.plan))

    @cached_property
    def streams(self) -> dict[str, StreamKey]:
        """The plan's streams by content address; those of images with the same pixels have one."""
        return {self.cache.key(stream_key): stream_key for stream_key in self.stream_keys}

    @cached_property
    def _images(self) -> dict[str, ImageItem]:
        return {item.sha256: item for item in self.plan.images.items}

    def stream_name(self, stream_key: StreamKey) -> str:
        """The name under which tasks need a stream.

        Args:
            stream_key: The stream.

        Returns:
            ``stream`` and its content address.
        """
        return f"stream {self.cache.key(stream_key)}"

    def image_name(self, stream_key: StreamKey) -> str:
        """The name under which tasks need an image.

        Args:
            stream_key: A stream of the image.

        Returns:
            ``image`` and its hash.
        """
        return f"image {stream_key.image.sha256}"

    def fetch(self, name: str) -> Any:
        """The value of a name that a task needs.

        Args:
            name: From ``stream_name`` or ``image_name``.

        Returns:
            A stream, or pixels: uint8 [H, W, 3].
        """
        kind, _, key = name.partition(" ")
        if kind == "stream":
            return self.cache.encode(self.streams[key])
        return self._images[key].pixels()

    def check_files(self) -> None:
        """Check that the input files are those that the run began with; before a result is kept.

        Raises:
            InputError: One has changed.
        """
        for path, sha256 in self.plan.inputs.files.items():
            if _sha256(path) != sha256:
                raise InputError(f"`{path}` has changed since the run began", hint=CHANGED_HINT)


def _sha256(path: str) -> str | None:
    try:
        return path_sha256(Path(path))
    except OSError:
        return None
