"""The report's text and tables, made from a summary and a manifest."""

from __future__ import annotations

import base64
import hashlib
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from netsim.errors import InputError
from netsim.report.inline import inline_svg
from netsim.scenario.schema import WEIGHTED_ENGINES
from netsim.text import counted_range

if TYPE_CHECKING:
    import pandas as pd

    from netsim.report.slots import SlotSection

__all__ = ["OF_ALL_SENT", "FigureText", "Table", "report_html"]


class FigureText(NamedTuple):
    """A figure for the page: its SVG, or (svg None) why there is none."""

    name: str
    title: str
    svg: bytes | None
    reason: str


class Table(NamedTuple):
    """A table of text. rows: cells, and whether a group begins there. text_columns: those that are set flush left.

    notes: sentences below it.
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[tuple[str, ...], bool]]
    text_columns: tuple[int, ...]
    notes: tuple[str, ...] = ()


def report_html(
    summary: pd.DataFrame,
    manifest: Mapping[str, Any],
    figures: Sequence[FigureText],
    range_bpp: tuple[float, float],
    slots: SlotSection | None = None,
    channels: Table | None = None,
) -> str:
    """The report as one HTML page that refers to nothing outside itself.

    Text from the run is escaped, and the page's policy lets no script run but the report's own.

    Args:
        summary: From ``summarise``.
        manifest: The run's (``name, scenario, plan, engine, seed, versions, tools, git, device, command, created,
            notes, run_id``, each optional).
        figures: In the order of the page.
        range_bpp: Rates over which schemes are ranked.
        slots: Images of slots; None: no such section.
        channels: Facts of the channels; None: no such section.

    Returns:
        HTML.
    """
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    from netsim.figures.select import with_condition

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template, script = environment.from_string(_part("report.html.j2")), _part("report.js")
    frame = with_condition(summary)
    drawn = [(one, Markup(inline_svg(one.svg, one.name, one.title)) if one.svg is not None else "") for one in figures]
    return template.render(
        style=Markup(_part("report.css")),
        script=Markup(script),
        policy=_policy(script),
        slots=slots,
        channels=channels,
        name=str(manifest.get("name", "run")),
        lead=_lead(frame, manifest),
        best=_best(summary, *range_bpp, channels is not None),
        notes=[str(note) for note in manifest.get("notes", [])],
        figures=drawn,
        tables=[_table(str(name), part) for name, part in frame.groupby("condition", sort=False)],
        reading=_reading(frame),
        facts=_facts(manifest),
        images=[(name, str(digest)) for name, digest in manifest.get("plan", {}).get("images", {}).items()],
        tools=[(name, _yaml(about)) for name, about in manifest.get("tools", {}).items()],
        command=_command(manifest),
        scenario=_yaml(manifest.get("scenario", {})),
    )


def _part(name: str) -> str:
    return (files("netsim.report") / name).read_text(encoding="utf-8")


def _policy(script: str) -> str:
    """Content-Security-Policy of the page: nothing from outside, and this script alone."""
    own = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{own}'"


def _lead(frame: pd.DataFrame, manifest: Mapping[str, Any]) -> str:
    counts = [
        _many(frame["scheme"].nunique(), "scheme"),
        _many(frame["condition"].nunique(), "channel"),
        _many(int(frame["images"].max()), "image"),
    ]
    sampled = frame[~frame["engine"].isin(WEIGHTED_ENGINES)]
    how = []
    if len(sampled):
        how.append(f"{counted_range(sampled['trials'], 'trial')}, {int(sampled['slots'].sum()):,} slots in all")
    if (frame["engine"] == "stratified").any():  # its trials are replicates, its slots decoded masks
        how.append("stratified: a sample of the masks")
    if not how:
        how.append("exact: no sampling")
    engine = ", ".join(frame["engine"].unique())
    return f"{' × '.join(counts)}; {'; '.join(how)}; {engine} engine"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _best(summary: pd.DataFrame, low_bpp: float, high_bpp: float, with_channels: bool) -> Table | None:
    """The best scheme of each channel over a range of rates, and the next one."""
    from netsim.figures.radar import MARK_TEXTS, left_out, marks, numbers
    from netsim.figures.select import with_condition

    try:
        means = numbers(summary, low_bpp, high_bpp)
    except InputError:  # no scheme has a point in the range
        return None
    rows = []
    loss = with_condition(summary).groupby("condition", sort=False)["loss_rate"].mean()
    marked = marks(means)
    for condition, part in means.groupby("condition", sort=False):
        ranked = part.dropna(subset="psnr_db").sort_values("psnr_db", ascending=False, kind="stable")
        if ranked.empty:
            continue
        first = ranked.iloc[0]
        cells = [str(condition), _percent(loss[condition])]
        cells += [_ranked(first, marked), _interval(first, "psnr_db", "psnr", 2)]
        if len(ranked) > 1:
            second = ranked.iloc[1]
            apart = first["psnr_low"] > second["psnr_high"]
            cells += [_ranked(second, marked), _interval(second, "psnr_db", "psnr", 2)]
            cells += ["apart" if apart else "overlap"]
        else:
            cells += ["–", "–", "–"]
        rows.append((tuple(cells), False))
    head = ("channel", "packets lost", "best", "mean PSNR, dB", "next", "mean PSNR, dB", "intervals")
    seen = set(marked.values())
    notes = [f"Packets lost: {OF_ALL_SENT}.{_OWN_RATE if with_channels else ''}"]
    notes += [text for mark, text in MARK_TEXTS.items() if mark in seen]
    if (means["kind"] == "point").any() and "‡" not in seen:
        notes.append("Each scheme has one operating point there, taken as it is: their rates differ.")
    omitted = left_out(means)
    notes += ["Left out, as outside the range: " + ", ".join(omitted) + "."] if omitted else []
    title = f"Best scheme per channel, {low_bpp:.3g}–{high_bpp:.3g} bit/pixel"
    return Table(title, head, rows, (0, 2, 4), tuple(notes))


OF_ALL_SENT = "of all packets sent, also those that are never lost; mean over schemes"
_OWN_RATE = " A channel's own loss rate stands below, under Channels."


def _ranked(row: pd.Series[Any], marked: Mapping[str, str]) -> str:
    """A scheme's name with its mark, and its own rates where it does not cover the range."""
    name = str(row["scheme"]) + marked.get(str(row["scheme"]), "")
    if row["kind"] == "range":
        return name
    rates = dict.fromkeys(f"{row[end]:.3g}" for end in ("from_bpp", "to_bpp"))
    return f"{name} ({'–'.join(rates)})"


