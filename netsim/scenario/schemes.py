"""Reads the codec entries of a scenario: codecs, operating points, choices and protections become schemes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netsim.codec import Codec, OperatingPoint, check_point_value, codec_class, codec_names, create_codec, entry_keys
from netsim.errors import InputError, did_you_mean
from netsim.paths import check_text
from netsim.protection.base import Protection
from netsim.protection.rate_budget import SENT_BPP
from netsim.protection.spec import protection_from_spec, protection_identity
from netsim.scenario.codec_files import as_written, with_files
from netsim.scenario.document import Document, KeyPath
from netsim.scenario.plan import CodecSpec, Scheme
from netsim.scenario.schema import ENGINES, ScenarioModel

__all__ = ["PlacedScheme", "ReadProtection", "SchemeGroup", "read_protections", "read_schemes"]


@dataclass(frozen=True)
class ReadProtection:
    """A protection as a value, and as the scenario writes it."""

    value: Protection
    written: Any

    @property
    def identity(self) -> str:
        """What the scenario writes, and the code of a plug-in, as JSON."""
        return json.dumps([self.written, *protection_identity(self.written)], sort_keys=True)


@dataclass(frozen=True)
class PlacedScheme:
    """A scheme, the places that name it (from the codec's entry to the finest), and its protection as written."""

    scheme: Scheme
    places: tuple[KeyPath, ...]
    written: Any


@dataclass(frozen=True)
class SchemeGroup:
    """Schemes among which a controller chooses: a codec's entry at one operating point.

    Attributes:
        schemes: One per choice and protection.
        control: The entry's own ``control``, as written.
        control_at: Its place; None: the scenario's holds.
    """

    schemes: list[PlacedScheme]
    control: Any = None
    control_at: KeyPath | None = None


@dataclass(frozen=True)
class _Entry:
    """A codec's entry.

    Attributes:
        path: Its place in the scenario.
        inner: The place of its settings.
        codec: The codec's class.
        parameters: Its settings, without protection, engine, choices and operating points.
        files: Absolute path of each path in them.
        engine: The engine that it asks for; empty: the scenario's.
        protections: Those that hold for all its choices.
        protections_at: Where they stand.
    """

    path: KeyPath
    inner: KeyPath
    codec: type[Codec]
    parameters: dict[str, Any]
    files: Mapping[str, str]
    engine: str
    protections: list[ReadProtection]
    protections_at: KeyPath


def read_schemes(document: Document, model: ScenarioModel, files: Mapping[str, str]) -> list[SchemeGroup]:
    """Schemes of all codec entries.

    Args:
        document: The scenario, for the places of errors.
        model: The scenario's values.
        files: Absolute path of each path in the codecs' settings.

    Returns:
        A group per entry and operating point.

    Raises:
        InputError: A faulty entry; with file, line and column.
    """
    list(read_protections(document, model.protection, ("protection",)))  # an error counts where no codec uses it
    return [
        group for number, entry in enumerate(model.codecs) for group in _groups(document, model, number, entry, files)
    ]


def _groups(
    document: Document, model: ScenarioModel, number: int, written: Any, files: Mapping[str, str]
) -> Iterable[SchemeGroup]:
    path: KeyPath = ("codecs", number)
    with document.standing_at(path):
        name, parameters = _named(written, number)
        kind = codec_class(name)
    inner: KeyPath = (*path, name) if isinstance(written, Mapping) else path
    at: KeyPath = ("protection",)
    protection = model.protection
    if "protection" in parameters:
        protection, at = parameters.pop("protection"), (*inner, "protection")
    control_at = (*inner, "control") if "control" in parameters else None
    control = parameters.pop("control", None)
    with document.standing_at((*inner, "engine")):
        engine = _engine(parameters.pop("engine", None))
    with document.standing_at(inner):
        choices = _settings_to_choose(parameters)
        points = _points_of_choices(kind, parameters, choices)
        create_codec(name, with_files(kind, parameters, files))
    if all("protection" in choice for choice in choices) and at != ("protection",):
        hint = "leave it out, or a choice's own"
        raise InputError("each choice has a protection of its own", where=document.where(at), hint=hint)
    shared = list(read_protections(document, protection, at))
    entry = _Entry(path, inner, kind, parameters, files, engine, shared, at)
    for at_point in range(len(points[0])):
        group: list[PlacedScheme] = []
        for i, choice in enumerate(choices):
            group += _schemes_of_choice(document, entry, i, choice, points[i][at_point], at_point)
        yield SchemeGroup(group, control, control_at)


def _schemes_of_choice(
    document: Document, entry: _Entry, number: int, choice: Mapping[str, Any], point: OperatingPoint, at_point: int
) -> Iterable[PlacedScheme]:
    """A scheme for each protection of a choice at an operating point."""
    here: KeyPath = (*entry.inner, "choices", number) if choice else entry.inner
    protections = entry.protections
    if "protection" in choice:
        protections = list(read_protections(document, choice["protection"], (*here, "protection")))
        if isinstance(choice["protection"], list):
            message, place = "a choice is one way to send", document.where((*here, "protection"))
            raise InputError(message, where=place, hint="a choice for each protection")
    settings = {key: of for key, of in choice.items() if key not in ("protection", point.key)}
    chosen = with_files(entry.codec, {**entry.parameters, **settings}, entry.files)
    for i, protection in enumerate(protections):
        with document.standing_at(here):
            asked = create_codec(entry.codec.name, chosen)
            codec = create_codec(entry.codec.name, _with_data_packets(entry.codec, chosen, protection.value))
            spec = _codec_spec(codec, entry.files)
            check_text("codec", spec.label)
        written = _settings(as_written(asked, entry.files))
        where = document.where(here if choice else entry.path)
        scheme = Scheme(spec, point, protection.value, protection.identity, entry.engine, written, where=where)
        finer = ((*entry.inner, "choices", number), (*entry.inner, point.key, at_point), (*entry.protections_at, i))
        yield PlacedScheme(scheme, (entry.path, *finer), protection.written)


def _settings_to_choose(parameters: dict[str, Any]) -> list[Mapping[str, Any]]:
    """Takes a codec entry's `choices` out of its parameters: settings in which the ways to send differ."""
    choices = parameters.pop("choices", [{}])
    if not isinstance(choices, list) or not choices or not all(isinstance(one, Mapping) for one in choices):
        raise InputError(f"choices {choices!r}", hint="a list of settings: choices: [{mode: LC}, {mode: ISC}]")
    return choices


def _named(entry: Any, number: int) -> tuple[str, dict[str, Any]]:
    if isinstance(entry, str):
        return entry, {}
    if not isinstance(entry, Mapping) or not entry:
        raise InputError(f"`{entry!r}` is not a codec", hint=_ENTRY)
    if len(entry) > 1:
        raise _several_keys(entry, number)
    name, parameters = next(iter(entry.items()))
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InputError(f"codec {name} gets {parameters!r}, not a mapping of settings", hint=_ENTRY, key=(name,))
    return name, dict(parameters or {})


_ENTRY = "a name with its settings: `- vvc: {qp: 37}`"


def _several_keys(entry: Mapping[Any, Any], number: int) -> InputError:
    """What is wrong with an entry of several keys: two codecs, or a setting beside its codec."""
    known = codec_names()
    codecs = [key for key in entry if key in known]
    beside = " and ".join(f"`{key}`" for key in entry)
    if len(codecs) != 1:
        hint = "an entry for each: `- ` before each name" if codecs else _ENTRY
        return InputError(f"{beside} stand in one entry of a codec", hint=hint)
    (name,) = codecs
    odd = next(key for key in entry if key != name)
    if odd in entry_keys(codec_class(name)):
        key, hint = odd, f"`{odd}` belongs inside, indented deeper: `{name}: {{…, {odd}: …}}`"
    else:
        inside = entry[odd] if isinstance(entry[odd], Mapping) else {}
        key, hint = next(iter(inside), "KEY"), "an entry is one codec with its settings"
    hint += f"\nwith --set: codecs.{number}.{name}.{key}=…"
    return InputError(f"{beside} stand beside each other in an entry of a codec", hint=hint, key=(odd,))


_Points = list[OperatingPoint]


def _points_of_choices(
    codec: type[Codec], parameters: dict[str, Any], choices: Sequence[Mapping[str, Any]]
) -> list[_Points]:
    """The operating points of each choice: the entry's, or its own; equally many for all, since they go together.

    Takes the entry's own out of its parameters.
    """
    keys = _point_keys(codec)
    own = [[key for key in keys if key in choice] for choice in choices]
    if not any(own):
        if not any(key in parameters for key in keys):
            for number, choice in enumerate(choices):
                _check_entry_keys(codec, choice, ("choices", number))
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


def _check_entry_keys(codec: type[Codec], given: Mapping[str, Any], at: KeyPath = ()) -> None:
    """Raises InputError for a key that is neither a setting nor an operating point."""
    if codec.Settings.model_config.get("extra") != "forbid":
        return
    known = entry_keys(codec)
    for key in given:
        if key not in known:
            hint = did_you_mean(str(key), known)
            if not hint.startswith("did you mean"):
                hint += f"\nthe rate: {' or '.join(f'`{one}`' for one in _point_keys(codec))}"
            raise InputError(f"codec {codec.name} has no setting `{key}`", hint=hint, key=(*at, key))


def _point_keys(codec: type[Codec]) -> dict[str, type]:
    """Keys that may set the rate: the codec's own, and with ``bpp`` also that of all that is sent."""
    further = {SENT_BPP: float} if "bpp" in codec.operating_point_keys else {}
    return {**codec.operating_point_keys, **further}


def _operating_points(codec: type[Codec], parameters: dict[str, Any]) -> _Points:
    """Takes the operating point's key out of a codec's parameters and writes out its values."""
    point_keys = _point_keys(codec)
    keys = [key for key in point_keys if key in parameters]
    if not keys:
        _check_entry_keys(codec, parameters)  # the operating point's key may be misspelt
    if len(keys) != 1:
        known = " or ".join(f"`{key}`" for key in point_keys)
        what = f"both {' and '.join(keys)}" if keys else "no operating point"
        raise InputError(f"codec {codec.name} has {what}", hint=f"give {known}: one value or a list")
    key = keys[0]
    value = parameters.pop(key)
    values = value if isinstance(value, list) else [value]
    for i, one in enumerate(values):
        at: KeyPath = (key, i) if isinstance(value, list) else (key,)
        try:
            check_point_value(codec, key, one)
        except InputError as error:
            raise InputError(error.message, hint=error.hint, key=at) from None
    if not values:
        raise InputError(f"{key} is an empty list", hint="one value or a list of them", key=(key,))
    return [OperatingPoint(key, float(one)) for one in values]


def _engine(asked: Any) -> str:
    """A codec's own engine; empty: the scenario's."""
    if asked is not None and asked not in ENGINES:
        raise InputError(f"no engine `{asked}`", hint=did_you_mean(str(asked), ENGINES))
    return asked or ""


def read_protections(document: Document, written: Any, at: KeyPath) -> Iterable[ReadProtection]:
    """The protections of a key ``protection``: one, or a list.

    Args:
        document: The scenario, for the places of errors.
        written: What the scenario has under the key: one protection or a list.
        at: Place of the key.

    Yields:
        Each protection, with what the scenario has for it.

    Raises:
        InputError: A faulty protection; with file, line and column.
    """
    several = document.holds_several("protection", written, at)
    for i, one in enumerate(written if several else [written]):
        with document.standing_at((*at, i) if several else at):
            yield ReadProtection(protection_from_spec(one), one)


def _with_data_packets(codec: type[Codec], parameters: dict[str, Any], protection: Protection) -> dict[str, Any]:
    """`packets` counts what is sent: under FEC the codec makes fewer data packets."""
    if "packets" not in codec.Settings.model_fields:
        return parameters
    packets = parameters.get("packets", codec.Settings.model_fields["packets"].default)
    return {**parameters, "packets": protection.data_packets(packets)}


def _codec_spec(codec: Codec, files: Mapping[str, str]) -> CodecSpec:
    shown = as_written(codec, files)
    settings = _settings(shown)
    placed = tuple(both for both, written in zip(_settings(codec), settings, strict=True) if both != written)
    return CodecSpec(codec.name, settings, shown.label, str(dict(settings).get("mode", "")), placed)


def _settings(codec: Codec) -> tuple[tuple[str, Any], ...]:
    """All settings as plain values that can be hashed."""
    return tuple((key, _hashable(value)) for key, value in codec.settings.model_dump(mode="json").items())


def _hashable(value: Any) -> Any:
    return tuple(map(_hashable, value)) if isinstance(value, list) else value
