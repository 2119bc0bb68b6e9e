"""What counts how much when a channel-progressive method is trained."""

from __future__ import annotations

from dataclasses import dataclass, fields

from netcodecs.training.core.settings import check_setting

__all__ = ["Emphasis"]


@dataclass(frozen=True)
class Emphasis:
    """What counts how much in training.

    Raises InputError for a share that is none.

    Attributes:
        balance: Exponent of (.0067 / λ), by which an image's loss is weighted: high λ have large losses, which would
            decide everything.
        whole_share: Share of images that keep their tail. ProgDTD has none: then images of a few channels, whose error
            is ten times as large, decide what is learned, and after 1,000 steps the whole image was .7 dB worse than
            before.
        lossless_share: Share of the uniform model's images that lose nothing; half in the release, the paper leaves
            it out.
    """

    balance: float = 0.4
    whole_share: float = 0.5
    lossless_share: float = 0.5

    def __post_init__(self) -> None:
        for field in fields(self):
            check_setting(field.name, getattr(self, field.name))
