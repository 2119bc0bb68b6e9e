"""The registry of plug-ins: netsim's own, those of installed packages (entry points), those registered at run time.

========== ======================== =========================================================================
kind       entry-point group        what it is
========== ======================== =========================================================================
codec      ``netsim.codecs``        a subclass of ``netsim.codec.Codec``
channel    ``netsim.channels``      a function or class: ``(**parameters) -> Channel``
protection ``netsim.protections``   a function or class: ``(settings) -> Protection``
controller ``netsim.controllers``   a function or class: ``(settings, protections) -> Controller``
link       ``netsim.links``         a ``LinkProfile``
metric     ``netsim.metrics``       a function: ``(reference, images) -> one number per image``
figure     ``netsim.figures``       a function: ``(log, summary, *, options) -> (numbers, Figure)``
study      ``netsim.studies``       a subclass of ``netsim.studies.study.Study``
trainer    ``netsim.trainers``      a function: ``(arguments) -> exit code``
========== ======================== =========================================================================
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import is_dataclass
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from netsim.digests import digest
from netsim.errors import InputError, NotInstalledError, did_you_mean
from netsim.signatures import keyword_only, kind_of, raised_at, signature_text, takes
from netsim.source import imported_versions, source_identity

__all__ = [
    "KINDS",
    "Registration",
    "adopt",
    "check_free_name",
    "check_plugin_name",
    "entry_module",
    "load_plugin",
    "name_hint",
    "plugin_identity",
    "plugin_names",
    "register",
    "registrations",
    "unknown_hint",
]

KINDS = ("codec", "channel", "protection", "controller", "link", "metric", "figure", "study", "trainer")

_RESERVED = {
    "channel": "netsim.channels.spec:reserved_names",
    "protection": "netsim.protection.spec:protection_kinds",
    "controller": "netsim.control.spec:built_in_names",
    "link": "netsim.links.profile:built_in_names",
    "figure": "netsim.figures.kinds:built_in_names",
    "study": "netsim.studies.kinds:built_in_names",
    "metric": "netsim.metrics.further:reserved_names",
}
"""Functions that return the names of a kind's built-in members."""

Plugin = TypeVar("Plugin")

_registered: dict[str, dict[str, Any]] = {kind: {} for kind in KINDS}


class Registration(NamedTuple):
    """A run-time registration in a form that another process can take over.

    place: ``module:qualified name`` of the object; empty where the object itself is sent.
    value: The object, where it is a plain value (a link profile).
    refusal: Why no other process can have it; empty if one can.
    """

    kind: str
    name: str
    place: str = ""
    value: Any = None
    refusal: str = ""


def register(kind: str, name: str = "") -> Callable[[Plugin], Plugin]:
    """Register a plug-in for this process and its workers: ``register(kind)(object)``, or as a decorator.

    A second registration under the same name replaces the first, so that a notebook cell can run again.

    Args:
        kind: codec, channel, protection, controller, link, metric, figure, study or trainer.
        name: As in a scenario. Default: the object's attribute ``name``, else its ``__name__``.

    Returns:
        A function that registers its argument and returns it.

    Raises:
        InputError: The kind is unknown, there is no name, or an installed or built-in plug-in has that name.

    >>> @register("metric")
    ... def darkest(reference, images):
    ...     return images.reshape(len(images), -1).min(axis=1)
    >>> load_plugin("metric", "darkest") is darkest
    True
    """
    _check_kind(kind)

    def add(plugin: Plugin) -> Plugin:
        called = name or getattr(plugin, "name", None) or getattr(plugin, "__name__", None)
        if not isinstance(called, str) or not called.strip() or called == "<lambda>":
            raise InputError(f"a {kind} without a name: {plugin!r}", hint=f'netsim.register("{kind}", "my-name")')
        check_free_name(kind, called)
        _check_object(kind, called, plugin)
        _registered[kind][called] = plugin
        return plugin

    return add


def check_free_name(kind: str, name: str, *, any_case: bool = False) -> None:
    """Check that no installed or built-in plug-in of a kind has a name.

    Args:
        kind: One of ``KINDS``.
        name: The name.
        any_case: Refuse it also where it differs in capitals alone.

    Raises:
        InputError: It is taken, or the kind is unknown.
    """
    _check_kind(kind)
    for taken in (*_group(_group_name(kind)), *_reserved(kind)):
        if name == taken or (any_case and name.casefold() == taken.casefold()):
            raise InputError(f"there is a {kind} `{taken}` already", hint="choose another name")


def check_plugin_name(kind: str, name: str) -> None:
    """Check that a plug-in of a kind can have a name, beside those that are taken.

    Args:
        kind: One of ``KINDS``.
        name: The name.

    Raises:
        InputError: A metric's columns would be columns of every log or summary.
    """
    if kind == "metric":
        _found("netsim.metrics.further:check_metric_name")(name)