def _table(condition: str, part: pd.DataFrame) -> Table:
    """One channel's schemes, the best mean over its points first, and their operating points by rate."""
    level = part.groupby("scheme", sort=False)["psnr_db"].transform("mean")
    order = part.assign(level=-level).sort_values(["level", "scheme", "bpp"], kind="stable").index
    part = part.loc[order]
    several = len(part) > part["scheme"].nunique()
    late = bool((part["late_rate"] + part["dropped_rate"]).max() > 0)
    further = [name.removesuffix("_received") for name in part.columns if name.endswith("_received")]
    head = ["scheme", "operating point", "bit/pixel", "mean PSNR, dB", "where shown, dB", "failure ratio"]
    head += ["packets lost", *(["late or dropped"] if late else []), *(_NAMES.get(name, name) for name in further)]
    head += ["variance over trials, dB²"]
    rows = []
    above = None
    for _, row in part.iterrows():
        cells = [str(row["scheme"]), str(row["operating_point"]), f"{row['bpp']:.3f}"]
        cells += [_interval(row, "psnr_db", "psnr", 2), _number(row["psnr_received_db"], 2)]
        cells += [_interval(row, "failure_ratio", "failure", 4), _percent(row["loss_rate"])]
        cells += [_percent(row["late_rate"] + row["dropped_rate"])] if late else []
        cells += [_further(row, name) for name in further]
        cells += [_number(row["psnr_variance_over_trials"], 3)]
        rows.append((tuple(cells), above is not None and row["scheme"] != above and several))
        above = row["scheme"]
    return Table(condition, tuple(head), rows, (0, 1))


