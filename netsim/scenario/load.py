"""Reads a scenario into a plan. Every error says where it stands: file, line, column, key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from netsim.channels.saved import read_channel
from netsim.channels.spec import expand_range
from netsim.control.spec import controller_from_spec
from netsim.errors import InputError, did_you_mean, shortened
from netsim.images import ImageSet, images_from_spec
from netsim.links.profile import link_from_spec, resolved_link
from netsim.metrics.further import check_metric_attributes, check_metric_name
from netsim.paths import check_text
from netsim.published import check_published
from netsim.registry import load_plugin
from netsim.scenario.codec_files import codec_files
from netsim.scenario.document import Document, KeyPath
from netsim.scenario.engine import check_engine, why_not
from netsim.scenario.identity import Placed, adds_nothing, refuse_twins, scheme_identity, with_unique_labels
from netsim.scenario.plan import Control, Plan, PlanRow, PlanRows, Scheme, Written
from netsim.scenario.schema import LOG_ROWS_LIMIT, NAME_LIMIT_BYTES, ScenarioModel
from netsim.scenario.schemes import SchemeGroup, read_schemes
from netsim.shipped import find_scenario

__all__ = ["load_plan", "plan_document"]

_TRIALS, _TRIALS_LIMIT = 100, 100_000


def load_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Read, check and write out a scenario file.

    Args:
        path: A file, or the name of a shipped scenario.
        overrides: ``key.path=value`` assignments.

    Returns:
        The plan; nothing has run.

    Raises:
        InputError: The scenario is missing or faulty; with file, line and column.
    """
    path = find_scenario(path)
    return plan_document(Document.read(path).with_overrides(overrides), base_dir=path.parent, default_name=path.stem)


def plan_document(
    document: Document, base_dir: Path, default_name: str = "scenario", known_files: Mapping[str, str] | None = None
) -> Plan:
    """Check a parsed scenario and write out its grid.

    Args:
        document: The scenario.
        base_dir: Folder at which relative paths in it start.
        default_name: Name of the run where the scenario gives none.
        known_files: ``codec_files`` of an earlier plan of it; they count where they are still there.

    Returns:
        The plan.

    Raises:
        InputError: The scenario is faulty; with the place of the fault.
    """
    model = _checked(document)
    files = codec_files(model.codecs, base_dir, known_files)
    name = model.name or default_name
    with document.standing_at(("name",)):
        _check_name(name)
    channels = _read_channels(document, model.channels, base_dir)
    links = _read_links(document, model.link, base_dir)
    groups = read_schemes(document, model, files)
    choices = _choices(document, model.control, groups)
    rows = _rows(document, model, choices, channels, links)
    written = Written(
        channels={channel.value.name: channel.written for channel in channels},
        links={link.value.name: link.written for link in links},
        protections=_distinct(placed.written for group in groups for placed in group.schemes),
        controls=_distinct(choice.written for choice in choices if choice.control is not None),
        channel_places={channel.value.name: document.where(channel.path) for channel in channels},
    )
    _check_metrics(document, model.metrics)
    with document.standing_at(("published",)):
        check_published(model.published)
    with document.standing_at(("precision",)):
        precision_db = _precision_db(model.precision)
    images, hashes = _read_images(document, model, base_dir)
    trials = model.trials or (_TRIALS if precision_db is None else _TRIALS_LIMIT)
    slots = model.slots or len(images.items)
    if precision_db is None:
        with document.standing_at(("slots",) if model.slots else ("trials",)):
            _check_log_rows(sum(row.engine != "exact" for row in rows), trials, slots)
    return Plan(
        name=name,
        rows=rows,
        images=images,
        image_names=tuple(item.name for item in images.items),
        image_hashes=hashes,
        trials=trials,
        slots=slots,
        seed=model.seed,
        log=model.log,
        metrics=tuple(dict.fromkeys(("psnr_db", *model.metrics))),
        coverage=model.coverage,
        precision_db=precision_db,
        failure_db=model.failure_db,
        resolved=_resolved(model, name, written, images),
        written=written,
        codec_files=files,
    )


def _check_metrics(document: Document, metrics: list[str]) -> None:
    _refuse_namesakes(document, [(("metrics", i), metric) for i, metric in enumerate(metrics)], "metric", "")
    for i, metric in enumerate(metrics):
        with document.standing_at(("metrics", i)):
            check_metric_name(metric)
            check_metric_attributes(metric)


def _read_images(document: Document, model: ScenarioModel, base_dir: Path) -> tuple[ImageSet, tuple[str, ...]]:
    """The images and the digests of their pixels."""
    with document.standing_at(("images",)):
        images = images_from_spec(model.images, base_dir)
        for item in images.items:
            check_text("image", item.name)
        hashes = tuple(item.sha256 for item in images.items)
    for i, metric in enumerate(model.metrics):
        with document.standing_at(("metrics", i)):
            _check_image_sizes(metric, images)
    return images, hashes


