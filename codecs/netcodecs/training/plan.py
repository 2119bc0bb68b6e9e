"""Runs the training plan: ``python -m netcodecs.training.plan`` (``make train-next``).

The plan (``codecs/training-plan.yaml``) lists pieces in order. A piece says what is trained, from which weights, and
for how many steps. This program takes the first piece that is not in the ledger (``codecs/training-ledger.csv``), runs
it at lowest priority in single-threaded processes, exports its weights and writes it into the ledger, then takes the
next. Checkpoints every five minutes; a killed run resumes from the last one. ``--snapshot`` writes the running piece's
averaged weights as float16 into ``codecs/training-running.safetensors``, from which another machine can continue.
"""

from __future__ import annotations

import csv
import fcntl
import filecmp
import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from netcodecs.progressive.methods import method_named, shipped_weights
from netcodecs.training.pieces import NEW, RESICOMP, Piece, pieces_in
from netsim.errors import InputError

__all__ = ["app"]

ROOT = Path(__file__).parents[2]
PLAN, LEDGER, RUNNING = (ROOT / f"training-{name}" for name in ("plan.yaml", "ledger.csv", "running.safetensors"))
RUNS = ROOT.parent / "runs" / "training"
_BASE = "mbt-mean"  # other weights of its family are stored as differences from it
_DATA_HINT = "a folder of folders of images: one whose name ends with `validation`, which is held out, and others"
DATA, TEST, PUBLISHED = "NETSIM_TRAINING_DATA", "NETSIM_KODAK", "NETSIM_PUBLISHED_RD"

_HELD_OUT = 24  # images of the measurement without test images, at most
_EMPHASIS = ("balance", "whole_share", "lossless_share")  # of methods

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help=__doc__)


def _done() -> list[str]:
    if not LEDGER.is_file():
        return []
    with LEDGER.open(newline="") as file:
        return [row["piece"] for row in csv.DictReader(file)]


def _next() -> Piece | None:
    done = set(_done())
    return next((piece for piece in pieces_in(PLAN) if piece.name not in done), None)


def _piece(name: str) -> Piece:
    return next(piece for piece in pieces_in(PLAN) if piece.name == name)


