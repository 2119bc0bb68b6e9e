"""A run from plan to log: encode, transport, decode, log. Tasks compute; this process alone writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from netsim.codec import Stream
from netsim.decoding.cache import CodecCache
from netsim.decoding.cases import case_qualities, needed_masks, row_stream_keys
from netsim.decoding.collapse import Arrays
from netsim.decoding.store import Store, default_store_path
from netsim.decoding.streams import StreamKey
from netsim.errors import InputError
from netsim.runs.adaptive_sampling import AdaptiveSampling
from netsim.runs.context import RunContext
from netsim.runs.deadlines import deadline_notes
from netsim.runs.engine_selection import resolve_engines
from netsim.runs.executors import Executor, Task, executor_for
from netsim.runs.folder import RunFolder, run_folder
from netsim.runs.log import write_log
from netsim.runs.manifest import manifest
from netsim.runs.parts import PartKey, part_files, read_part, remove_part, write_part
from netsim.runs.progress import Board, Reporter
from netsim.runs.rates import counted_bpp, rate_notes
from netsim.runs.tasks import decode_task, encode_task, transport_task
from netsim.runs.watch import WatchedReporter
from netsim.scenario.notes import plan_notes
from netsim.scenario.plan import Plan, PlanRow
from netsim.scenario.show import plan_line
from netsim.text import counted_noun

__all__ = ["Summarise", "run_plan"]

Summarise = Callable[[RunFolder, float], None]

_MASKS_IN_TASK = 64


def run_plan(
    plan: Plan,
    out: Path | None,
    workers: int,
    reporter: Reporter,
    summarise: Summarise,
    *,
    exist: str = "number",
    fresh: bool = False,
    cluster: str | None = None,
) -> Path:
    """Run a plan, or go on with its unfinished run.

    Args:
        plan: What to run.
        out: The run's folder; None: a new one below ``runs``.
        workers: Processes.
        reporter: Shows what happens.
        summarise: Writes summary.csv and distribution.csv from the log, given the folder and the dB of a failure:
            ``netsim.analysis.summary_files.write_summary``.
        exist: What to do where ``out`` holds a run already (``run_folder``).
        fresh: Take nothing from the store: encode and decode all anew, and replace what the store remembers.
        cluster: Ray in place of processes: ``ray`` starts it on this machine; or the address of a cluster.

    Returns:
        The run's folder.

    Raises:
        InputError: For bad input, a folder that can't be used, or inputs that change meanwhile.
    """
    with run_folder(out, plan, exist, lambda text: reporter.say("passed", text)) as folder:
        unwatched, reporter = reporter, WatchedReporter(reporter, folder.parts)
        reporter.say("plan", plan_line(plan))
        fresh = _start_fresh(folder) if fresh else folder.store.exists()
        about = manifest(plan, _say_notes(plan, folder, reporter), workers, cluster)
        folder.write_manifest(about)
        with Store(folder.store if fresh else default_store_path()) as store:
            context = RunContext(plan, CodecCache(store), folder.parts)
            with executor_for(plan, context.fetch, workers, cluster) as executor:
                tools, missed = _encode(context, executor, reporter)
                store.write()  # streams can take long to make, and the next row may be long in coming
                plan, reasons = resolve_engines(context)
                for reason in reasons:
                    reporter.say("engine", reason)
                for note in missed:
                    reporter.say("note", note)
                about = {**about, "tools": tools, "engines": reasons, "notes": [*about["notes"], *missed]}
                folder.write_manifest(about)
                context = replace(context, plan=plan)
                sampling = _transport_and_decode(context, executor, reporter)
            about = {**about, "precision": sampling.report()}
            for sentence in about["precision"]:
                reporter.say("precision", sentence)
            _log(context, folder, sampling, reporter)
        summarise(folder, plan.failure_db)
        if fresh:
            with Store() as store:
                store.replace_from(folder.store)
        folder.finish(about)
        files = [path.name for path in (folder.log, folder.summary, folder.distribution, folder.manifest)]
        unwatched.say("wrote", f"{folder.path}/  {'  '.join(files)}")  # the file of the watched one is deleted
        return folder.path


def _start_fresh(folder: RunFolder) -> bool:
    """Remove parts that were made with streams of the store; a run that began fresh keeps its own. Returns True."""
    if not folder.store.exists():
        for part in part_files(folder.parts):
            remove_part(part)
    return True


def _say_notes(plan: Plan, folder: RunFolder, reporter: Reporter) -> list[str]:
    """Say what is resumed and which numbers have no effect; returns the notes of the manifest."""
    done = len(part_files(folder.parts))
    if done:
        reporter.say("resume", f"{folder.path}: {counted_noun(done, 'part')} of its transport done before")
    notes = plan_notes(plan)
    for note in notes:
        reporter.say("note", note)
    return [*_discrepancies(plan), *notes]


def _discrepancies(plan: Plan) -> list[str]:
    """Where a channel of the plan does not do what its paper says."""
    from netsim.channels.describe import discrepancies

    return [f"{name}: {sentence}" for name, spec in plan.written.channels.items() for sentence in discrepancies(spec)]


def _encode(context: RunContext, executor: Executor, reporter: Reporter) -> tuple[dict[str, Any], list[str]]:
    """Encode what the store lacks; returns how each codec's streams were made, and what misses its rate or deadline."""
    cache, stream_keys = context.cache, context.stream_keys
    missing = [stream_key for stream_key in stream_keys if not cache.has(stream_key)]
    groups: dict[tuple[str, str], list[StreamKey]] = {}
    for stream_key in missing:  # a codec's points of one image stay together: searches share their encodes
        groups.setdefault((stream_key.image.name, stream_key.codec), []).append(stream_key)
    reporter.say(
        "encode", f"{counted_noun(len(stream_keys), 'stream')}, {len(stream_keys) - len(missing):,} remembered"
    )
    with reporter.board() as board:
        board.expect("encode", len(groups))

        def done(task: Task, streams: list[Stream]) -> Iterable[Task]:
            context.check_files()
            for stream_key, stream in zip(task.argument[1], streams, strict=True):
                cache.put_stream(stream_key, stream)
            board.step("encode")
            return ()

        executor.work([encode_task(context, group) for group in groups.values()], done)
    made: dict[str, Any] = {}
    rates: dict[StreamKey, float] = {}
    for stream_key in stream_keys:
        stream = cache.encode(stream_key)
        if stream.made_by:
            made.setdefault(stream_key.codec, dict(stream.made_by))
        rate = counted_bpp(stream_key, stream)
        if rate is not None:
            rates[stream_key] = rate
    return made, [*rate_notes(context.plan, rates), *deadline_notes(context.plan, cache)]


