"""The studies by name: netsim's own, and plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from pydantic import ValidationError

from netsim.errors import InputError, did_you_mean, shortened
from netsim.registry import load_plugin, plugin_names, unknown_hint
from netsim.studies.study import Study, StudyOptions, check_study_class

__all__ = ["built_in_names", "study_class", "study_from_spec", "study_names"]

_BUILT_IN = {
    "adaptation": "netsim.studies.adaptation:Adaptation",
    "channels": "netsim.studies.channels:Channels",
    "codec_table": "netsim.studies.codec_table:CodecTable",
    "complexity": "netsim.studies.complexity:Complexity",
    "context_modes": "netsim.studies.context_modes:ContextModes",
    "failure": "netsim.studies.failure:Failure",
    "first_slices": "netsim.studies.first_slices:FirstSlices",
    "image_strip": "netsim.studies.image_strip:ImageStrip",
    "masked": "netsim.studies.masked:Masked",
    "packet_sizes": "netsim.studies.packet_sizes:PacketSizes",
    "preview_curve": "netsim.studies.preview_curve:PreviewCurve",
    "progressive": "netsim.studies.progressive:Progressive",
    "rate_distortion": "netsim.studies.rate_distortion:RateDistortion",
    "token_densities": "netsim.studies.token_densities:TokenDensities",
    "traces": "netsim.studies.traces:Traces",
    "tradeoff": "netsim.studies.tradeoff:Tradeoff",
}
"""Where each study lies; a module is imported when its study is asked for."""


def built_in_names() -> list[str]:
    """Names of netsim's own studies."""
    return sorted(_BUILT_IN)


def study_names() -> list[str]:
    """Names of all studies, plug-ins included."""
    return sorted({*_BUILT_IN, *plugin_names("study")})


def study_class(name: str) -> type[Study]:
    """The study called ``name``.

    Args:
        name: As in a recipe.

    Returns:
        The class.

    Raises:
        InputError: There is none (the hint is the nearest known name), or a plug-in's class is at fault.
    """
    if name in _BUILT_IN:
        module, _, attribute = _BUILT_IN[name].partition(":")
        found: Any = getattr(import_module(module), attribute)
    elif name in plugin_names("study"):
        found = load_plugin("study", name)
    else:
        raise InputError(f"no study `{name}`", hint=unknown_hint("study", name, study_names()))
    check_study_class(name, found)
    return found


def study_from_spec(spec: Any, where: Callable[[tuple[int | str, ...]], str] = lambda path: "") -> Study:
    """A study from ``NAME`` or ``{NAME: {option: value}}``.

    Args:
        spec: As a recipe has it under ``study``.
        where: Place of a key path below ``study``, for errors.

    Returns:
        The study with its options.

    Raises:
        InputError: An unknown study or option, or a value that the study refuses.
    """
    given: Any
    if isinstance(spec, str):
        name, given = spec, {}
    elif isinstance(spec, Mapping) and len(spec) == 1 and isinstance(next(iter(spec)), str):
        [(name, given)] = spec.items()
        given = {} if given is None else given
    else:
        raise InputError(f"study: {spec!r}", where=where(()), hint="a name, or one: {NAME: {OPTION: VALUE}}")
    try:
        kind = study_class(name)
    except InputError as error:
        raise InputError(error.message, where=where(()), hint=error.hint) from None
    if not isinstance(given, Mapping):
        raise InputError(f"options of {name}: {given!r}", where=where((name,)), hint="a mapping of options")
    try:
        return kind(kind.Options.model_validate(dict(given)))
    except ValidationError as error:
        message, hint, path = _fault(name, kind.Options, error)
        raise InputError(message, where=where((name, *path)), hint=hint) from None


def _fault(name: str, options: type[StudyOptions], error: ValidationError) -> tuple[str, str, tuple[int | str, ...]]:
    """An error of a study's options: a sentence, what would be right, and the place below the study's name."""
    first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")  # a misspelt option lacks, too
    path, known = first["loc"], options.model_fields
    hint = f"options of the {name} study: {', '.join(known) or 'none'}"
    if first["type"] == "extra_forbidden" and len(path) == 1:
        message = f"the {name} study has no option `{path[0]}`"
        return message, did_you_mean(str(path[0]), known) if known else hint, path
    if first["type"] == "missing":
        return f"the {name} study needs `{'.'.join(map(str, path))}`", hint, path
    words = first["msg"].removeprefix("Value error, ")
    if not path:
        return words, hint, path
    return f"{'.'.join(map(str, path))}: {words}, not {shortened(repr(first['input']), 80)}", hint, path