@app.command()
def main(
    processes: Annotated[int, typer.Option(help="Single-threaded processes that train together.")] = os.cpu_count()
    or 1,
    once: Annotated[bool, typer.Option(help="Stop after one piece.")] = False,
    snapshot: Annotated[
        bool, typer.Option(help="Write the running piece's weights for another machine, and end.")
    ] = False,
    rank: Annotated[int, typer.Option(hidden=True)] = -1,
    piece: Annotated[str, typer.Option(hidden=True)] = "",
    meeting: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Trains the plan's next pieces."""
    if rank >= 0:
        sys.exit(_train(_piece(piece), rank, processes, Path(meeting)))
    if snapshot:
        _snapshot()
        return
    while (current := _next()) is not None:
        _check_folders()
        print(f"piece     {current.name}: {current.trains} from {current.start}, {current.steps:,} steps", flush=True)
        code = _spawn(current, processes)
        if code:
            sys.exit(code)
        _finish(current)
        if once:
            return
    print("the plan is done")


def _check_folders() -> None:
    """Raises InputError, before hours of training and once for all processes, for folders that won't do."""
    _folders()
    test, published = _given(TEST), _given(PUBLISHED)
    if test is not None and not test.is_dir():
        raise InputError(f"{TEST} is {test}, which is no folder", hint="a folder of test images")
    if published is not None:
        from netcodecs.training.measure import curves_in

        curves_in(published)


def _given(name: str) -> Path | None:
    """The folder that an environment variable names."""
    return Path(os.environ[name]) if os.environ.get(name) else None


def _spawn(piece: Piece, processes: int) -> int:
    """Runs a piece's processes; returns 0, or the exit code of the first that failed."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "netcodecs.training.plan", f"--processes={processes}", f"--piece={piece.name}"]
        meeting = f"--meeting={Path(folder) / 'meeting'}"
        return _together([[*command, f"--rank={rank}", meeting] for rank in range(processes)])


def _together(commands: Sequence[Sequence[str]]) -> int:
    """Runs programs that wait for each other, at lowest priority; if one fails, the others are stopped.

    SIGTERM and SIGINT are handed on: the programs write a checkpoint and end.

    Returns:
        0, or the exit code of the first that failed.

    Raises:
        InputError: If programs of a former call still run.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"} | _ALLOCATOR
    RUNS.mkdir(parents=True, exist_ok=True)
    with (RUNS / "lock").open("w") as lock:  # the programs inherit it, and hold it if this process is killed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"training runs already in {RUNS}", hint="wait, or end its processes") from None
        children: list[subprocess.Popen[bytes]] = []
        asked: list[int] = []

        def stop(number: int, frame: object) -> None:
            asked.append(number)
            _stop(children)

        numbers = (signal.SIGINT, signal.SIGTERM)
        former = [signal.signal(number, stop) for number in numbers]
        stopped = False
        try:
            for command in commands:
                children.append(
                    subprocess.Popen(
                        command,
                        env=environment,
                        preexec_fn=lambda: os.nice(19),
                        pass_fds=[lock.fileno()],
                        process_group=0,
                    )
                )
            if asked:  # before all were there
                _stop(children)
            while None in [child.poll() for child in children]:
                if not stopped and any(_failed(child.returncode) for child in children):
                    stopped = True
                    _stop(children)
                time.sleep(0.2)
        finally:
            for number, handler in zip(numbers, former, strict=True):
                signal.signal(number, handler)
            for child in children:
                child.kill()
    return _exit_code([child.returncode for child in children], asked)


def _exit_code(codes: Sequence[int], asked: Sequence[int]) -> int:
    """The exit code of programs that ended, after a line on those that ended without a word.

    Args:
        codes: Of the programs; negative: the signal that killed one.
        asked: Signals that asked this program to stop.
    """
    failed = next((code for code in codes if 0 < code < 128), 0)
    by_others = [-code for code in codes if code < 0 and (code != -signal.SIGTERM or not asked)]
    killed = any(number != signal.SIGTERM for number in by_others)  # the others then fail for want of it
    if not any(codes) or (failed and not killed):
        return failed
    if by_others:
        number = next((number for number in by_others if number != signal.SIGTERM), by_others[0])
        print(f"a training process was killed ({signal.Signals(number).name}); the same command goes on", flush=True)
        return 128 + number
    if -signal.SIGTERM in codes:
        print("stopped before a step was done; the same command goes on", flush=True)
    return 128 + asked[0] if asked else next(code for code in codes if code)


def _failed(code: int | None) -> bool:
    """Whether a program ended other than by success or because it was asked to (128 + the signal's number)."""
    return code is not None and code != 0 and code < 128


def _stop(children: Sequence[subprocess.Popen[bytes]]) -> None:
    """Asks each process to write a checkpoint and end."""
    for child in children:
        child.terminate()


# glibc returns large blocks to the system after each use; to keep them doubles the speed of large tensors
_ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**33),
    "MALLOC_TOP_PAD_": str(2**26),
}


def _start(piece: Piece) -> str:
    """What a piece starts from, as ``initial_network`` takes it."""
    known = piece.start.endswith(".safetensors") or piece.start == NEW
    return piece.start if known else str(shipped_weights(piece.start))