def _transport_and_decode(context: RunContext, executor: Executor, reporter: Reporter) -> AdaptiveSampling:
    """Rounds of transport; each part's masks are decoded once it is transported. Returns what was sampled."""
    sampling = AdaptiveSampling(context)
    pool = _DecodePool(context)
    with reporter.board() as board:
        while keys := sampling.next():
            _round(context, executor, board, pool, keys)
    reporter.say("decode", f"{counted_noun(len(pool.seen), 'mask')}, {pool.remembered:,} remembered")
    return sampling


def _round(context: RunContext, executor: Executor, board: Board, pool: _DecodePool, keys: list[PartKey]) -> None:
    plan = context.plan

    def done(task: Task, result: Any) -> Iterable[Task]:
        context.check_files()
        board.step(task.kind)
        if task.kind == "decode":
            context.cache.put_qualities(task.argument[0], result)
            return ()
        key = task.argument[0]
        write_part(key.path(context.parts), plan.run_id, result)
        more = pool.tasks(key, result)
        board.expect("decode", pool.grown())
        return more

    def todo() -> Iterator[Task]:
        for key in keys:
            arrays = _part_there(key.path(context.parts), plan.run_id)
            if arrays is None:
                yield transport_task(context, key)
                continue
            board.step("transport")
            more = pool.tasks(key, arrays)
            board.expect("decode", pool.grown())
            yield from more

    board.expect("transport", len(keys))
    board.expect("decode", pool.grown())
    executor.work(todo(), done)


def _part_there(part: Path, run_id: str) -> Arrays | None:
    """A part of this run that was done before; a damaged one is removed."""
    try:
        return read_part(part, run_id)
    except FileNotFoundError:
        return None
    except InputError:
        remove_part(part)
        return None


class _DecodePool:
    """Which masks were asked for already, in this run or before."""

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.seen: set[tuple[str, str]] = set()
        self.remembered = 0
        self._later = set(context.streams)
        self._found = self._told = 0

    def grown(self) -> int:
        """How many more tasks are expected than at the last call; the streams of later parts need one each."""
        before, self._told = self._told, self._found + len(self._later)
        return self._told - before

    def tasks(self, key: PartKey, arrays: Arrays) -> list[Task]:
        """What must be decoded for a part and is not under way yet."""
        cache, plan, found = self.context.cache, self.context.plan, []
        stream_keys = row_stream_keys(plan, plan.rows[key.row])
        self._later.difference_update(map(cache.key, stream_keys.values()))
        for stream_key, masks in needed_masks(stream_keys, arrays).items():
            address = cache.key(stream_key)
            new = sorted(mask for mask in masks if (address, mask) not in self.seen)
            self.seen.update((address, mask) for mask in new)
            todo = cache.missing(stream_key, new, plan.metrics)
            self.remembered += len(new) - len(todo)
            for i in range(0, len(todo), _MASKS_IN_TASK):
                found.append(decode_task(self.context, stream_key, todo[i : i + _MASKS_IN_TASK]))
        self._found += len(found)
        return found


def _log(context: RunContext, folder: RunFolder, sampling: AdaptiveSampling, reporter: Reporter) -> None:
    with reporter.board() as board:
        board.expect("log", sum(1 for _ in sampling.parts()))
        parts = _with_qualities(context, sampling.parts())
        write_log(folder.log, context.plan, parts, lambda: board.step("log"))


def _with_qualities(context: RunContext, parts: Iterator[PartKey]) -> Iterator[tuple[PlanRow, Arrays, dict[str, Any]]]:
    """Each part in plan order: its row, its arrays, and the quality of each case by metric."""
    plan = context.plan
    for key in parts:
        row, arrays = plan.rows[key.row], read_part(key.path(context.parts))
        yield row, arrays, case_qualities(row_stream_keys(plan, row), arrays, context.cache, plan.metrics)
