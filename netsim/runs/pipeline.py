"""A run from plan to log: encode, transport, decode, log. Each step's result lies on disk before the next begins."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from netsim.decoding.store import default_store_path
from netsim.decoding.workshop import CodedPicture
from netsim.runs.executor import Executor
from netsim.runs.folder import RunFolder, run_folder
from netsim.runs.job import Job, coded_picture, workshop
from netsim.runs.log import needed_masks, write_log
from netsim.runs.manifest import manifest
from netsim.runs.progress import Reporter
from netsim.runs.results import write_summary
from netsim.runs.transport import parts_of, read_part, transport_part
from netsim.scenario.plan import Plan

__all__ = ["run_plan"]

_MASKS_IN_TASK = 64


def run_plan(plan: Plan, out: Path | None, workers: int, reporter: Reporter) -> Path:
    """Run a plan, or go on with its unfinished run; returns the run's folder.

    out: the folder (``run_folder`` says what happens where it holds a run already). workers: processes.
    """
    store_path = default_store_path()
    with run_folder(out, plan.name, plan.run_id) as folder:
        job = Job(plan, store_path, folder.parts)
        reporter.say("plan", _describe(plan))
        if any(folder.parts.glob("*.npz")):
            done, total = sum(1 for _ in folder.parts.glob("*.npz")), len(parts_of(plan))
            reporter.say("resume", f"{folder.path}: {done} of {total} parts of its transport are done")
        about = manifest(plan, {}, _notes(plan), workers)
        folder.write_manifest(about)
        with Executor(job, workers) as executor:
            tools = _encode(job, executor, reporter)
            about = {**about, "tools": tools}
            folder.write_manifest(about)
            _transport(job, executor, reporter)
            _decode(job, executor, reporter)
        _log(job, folder, reporter)
        write_summary(folder, plan.failure_db)
        folder.finish(about)
        files = [path.name for path in (folder.log, folder.summary, folder.manifest)]
        reporter.say("wrote", f"{folder.path}/  {'  '.join(files)}")
        return folder.path


def _describe(plan: Plan) -> str:
    count = len(plan.rows)
    channels, links = ({getattr(row, name) for row in plan.rows} for name in ("channel_name", "link_name"))
    schemes = count // (len(channels) * len(links))
    grid = [f"{_many(len(channels), 'channel')} × {_many(schemes, 'scheme')}"]
    grid += [f"{len(links)} links"] if len(links) > 1 else []
    slots = f"{_many(plan.trials, 'trial')} of {_many(plan.slots, 'slot')} over {_many(len(plan.image_names), 'image')}"
    return f"{' × '.join(grid)}: {_many(count, 'row')}; {slots}, {plan.slots_total:,} slots in all; event engine"


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _notes(plan: Plan) -> list[str]:
    """Where a channel of the plan does not do what its paper says."""
    from netsim.channels.describe import disagreements

    specs = {row.channel_name: row.channel for row in plan.rows}
    return [f"{name}: {sentence}" for name, spec in specs.items() for sentence in disagreements(spec)]


def _pictures(plan: Plan) -> list[CodedPicture]:
    """Distinct streams that the plan sends, in plan order."""
    found: dict[CodedPicture, None] = {}
    for row in plan.rows:
        for image in range(len(plan.image_names)):
            for scheme in row.schemes:
                found[coded_picture(plan, row, image, scheme)] = None
    return list(found)


def _encode(job: Job, executor: Executor, reporter: Reporter) -> dict[str, Any]:
    """Encode what the store lacks; returns how each codec's streams were made."""
    shop, pictures = workshop(job.store_path), _pictures(job.plan)
    missing = [coded for coded in pictures if not shop.store.has_stream(shop.key(coded))]
    tasks: dict[tuple[str, str], list[CodedPicture]] = {}
    for coded in missing:  # a codec's points of one picture stay together: searches share their encodes
        tasks.setdefault((coded.image.name, coded.codec), []).append(coded)
    text = f"{_many(len(pictures), 'stream')}, {len(pictures) - len(missing)} remembered"
    with reporter.phase("encode", text, len(tasks)) as step:
        for _ in executor.map(_encode_task, [tuple(task) for task in tasks.values()]):
            step()
    return _tools(shop.encode(coded) for coded in pictures)


def _tools(streams: Iterable[Any]) -> dict[str, Any]:
    tools: dict[str, Any] = {}
    for stream in streams:
        if stream.made_by:
            made = dict(stream.made_by)
            tools.setdefault(str(made.get("name", made.get("encoder", "tool"))), made)
    return tools


def _encode_task(job: Job, task: tuple[CodedPicture, ...]) -> None:
    for coded in task:
        workshop(job.store_path).encode(coded)


def _transport(job: Job, executor: Executor, reporter: Reporter) -> None:
    parts = parts_of(job.plan)
    todo = [key for key in parts if not key.path(job.parts).exists()]
    with reporter.phase("transport", f"{_many(job.plan.slots_total, 'slot')}", len(todo)) as step:
        for _ in executor.map(transport_part, todo):
            step()


def _decode(job: Job, executor: Executor, reporter: Reporter) -> None:
    needed: dict[CodedPicture, set[str]] = {}
    for key in parts_of(job.plan):
        for coded, masks in needed_masks(job.plan, key, read_part(key.path(job.parts))).items():
            needed.setdefault(coded, set()).update(masks)
    tasks, total, remembered = _decode_tasks(job, needed)
    text = f"{_many(total, 'mask')}, {remembered:,} remembered"
    with reporter.phase("decode", text, len(tasks)) as step:
        for _ in executor.map(_decode_task, tasks):
            step()


def _decode_tasks(job: Job, needed: Mapping[CodedPicture, set[str]]) -> tuple[list[Any], int, int]:
    shop, tasks, total, missing = workshop(job.store_path), [], 0, 0
    for coded, masks in needed.items():
        todo = shop.missing(coded, sorted(masks), job.plan.metrics)
        total, missing = total + len(masks), missing + len(todo)
        tasks += [(coded, tuple(todo[i : i + _MASKS_IN_TASK])) for i in range(0, len(todo), _MASKS_IN_TASK)]
    return tasks, total, total - missing


def _decode_task(job: Job, task: tuple[CodedPicture, tuple[str, ...]]) -> None:
    coded, masks = task
    workshop(job.store_path).qualities(coded, masks, job.plan.metrics)


def _log(job: Job, folder: RunFolder, reporter: Reporter) -> None:
    parts = [(key, key.path(job.parts)) for key in parts_of(job.plan)]
    with reporter.phase("log", _many(job.plan.slots_total, "slot"), len(parts)) as step:
        write_log(folder.log, job.plan, parts, workshop(job.store_path), step)
