"""Reference pages generated from the code: scenario keys, codec settings, command line, presets, recipes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

ROOT = Path(__file__).resolve().parents[2]

PAGES: dict[str, Callable[[], str]] = {}
"""Path in the documentation -> a function that returns the page in Markdown."""


def page(path: str) -> Callable[[Callable[[], str]], Callable[[], str]]:
    """Register a generated page."""

    def add(function: Callable[[], str]) -> Callable[[], str]:
        PAGES[path] = function
        return function

    return add


@page("reference/scenario-keys.md")
def scenario_keys() -> str:
    """All keys of a scenario, of the installed codecs, and of the links."""
    from netsim.codec import codec_class, codec_names
    from netsim.scenario.schema import ScenarioModel

    lines = [
        "# Keys of a scenario",
        "",
        "This page is generated from the code. [Scenarios](scenarios.md) explains how the keys work together.",
        "",
        *_table(("key", "values", "default", "meaning"), _model_rows(ScenarioModel)),
        "",
        "## Settings of the codecs",
        "",
        "An entry of `codecs` is `- NAME: {SETTING: VALUE, …}` with one operating point or a list of them.",
    ]
    for name in codec_names():
        kind = codec_class(name)
        lines += ["", f"### {name}", "", f"{_sentence(kind.summary)}", ""]
        points = [(f"`{key}`", _limits(kind.point_limits.get(key))) for key in kind.operating_point_keys]
        lines += _table(("operating point", "range"), points)
        rows = [row[:3] for row in _model_rows(kind.Settings)]
        lines += ["", *_table(("setting", "values", "default"), rows)] if rows else []
    return "\n".join(lines) + "\n"


@page("reference/command-line.md")
def command_line() -> str:
    """The commands with their arguments and options, as typer lists them."""
    import click
    import typer
    from typer.cli import get_docs_for_click

    from netsim.cli import app

    command = typer.main.get_command(app)
    for one in (command, *getattr(command, "commands", {}).values()):
        one.short_help = (one.help or "").partition("\n")[0]  # typer cuts the help off, a given short help not
    text = get_docs_for_click(obj=command, ctx=click.Context(command), name="netsim", title="Command line")
    note = "This page is generated from the code. `netsim COMMAND --help` prints the same."
    return text.replace("# Command line\n", f"# Command line\n\n{note}\n", 1)


@page("reference/presets.md")
def presets() -> str:
    """Every channel preset: what it does beside what its paper prints."""
    from netsim.channels import preset, preset_names, preset_variants, published
    from netsim.errors import InputError

    rows = []
    for name in preset_names():
        printed = published(name)
        for variant in preset_variants(name):
            paper = (_percent(printed["loss_rate"]), _burst(printed.get("mean_burst")))
            try:
                channel = preset(name, variant)
            except InputError as error:
                rows.append((f"`{name}`", variant, error.message, "", *paper))
                continue
            ours = (_percent(channel.loss_rate), _burst(channel.mean_burst))
            rows.append((f"`{name}`", variant, *ours, *paper))
    head = ("preset", "variant", "loss rate", "mean burst", "loss rate, printed", "mean burst, printed")
    lines = [
        "# Channel presets",
        "",
        "This page is generated from the code: the loss rate and the mean burst follow from the transition matrix in",
        "closed form. `netsim channels` prints the same. [Channels](channels.md#the-presets-and-their-variants) says",
        "where the numbers come from.",
        "",
        *_table(head, rows),
    ]
    return "\n".join(lines) + "\n"


@page("reference/recipe-list.md")
def recipes() -> str:
    """The shipped recipes with their sources."""
    from ruamel.yaml import YAML

    rows = []
    for path in sorted((ROOT / "experiments").glob("*/*/recipe.yaml")):
        recipe = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
        rows.append((f"`{path.parts[-3]}/{path.parts[-2]}`", recipe["title"], recipe["source"]))
    lines = [
        "# List of recipes",
        "",
        "This page is generated from `experiments/`. `netsim reproduce NAME` runs a recipe; [Recipes](recipes.md) says",
        "what its files hold.",
        "",
        *_table(("recipe", "what", "published in"), rows),
    ]
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _burst(packets: float | None) -> str:
    return "" if packets is None else f"{packets:.2f}"


def _model_rows(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """Rows (key, values, default, meaning) of a pydantic model's fields."""
    schema = model.model_json_schema()
    required = schema.get("required", [])
    rows = []
    for key, field in schema.get("properties", {}).items():
        default = "**needed**" if key in required else _default(field.get("default"))
        rows.append((f"`{key}`", _values(field, schema), default, field.get("description", "")))
    return rows


def _default(value: Any) -> str:
    return "none" if value is None else f"`{value}`".replace("'", "")


def _values(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a field may hold, in words."""
    if "anyOf" in field:
        options = [_values(one, schema) for one in field["anyOf"] if one.get("type") != "null"]
        return " or ".join(dict.fromkeys(options))
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    kind = {"string": "text", "integer": "whole number", "number": "number", "array": "list", "boolean": "true, false"}
    words = kind.get(field.get("type", ""), "see the meaning")
    if field.get("format") == "path":
        words = "file"
    low, above = field.get("minimum"), field.get("exclusiveMinimum")
    high = field.get("maximum")
    if above is not None:
        words += f" above {above}"
    if low is not None:
        words += f" from {low}"
    if high is not None:
        words += f" to {high:,}"
    return words


def _limits(limits: tuple[float, float] | None) -> str:
    return "any" if limits is None else f"{limits[0]:g} to {limits[1]:g}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:].rstrip(".") + "."


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """A Markdown table; bars in cells are escaped."""
    cells = [list(head), *(list(row) for row in rows)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells]
    return [lines[0], "|" + "---|" * len(cells[0]), *lines[1:]]
