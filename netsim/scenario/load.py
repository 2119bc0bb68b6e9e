"""Reads a scenario into a plan. Every error says where it stands: file, line, column, key."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from netsim.channels.spec import channel_from_spec, expand_range
from netsim.codec import Codec, codec_class, create_codec
from netsim.control.spec import controller_from_spec
from netsim.decoding.budget import SENT_BPP
from netsim.errors import InputError, did_you_mean, shortened
from netsim.images import ImageSet, images_from_spec
from netsim.links.profile import link_from_spec
from netsim.metrics.further import check_metric_name
from netsim.paths import check_text, user_path
from netsim.protection.spec import protection_from_spec
from netsim.published import check_published
from netsim.registry import load_plugin
from netsim.scenario.document import Document, KeyPath
from netsim.scenario.engine import Condition, check_engine
from netsim.scenario.identity import Placed, refuse_twins, scheme_identity, with_unique_labels
from netsim.scenario.plan import CodecSpec, Plan, PlanRow, SchemeSpec
from netsim.scenario.schema import ENGINES, LOG_ROWS_LIMIT, NAME_LIMIT_BYTES, ScenarioModel
from netsim.shipped import find_scenario
from netsim.text import number_text

__all__ = ["load_plan", "plan_document"]

_TRIALS, _TRIALS_LIMIT = 100, 100_000
_POINT_LIMIT = 1e9  # far above every operating point; NaN is not below it


def load_plan(path: Path, overrides: Sequence[str] = ()) -> Plan:
    """Read, check and write out a scenario file.

    Args:
        path: A file, or the name of a shipped scenario.
        overrides: ``key.path=value`` assignments.

    Raises:
        InputError: The scenario is missing or faulty; with file, line and column.
    """
    path = find_scenario(path)
    return plan_document(Document.read(path).with_overrides(overrides), base_dir=path.parent, default_name=path.stem)


def plan_document(document: Document, base_dir: Path, default_name: str = "scenario") -> Plan:
    """Check a parsed scenario and write out its grid. base_dir: relative paths in it start here."""
    model = _checked(document)
    name = model.name or default_name
    with _standing_at(document, ("name",)):
        _check_name(name)
    placed = _channel_specs(document, model.channels)
    channels = [(i, _read_channel(document, i, spec, base_dir)) for i, spec in placed]
    _refuse_namesakes(document, [(("channels", i), name) for i, (_, name) in channels], "channel")
    links = list(_read_links(document, model.link))
    schemes = _read_schemes(document, model)
    rows = _rows(document, model, schemes, [channel for _, channel in channels], links)
    _refuse_namesakes(document, [(("metrics", i), metric) for i, metric in enumerate(model.metrics)], "metric", "")
    for i, metric in enumerate(model.metrics):
        with _standing_at(document, ("metrics", i)):
            check_metric_name(metric)
            load_plugin("metric", metric)
    with _standing_at(document, ("published",)):
        check_published(model.published)
    with _standing_at(document, ("precision",)):
        precision_db = _precision_db(model.precision)
    with _standing_at(document, ("images",)):
        images: ImageSet = images_from_spec(model.images, base_dir)
        for item in images.items:
            check_text("image", item.name)
        hashes = tuple(item.sha256 for item in images.items)
    for i, metric in enumerate(model.metrics):
        with _standing_at(document, ("metrics", i)):
            _check_image_sizes(metric, images)
    trials = model.trials or (_TRIALS if precision_db is None else _TRIALS_LIMIT)
    slots = model.slots or len(images.items)
    if precision_db is None:
        with _standing_at(document, ("slots",) if model.slots else ("trials",)):
            _check_log_rows(sum(row.engine != "exact" for row in rows), trials, slots)
    resolved = model.model_dump() | {
        "name": name,
        "channels": [spec for _, (spec, _) in channels],
        "images": images.spec,
    }
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
        resolved=resolved,
    )


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


@contextmanager
def _standing_at(document: Document, path: KeyPath) -> Any:
    """Errors raised inside get the file, line and column of ``path`` and the key that they name below it."""
    try:
        yield
    except InputError as error:
        if error.where:
            raise
        raise error.at(document.where((*path, *error.key))) from None


def _checked(document: Document) -> ScenarioModel:
    try:
        return ScenarioModel.model_validate(document.data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a misspelt key lacks, too
        path = tuple(first["loc"])
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


def _channel_specs(document: Document, specs: list[Any]) -> Iterable[tuple[int, Any]]:
    for i, spec in enumerate(specs):
        with _standing_at(document, ("channels", i)):
            expanded = expand_range(spec) if isinstance(spec, str) else [spec]
        yield from ((i, one) for one in expanded)


def _read_channel(document: Document, i: int, spec: Any, base_dir: Path) -> tuple[Any, str]:
    with _standing_at(document, ("channels", i)):
        spec = _absolute_traces(spec, base_dir)
        name = channel_from_spec(spec, base_dir).name
        check_text("channel", name)
        return spec, name


def _absolute_traces(spec: Any, base_dir: Path) -> Any:
    """A worker reads a trace from elsewhere than the scenario's folder."""
    if isinstance(spec, Mapping) and isinstance(spec.get("trace"), str):
        return {**spec, "trace": str(user_path(spec["trace"], base_dir).resolve())}
    if isinstance(spec, Mapping) and isinstance(spec.get("switch"), list):
        return {**spec, "switch": [_absolute_traces(one, base_dir) for one in spec["switch"]]}
    return spec