def _resolved(model: ScenarioModel, name: str, written: Written, images: ImageSet) -> dict[str, Any]:
    """The scenario as plain data that holds wherever it is read."""
    resolved = model.model_dump() | {
        "name": name,
        "channels": list(written.channels.values()),
        "images": images.spec,
    }
    if model.link is not None:
        links = list(written.links.values())
        resolved["link"] = links if isinstance(model.link, list) else links[0]
    return resolved


def _check_name(name: str) -> None:
    check_text("name", name)
    if len(name.encode()) > NAME_LIMIT_BYTES:
        hint = f"at most {NAME_LIMIT_BYTES} bytes: the run's folder is called after it"
        raise InputError(f"name {shortened(name, 40)!r} has {len(name.encode())} bytes", hint=hint)


def _check_image_sizes(metric: str, images: ImageSet) -> None:
    """Raises InputError where an image is smaller than the metric's ``smallest_side_pixels``, if it has one."""
    least = getattr(load_plugin("metric", metric), "smallest_side_pixels", 1)
    for item in images.items:
        height, width = item.shape
        if min(height, width) < least:
            message = f"image `{item.name}` is too small for {metric}: {width}×{height} pixels"
            raise InputError(message, hint=f"both sides at least {least} pixels; or leave {metric} out")


def _check_log_rows(rows: int, trials: int, slots: int) -> None:
    if rows * trials * slots > LOG_ROWS_LIMIT:
        message = f"{rows:,} rows × {trials:,} trials × {slots:,} slots are {rows * trials * slots:,} rows of the log"
        raise InputError(message, hint=f"at most {LOG_ROWS_LIMIT:,}; several runs may share the trials")