def _folders() -> tuple[list[Path], Path]:
    """Folders of training images, and the one of validation images."""
    if not os.environ.get(DATA):
        raise InputError(f"{DATA} is not set", hint=_DATA_HINT)
    base = Path(os.environ[DATA])
    inside = sorted(p for p in base.iterdir() if p.is_dir() and not p.name.startswith(".")) if base.is_dir() else []
    held_out = [p for p in inside if p.name.endswith("validation")]
    training = [p for p in inside if p not in held_out]
    if len(held_out) != 1 or not training:
        found = ", ".join(p.name for p in inside) or "no folders"
        raise InputError(f"{DATA} is {base}, which has {found}", hint=_DATA_HINT)
    return training, held_out[0]


def _train(piece: Piece, rank: int, processes: int, meeting: Path) -> int:
    """One process of a piece; returns 0, or 128 + the number of the signal that stopped it."""
    from netcodecs.training.core.ranks import Ranks
    from netcodecs.training.core.run import CHECKPOINT

    settings = {"crop": 256} | dict(piece.settings)
    rate = settings.pop("rate", 1e-3)
    out, start, resume_at = RUNS / piece.name, _start(piece), 0
    if not (out / CHECKPOINT).is_file() and (found := _running_steps(piece)):
        start, resume_at = str(RUNNING), found
    session = _session(piece, start, settings)
    return session.train(out, steps=piece.steps, rate=rate, ranks=Ranks(rank, processes, meeting), resume_at=resume_at)


def _session(piece: Piece, start: str, settings: Mapping[str, Any]) -> Any:
    """What a piece trains, with its images."""
    from netcodecs.training.progressive.emphasis import Emphasis
    from netcodecs.training.progressive.session import Session
    from netcodecs.training.resicomp.session import Session as ResiCompSession

    folders, validation = _folders()
    if piece.trains == RESICOMP:
        return ResiCompSession(Path(start), folders, validation, **settings)
    emphasis = Emphasis(**{name: settings[name] for name in _EMPHASIS if name in settings})
    others = {"batch": 5} | {name: value for name, value in settings.items() if name not in _EMPHASIS}
    return Session(method_named(piece.trains), start, folders, validation, emphasis=emphasis, **others)


def _running_steps(piece: Piece) -> int:
    """Steps that the committed running weights have behind them, if they are of this piece; else 0."""
    from netcodecs.weight_files import read_weights

    if not RUNNING.is_file():
        return 0
    facts = read_weights(RUNNING)[1]
    return int(facts["steps"]) if facts.get("piece") == piece.name else 0


def _snapshot() -> None:
    """Writes the running piece's averaged weights as float16."""
    from netcodecs.progressive.weights import save_weights
    from netcodecs.resicomp.weights import save_weights as save_resicomp
    from netcodecs.training.core.checkpoint import load_tensors
    from netcodecs.training.core.run import CHECKPOINT
    from netcodecs.training.progressive.session import averaged_network
    from netcodecs.training.resicomp.session import averaged_model

    current = _next()
    if current is None:
        print("the plan is done")
        return
    checkpoint = RUNS / current.name / CHECKPOINT
    run = load_tensors(checkpoint)[1]
    made = RUNS / current.name / "snapshot.safetensors"
    facts = {"steps": run["steps"], "piece": current.name}
    if current.trains == RESICOMP:
        save_resicomp(made, averaged_model(checkpoint), exactly=True, facts=facts)
    else:
        save_weights(made, averaged_network(checkpoint), current.trains, exactly=True, facts=facts)
    os.replace(made, RUNNING)
    print(f"{RUNNING.name} holds {current.name} after {run['steps']:,} of {current.steps:,} steps")


def _finish(piece: Piece) -> None:
    """Exports a finished piece to the weights that ship, if they are better, and writes it into the ledger."""
    from netcodecs.training.core.checkpoint import load_tensors
    from netcodecs.training.core.run import CHECKPOINT

    run = load_tensors(RUNS / piece.name / CHECKPOINT)[1]
    row = {
        "piece": piece.name,
        "trains": piece.trains,
        "start": piece.start,
        "steps": run["steps"],
        "active_hours": f"{run['active_s'] / 3600:.2f}",
        "kept": "yes" if _exported(piece) else "no",
    }
    RUNNING.unlink(missing_ok=True)
    fresh = not LEDGER.exists()
    with LEDGER.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if fresh:
            writer.writeheader()
        writer.writerow(row)


