"""A run from plan to log: encode, transport, decode, log. What a step makes lies on disk before it is used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from netsim.decoding.cache import StreamKey
from netsim.decoding.store import Store, default_store_path
from netsim.errors import InputError
from netsim.runs.adaptive_sampling import AdaptiveSampling
from netsim.runs.context import RunContext, check_inputs, codec_cache, stream_key_of
from netsim.runs.engine_selection import resolve_engines
from netsim.runs.executor import Executor, Task
from netsim.runs.folder import RunFolder, run_folder
from netsim.runs.log import needed_masks, write_log
from netsim.runs.manifest import manifest
from netsim.runs.progress import Board, Reporter
from netsim.runs.results import write_summary
from netsim.runs.transport import PartKey, read_part, transport_part
from netsim.runs.watch import WatchedReporter
from netsim.scenario.notes import plan_notes
from netsim.scenario.plan import Plan
from netsim.scenario.show import plan_line
from netsim.text import counted_noun

__all__ = ["run_plan"]

_MASKS_IN_TASK = 64


def run_plan(
    plan: Plan, out: Path | None, workers: int, reporter: Reporter, *, exist: str = "number", fresh: bool = False
) -> Path:
    """Run a plan, or go on with its unfinished run.

    Args:
        plan: What to run.
        out: The run's folder; None: a new one below ``runs``.
        workers: Processes.
        reporter: Told what happens.
        exist: What to do where ``out`` holds a run already (``run_folder``).
        fresh: Take nothing from the store: encode and decode all anew, and replace what the store remembers.

    Returns:
        The run's folder.

    Raises:
        InputError: For bad input, a folder that can't be used, or inputs that change meanwhile.
    """
    with run_folder(out, plan, exist, lambda text: reporter.say("passed", text)) as folder:
        reporter = WatchedReporter(reporter, folder.parts)
        reporter.say("plan", plan_line(plan))
        if fresh and not folder.store.exists():
            for part in folder.parts.glob("*.npz"):  # made with streams of the store
                part.unlink()
        fresh = fresh or folder.store.exists()
        done = sum(1 for _ in folder.parts.glob("*.npz"))
        if done:
            reporter.say("resume", f"{folder.path}: {counted_noun(done, 'part')} of its transport done before")
        job = RunContext(plan, folder.store if fresh else default_store_path(), folder.parts)
        notes = plan_notes(plan)
        for note in notes:
            reporter.say("note", note)
        about = manifest(plan, [*_notes(plan), *notes], workers)
        folder.write_manifest(about)
        with Executor(job, workers) as executor:
            tools = _encode(job, executor, reporter)
            plan, reasons = resolve_engines(job)
            for reason in reasons:
                reporter.say("engine", reason)
            about = {**about, "tools": tools, "engines": reasons}
            folder.write_manifest(about)
            job = replace(job, plan=plan)
            parts, verdicts = _transport_and_decode(job, executor, reporter)
        about = {**about, "precision": verdicts}
        for verdict in verdicts:
            reporter.say("precision", verdict)
        _log(job, folder, parts, reporter)
        write_summary(folder, plan.failure_db)
        if fresh:
            with Store() as store:
                store.replace_from(folder.store)
            codec_cache.cache_clear()  # its file goes with the parts
        folder.finish(about)
        files = [path.name for path in (folder.log, folder.summary, folder.distribution, folder.manifest)]
        reporter.say("wrote", f"{folder.path}/  {'  '.join(files)}")
        return folder.path


def _notes(plan: Plan) -> list[str]:
    """Where a channel of the plan does not do what its paper says."""
    from netsim.channels.describe import discrepancies

    return [f"{name}: {sentence}" for name, spec in plan.written.channels.items() for sentence in discrepancies(spec)]


def _pictures(plan: Plan) -> list[StreamKey]:
    """Distinct streams that the plan sends, in plan order."""
    found: dict[StreamKey, None] = {}
    for row in plan.rows:
        for image in range(len(plan.image_names)):
            for scheme in row.schemes:
                found[stream_key_of(plan, row, image, scheme)] = None
    return list(found)


def _encode(job: RunContext, executor: Executor, reporter: Reporter) -> dict[str, Any]:
    """Encode what the store lacks; returns how each codec's streams were made."""
    cache, pictures = codec_cache(job.store_path), _pictures(job.plan)
    missing = [stream_key for stream_key in pictures if not cache.store.has_stream(cache.key(stream_key))]
    groups: dict[tuple[str, str], list[StreamKey]] = {}
    for stream_key in missing:  # a codec's points of one picture stay together: searches share their encodes
        groups.setdefault((stream_key.image.name, stream_key.codec), []).append(stream_key)
    reporter.say("encode", f"{counted_noun(len(pictures), 'stream')}, {len(pictures) - len(missing):,} remembered")
    with reporter.board() as board:
        board.expect("encode", len(groups))

        def done(task: Task, result: None) -> Iterable[Task]:
            board.step("encode")
            return ()

        executor.work([Task("encode", _encode_task, tuple(group)) for group in groups.values()], done)
    made: dict[str, Any] = {}
    for stream_key in pictures:
        how = cache.encode(stream_key).made_by
        if how:
            made.setdefault(stream_key.codec, dict(how))
    return made