def _checked(document: Document) -> ScenarioModel:
    try:
        return ScenarioModel.model_validate(document.data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a misspelt key lacks, too
        path = tuple(first["loc"])
        path = path[:1] if path[:1] == ("precision",) else path  # of a number or a text; pydantic adds which
        if first["type"] == "extra_forbidden":
            hint = did_you_mean(str(path[-1]), ScenarioModel.model_fields)
            where = document.where(path, at_key=True)
            raise InputError(f"unknown key `{path[-1]}`", where=where, hint=hint) from None
        if first["type"] == "missing":
            where = document.where(())
            raise InputError(f"a scenario needs `{path[-1]}`", where=where, hint=_EXAMPLES[str(path[-1])]) from None
        quoted = shortened(repr(first["input"]), 80)
        message = f"`{quoted}`: {first['msg'][0].lower()}{first['msg'][1:]}"
        raise InputError(message, where=document.where(path), hint=_EXAMPLES.get(str(path[0]), "")) from None


_EXAMPLES = {
    "codecs": "codecs: [{jpeg2000: {bpp: 0.35}}]",
    "channels": "channels: [EP4, {loss_rate: 0.1, mean_burst: 4}]",
    "trials": "trials: 100",
    "seed": "seed: 7",
    "slots": "slots: 24",
    "metrics": "metrics: [psnr_db, ms_ssim]",
    "published": "published: [vtm, bpg]",
    "engine": "engine: auto, event, array, exact or stratified",
    "coverage": "coverage: 0.999",
    "log": "log: slots, or log: packets for a row at each packet's arrival",
    "failure_db": "failure_db: 13.0",
    "precision": "half the width of the 95 % interval: precision: 0.05 dB",
    "name": "a text: name: short burst over GEO",
}


def _precision_db(value: str | float | None) -> float | None:
    """``0.05 dB`` or 0.05 → 0.05."""
    if value is None:
        return None
    try:
        number = float(str(value).removesuffix("dB"))
    except ValueError:
        number = -1.0
    if not 0 < number < math.inf:
        raise InputError(f"precision {value!r}", hint="half the width of the 95 % interval: precision: 0.05 dB")
    return number


@dataclass(frozen=True)
class _Named:
    """A channel or a link: its place, what the scenario writes, and the value."""

    path: KeyPath
    written: Any
    value: Any


def _read_channels(document: Document, specs: list[Any], base_dir: Path) -> list[_Named]:
    found = []
    for i, spec in enumerate(specs):
        path: KeyPath = ("channels", i)
        with document.standing_at(path):
            for one in expand_range(spec) if isinstance(spec, str) else [spec]:
                written, channel = read_channel(one, base_dir)
                check_text("channel", channel.name)
                found.append(_Named(path, written, channel))
    _refuse_namesakes(document, [(one.path, one.value.name) for one in found], "channel")
    return found


def _read_links(document: Document, spec: Any, base_dir: Path) -> list[_Named]:
    several = document.holds_several("link", spec, ("link",))
    found = []
    for i, one in enumerate(spec if several else [spec]):
        path: KeyPath = ("link", i) if several else ("link",)
        with document.standing_at(path):
            written = resolved_link(one, base_dir)
            link = link_from_spec(written, base_dir)
            check_text("link", link.name)
            found.append(_Named(path, written, link))
    _refuse_namesakes(document, [(one.path, one.value.name) for one in found], "link")
    return found


def _refuse_namesakes(
    document: Document,
    named: list[tuple[KeyPath, str]],
    kind: str,
    way_out: str = ", or give it a `name:` of its own",
) -> None:
    entries = [Placed(name, (path,), f"{kind} `{name}`") for path, name in named]
    refuse_twins(document, entries, f"leave one out{way_out}")


@dataclass(frozen=True)
class _Choice:
    """What is sent in a row: schemes to choose among, and the controller; a single scheme where nothing is controlled.

    entry: the place of the codec's entry.
    """

    schemes: tuple[Scheme, ...]
    entry: KeyPath
    control: Control | None = None
    written: Any = None


def _rows(
    document: Document, model: ScenarioModel, choices: list[_Choice], channels: list[_Named], links: list[_Named]
) -> PlanRows:
    of_choices = [
        PlanRow(i, one.schemes, channels[0].value, links[0].value, one.schemes[0].engine or model.engine, one.control)
        for i, one in enumerate(choices)
    ]
    over = (tuple(one.value for one in named) for named in (channels, links))
    rows = PlanRows(with_unique_labels(of_choices), *over)
    for row, choice in zip(rows, cycle(choices), strict=False):
        if why_not(row.engine, row, model.precision is not None):
            first = choice.schemes[0]
            with document.standing_at((*choice.entry, first.codec.name, "engine") if first.engine else ("engine",)):
                check_engine(row.engine, row, model.precision is not None)
    return rows


def _choices(document: Document, control: Any, groups: list[SchemeGroup]) -> list[_Choice]:
    """What is sent, over all groups and controllers: the scenario's, or a codec entry's own.

    Raises:
        InputError: One choice is listed twice: what it delivers would count twice.
    """
    entries: list[tuple[Placed, _Choice]] = []
    common = [group for group in groups if group.control_at is None]
    for spec, at in _controls(document, control, ("control",)):
        entries += [entry for group in common for entry in _choices_of_group(document, group, spec, at)]
    for group in groups:
        if group.control_at is not None:
            for spec, at in _controls(document, group.control, group.control_at):
                entries += _choices_of_group(document, group, spec, at)
    refuse_twins(document, [placed for placed, _ in entries])
    return [choice for _, choice in entries]


def _controls(document: Document, control: Any, at: KeyPath) -> Iterable[tuple[Any, KeyPath]]:
    several = document.holds_several("control", control, at)
    return [(spec, (*at, i)) for i, spec in enumerate(control)] if several else [(control, at)]


def _choices_of_group(
    document: Document, group: SchemeGroup, spec: Any, at: KeyPath
) -> Iterable[tuple[Placed, _Choice]]:
    """Each scheme alone without a controller, else one choice among them all."""
    if spec is None or spec == "none":
        for placed in group.schemes:
            scheme = placed.scheme
            same = ", the same as without parity," if adds_nothing(scheme.protection) else ""
            called = f"scheme `{scheme.label}` at {scheme.operating_point}{same}"
            twin = Placed(scheme_identity(scheme), (*placed.places, at), called)
            yield twin, _Choice((scheme,), placed.places[0])
        return
    schemes = tuple(placed.scheme for placed in group.schemes)
    with document.standing_at(at):
        controller = controller_from_spec(spec, [scheme.protection for scheme in schemes])
    text = json.dumps(spec, sort_keys=True, default=str)
    entry, _, point, _ = group.schemes[0].places
    called = f"control `{controller.name}` of {schemes[0].label} at {schemes[0].operating_point}"
    settings = repr(controller) if is_dataclass(controller) else text
    identity = json.dumps([[scheme_identity(scheme) for scheme in schemes], settings])
    control = Control(controller, text, _control_settings(spec))
    yield Placed(identity, (entry, point, at), called), _Choice(schemes, entry, control, spec)


def _control_settings(spec: Any) -> tuple[tuple[str, str], ...]:
    settings = next(iter(spec.values())) if isinstance(spec, Mapping) else None
    return tuple((key, str(value)) for key, value in settings.items()) if isinstance(settings, Mapping) else ()


def _distinct(written: Iterable[Any]) -> tuple[Any, ...]:
    return tuple({json.dumps(one, sort_keys=True, default=str): one for one in written}.values())