def _read_links(document: Document, spec: Any) -> Iterable[tuple[Any, str]]:
    several = _is_list("link", spec, document, ("link",))
    found = []
    for i, one in enumerate(spec if several else [spec]):
        path: KeyPath = ("link", i) if several else ("link",)
        with _standing_at(document, path):
            link = link_from_spec(one)
            check_text("link", link.name)
            found.append((path, one, link.name))
    _refuse_namesakes(document, [(path, name) for path, _, name in found], "link")
    return [(one, name) for _, one, name in found]


def _refuse_namesakes(
    document: Document,
    named: list[tuple[KeyPath, str]],
    kind: str,
    way_out: str = ", or give it a `name:` of its own",
) -> None:
    entries = [Placed(name, (path,), f"{kind} `{name}`") for path, name in named]
    refuse_twins(document, entries, f"leave one out{way_out}")


_PlacedScheme = tuple[SchemeSpec, tuple[KeyPath, ...]]


def _read_schemes(document: Document, model: ScenarioModel) -> list[list[_PlacedScheme]]:
    """Per codec entry and operating point: its schemes, one per protection, each with the places that name it."""
    groups = []
    list(_read_protections(document, model.protection, ("protection",)))  # an error counts where no codec uses it
    for i, entry in enumerate(model.codecs):
        path: KeyPath = ("codecs", i)
        with _standing_at(document, path):
            name, parameters = _named(entry)
        inner: KeyPath = (*path, name) if isinstance(entry, Mapping) else path
        protection = model.protection
        at: KeyPath = ("protection",)
        if "protection" in parameters:
            protection, at = parameters.pop("protection"), (*inner, "protection")
        with _standing_at(document, path):
            kind = codec_class(name)
        with _standing_at(document, (*inner, "engine")):
            engine = _engine(parameters.pop("engine", None))
        with _standing_at(document, inner):
            choices = _settings_to_choose(parameters)
            points = _points_of_choices(kind, parameters, choices)
            create_codec(name, parameters)
        if all("protection" in choice for choice in choices) and at != ("protection",):
            hint = "leave it out, or a choice's own"
            raise InputError("each choice has a protection of its own", where=document.where(at), hint=hint)
        shared = list(_read_protections(document, protection, at))
        for at_point in range(len(points[0])):
            group: list[_PlacedScheme] = []
            for number, choice in enumerate(choices):
                here: KeyPath = (*inner, "choices", number) if choice else inner
                own = "protection" in choice
                known = (
                    list(_read_protections(document, choice["protection"], (*here, "protection"))) if own else shared
                )
                if own and isinstance(choice["protection"], list):
                    message, place = "a choice is one way to send", document.where((*here, "protection"))
                    raise InputError(message, where=place, hint="a choice for each protection")
                value_key, value = points[number][at_point]
                settings = {key: of for key, of in choice.items() if key not in ("protection", value_key)}
                chosen = {**parameters, **settings}
                for of_protection, (spec, read) in enumerate(known):
                    with _standing_at(document, here):
                        asked, codec = (
                            create_codec(name, settings)
                            for settings in (chosen, _with_data_packets(kind, chosen, read))
                        )
                        check_text("codec", codec.label)
                    scheme = SchemeSpec(_codec_spec(codec), value_key, value, spec, read.name, engine, _settings(asked))
                    places = (path, (*inner, "choices", number), (*inner, value_key, at_point), (*at, of_protection))
                    group.append((scheme, places))
            groups.append(group)
    return groups


