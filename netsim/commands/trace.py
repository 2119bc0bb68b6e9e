"""``netsim trace``: recorded losses read, described, converted, and channels fitted to them."""

from __future__ import annotations

import shlex
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from netsim.channels.traces import Trace

__all__ = ["app"]

app = typer.Typer(
    name="trace",
    no_args_is_help=True,
    help="Recorded losses: 0/1 text, tables, G.192 error patterns, captures of RTP or numbered UDP, ping, irtt; and "
    "Mahimahi's link traces.\n\nExample: netsim trace describe lost.txt --one lost",
)

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A trace.")]
Format = Annotated[str, typer.Option("--format", help="How to read it [recognised by content].")]
One = Annotated[str, typer.Option("--one", help="What a 1 means: lost or received.")]
Columns = Annotated[
    str,
    typer.Option("--columns", help="Of a table: `seq time_s -` by position, `seq=packet` by the first row's names."),
]
CounterBits = Annotated[int | None, typer.Option("--counter-bits", help="Width of a number that starts again at 0.")]
Sent = Annotated[str, typer.Option("--sent", metavar="FIRST..LAST", help="Numbers of the packets that were sent.")]
Rtp = Annotated[bool, typer.Option("--rtp", help="The capture's UDP packets are RTP.")]
UdpNumber = Annotated[
    str, typer.Option("--udp-number", metavar="OFFSET:BYTES[:little]", help="Where UDP packets carry their number.")
]
Port = Annotated[int | None, typer.Option("--port", help="Only UDP packets to this port.")]
Direction = Annotated[str, typer.Option("--direction", help="Of irtt: round-trip, up or down.")]
Link = Annotated[str | None, typer.Option("--link", help="Only recordings with this label.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(epilog="Example:  netsim trace describe lost.txt --one lost")
def describe(
    context: typer.Context,
    file: FileArgument,
    format: Format = "",
    one: One = "",
    columns: Columns = "",
    counter_bits: CounterBits = None,
    sent: Sent = "",
    rtp: Rtp = False,
    udp_number: UdpNumber = "",
    port: Port = None,
    direction: Direction = "",
    link: Link = None,
    as_json: AsJson = False,
) -> None:
    """What a trace holds: packets, loss rate, bursts and gaps, correlation, losses among ten packets."""
    from netsim.channels.fitting.observed import observe

    if format == "mahimahi":
        _describe_rate(file, as_json)
        return
    trace = _read(context, file)
    seen = observe(recording.received for recording in trace.recordings)
    facts: dict[str, Any] = {
        "file": str(file),
        "format": trace.format,
        "links": len({recording.label for recording in trace.recordings}),
        "recordings": seen.recordings,
        "packets": seen.packets,
        "interval_s": trace.interval_s,
        "loss_rate": seen.loss_rate,
        "mean_burst": seen.mean_burst,
        "mean_gap": seen.mean_gap,
        "autocorrelation": seen.autocorrelation.tolist(),
        "loss_counts": [None if share != share else share for share in seen.loss_counts.tolist()],
        "notes": list(trace.notes),
    }
    if as_json:
        _print_json(facts)
        return
    typer.echo(f"{file}: {trace.format}, {_counts(trace)}")
    interval = facts["interval_s"]
    if interval is not None:
        typer.echo(f"  {'interval':<12}{interval:.6g} s   (as `step_s`, the trace runs by the clock)")
    typer.echo(f"  {'loss rate':<12}{100 * seen.loss_rate:.3f} %")
    typer.echo(f"  {'mean burst':<12}{seen.mean_burst:.3f} packets")
    typer.echo(f"  {'mean gap':<12}{seen.mean_gap:.3f} packets")
    typer.echo(f"  {'correlation':<12}{'  '.join(f'{value:.3f}' for value in seen.autocorrelation[:10])}   (lags 1–10)")
    counts = "  ".join(f"{lost}: {share:.3f}" for lost, share in enumerate(seen.loss_counts))
    typer.echo(f"  {'lost of 10':<12}{counts}")
    _echo_notes(trace.notes)
    typer.echo(f"next  netsim trace fit {shlex.join([str(file), *_reading_options(context)])}")


@app.command(epilog="Example:  netsim trace convert lost.pcap lost.txt --rtp")
def convert(
    context: typer.Context,
    file: FileArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="File to write; an existing one is never replaced.")],
    to: Annotated[str, typer.Option("--to", help="Format to write [by OUT's ending].")] = "",
    byte_order: Annotated[str, typer.Option("--byte-order", help="Of g192's words: little or big.")] = "little",
    format: Format = "",
    one: One = "",
    columns: Columns = "",
    counter_bits: CounterBits = None,
    sent: Sent = "",
    rtp: Rtp = False,
    udp_number: UdpNumber = "",
    port: Port = None,
    direction: Direction = "",
    link: Link = None,
) -> None:
    """Write a trace in another format: text, csv, g192, g192-byte, g192-compact, pcap, pcapng.

    The last line on standard output is the file's path.
    """
    from netsim.channels.traces import WRITABLE, trace_bytes
    from netsim.channels.traces.write import default_format
    from netsim.errors import InputError
    from netsim.paths import output_path

    wanted = to or default_format(out)
    if not wanted:
        raise InputError(f"no format for {out}", hint=f"give --to: {', '.join(WRITABLE)}")
    trace = _read(context, file)
    content = trace_bytes(trace, wanted, byte_order)
    try:
        with output_path(str(out)).open("xb") as target:
            target.write(content)
    except FileExistsError:
        raise InputError(f"`{out}` exists", hint="name another file") from None
    except OSError as error:
        raise InputError(f"can't write `{out}`: {error.strerror}") from None
    typer.echo(f"{_counts(trace)}, as {wanted}", err=True)
    typer.echo(out)


