"""The keys of a scenario: names, types, defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ENGINES", "LOG_ROWS_LIMIT", "NAME_LIMIT_BYTES", "ScenarioModel"]

Engine = Literal["auto", "event", "array", "exact", "stratified"]
ENGINES: tuple[str, ...] = get_args(Engine)

NAME_LIMIT_BYTES = 200
"""Longest name in UTF-8: it is a folder's, of at most 255 bytes, with a number behind it."""

SEED_LIMIT = 2**63 - 1  # the log holds it as a signed 64-bit integer
SLOTS_LIMIT = 1_000_000
TRIALS_LIMIT = 10_000_000
LOG_ROWS_LIMIT = 1_000_000_000
"""Most rows of a log: tens of gigabytes."""


class ScenarioModel(BaseModel):
    """A scenario as written. Parts with a language of their own (codecs, channels, …) are read by their readers.

    trials: 100 if not given; with ``precision`` the limit, 100,000 if not given.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=1, pattern=r"\S")] | None = None
    images: Any = "samples"
    codecs: Annotated[list[Any], Field(min_length=1)]
    protection: Any = "none"
    channels: Annotated[list[Any], Field(min_length=1)]
    link: Any = None
    control: Any = None
    engine: Engine = "auto"
    coverage: Annotated[float, Field(gt=0, le=1)] = 0.999
    trials: Annotated[int, Field(ge=1, le=TRIALS_LIMIT)] | None = None
    precision: str | float | None = None
    slots: Annotated[int, Field(ge=1, le=SLOTS_LIMIT)] | None = None
    seed: Annotated[int, Field(ge=0, le=SEED_LIMIT)] = 0
    log: Literal["slots", "packets"] = "slots"
    metrics: Annotated[list[str], Field(min_length=1)] = ["psnr_db"]
    failure_db: Annotated[float, Field(allow_inf_nan=False)] = 13.0