def _check_object(kind: str, name: str, plugin: Any) -> None:
    """Check what can be checked without a call."""
    if kind == "codec":
        if not (isinstance(plugin, type) and issubclass(plugin, _found("netsim.codec:Codec"))):
            raise InputError(f"codec `{name}` is {plugin!r}", hint="a subclass of netsim.Codec")
        if getattr(plugin, "name", None) != name:
            message = f"codec `{name}`: its class attribute `name` is {getattr(plugin, 'name', None)!r}"
            raise InputError(message, hint=f'name = "{name}"')
        _found("netsim.codec:check_codec_class")(name, plugin)
    elif kind == "channel":
        _found("netsim.channels.calls:check_channel_maker")(name, plugin)
    elif kind == "study":
        _found("netsim.studies.study:check_study_class")(name, plugin)
    elif kind == "link":
        if not isinstance(plugin, _found("netsim.links.profile:LinkProfile")):
            raise InputError(f"link `{name}` is {plugin!r}", hint="a netsim.LinkProfile")
    elif kind == "metric":
        check_plugin_name(kind, name)
        _check_call(kind, name, plugin, "reference", "images")
    elif kind == "figure":
        _check_call(kind, name, plugin, "log", "summary")
    if not callable(plugin) and kind != "link":
        raise InputError(f"{kind} `{name}` is {plugin!r}, which can't be called", hint="a function or a class")


def _check_call(kind: str, name: str, plugin: Any, *arguments: str) -> None:
    """Check that a function takes these arguments, whatever its keyword-only parameters are."""
    if callable(plugin) and not takes(partial(plugin, **keyword_only(plugin)), *arguments):
        message = f"{kind} `{name}` can't be called as netsim calls it: {signature_text(plugin)}"
        raise InputError(message, hint=f"def {name}({', '.join(arguments)})")


def plugin_names(kind: str) -> list[str]:
    """Names of a kind's plug-ins, installed or registered, sorted; imports none of them.

    Args:
        kind: One of ``KINDS``.

    Returns:
        The names.

    Raises:
        InputError: The kind is unknown.
    """
    _check_kind(kind)
    return sorted({*_group(_group_name(kind)), *_registered[kind]})


def unknown_hint(kind: str, name: Any, known: Iterable[str]) -> str:
    """The nearest known name; where none is near, all of them, and how netsim gets to know one more.

    Args:
        kind: One of ``KINDS``.
        name: What was asked for.
        known: Names of the kind.

    Returns:
        The hint of an error.
    """
    hint = did_you_mean(str(name), known)
    if hint.startswith("did you mean"):
        return hint
    group = _group_name(kind)
    own = f"a {kind} of your own: run netsim in the process that registers it, or install a package with an entry point"
    return f"{hint}\n{own} in the group `{group}`"


def name_hint(kind: str, plugin: Any) -> str:
    """What to write in place of a function or class: its name, and how it gets one.

    Args:
        kind: One of ``KINDS``.
        plugin: What was given in place of a name.

    Returns:
        A hint for an error.
    """
    registered = next((name for name, one in _registered[kind].items() if one is plugin), None)
    if registered is not None:
        return f'its name: "{registered}"'
    called = getattr(plugin, "__name__", None)
    if not callable(plugin) or not called or called == "<lambda>":
        return f'a name; a {kind} of your own gets one by netsim.register("{kind}", "my-name")'
    name = getattr(plugin, "name", None)
    name = name if isinstance(name, str) else called
    return f'register it: netsim.register("{kind}", "{name}")({called}); then give its name: "{name}"'


def load_plugin(kind: str, name: str, *, also: Iterable[str] = ()) -> Any:
    """The object that ``name`` stands for.

    Args:
        kind: One of ``KINDS``.
        name: As in a scenario.
        also: Further names, of built-in ones, that the hint of an error lists.

    Returns:
        What the plug-in registered: a class, a function or a profile.

    Raises:
        InputError: There is none (the hint is the nearest known name), or it can't be imported: the plug-in's fault, or
            a package that it needs is not installed.
    """
    _check_kind(kind)
    if not isinstance(name, str):
        raise InputError(f"{kind} {name!r} is {kind_of(name)}, not a name", hint=name_hint(kind, name))
    if name in _registered[kind]:
        plugin = _registered[kind][name]
        if isinstance(plugin, Registration):
            raise InputError(plugin.refusal, hint="define it in a module, or run with workers=1")
        return plugin
    points = _group(_group_name(kind))
    if name not in points:
        known = {*plugin_names(kind), *also}
        raise InputError(f"unknown {kind} `{name}`", hint=unknown_hint(kind, name, known))
    try:
        return points[name].load()
    except (Exception, SystemExit) as error:  # a plug-in's module may raise anything
        words = " ".join(str(error).split())
        message = f"{kind} `{name}` can't be imported: {type(error).__name__}: {words}"
        refusal = NotInstalledError if isinstance(error, ModuleNotFoundError) else InputError
        raise refusal(message, hint=_way_out(points[name], error)) from error


