"""From what a scenario says to a channel: ``EP4``, ``{loss_rate: 0.1, mean_burst: 4}``, ``{trace: lost.txt}``, …"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netsim.channels.base import Channel
from netsim.channels.calls import made_channel
from netsim.channels.chains import bernoulli, burst, burst_and_gap, lossy_states, three_state
from netsim.channels.markov import MarkovChannel
from netsim.channels.matrices import check_probability, check_step_s
from netsim.channels.netem import is_netem, netem_channel
from netsim.channels.presets import VARIANTS, preset, preset_names, printed_fault, split_variant
from netsim.channels.switching import SwitchingChannel
from netsim.channels.trace import trace_channel
from netsim.channels.traces import TraceOptions
from netsim.errors import InputError, did_you_mean
from netsim.numbers import read_number
from netsim.paths import user_path
from netsim.registry import load_plugin, name_hint, plugin_names, unknown_hint

__all__ = ["channel_from_spec", "expand_range", "is_channel_name", "known_names", "reserved_names"]

Spec = str | Mapping[str, Any]

_LONGEST_RANGE = 1000  # of names: a few characters of a scenario must not take all memory


@dataclass(frozen=True)
class _Form:
    """One way to write a channel: its keys beside ``name`` and ``step_s``, and what builds it."""

    required: tuple[str, ...]
    build: Callable[[Mapping[str, Any], Path], Channel]
    optional: tuple[str, ...] = ()
    instead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of a required key: other keys for it

    @property
    def keys(self) -> tuple[str, ...]:
        others = [key for keys in self.instead.values() for key in keys]
        return (*self.required, *others, *self.optional, "name", "step_s")

    def lacks(self, spec: Mapping[str, Any]) -> list[str]:
        """Required keys that are given neither by name nor by another key for them."""
        return [key for key in self.required if not {key, *self.instead.get(key, ())} & {*spec}]


def channel_from_spec(spec: Spec, base_dir: Path | None = None) -> Channel:
    """The channel that ``spec`` says.

    Args:
        spec: A preset's name (``EP4``, ``EP3-released``, ``ge-15``), a plug-in's name, a loss line of netem, or a
            mapping with the keys of one form; docs/reference/channels.md lists them.
        base_dir: Folder at which paths of traces start; None: the current one.

    Returns:
        The channel.

    Raises:
        InputError: An unknown name or key, or values that make no valid channel; ``key`` is the place in ``spec``.

    >>> channel_from_spec({"loss_rate": 0.1, "mean_burst": 4}).name
    'loss 10 % burst 4'
    >>> channel_from_spec("EP3-released").loss_rate.__round__(4)
    0.0588
    """
    folder = Path() if base_dir is None else base_dir
    if isinstance(spec, str):
        return netem_channel(spec) if is_netem(spec) else _from_name(spec)
    if not isinstance(spec, Mapping):
        hint = name_hint("channel", spec) if callable(spec) else _forms_hint()
        raise InputError(f"{spec!r} is not a valid channel", hint=hint)
    form = _form_of(spec)
    if form is None:
        return _from_plugin(spec)
    unknown = next((key for key in spec if key not in form.keys), None)
    if unknown is not None:
        raise InputError(
            f"a channel with `{form.required[0]}` has no key `{unknown}`",
            hint=did_you_mean(str(unknown), form.keys),
            key=(unknown,),
        )
    missing = form.lacks(spec)
    if missing:
        hint = "\n".join([f"give {_listed(form.required)}", *_instead_hints(form)])
        raise InputError(f"a channel with {_listed(spec)} lacks `{missing[0]}`", hint=hint)
    return form.build(spec, folder)


def known_names() -> list[str]:
    """Names of all presets and plug-ins.

    Returns:
        Presets first.
    """
    return [*preset_names(), *plugin_names("channel")]


def is_channel_name(text: str) -> bool:
    """Whether a text is a loss line of netem, or the name of a preset (a variant may follow it) or of a plug-in.

    Args:
        text: Any text.

    Returns:
        True if it is one of these.
    """
    return is_netem(text) or split_variant(text)[0] in preset_names() or text in plugin_names("channel")


def reserved_names() -> set[str]:
    """Names that no plug-in may have.

    Returns:
        Presets with and without their variant, and keys of channels.
    """
    presets = preset_names()
    variants = (f"{name}-{variant}" for name in presets for variant in VARIANTS)
    return {*presets, *variants, *(key for form in FORMS for key in form.keys)}


def expand_range(text: str) -> list[str]:
    """Names from a range of numbered presets, the end included; any other text is itself.

    Args:
        text: ``EP1..EP3``, or a name.

    Returns:
        The names.

    Raises:
        InputError: The ends of the range don't belong together.

    >>> expand_range("EP1..EP3"), expand_range("EP5-released..EP6-released"), expand_range("ge-15")
    (['EP1', 'EP2', 'EP3'], ['EP5-released', 'EP6-released'], ['ge-15'])
    """
    if ".." not in text:
        return [text]
    ends = [re.fullmatch(r"([^0-9]*)([0-9]{1,9})([^0-9]*)", part.strip()) for part in text.split("..")]
    hint = "a range is written as EP1..EP6"
    if len(ends) != 2 or ends[0] is None or ends[1] is None:
        raise InputError(f"`{text}` is not a range", hint=hint)
    (head, first, tail), (last_head, last, last_tail) = ends[0].groups(), ends[1].groups()
    if (head, tail) != (last_head, last_tail) or int(first) > int(last):
        raise InputError(f"`{text}` is not a range", hint=hint)
    count = int(last) - int(first) + 1
    if count > _LONGEST_RANGE:
        raise InputError(f"`{text}` are {count:,} names", hint=f"at most {_LONGEST_RANGE:,}")
    return [f"{head}{number}{tail}" for number in range(int(first), int(last) + 1)]


# one builder per form ---------------------------------------------------------------------------------------


def _preset(spec: Mapping[str, Any], folder: Path) -> Channel:
    name, short_variant = split_variant(_text(spec, "preset"))
    variant = _text(spec, "variant", short_variant or VARIANTS[0])
    if short_variant and variant != short_variant:
        raise InputError(
            f"preset {spec['preset']} with variant {variant}", hint="say the variant once", key=("variant",)
        )
    try:
        return preset(name, variant, label=_text(spec, "name", ""), **_chain(spec))
    except InputError as error:  # the variant may stand in the preset's short name
        key = ("preset",) if error.key == ("variant",) and "variant" not in spec else error.key
        raise InputError(error.message, hint=error.hint, key=key) from None


def _loss(spec: Mapping[str, Any], folder: Path) -> Channel:
    rate, name = _share(spec, "loss_rate"), _text(spec, "name", "")
    if "mean_gap" in spec:
        if "mean_burst" not in spec:
            hint = "give `mean_burst`, too; or leave `mean_gap` out"
            raise InputError("a channel with `mean_gap` lacks `mean_burst`", hint=hint, key=("mean_gap",))
        return burst_and_gap(rate, _number(spec, "mean_burst"), _number(spec, "mean_gap"), name=name, **_chain(spec))
    if "mean_burst" in spec:
        return burst(rate, _number(spec, "mean_burst"), name=name, **_chain(spec))
    return bernoulli(rate, name=name, **_chain(spec))


def _gilbert_elliott(spec: Mapping[str, Any], folder: Path) -> Channel:
    p, r = (_probability(spec, key) for key in ("p", "r"))
    bad, good = (_loss_in_state(spec, key) for key in ("h", "k"))
    return lossy_states(p, r, bad, good, name=_text(spec, "name", ""), **_chain(spec))


def _loss_in_state(spec: Mapping[str, Any], key: str) -> float:
    """1 − h or 1 − k, given as such or by one of the keys for the loss itself."""
    given = [name for name in (key, *_LOSS_KEYS[key]) if name in spec]
    if len(given) > 1:
        message = f"`{given[0]}` and `{given[1]}` say the same thing"
        raise InputError(message, hint=f"1-{key} = 1 − {key}: give one of them", key=(given[1],))
    value = _probability(spec, given[0])
    return 1 - value if given[0] == key else value


def _probability(spec: Mapping[str, Any], key: str) -> float:
    value = _share(spec, key)
    check_probability(key, value)
    return value


def _three_state(spec: Mapping[str, Any], folder: Path) -> Channel:
    keys = ("p_good", "p_bad", "p_intermediate", "p_bad_to_good")
    numbers = [_share(spec, key) for key in keys]
    try:
        return three_state(*numbers, name=_text(spec, "name", ""), **_chain(spec))
    except InputError as error:
        if error.key[:1] != ("rows",):
            raise
        hint = f"{error.hint}\np_bad + p_bad_to_good are at most 1"
        raise InputError(error.message, hint=hint, key=("p_bad",)) from None


def _matrices(spec: Mapping[str, Any], folder: Path) -> Channel:
    rows, loss = _list(spec, "rows"), _list(spec, "loss")
    states = [str(s) for s in _list(spec, "states")] if "states" in spec else None
    for i, row in enumerate(rows):
        if not isinstance(row, Sequence) or isinstance(row, str):
            raise InputError(f"rows[{i}] is {row!r}", hint="a list of probabilities", key=("rows", i))
    try:
        channel = MarkovChannel(_text(spec, "name", ""), rows, loss, states, **_chain(spec))
    except InputError as error:
        more = printed_fault(rows) if error.key[:1] == ("rows",) else ""
        hint = "\n".join(line for line in (error.hint, more) if line)
        raise InputError(error.message, hint=hint, key=error.key) from None
    channel.name = channel.name or "chain " + "-".join(channel.states)
    channel.source = _mapping(spec, "source")
    return channel


def _netem(spec: Mapping[str, Any], folder: Path) -> Channel:
    try:
        return netem_channel(_text(spec, "netem"), name=_text(spec, "name", ""), **_chain(spec))
    except InputError as error:
        raise InputError(error.message, hint=error.hint, key=error.key or ("netem",)) from None


def _trace(spec: Mapping[str, Any], folder: Path) -> Channel:
    text = _text(spec, "trace")
    link = str(spec["link"]) if spec.get("link") is not None else None
    try:
        options = TraceOptions.from_mapping({key: spec[key] for key in TraceOptions.names() if key in spec})
        path = user_path(text, folder)
        return trace_channel(path, link, name=_text(spec, "name", ""), step_s=_step_s(spec), options=options)
    except InputError as error:
        raise InputError(error.message, where=error.where, hint=error.hint, key=error.key or ("trace",)) from None


def _switch(spec: Mapping[str, Any], folder: Path) -> Channel:
    channels = []
    for i, part in enumerate(_list(spec, "switch")):
        try:
            channel = channel_from_spec(part, folder)
        except InputError as error:
            raise InputError(error.message, where=error.where, hint=error.hint, key=("switch", i, *error.key)) from None
        if channel.step_s is None:
            channel.step_s = _step_s(spec)
        channels.append(channel)
    shares = None
    if "probabilities" in spec:
        given = _list(spec, "probabilities")
        shares = [_share({"probabilities": value}, "probabilities") for value in given]
    return SwitchingChannel(channels, shares, _text(spec, "name", ""), spec.get("dwell_slots", 1))


_LOSS_KEYS = {"h": ("1-h", "loss_bad"), "k": ("1-k", "loss_good")}  # the former as netem calls them

FORMS = (
    _Form(("preset",), _preset, ("variant", "start")),
    _Form(("loss_rate",), _loss, ("mean_burst", "mean_gap", "start")),
    _Form(("netem",), _netem, ("start",)),
    _Form(("p", "r", "h", "k"), _gilbert_elliott, ("start",), _LOSS_KEYS),
    _Form(("p_good", "p_bad", "p_intermediate", "p_bad_to_good"), _three_state, ("start",)),
    _Form(("rows", "loss"), _matrices, ("states", "start", "source")),
    _Form(("trace",), _trace, ("link", *TraceOptions.names())),
    _Form(("switch",), _switch, ("probabilities", "dwell_slots")),
)


# names, plug-ins, values ------------------------------------------------------------------------------------


def _form_of(spec: Mapping[str, Any]) -> _Form | None:
    """The form that shares most keys with ``spec``; None if none does."""
    shared = [len({*form.required, *form.optional[:1]} & {*spec} - {"start"}) for form in FORMS]
    return FORMS[shared.index(max(shared))] if max(shared) else None


def _from_name(name: str) -> Channel:
    base, variant = split_variant(name)
    if base in preset_names():
        try:
            return preset(base, variant or VARIANTS[0])
        except InputError as error:  # a name has no keys inside
            raise InputError(error.message, hint=error.hint) from None
    if name in plugin_names("channel"):
        try:
            return _from_plugin({name: {}})
        except InputError as error:
            raise InputError(error.message, where=error.where, hint=error.hint) from error.__cause__
    same = [k for k in known_names() if k.casefold() == base.casefold()]
    hint = f"did you mean `{same[0]}`?" if same else unknown_hint("channel", base, known_names())
    raise InputError(f"unknown channel `{name}`", hint=hint)


def _from_plugin(spec: Mapping[str, Any]) -> Channel:
    names = [key for key in spec if key not in ("name", "step_s")]
    if len(names) == 1 and names[0] not in plugin_names("channel") and isinstance(spec[names[0]], Mapping):
        raise InputError(f"unknown channel `{names[0]}`", hint=_inline_hint(names[0], spec[names[0]]), key=(names[0],))
    if len(names) != 1 or names[0] not in plugin_names("channel"):
        known = sorted({key for form in FORMS for key in form.keys} | {*plugin_names("channel")})
        odd = str(names[0]) if names else ""
        message = f"a channel has no key `{odd}`" if names else f"{dict(spec)!r} is not a valid channel"
        raise InputError(message, hint=did_you_mean(odd, known) if names else _forms_hint(), key=tuple(names[:1]))
    (name,) = names
    parameters = {} if spec[name] is None else spec[name]
    if not isinstance(parameters, Mapping):
        raise InputError(f"channel {name} gets {parameters!r}", hint="a mapping of its parameters", key=(name,))
    channel = made_channel(name, load_plugin("channel", name), parameters)
    channel.name = _text(spec, "name", channel.name)
    channel.step_s = _step_s(spec) if "step_s" in spec else channel.step_s
    return channel


def _inline_hint(name: Any, inside: Mapping[str, Any]) -> str:
    """What to write in place of ``{NAME: {KEYS}}`` where no plug-in has the name."""
    form = _form_of(inside)
    if form is not None:
        keys = {**inside, **dict.fromkeys(form.lacks(inside), "…")}
        return f"the keys alone are the channel: {{{', '.join(f'{key}: {value}' for key, value in keys.items())}}}"
    if split_variant(str(name))[0] in preset_names():
        return f"a preset with keys: {{preset: {name}, {', '.join(map(str, inside)) or 'start'}: …}}"
    return unknown_hint("channel", name, known_names())


def _chain(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {"start": _text(spec, "start", "stationary"), "step_s": _step_s(spec)}


def _step_s(spec: Mapping[str, Any]) -> float | None:
    if spec.get("step_s") is None:
        return None
    step_s = _number(spec, "step_s")
    check_step_s(step_s)
    return step_s


def _number(spec: Mapping[str, Any], key: str) -> float:
    return read_number(key, spec[key])


def _share(spec: Mapping[str, Any], key: str) -> float:
    """A rate or a probability; ``10%`` is 0.1."""
    return read_number(key, spec[key], share=True)


def _text(spec: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = spec.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"{key} is {value!r}", hint="a text", key=(key,))
    return value


def _list(spec: Mapping[str, Any], key: str) -> Sequence[Any]:
    value = spec[key]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise InputError(f"{key} is {value!r}", hint="a list", key=(key,))
    return value


def _mapping(spec: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = spec.get(key, {})
    if not isinstance(value, Mapping):
        raise InputError(f"{key} is {value!r}", hint="a mapping", key=(key,))
    return value


def _listed(keys: Any) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _instead_hints(form: _Form) -> list[str]:
    return [f"in place of `{key}`: {_listed(others)}" for key, others in form.instead.items()]


def _forms_hint() -> str:
    forms = "; ".join(_listed(form.required) for form in FORMS)
    return f"a preset ({', '.join(preset_names())}) or a mapping with the keys {forms}"
