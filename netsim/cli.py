"""The command line. Thin: each command imports what it needs when it runs, so that help answers at once."""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from errno import EACCES, EDQUOT, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOSPC, ENOTDIR, EPERM, EROFS
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from netsim.commands import channels as channels_module
from netsim.commands import data as data_module
from netsim.commands import trace as trace_module
from netsim.commands.codecs import check_codec_command, codecs_command
from netsim.commands.compare import compare
from netsim.commands.explain import explain
from netsim.commands.export import export
from netsim.commands.init import init
from netsim.commands.new import check_metric_command, new
from netsim.commands.plot import fitting_figure, plot
from netsim.commands.report import report
from netsim.commands.reproduce import reproduce_command
from netsim.commands.table import table
from netsim.commands.train import train
from netsim.commands.verify import verify
from netsim.commands.watch import watch
from netsim.console import guard_streams
from netsim.errors import InputError
from netsim.interrupt import Stopped, end_on_signals
from netsim.text import visible

__all__ = ["app", "main"]

app = typer.Typer(
    name="netsim",
    help="What image quality does a codec deliver over a bad network, slot by slot, and how sure are we?",
    epilog="Begin with:  netsim run quickstart",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from netsim.distribution import DISTRIBUTION, installed_version
        from netsim.runs.manifest import git_revision

        revision = git_revision()
        typer.echo(f"{DISTRIBUTION} {installed_version()}" + (f" ({revision})" if revision else ""))
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and revision.")
    ] = False,
) -> None:
    pass


ScenarioArgument = Annotated[Path, typer.Argument(metavar="SCENARIO", help="YAML file, or name of a shipped scenario.")]
OutOption = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Folder of the run [runs/NAME-N].")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a key, e.g. --set trials=10.")
]
WorkersOption = Annotated[int | None, typer.Option("--workers", min=1, max=1024, help="Processes [one a core].")]
ClusterOption = Annotated[
    str | None, typer.Option("--cluster", metavar="ADDRESS", help="Ray: ray (start it here), auto, or HOST:PORT.")
]
SeedOption = Annotated[int | None, typer.Option("--seed", min=0, help="Override the scenario's seed.")]
EngineOption = Annotated[
    str | None, typer.Option("--engine", help="auto, event, array, exact or stratified [the scenario's].")
]
ExistOption = Annotated[
    str,
    typer.Option(
        "--exist", metavar="WHAT", help="Where DIR has a finished or other run: number (DIR-2), fail or overwrite."
    ),
]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Delete the run in DIR, also an unfinished one.")]
FreshOption = Annotated[bool, typer.Option("--fresh", help="Take no remembered streams and values: make all anew.")]
JsonProgressOption = Annotated[bool, typer.Option("--json-progress", help="Say what happens as lines of JSON.")]
FiguresOption = Annotated[bool, typer.Option("--figures", help="Draw the figures and write the report, too.")]


@app.command(epilog="Example:  netsim run quickstart --set trials=10")
def run(
    scenario: ScenarioArgument,
    out: OutOption = None,
    assignments: SetOption = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    seed: SeedOption = None,
    engine: EngineOption = None,
    figures: FiguresOption = False,
    exist: ExistOption = "number",
    overwrite: OverwriteOption = False,
    fresh: FreshOption = False,
    json_progress: JsonProgressOption = False,
) -> None:
    """Run a scenario: encode, send, decode, log. Rerun a killed run's command to resume it.

    The last line on standard output is the run's folder.
    """
    ways = {"exist": "overwrite" if overwrite else exist, "fresh": fresh, "cluster": cluster}
    _run(scenario, out, _overrides(assignments, seed, engine), workers, figures, json_progress, **ways)