@app.command(epilog="Example:  netsim trace fit lost.txt --save roof-lab --figure card.png")
def fit(
    context: typer.Context,
    file: FileArgument,
    family: Annotated[
        list[str] | None, typer.Option("--family", help="Only this family; repeatable: gilbert, hmm-4, … [all].")
    ] = None,
    states: Annotated[int, typer.Option("--states", min=1, help="Most states of a hidden Markov model.")] = 3,
    save: Annotated[str | None, typer.Option("--save", metavar="NAME", help="Save the best channel by name.")] = None,
    folder: Annotated[
        Path | None, typer.Option("--folder", help="Scenario's folder to save in [the user's configuration].")
    ] = None,
    figure: Annotated[Path | None, typer.Option("--figure", help="Draw the card into this .png or .svg.")] = None,
    starts: Annotated[int, typer.Option("--starts", min=1, max=1000, help="Random starts per family.")] = 8,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of starts and simulations.")] = 0,
    format: Format = "",
    one: One = "",
    columns: Columns = "",
    counter_bits: CounterBits = None,
    sent: Sent = "",
    rtp: Rtp = False,
    udp_number: UdpNumber = "",
    port: Port = None,
    direction: Direction = "",
    link: Link = None,
    as_json: AsJson = False,
) -> None:
    """Fit channels to a trace, compare them, and show how well the best one fits.

    Families: bernoulli, gilbert, gilbert-elliott, three-state, hmm-3 … hmm-N. The best has the least BIC.
    """
    from netsim.channels.fitting.card import goodness_card
    from netsim.channels.fitting.fit import compare_families
    from netsim.channels.saved import channel_file

    target = channel_file(save, folder) if save is not None else None
    _refuse_existing(target)
    trace = _read(context, file)
    recordings = [recording.received for recording in trace.recordings]
    fits = _flags(
        lambda: compare_families(
            recordings, family, states=states, seed=seed, starts=starts, on_fit=lambda fit: _progress(fit.family.name)
        )
    )
    best = fits[0]
    card = goodness_card(best.channel, recordings, seed)
    written = _save(target, save or "", best, trace, file, seed) if target is not None else None
    if figure is not None:
        _draw(figure, card, f"{file.name}: {best.family.name}")
    if as_json:
        _print_json(_fit_facts(file, trace, fits, card, written))
        return
    typer.echo(f"{file}: {trace.format}, {_counts(trace)}")
    _print_fits(fits)
    _print_card(card, best)
    _echo_notes([*trace.notes, *_fit_notes(fits, card)])
    if written is not None:
        typer.echo(f"saved  {written}")
        typer.echo(f"next  netsim channels show {save}", err=True)