def _encode_task(job: RunContext, task: tuple[StreamKey, ...]) -> None:
    check_inputs(job)
    for stream_key in task:
        codec_cache(job.store_path).encode(stream_key)


def _transport_and_decode(job: RunContext, executor: Executor, reporter: Reporter) -> tuple[list[PartKey], list[str]]:
    """Rounds of transport, each part's masks decoded as soon as it is there; returns all parts, and verdicts."""
    rounds = AdaptiveSampling(job)
    pool = _DecodePool(job)
    with reporter.board() as board:
        while keys := rounds.next():
            _round(job, executor, board, pool, keys)
    reporter.say("decode", f"{counted_noun(len(pool.seen), 'mask')}, {pool.remembered:,} remembered")
    return rounds.parts, rounds.verdicts()


def _round(job: RunContext, executor: Executor, board: Board, pool: _DecodePool, keys: list[PartKey]) -> None:
    def done(task: Task, result: None) -> Iterable[Task]:
        board.step(task.kind)
        if task.kind == "decode":
            return ()
        more = pool.tasks(task.argument)
        board.expect("decode", len(more))
        return more

    there = [key for key in keys if _is_whole(key.path(job.parts), job.plan.run_id)]
    todo = [Task("transport", transport_part, key) for key in keys if key not in set(there)]
    before = [task for key in there for task in pool.tasks(key)]
    board.expect("transport", len(todo))
    board.expect("decode", len(before))
    executor.work([*before, *todo], done)


def _is_whole(part: Path, run_id: str) -> bool:
    """Whether a part of this run is there; a damaged one is removed."""
    try:
        read_part(part, run_id)
    except FileNotFoundError:
        return False
    except InputError:
        part.unlink()
        return False
    return True


class _DecodePool:
    """Which masks were asked for already, in this run or before."""

    def __init__(self, job: RunContext) -> None:
        self.job = job
        self.seen: set[tuple[str, str]] = set()
        self.remembered = 0

    def tasks(self, key: PartKey) -> list[Task]:
        """What must be decoded for a part and is not under way yet."""
        cache, plan, found = codec_cache(self.job.store_path), self.job.plan, []
        for stream_key, masks in needed_masks(plan, key, read_part(key.path(self.job.parts))).items():
            address = cache.key(stream_key)
            new = sorted(mask for mask in masks if (address, mask) not in self.seen)
            self.seen.update((address, mask) for mask in new)
            todo = cache.missing(stream_key, new, plan.metrics)
            self.remembered += len(new) - len(todo)
            parts = [tuple(todo[i : i + _MASKS_IN_TASK]) for i in range(0, len(todo), _MASKS_IN_TASK)]
            found += [Task("decode", _decode_task, (stream_key, part)) for part in parts]
        return found


def _decode_task(job: RunContext, task: tuple[StreamKey, tuple[str, ...]]) -> None:
    check_inputs(job)
    stream_key, masks = task
    codec_cache(job.store_path).qualities(stream_key, masks, job.plan.metrics)


def _log(job: RunContext, folder: RunFolder, parts: list[PartKey], reporter: Reporter) -> None:
    with reporter.board() as board:
        board.expect("log", len(parts))
        paths = [(key, key.path(job.parts)) for key in sorted(parts)]
        write_log(folder.log, job.plan, paths, codec_cache(job.store_path), lambda: board.step("log"))