@app.command(epilog="Example:  netsim sweep quickstart --channels EP1..EP6 --codec jpeg2000")
def sweep(
    scenario: ScenarioArgument,
    channels: Annotated[list[str], typer.Option("--channels", help="EP1..EP6, or names with commas; repeatable.")],
    codec: Annotated[list[str] | None, typer.Option("--codec", help="Keep this codec of the scenario.")] = None,
    out: OutOption = None,
    assignments: SetOption = None,
    workers: WorkersOption = None,
    cluster: ClusterOption = None,
    seed: SeedOption = None,
    engine: EngineOption = None,
    figures: FiguresOption = False,
    exist: ExistOption = "number",
    overwrite: OverwriteOption = False,
    fresh: FreshOption = False,
    json_progress: JsonProgressOption = False,
) -> None:
    """Run a scenario with its axes given on the command line.

    The last line on standard output is the run's folder.
    """
    from netsim.scenario.document import Document
    from netsim.shipped import find_scenario

    names = [name.strip() for part in channels for name in part.split(",")]
    overrides = [f"channels=[{', '.join(names)}]"]
    if codec:
        overrides.append(_codecs_kept(Document.read(find_scenario(scenario)).data.get("codecs"), codec))
    ways = {"exist": "overwrite" if overwrite else exist, "fresh": fresh, "cluster": cluster}
    _run(scenario, out, [*_overrides(assignments, seed, engine), *overrides], workers, figures, json_progress, **ways)


@app.command(epilog="Example:  netsim validate ep_sweep")
def validate(
    scenario: ScenarioArgument,
    assignments: SetOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="The plan, row by row.")] = False,
) -> None:
    """Check a scenario without running it, and print its plan."""
    from netsim.scenario.load import load_plan
    from netsim.scenario.show import plan_json, plan_text

    found = load_plan(scenario, assignments or [])
    typer.echo(plan_json(found) if as_json else plan_text(found))


app.command("init", epilog="Example:  netsim init ep_sweep --out mine.yaml")(init)
app.command("plot", epilog="Example:  netsim plot radar runs/quickstart-1")(plot)
app.command("table", epilog="Example:  netsim table runs/quickstart-1 --out table2.tex")(table)
app.command("compare", epilog='Example:  netsim compare runs/quickstart-1 "jpeg2000 resilient" "jpeg2000 prefix"')(
    compare
)
app.command("explain", epilog="Example:  netsim explain runs/quickstart-1 --image coffee --codec jpeg2000")(explain)
app.command("report", epilog="Example:  netsim report runs/quickstart-1")(report)
app.command("export", epilog="Example:  netsim export runs/quickstart-1")(export)
app.command("reproduce", epilog="Example:  netsim reproduce resicomp/fig12 --quick")(reproduce_command)
app.command("watch", epilog="Example:  netsim watch runs/quickstart-1")(watch)
app.command("verify", epilog="Example:  netsim verify runs/quickstart-1")(verify)
app.command("codecs", epilog="Example:  netsim codecs --json")(codecs_command)
app.command("check-codec", epilog="Example:  netsim check-codec jpeg2000 --set receiver=resilient")(check_codec_command)
app.command("check-metric", epilog="Example:  netsim check-metric psnr_db")(check_metric_command)
app.command("new", epilog="Example:  netsim new codec my-codec")(new)
app.command("check-channel", epilog="Example:  netsim check-channel EP4")(channels_module.check_channel_command)
app.command(
    "train",
    add_help_option=False,  # everything after the trainer's name is the trainer's
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
    epilog="Example:  netsim train progressive --help",
)(train)
app.add_typer(channels_module.app, name="channels")
app.add_typer(data_module.app, name="data")
app.add_typer(trace_module.app, name="trace")


def _overrides(assignments: list[str] | None, seed: int | None, engine: str | None) -> list[str]:
    named = {"seed": seed, "engine": engine}
    return [*(assignments or []), *(f"{key}={value}" for key, value in named.items() if value is not None)]