def entry_module(kind: str, name: str) -> tuple[str, ...]:
    """The module that the entry point of a plug-in names; empty if there is no such entry point.

    Args:
        kind: One of ``KINDS``.
        name: As in a scenario.

    Returns:
        A tuple of one module's name, or of none.
    """
    point = None if name in _registered[kind] else _group(_group_name(kind)).get(name)
    return (point.module,) if point is not None else ()


def plugin_identity(kind: str, name: str) -> str:
    """Digest of what decides a plug-in's results.

    Args:
        kind: One of ``KINDS``.
        name: As in a scenario.

    Returns:
        SHA-256 of its code and of the versions of what it imports; of a link profile, of its numbers.

    Raises:
        InputError: As ``load_plugin``.
    """
    plugin, modules = load_plugin(kind, name), entry_module(kind, name)
    if is_dataclass(plugin) and not isinstance(plugin, type):
        return digest(repr(plugin))
    return digest(source_identity(plugin, *modules), imported_versions(plugin, *modules))


def registrations() -> tuple[Registration, ...]:
    """All run-time registrations, for another process.

    Returns:
        One for each plug-in, in order of registration within a kind.
    """
    return tuple(_portable(kind, name, plugin) for kind, named in _registered.items() for name, plugin in named.items())


def adopt(sent: Iterable[Registration]) -> None:
    """Take over the registrations of another process.

    One that can't be had here raises its error where it is used, so that others are not in its way.

    Args:
        sent: What ``registrations`` gave in the other process.
    """
    for one in sent:
        try:
            plugin = _found(one.place) if one.place else one.value
        except Exception as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
            refusal = f"{one.kind} `{one.name}` can't be imported in a worker process: {reason}"
            one, plugin = one._replace(refusal=refusal), None
        _registered[one.kind][one.name] = one if one.refusal else plugin


def _portable(kind: str, name: str, plugin: Any) -> Registration:
    """How another process finds a plug-in: by its module and qualified name, or as it is."""
    if isinstance(plugin, Registration):
        return plugin
    if kind == "link":
        return Registration(kind, name, value=plugin)
    module, path = (getattr(plugin, key, None) for key in ("__module__", "__qualname__"))
    refusal = f"{kind} `{name}` is defined in {module}, which a worker process can't import"
    if not module or not path:
        return Registration(kind, name, refusal=f"{kind} `{name}` is not a class or function that a worker can import")
    if module == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
        return Registration(kind, name, refusal=refusal.replace("__main__", "a notebook or an interactive session"))
    try:
        same = _found(f"{module}:{path}") is plugin
    except Exception:
        same = False
    return Registration(kind, name, f"{module}:{path}") if same else Registration(kind, name, refusal=refusal)


def _found(place: str) -> Any:
    """The object at ``module:qualified name``."""
    module, _, path = place.partition(":")
    found: Any = sys.modules.get(module) or import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def _check_kind(kind: str) -> None:
    if kind not in KINDS:
        raise InputError(f"no kind of plug-in `{kind}`", hint=did_you_mean(str(kind), KINDS))


def _group_name(kind: str) -> str:
    return "netsim.studies" if kind == "study" else f"netsim.{kind}s"


@cache
def _group(group: str) -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=group)}


def _reserved(kind: str) -> Iterable[str]:
    return _found(_RESERVED[kind])() if kind in _RESERVED else ()


def _beside(point: EntryPoint, module: str) -> Path | None:
    """The file or folder of a module beside the plug-in's own, where an editable installation leaves it out."""
    try:
        found = find_spec(point.module)
    except (ImportError, ValueError):
        return None
    if found is None or not found.origin:
        return None
    folder = Path(found.origin).parent
    return next((path for path in (folder / f"{module}.py", folder / module) if path.exists()), None)


def _way_out(point: EntryPoint, error: BaseException) -> str:
    """The package to install if one is missing, else where the plug-in's module breaks."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        missing = error.name.partition(".")[0]
        for needed in (point.dist.requires or []) if point.dist else []:
            extra = re.fullmatch(rf"{re.escape(missing)}\b.*extra == [\"'](\w+)[\"'].*", needed)
            if extra and point.dist:
                return f'`{point.value}` needs {missing}: pip install "{point.dist.name}[{extra[1]}]"'
        if file := _beside(point, missing):
            return (
                f"{file.name} stands beside `{point.value}`, but is not installed: name it in `py-modules` (or "
                "`packages`) of pyproject.toml, and install the package again"
            )
        return f"`{point.value}` needs {missing}: install it"
    return f"`{point.value}`, raised in {raised_at(error)}"