def _settings_to_choose(parameters: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Takes a codec entry's `choices` out of its parameters: settings in which the ways to send differ."""
    choices = parameters.pop("choices", [{}])
    if not isinstance(choices, list) or not choices or not all(isinstance(one, Mapping) for one in choices):
        raise InputError(f"choices {choices!r}", hint="a list of settings: choices: [{mode: LC}, {mode: ISC}]")
    return choices


def _named(entry: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if isinstance(entry, Mapping) and len(entry) == 1:
        name, parameters = next(iter(entry.items()))
        if parameters is None or isinstance(parameters, Mapping):
            return name, dict(parameters or {})
    raise InputError(f"`{entry!r}` is no codec", hint="a name with its settings: `- vvc: {qp: 37}`")


_Points = list[tuple[str, float]]


def _points_of_choices(
    codec: type[Codec], parameters: dict[str, Any], choices: Sequence[Mapping[str, Any]]
) -> list[_Points]:
    """The operating points of each choice: the entry's, or its own; equally many for all, since they go together.

    Takes the entry's own out of its parameters.
    """
    keys = _point_keys(codec)
    own = [[key for key in keys if key in choice] for choice in choices]
    if not any(own):
        return [_operating_points(codec, parameters)] * len(choices)
    for key in keys:
        if key in parameters:
            message = f"codec {codec.name} has `{key}`, and so have its choices"
            raise InputError(message, hint="one operating point for all choices, or one in each", key=(key,))
    found: list[_Points] = []
    for number, choice in enumerate(choices):
        try:
            found.append(_operating_points(codec, dict(choice)))
        except InputError as error:
            raise InputError(error.message, hint=error.hint, key=("choices", number, *error.key)) from None
        if len(found[number]) != len(found[0]):
            counts = f"{len(found[0])} and {len(found[number])} operating points"
            hint = "the first of each are one group, then the second, …: equally many in each"
            raise InputError(f"choices have {counts}", hint=hint, key=("choices", number))
    return found


def _point_keys(codec: type[Codec]) -> dict[str, type]:
    """Keys that may set the rate: the codec's own, and with ``bpp`` also that of all that is sent."""
    further = {SENT_BPP: float} if "bpp" in codec.operating_point_keys else {}
    return {**codec.operating_point_keys, **further}


def _operating_points(codec: type[Codec], parameters: dict[str, Any]) -> _Points:
    """Takes the operating point's key out of a codec's parameters and writes out its values."""
    point_keys = _point_keys(codec)
    keys = [key for key in point_keys if key in parameters]
    if len(keys) != 1:
        known = " or ".join(f"`{key}`" for key in point_keys)
        what = f"both {' and '.join(keys)}" if keys else "no operating point"
        raise InputError(f"codec {codec.name} has {what}", hint=f"give {known}: one value or a list")
    key = keys[0]
    value = parameters.pop(key)
    values = value if isinstance(value, list) else [value]
    kind = point_keys[key]
    for i, one in enumerate(values):
        at: KeyPath = (key, i) if isinstance(value, list) else (key,)
        number = isinstance(one, int | float) and not isinstance(one, bool)
        finite = number and abs(one) < _POINT_LIMIT
        if not finite or (kind is int and one != int(one)):
            word = "a whole number" if kind is int else "a number"
            raise InputError(f"{key} = {one!r} is not {word}", hint=f"{key}: {'37' if kind is int else '0.35'}", key=at)
        _check_limits(codec, key, one, at)
        if one < 0 or (key in ("bpp", SENT_BPP) and one == 0):
            raise InputError(f"negative rate: {key} = {one!r}" if one < 0 else f"{key} = 0", hint="above zero", key=at)
    if not values:
        raise InputError(f"{key} is an empty list", key=(key,))
    return [(key, float(one)) for one in values]


def _check_limits(codec: type[Codec], key: str, value: float, at: KeyPath) -> None:
    low, high = codec.point_limits.get(key, (0, _MOST_BPP if key in ("bpp", SENT_BPP) else _POINT_LIMIT))
    if value > high or (value < low and value >= 0):
        message = f"codec {codec.name} has no {key} {number_text(value)}"
        raise InputError(message, hint=f"{key} is from {low:g} to {high:g}", key=at)


_MOST_BPP = 24.0  # an RGB image as it is


def _engine(asked: Any) -> str:
    """A codec's own engine; empty: the scenario's."""
    if asked is not None and asked not in ENGINES:
        raise InputError(f"no engine `{asked}`", hint=did_you_mean(str(asked), ENGINES))
    return asked or ""


def _read_protections(document: Document, spec: Any, at: KeyPath) -> Iterable[tuple[Any, Any]]:
    several = _is_list("protection", spec, document, at)
    for i, one in enumerate(spec if several else [spec]):
        with _standing_at(document, (*at, i) if several else at):
            yield one, protection_from_spec(one)


def _is_list(key: str, spec: Any, document: Document, at: KeyPath) -> bool:
    """Whether a key has several values. Raises InputError where it has none."""
    if isinstance(spec, list) and not spec:
        hint = f"one value or several; or no `{key}`"
        raise InputError(f"{key} is an empty list", where=document.where(at), hint=hint)
    return isinstance(spec, list)


def _with_data_packets(codec: type[Codec], parameters: dict[str, Any], protection: Any) -> dict[str, Any]:
    """`packets` counts what is sent: under FEC the codec makes fewer data packets."""
    if "packets" not in codec.Settings.model_fields:
        return parameters
    packets = parameters.get("packets", codec.Settings.model_fields["packets"].default)
    return {**parameters, "packets": protection.data_packets(packets)}


def _codec_spec(codec: Codec) -> CodecSpec:
    settings = _settings(codec)
    return CodecSpec(codec.name, settings, codec.label, str(dict(settings).get("mode", "")))


def _settings(codec: Codec) -> tuple[tuple[str, Any], ...]:
    """All settings as plain values that can be hashed."""
    return tuple((key, _hashable(value)) for key, value in codec.settings.model_dump(mode="json").items())


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value


def _rows(
    document: Document,
    model: ScenarioModel,
    schemes: list[list[_PlacedScheme]],
    channels: list[tuple[Any, str]],
    links: list[tuple[Any, str]],
) -> tuple[PlanRow, ...]:
    choices = list(_choices(document, model.control, schemes))
    conditions = [(c, li, choice) for c in channels for li in links for choice in choices]
    chains = {channel_name: channel_from_spec(channel) for channel, channel_name in channels}
    rows = []
    for i, ((channel, channel_name), (link, link_name), (choice, control, control_name, entry)) in enumerate(
        conditions
    ):
        engine = choice[0].engine or model.engine
        protections = tuple(protection_from_spec(scheme.protection) for scheme in choice)
        condition = Condition(
            chains[channel_name], link_from_spec(link), protections, control is not None, model.precision is not None
        )
        with _standing_at(document, (*entry, choice[0].codec.name, "engine") if choice[0].engine else ("engine",)):
            check_engine(engine, condition)
        rows.append(PlanRow(i, choice, channel, channel_name, link, link_name, engine, control, control_name))
    return with_unique_labels(rows)


_Choice = tuple[tuple[SchemeSpec, ...], Any, str, KeyPath]


def _choices(document: Document, control: Any, groups: list[list[_PlacedScheme]]) -> Iterable[_Choice]:
    """(schemes to choose among, control, its name, the codec's entry): single schemes where nothing is controlled.

    Raises InputError where one choice stands twice: what it delivers would be counted twice.
    """
    found: list[_Choice] = []
    entries: list[Placed] = []
    several = _is_list("control", control, document, ("control",))
    for i, spec in enumerate(control if several else [control]):
        at: KeyPath = ("control", i) if several else ("control",)
        if spec is None or spec == "none":
            for scheme, places in (placed for group in groups for placed in group):
                called = f"scheme `{scheme.label}` at {scheme.operating_point}"
                entries.append(Placed(scheme_identity(scheme), (*places, at), called))
                found.append(((scheme,), None, "", places[0]))
            continue
        for group in groups:
            schemes = tuple(scheme for scheme, _ in group)
            with _standing_at(document, at):
                controller = controller_from_spec(spec, [protection_from_spec(s.protection) for s in schemes])
            settings = repr(controller) if is_dataclass(controller) else json.dumps(spec, sort_keys=True, default=str)
            identity = json.dumps([[scheme_identity(one) for one in schemes], settings])
            entry, _, point, _ = group[0][1]
            called = f"control `{controller.name}` of {schemes[0].label} at {schemes[0].operating_point}"
            entries.append(Placed(identity, (entry, point, at), called))
            found.append((schemes, spec, controller.name, entry))
    refuse_twins(document, entries)
    return found