def _codecs_kept(entries: object, wanted: list[str]) -> str:
    """The assignment that keeps the scenario's entries of some codecs."""
    import json

    from netsim.errors import did_you_mean

    listed = entries if isinstance(entries, list) else []
    named = [(entry if isinstance(entry, str) else next(iter(entry), ""), entry) for entry in listed if entry]
    for name in wanted:
        if name not in {known for known, _ in named}:
            hint = did_you_mean(name, {str(known) for known, _ in named})
            raise InputError(f"the scenario has no codec `{name}`", where="--codec", hint=hint)
    return f"codecs={json.dumps([entry for name, entry in named if name in wanted])}"


def _run(
    scenario: Path,
    out: Path | None,
    overrides: list[str],
    workers: int | None,
    figures: bool,
    json_progress: bool,
    **ways: Any,
) -> None:
    from netsim.analysis.summary_files import write_summary
    from netsim.runs.executors import default_workers
    from netsim.runs.pipeline import run_plan
    from netsim.runs.progress import ConsoleReporter, resume_hint
    from netsim.runs.watch import JsonReporter
    from netsim.scenario.load import load_plan

    if workers is not None and ways["cluster"] not in (None, "ray"):
        hint = "leave --workers out, or let --cluster ray start some here"
        raise InputError("a cluster has as many workers as CPUs", where="--workers", hint=hint)
    reporter = JsonReporter() if json_progress else ConsoleReporter()
    try:
        plan = load_plan(scenario, overrides)
        folder = run_plan(plan, out, workers or default_workers(), reporter, write_summary, **ways)
    except Stopped:
        reporter.say("stopped", resume_hint(ways["exist"]))
        raise
    if figures:
        from netsim.report.illustrated import illustrate

        reporter.say("figures", "and report.html, for which images of chosen slots are decoded again")
        for path in illustrate(folder):
            reporter.say("wrote", str(path))
    else:
        reporter.say("next", f"netsim plot {fitting_figure(plan)} {folder}")
    typer.echo(folder)


_ENVIRONMENT = (EACCES, EDQUOT, ELOOP, EMFILE, ENAMETOOLONG, ENFILE, ENOSPC, ENOTDIR, EPERM, EROFS)


def main() -> None:
    """Entry point. Bad input: the error on standard error, exit code 2. A signal: 128 and its number."""
    _detach_from_shell()
    guard_streams()
    try:
        with end_on_signals(_kill_workers):
            try:
                app()
            except SystemExit:
                sys.stdout.flush()
                raise
    except InputError as error:
        sys.stderr.write(f"{visible(str(error))}\n")
        sys.exit(2)
    except BrokenPipeError:
        sys.exit(141)
    except OSError as error:
        if error.errno not in _ENVIRONMENT:
            _end_by_bug(error)
        what = f"{error.filename}: " if error.filename else ""
        notes = "".join(f"  {note}\n" for note in getattr(error, "__notes__", []))
        sys.stderr.write(visible(f"{what}{error.strerror}\n{notes}"))
        sys.exit(2)
    except Stopped as stop:
        with suppress(OSError):
            sys.stdout.flush()
        os._exit(stop.exit_code)  # at once: a second signal would meet an interpreter that is half gone
    except Exception as error:
        _end_by_bug(error)


def _end_by_bug(error: Exception) -> NoReturn:
    """Print the traceback of a bug, without the frames of the command line's library, and exit with code 1."""
    shown = place = error.__traceback__
    while place is not None:
        if str(place.tb_frame.f_globals.get("__name__")).partition(".")[0] in ("typer", "click"):
            shown = place.tb_next
        place = place.tb_next
    text = traceback.format_exception(error.with_traceback(shown or error.__traceback__))
    sys.stderr.write(visible("".join(text)))
    sys.exit(1)


def _kill_workers() -> None:
    executor = sys.modules.get("netsim.runs.executors.processes")
    if executor is not None:
        executor.kill_workers()


def _detach_from_shell() -> None:
    """Drops settings of the user's shell that are meant for other programs, for this process and its children."""
    for name in ("MPLBACKEND", "NUMBA_DISABLE_JIT"):  # files are drawn without a backend; no loop runs uncompiled
        os.environ.pop(name, None)


if __name__ == "__main__":
    main()