def _exported(piece: Piece) -> bool:
    """Exports a piece; where the former weights do better on images that it was not trained on, these stay.

    These are the test images, or those held out. Weights that ship are replaced last, so that whatever interrupts the
    export and the measurement changes none.

    Returns:
        Whether the piece's weights were kept.
    """
    from netcodecs.training.export import export

    weights, (folders, validation), test = shipped_weights(piece.trains), _folders(), _given(TEST)
    images, limit = (validation, _HELD_OUT) if test is None else (test, None)
    measured, loss = _measurement(piece, limit)
    made = RUNS / "exported"
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(weights.parent, made)
    before = measured(weights, images) if weights.is_file() else []
    rows = export(
        RUNS / piece.name,
        made / weights.name,
        base=None if piece.trains == _BASE else made / shipped_weights(_BASE).name,
        count_images=folders[0],
        test_images=test,
        published=_given(PUBLISHED),
        named=weights.relative_to(ROOT.parent) if weights.is_relative_to(ROOT.parent) else weights,
    )
    after = rows or measured(made / weights.name, images)
    apart = loss(after) - loss(before) if before else -math.inf
    better = apart < 0  # false where training ended in numbers that are none
    _report(after[0].images, images, test is not None, apart, better)
    if not better:
        return False
    for path in sorted(made.iterdir()):
        former = weights.parent / path.name
        if path.is_file() and not (former.is_file() and filecmp.cmp(path, former, shallow=False)):
            scratch = former.with_name(former.name + ".partial")
            shutil.copyfile(path, scratch)
            os.replace(scratch, former)
    if piece.trains == _BASE:
        _check_concealment(weights)
    return True


def _check_concealment(weights: Path) -> None:
    """Says so if ``scr-mca-plus`` no longer fits the baseline."""
    from netcodecs.progressive.backbone import M
    from netcodecs.progressive.concealment import load_concealment
    from netcodecs.progressive.weights import load_backbone

    concealment = shipped_weights("scr-mca-plus")
    if concealment.is_file():
        try:
            load_concealment(concealment, M, load_backbone(weights))
        except InputError as error:
            print(error, flush=True)


def _measurement(
    piece: Piece, limit: int | None
) -> tuple[Callable[[Path, Path], list[Any]], Callable[[list[Any]], float]]:
    """How weights are measured on a folder of images, and the loss of what was measured: less is better.

    Args:
        piece: What is measured are its weights and the former ones.
        limit: How many images, of weights of the progressive family; ResiComp, which is slow, has a limit of its own.
    """
    from netcodecs.training import measure
    from netcodecs.training.resicomp import measure as of_resicomp

    if piece.trains == RESICOMP:
        alpha = piece.settings.get("alpha", of_resicomp.ALPHA)
        return of_resicomp.measure, lambda rows: of_resicomp.mean_loss(rows, alpha=alpha)
    under_loss = method_named(piece.trains).losses != "none"
    return partial(measure.measure, limit=limit), lambda rows: measure.mean_loss(rows, under_loss=under_loss)


def _report(count: int, folder: Path, test: bool, apart: float, better: bool) -> None:
    """One line on a measurement. apart: logarithm of the new weights' loss, less that of the former ones'."""
    kind = "test images" if test else f"images held out ({TEST} is not set)"
    change = f"{100 * math.expm1(apart):+.2f} %" if math.isfinite(apart) else "not a number"
    result = "no former weights" if apart == -math.inf else f"loss {change} against the former weights"
    print(f"measured  {count} {kind} in {folder}: {result}; {'replaced' if better else 'not kept'}", flush=True)


if __name__ == "__main__":
    try:
        app()
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
