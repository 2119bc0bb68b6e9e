"""``netsim channels``: what the preset channels really do, beside what was printed of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["app", "check_channel_command"]

WIDTH = 96  # where the output is not a terminal

app = typer.Typer(
    name="channels",
    no_args_is_help=False,
    help="Loss channels: what each preset really does, beside what was printed in its paper.\n\n"
    "Example: netsim channels show EP4 --packets 10",
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.callback(invoke_without_command=True)
def channels(context: typer.Context, as_json: AsJson = False) -> None:
    """List all presets in all variants, and flag every discrepancy with the paper.

    Example: netsim channels
    """
    if context.invoked_subcommand is not None:
        return
    from netsim.channels.describe import describe_all

    everything = describe_all()
    if as_json:
        _print_json(everything)
    else:
        _print_table(_console(), everything)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A preset (EP4, EP3-released, ge-15) or a channel as in a scenario.")],
    variant: Annotated[str | None, typer.Option(help="corrected, released or printed.")] = None,
    packets: Annotated[int, typer.Option(help="Window length of the loss counts.")] = 10,
    as_json: AsJson = False,
) -> None:
    """One channel in detail: matrix, loss rate, bursts, and how many of L packets get lost.

    Example: netsim channels show EP4 --packets 10

    Example: netsim channels show "{loss_rate: 0.1, mean_burst: 4}"
    """
    from netsim.channels.describe import describe
    from netsim.channels.saved import read_channel
    from netsim.channels.spec import channel_from_spec
    from netsim.errors import InputError

    spec = _parsed(name)
    if variant is None:
        spec, _ = read_channel(spec) if not _is_preset(spec) else (spec, None)
    facts = describe(spec, variant, packets)
    if as_json:
        _print_json(facts)
    elif facts["valid"]:
        _print_details(_console(), facts)
    else:
        channel_from_spec({"preset": facts["name"], "variant": facts["variant"]})  # raises the error with its hint
        raise InputError(str(facts["error"]))


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="A preset, a saved channel, or a channel as in a scenario.")],
    to: Annotated[str, typer.Option("--to", help="netem, ns3 or ns-py.")],
) -> None:
    """Print the line that makes another simulator lose packets by the same law; where none does, say why.

    Example: netsim channels export EP4 --to netem
    """
    from netsim.channels.export import export_channel
    from netsim.channels.saved import read_channel

    typer.echo(export_channel(read_channel(_parsed(name))[1], to))


def check_channel_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A preset, a plug-in, or a channel as in a scenario.")],
    as_json: AsJson = False,
) -> None:
    """Try out whether a channel keeps its contract; exit code 1 if it does not."""
    from netsim.channels.conformance import check_channel
    from netsim.channels.saved import read_channel

    results = check_channel(read_channel(_parsed(name))[1])
    failed = sum(not result.passed for result in results)
    if as_json:
        checks = [{"name": r.name, "passed": r.passed, "detail": r.detail} for r in results]
        _print_json({"channel": name, "passed": not failed, "checks": checks})
    else:
        from netsim.commands.checks import check_table

        console = _console()
        console.print(check_table(results))
        console.print(f"{name}: {failed} of {len(results)} checks failed" if failed else f"{name} keeps its contract")
    if failed:
        raise typer.Exit(1)


def _is_preset(spec: Any) -> bool:
    from netsim.channels.presets import preset_names, split_variant

    return isinstance(spec, str) and split_variant(spec)[0] in preset_names()


def _parsed(text: str) -> Any:
    """A name, or a YAML mapping as in a scenario."""
    if not text.lstrip().startswith("{"):
        return text
    from netsim.yaml_text import read_value

    return read_value(text, lambda line, column: f"`{text}`")


def _print_json(facts: Any) -> None:
    import json

    typer.echo(json.dumps(facts, indent=2, allow_nan=False))


def _console() -> Console:
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    return console if console.is_terminal else Console(highlight=False, markup=False, width=WIDTH)


def _print_table(console: Console, everything: list[dict[str, Any]]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in ("channel", "variant"):
        table.add_column(heading, no_wrap=True)
    for heading in ("loss", "paper", "burst", "paper", "lag-1", ""):
        table.add_column(heading, justify="right", no_wrap=True)
    last = ""
    for facts in everything:
        name = facts["name"]
        if last and name.rpartition("-")[0] != last.rpartition("-")[0]:
            table.add_section()
        paper = facts["published"] or {}
        lags = facts["autocorrelation"]
        table.add_row(
            "" if name == last else name,
            facts["variant"],
            _percent(facts["loss_rate"]),
            _percent(paper.get("loss_rate")),
            _number(facts["mean_burst"]),
            _number(paper.get("mean_burst")),
            _number(lags[0], 3) if lags else "–",
            ("!" if facts["discrepancies"] else "") + ("i" if facts["notes"] else ""),
        )
        last = name
    console.print(table)
    console.print("burst: mean run of losses, packets; lag-1: correlation of neighbours; paper: as printed")
    for mark, key in (("!", "discrepancies"), ("i", "notes")):
        console.print()
        for sentence in _merged(everything, key):
            console.print(f"{mark} {sentence}")
    console.print("\nnext  netsim channels show EP4 --packets 10")


def _merged(everything: list[dict[str, Any]], key: str) -> list[str]:
    """Sentences with the channel they are about; variants of a preset that share one stand together."""
    about: dict[tuple[str, str], list[str]] = {}
    for facts in everything:
        for sentence in facts[key]:
            about.setdefault((facts["name"], sentence), []).append(facts["variant"])
    return [
        sentence if sentence.startswith(name) else f"{name} {', '.join(variants)}: {sentence}"
        for (name, sentence), variants in about.items()
    ]


def _print_details(console: Console, facts: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    title = facts["name"] + (f", {facts['variant']}" if facts["variant"] else "")
    paper = facts["published"] or {}
    console.print(title)
    for label, ours, theirs in (
        ("loss rate", _percent(facts["loss_rate"], 3), _percent(paper.get("loss_rate"))),
        ("mean burst", _number(facts["mean_burst"], 3), _number(paper.get("mean_burst"))),
    ):
        said = f"   (paper: {theirs})" if paper and theirs != "–" else ""
        console.print(f"  {label:<12}{ours}{said}")
    if facts["autocorrelation"]:
        lags = "  ".join(_number(value, 3) for value in facts["autocorrelation"])
        console.print(f"  {'correlation':<12}{lags}   (lags 1–{len(facts['autocorrelation'])})", soft_wrap=True)
    for mark, key in (("!", "discrepancies"), ("i", "notes")):
        for sentence in facts[key]:
            console.print(f"{mark} {sentence}")
    for key, value in facts["source"].items():
        console.print(f"  {key:<16}{', '.join(value) if isinstance(value, list) else value}", soft_wrap=True)
    if facts["rows"]:
        rows = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
        rows.add_column("from")
        for state in facts["states"]:
            rows.add_column(f"to {state}", justify="right")
        rows.add_column("packet lost", justify="right")
        for state, row, loss in zip(facts["states"], facts["rows"], facts["loss"], strict=True):
            rows.add_row(state, *(f"{p:.6g}" for p in row), _percent(loss, 2))
        console.print()
        console.print(rows)
    if facts["loss_count_probabilities"]:
        _print_counts(console, facts)


def _print_counts(console: Console, facts: dict[str, Any]) -> None:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), pad_edge=False)
    for heading in (f"lost of {facts['packets']}", "probability", "independent"):
        table.add_column(heading, justify="right")
    table.add_column("")
    ours, independent = facts["loss_count_probabilities"], facts["independent"]["loss_count_probabilities"]
    for lost, (p, q) in enumerate(zip(ours, independent, strict=True)):
        table.add_row(str(lost), _probability(p), _probability(q), "█" * round(30 * p) or ("▏" if p >= 0.001 else ""))
    console.print(table)
    console.print("independent: loss without memory at the same rate")


def _percent(rate: float | None, decimals: int = 2) -> str:
    return "–" if rate is None else f"{100 * rate:.{decimals}f} %"


def _number(value: float | None, decimals: int = 2) -> str:
    return "–" if value is None else f"{round(value, decimals) + 0.0:.{decimals}f}"  # + 0.0: no minus before a zero


def _probability(p: float) -> str:
    return f"{p:.6f}" if p == 0 or p >= 1e-5 else f"{p:.1e}"