_NAMES = {"ms_ssim": "MS-SSIM"}


def _further(row: pd.Series[Any], metric: str) -> str:
    """A further metric: its mean, or where it does not say what a failed image counts as, its mean where shown."""
    if metric in row.index:
        return _interval(row, metric, metric, 4)
    return f"{_number(float(row[f'{metric}_received']), 4)} where shown"


def _interval(row: pd.Series[Any], value: str, stem: str, digits: int) -> str:
    middle, low, high = (float(row[name]) for name in (value, f"{stem}_low", f"{stem}_high"))
    if math.isnan(low) or math.isnan(high):
        return f"{_number(middle, digits)} [?]"
    if row["engine"] == "exact" and high - low < 1e-9:
        return f"{middle:.2e}" if 0 < middle < 10**-digits else f"{middle:.{digits}f}"
    return f"{_number(middle, digits)} [{_number(low, digits)}, {_number(high, digits)}]"


def _number(value: float, digits: int) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def _percent(value: float) -> str:
    return "–" if math.isnan(value) else f"{100 * value:.2f} %"


def _reading(frame: pd.DataFrame) -> list[str]:
    sentences = [
        f"A slot without an image counts as {frame['failure_db'].iloc[0]:g} dB in mean PSNR; the log keeps it empty.",
        "Bit/pixel is all that was sent, parity and protected packets included.",
        "Means over images are means of dB. PSNR is on 8-bit RGB.",
    ]
    if not frame["engine"].isin(WEIGHTED_ENGINES).all():
        sentences.append(
            "[low, high] is a 95 % interval over the channel's randomness, for these images: t over the trials' means "
            "for PSNR, Clopper–Pearson on the effective sample for the failure ratio, so that slots of one trial do "
            "not count as independent. [?]: too little was sampled to say."
        )
    if (frame["engine"] == "stratified").any():
        sentences.append(
            "Stratified engine: [low, high] is a 95 % interval over the sampling of masks, not over trials."
        )
    if (frame["engine"] == "exact").any():
        sentences.append(
            "Exact engine: weighted sums over all loss patterns; [low, high] there bounds what was not decoded."
        )
    return sentences


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("run", manifest.get("run_id")),
        ("made", manifest.get("created")),
        ("engine", "; ".join(manifest.get("engines", [])) or manifest.get("engine")),
        ("precision", "; ".join(manifest.get("precision", []))),
        ("seed", manifest.get("seed")),
        ("plan", _pairs(manifest.get("plan", {}), leave="images")),
        ("git", manifest.get("git")),
        ("versions", _pairs(manifest.get("versions", {}))),
        ("device", _pairs(manifest.get("device", {}))),
    ]
    return [(name, str(value)) for name, value in facts if value not in (None, "")]


def _pairs(mapping: Mapping[str, Any], leave: str = "") -> str:
    """``a 1, b 2``, without what is empty.

    >>> _pairs({"numpy": "1.26.4", "torch": None})
    'numpy 1.26.4'
    """
    return ", ".join(f"{key} {value}" for key, value in mapping.items() if value is not None and key != leave)


def _command(manifest: Mapping[str, Any]) -> str:
    command = manifest.get("command", "")
    return shlex.join(map(str, command)) if isinstance(command, Iterable) and not isinstance(command, str) else command


def _yaml(value: Any) -> str:
    from ruamel.yaml import YAML

    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style = False
    writer.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    writer.allow_unicode = True
    writer.width = 100
    out = StringIO()
    writer.dump(value, out)
    return out.getvalue()
