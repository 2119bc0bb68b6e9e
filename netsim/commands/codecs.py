"""``netsim codecs`` and ``netsim check-codec``: which codecs are installed, and does one keep its contract?"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from netsim.codec import Codec, OperatingPoint

__all__ = ["check_codec_command", "codecs_command"]

WIDTH = 110  # where the output is not a terminal

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def codecs_command(as_json: AsJson = False) -> None:
    """List the installed codecs: operating points, settings and their defaults."""
    codecs = [_describe(name) for name in _names()]
    if as_json:
        typer.echo(json.dumps(codecs, indent=2))
        return
    from rich import box
    from rich.table import Table

    table = Table("codec", "rate by", "settings", "what it is", box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for codec in codecs:
        settings = "\n".join(f"{key}: {_text(value)}" for key, value in codec["settings"].items())
        about = codec["summary"] if codec["error"] is None else codec["error"]
        table.add_row(codec["name"], "\n".join(codec["operating_points"]), settings, about)
    console = _console()
    console.print(table)
    console.print("next  netsim check-codec jpeg2000")


def check_codec_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A codec, as in `netsim codecs`.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="A setting, e.g. --set receiver=resilient.")
    ] = None,
    points: Annotated[
        list[str] | None, typer.Option("--at", metavar="KEY=VALUE", help="An operating point [bpp=0.5]; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try out whether a codec keeps its contract; exit code 1 if it doesn't."""
    from netsim.codec import create_codec
    from netsim.conformance import check_codec

    codec = create_codec(name, dict(_pair(text) for text in settings or []))
    results = check_codec(codec, _images(), [_point(codec, text) for text in points] if points else None)
    failed = sum(not result.passed for result in results)
    if as_json:
        checks = [{"name": r.name, "passed": r.passed, "detail": r.detail} for r in results]
        found = {"codec": name, "passed": not failed, "checks": checks, "warnings": _warnings(codec)}
        typer.echo(json.dumps(found, indent=2))
    else:
        from netsim.commands.checks import check_table

        console = _console()
        console.print(check_table(results))
        for warning in _warnings(codec):
            console.print(f"warning: {warning}", soft_wrap=True)
        console.print(f"{name}: {failed} of {len(results)} checks failed" if failed else f"{name} keeps its contract")
    if failed:
        raise typer.Exit(1)


def _warnings(codec: Codec) -> list[str]:
    """What no check can find, but may make results stale."""
    if codec.fingerprint:
        return []
    return [
        "`fingerprint` is empty: where tools or weights change and the codec's source does not, old streams and values "
        "are taken from the store; leave `fingerprint` out, or name versions and hashes in it"
    ]


def _names() -> list[str]:
    from netsim.codec import codec_names

    return codec_names()


def _describe(name: str) -> dict[str, Any]:
    from netsim.codec import codec_class
    from netsim.errors import InputError

    try:
        kind = codec_class(name)
    except InputError as error:  # a codec that can't be imported is listed all the same
        return {"name": name, "summary": "", "operating_points": [], "settings": {}, "error": error.message}
    defaults = kind.Settings.model_construct().model_dump(mode="json", warnings=False)
    settings = {key: defaults.get(key) for key in kind.Settings.model_fields}
    points = list(kind.operating_point_keys)
    return {
        "name": name,
        "summary": kind.summary,
        "operating_points": points,
        "settings": settings,
        "error": None,
    }


def _pair(text: str) -> tuple[str, Any]:
    """KEY=VALUE, the value read as in a scenario."""
    from netsim.errors import InputError
    from netsim.yaml_text import read_value

    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise InputError(f"`{text}` is not KEY=VALUE", hint="write it as packets=20")
    return key.strip(), read_value(value, lambda line, column: f"`{text}`")


def _point(codec: Codec, text: str) -> OperatingPoint:
    from netsim.codec import OperatingPoint, check_point_value
    from netsim.errors import InputError, did_you_mean, placed

    key, value = _pair(text)
    if key not in codec.operating_point_keys:
        hint = did_you_mean(key, codec.operating_point_keys)
        raise InputError(f"codec {codec.name} has no operating point `{key}`", hint=hint)
    with placed(f"--at {text}"):
        check_point_value(type(codec), key, value)
    return OperatingPoint(key, value)


def _images() -> list[Any]:
    """Two small pieces of the embedded photographs."""
    import numpy as np
    from skimage import data

    astronaut, coffee = data.astronaut(), data.coffee()
    return [np.ascontiguousarray(astronaut[60:252, 130:386]), np.ascontiguousarray(coffee[100:228, 200:392])]


def _text(value: Any) -> str:
    return "–" if value is None else str(value)


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=WIDTH)
