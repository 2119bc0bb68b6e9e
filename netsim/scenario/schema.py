"""The keys of a scenario: names, types, defaults."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["ENGINES", "LOG_ROWS_LIMIT", "NAME_LIMIT_BYTES", "WEIGHTED_ENGINES", "ScenarioModel"]

Engine = Literal["auto", "event", "array", "exact", "stratified"]
ENGINES: tuple[str, ...] = get_args(Engine)

WEIGHTED_ENGINES = ("exact", "stratified")
"""Engines whose rows of the log are weighted outcomes, not slots one after the other."""

NAME_LIMIT_BYTES = 200
"""Longest name in UTF-8: it is a folder's, of at most 255 bytes, with a number behind it."""

SEED_LIMIT = 2**63 - 1  # the log holds it as a signed 64-bit integer
SLOTS_LIMIT = 1_000_000
TRIALS_LIMIT = 10_000_000
FAILURE_DB_LIMIT = 1000.0  # variances of greater numbers lose all digits, or are infinite
LOG_ROWS_LIMIT = 1_000_000_000
"""Most rows of a log: tens of gigabytes."""


class ScenarioModel(BaseModel):
    """A scenario as written. Parts with a language of their own (codecs, channels, …) are read by their readers.

    trials: 100 if not given; with ``precision`` the limit, 100,000 if not given.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str | None, Field(min_length=1, pattern=r"\S")] = Field(
        default=None, description="Name of the run's folder. Default: the file's name."
    )
    images: Any = Field(
        default="samples",
        description="`samples`, `{samples: [astronaut, coffee]}`, a folder, `kodak`, or `{folder: path, limit: 4}`.",
    )
    codecs: list[Any] = Field(
        min_length=1,
        description="Codecs with their settings and operating points, e.g. `- vvc: {qp: [32, 37]}`. `protection`, "
        "`engine` and `choices` inside an entry hold for that entry alone.",
    )
    protection: Any = Field(
        default="none",
        description="`none`, `{reed-solomon: 30%}` (share of what is sent), `{reed-solomon: [10, 7]}` (n, k), "
        "`{repeat: {packets: [1]}}`, `{arq: {retries: 2}}`, a plug-in, or a list of these.",
    )
    channels: list[Any] = Field(
        min_length=1, description="Presets (`EP4`, `EP3-released`, `EP1..EP6`), parameters, matrices, or traces."
    )
    link: Any = Field(
        default=None,
        description="`ideal`, `geo`, `wlan`, `mobile`, one of them with some numbers changed, or a list. Default: "
        "`ideal`.",
    )
    control: Any = Field(
        default=None,
        description="A controller chooses among the protections, or an entry's `choices`, from slot to slot: "
        "`{previous-interval: {interval_slots: 10, factor: 2}}`. A list compares several, `none` among them. A codec's "
        "entry may have its own.",
    )
    engine: Engine = Field(default="auto", description="How receptions are found. `auto` decides for each scheme.")
    coverage: float = Field(
        default=0.999,
        gt=0,
        le=1,
        description="Share of the probability that the exact engine covers where there are too many masks.",
    )
    trials: Annotated[int | None, Field(ge=1, le=TRIALS_LIMIT)] = Field(
        default=None,
        description="Realisations of the channel. Each runs on through all slots. Default: 100. With `precision` it is "
        "the limit, by default 100,000.",
    )
    precision: str | float | None = Field(
        default=None,
        description="Sampling goes on until both ends of every mean PSNR's 95 % interval are this near: `0.05 dB`.",
    )
    slots: Annotated[int | None, Field(ge=1, le=SLOTS_LIMIT)] = Field(
        default=None,
        description="Slots of a trial. Slot *s* shows image *s* mod (number of images). Default: one per image.",
    )
    seed: int = Field(default=0, ge=0, le=SEED_LIMIT, description="Seed of all random streams.")
    log: Literal["slots", "packets"] = Field(
        default="slots", description="Rows of the log: one per slot, or one more at each packet's arrival."
    )
    metrics: list[str] = Field(
        default=["psnr_db"],
        min_length=1,
        description="`psnr_db` (always measured), `ms_ssim`, or a metric of your own.",
    )
    failure_db: float = Field(
        default=13.0,
        ge=-FAILURE_DB_LIMIT,
        le=FAILURE_DB_LIMIT,
        allow_inf_nan=False,
        description="PSNR with which an image that could not be decoded counts in means.",
    )
    published: list[str] = Field(
        default=[],
        description="Published curves that the run's rate–distortion figure also draws: `[vtm, bpg]`.",
    )