def _reading_options(context: typer.Context) -> list[str]:
    """The options, as given, that say how to read the trace: `fit` needs the same ones."""
    words: list[str] = []
    for parameter in context.command.params:
        value = context.params.get(parameter.name or "")
        if parameter.param_type_name == "option" and parameter.name != "as_json" and value:
            words += [parameter.opts[0]] if value is True else [parameter.opts[0], str(value)]
    return words


def _read(context: typer.Context, file: Path) -> Trace:
    """The trace, read as the command's options say: those of ``TraceOptions``, and ``link``."""
    from netsim.channels.traces import TraceOptions, read_trace
    from netsim.paths import user_path

    given = context.params
    options = _flags(lambda: TraceOptions(**{one.name: given[one.name] for one in fields(TraceOptions)}))
    return _flags(lambda: read_trace(user_path(str(file)), options).select(given["link"]))


def _flags(make: Any) -> Any:
    """Shows errors that name an option at its flag."""
    from netsim.errors import InputError

    try:
        return make()
    except InputError as error:
        if error.where or not error.key:
            raise
        raise error.at(f"--{str(error.key[0]).replace('_', '-')}") from None


def _progress(name: str) -> None:
    import sys

    if sys.stderr.isatty():
        typer.echo(f"fitted {name}", err=True)


def _refuse_existing(path: Path | None) -> None:
    from netsim.errors import InputError

    if path is not None and path.exists():
        raise InputError(f"`{path}` exists", hint="save under another name, or delete the file")


def _save(path: Path, name: str, best: Any, trace: Trace, file: Path, seed: int) -> Path:
    """Write a fitted channel with where it comes from."""
    import netsim
    from netsim.channels.saved import channel_text
    from netsim.digests import file_sha256
    from netsim.runs.atomic import make_folder, write_atomically

    channel = best.channel
    source = {
        "file": file.name,
        "sha256": file_sha256(file),
        "format": trace.format,
        "links": sorted({one.label for one in trace.recordings})[:20],
        "recordings": len(trace.recordings),
        "packets": best.packets,
        "family": best.family.name,
        "log_likelihood": best.log_likelihood,
        "bic": best.bic,
        "seed": seed,
        "netsim": netsim.__version__,
    }
    facts = {
        "states": list(channel.states),
        "rows": channel.transition.tolist(),
        "loss": channel.loss.tolist(),
        "source": source,
    }
    head = f"# Fitted by `netsim trace fit`. A scenario says `channels: [{name}]`.\n"
    make_folder(path.parent)
    write_atomically(path, lambda to: to.write((head + channel_text(facts)).encode()))
    return path


def _draw(path: Path, card: Any, title: str) -> None:
    from netsim.errors import InputError
    from netsim.figures.files import figure_bytes
    from netsim.figures.fit_card import draw_card
    from netsim.paths import output_path
    from netsim.runs.atomic import write_atomically

    kind = path.suffix.lower().lstrip(".")
    if kind not in ("png", "svg"):
        raise InputError(f"can't draw into `{path.name}`", hint="a name that ends in .png or .svg")
    content = figure_bytes(draw_card(card, title), kind)
    write_atomically(output_path(str(path)), lambda to: to.write(content))


def _fit_facts(file: Path, trace: Trace, fits: Any, card: Any, written: Path | None) -> dict[str, Any]:
    def finite(value: float | None) -> float | None:
        return value if value is not None and abs(value) < float("inf") else None

    return {
        "file": str(file),
        "format": trace.format,
        "recordings": len(trace.recordings),
        "packets": fits[0].packets,
        "fits": [
            {
                "family": one.family.name,
                "parameters": one.family.free,
                "log_likelihood": finite(one.log_likelihood),
                "bic": finite(one.bic),
                "held_out_bits": finite(one.held_out_bits),
                "converged": one.converged,
                "loss_rate": one.channel.loss_rate,
                "mean_burst": finite(one.channel.mean_burst),
                "states": list(one.channel.states),
                "rows": one.channel.transition.tolist(),
                "loss": one.channel.loss.tolist(),
            }
            for one in fits
        ],
        "card": [
            {
                "statistic": line.name,
                **{key: finite(getattr(line, key)) for key in ("recorded", "fitted", "low", "high")},
                "inside": line.inside,
            }
            for line in card.lines()
        ],
        "notes": [*trace.notes, *_fit_notes(fits, card)],
        "saved": None if written is None else str(written),
    }


def _fit_notes(fits: Any, card: Any) -> list[str]:
    notes = [
        f"{one.family.name}: stopped before it converged; more steps may find more" for one in fits if not one.converged
    ]
    held = [one for one in fits if one.held_out_bits is not None]
    if held:
        ahead = max(held, key=lambda one: one.held_out_bits)
        if ahead is not fits[0] and ahead.held_out_bits > fits[0].held_out_bits + 1e-4:
            notes.append(f"{ahead.family.name} predicts held-out packets better than {fits[0].family.name}")
    if not card.lines()[0].inside:
        notes.append("the loss rate is outside its band: more --states, or one --link, where links differ in kind")
    return notes


def _print_fits(fits: Any) -> None:
    typer.echo(
        f"{'family':<17}{'parameters':>10}{'BIC − best':>13}{'held out, bits/packet':>23}{'loss':>11}{'burst':>8}"
    )
    for one in fits:
        held = "–" if one.held_out_bits is None else f"{one.held_out_bits:.5f}"
        typer.echo(
            f"{one.family.name:<17}{one.family.free:>10}{one.bic - fits[0].bic:>13,.1f}{held:>23}"
            f"{100 * one.channel.loss_rate:>9.3f} %{one.channel.mean_burst:>8.3f}"
        )


def _print_card(card: Any, best: Any) -> None:
    typer.echo("")
    typer.echo(f"{best.family.name:<26}{'recorded':>12}{'fitted':>12}   95 % band")
    lines = [line for line in card.lines() if max(line.recorded, line.fitted) >= 5e-6 or "correlation" in line.name]
    for line in lines:
        mark = "" if line.inside else "   !"
        typer.echo(
            f"  {line.name:<24}{line.recorded:>12.5g}{line.fitted:>12.5g}   {line.low:.5g} to {line.high:.5g}{mark}"
        )
    outside = sum(not line.inside for line in lines)
    typer.echo(f"{outside} of {len(lines)} outside (!); 1 to 2 % are where the family is right")


def _describe_rate(file: Path, as_json: bool) -> None:
    from netsim.channels.traces import read_rate_trace

    trace = read_rate_trace(file)
    rates = trace.rates_bps()
    facts = {
        "file": str(file),
        "format": "mahimahi",
        "opportunities": len(trace.times_ms),
        "period_s": trace.period_ms / 1000,
        "mean_rate_bps": trace.mean_rate_bps,
        "least_rate_bps": float(rates.min()),
        "greatest_rate_bps": float(rates.max()),
    }
    if as_json:
        _print_json(facts)
        return
    typer.echo(f"{file}: mahimahi, {len(trace.times_ms):,} opportunities of 1,500 bytes in {facts['period_s']:g} s")
    typer.echo(f"  {'mean rate':<12}{trace.mean_rate_bps / 1e6:.3f} Mbit/s")
    typer.echo(f"  {'by second':<12}{rates.min() / 1e6:.3f} to {rates.max() / 1e6:.3f} Mbit/s")


def _counts(trace: Trace) -> str:
    from netsim.text import counted_noun

    packets = counted_noun(sum(len(one.received) for one in trace.recordings), "packet")
    if len(trace.recordings) == 1:
        return packets
    links = counted_noun(len({one.label for one in trace.recordings}), "link")
    return f"{packets} in {counted_noun(len(trace.recordings), 'recording')} of {links}"


def _echo_notes(notes: Any) -> None:
    for note in notes[:10]:
        typer.echo(f"note  {note}")
    if len(notes) > 10:
        typer.echo(f"note  and {len(notes) - 10:,} more notes (--json)")


def _print_json(facts: Any) -> None:
    import json

    typer.echo(json.dumps(facts, indent=2, allow_nan=False))
