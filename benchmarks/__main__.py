"""``python -m benchmarks`` writes ``runs/bench/results.json``; with ``--docs`` also the table in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks import closed_forms, cluster, growth, learned, memory, resicomp, sampling, sweep, transport
from benchmarks.page import table, write_page
from benchmarks.result import Result

BENCHMARKS: dict[str, Callable[[], list[Result]]] = {
    "channels": sampling.channel_sampling,
    "event": transport.event_engine,
    "array": transport.array_engine,
    "masks": closed_forms.mask_probabilities,
    "reweighting": closed_forms.reweighting,
    "sweep": sweep.decode_sweep,
    "learned": learned.learned_codecs,
    "resicomp": resicomp.resicomp,
    "memory": memory.long_sweep,
    "growth": growth.growth,
    "cluster": cluster.cluster,
}
SLOW = {"cluster", "growth", "learned", "memory", "resicomp", "sweep"}


def _what(name: str) -> str:
    """A result's name without what was measured, which stands in parentheses: a new result replaces the old one."""
    return name.partition(" (")[0]


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for. Missed targets are reported, and do not fail the command: machines differ."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Speed and memory, as ratios.")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, help="this one alone (may be repeated)")
    parser.add_argument("--skip-slow", action="store_true", help=f"leave out {' and '.join(sorted(SLOW))}")
    parser.add_argument("--out", type=Path, default=Path("runs/bench"), help="folder of results.json")
    parser.add_argument("--docs", action="store_true", help="write the table into docs/benchmarks.md")
    chosen = parser.parse_args(arguments)
    results: dict[str, dict[str, object]] = {}
    path = chosen.out / "results.json"
    if path.is_file() and (chosen.only or chosen.skip_slow):  # a part is measured: the others stay as they were
        results = {_what(line["name"]): line for line in json.loads(path.read_text(encoding="utf-8"))}
    for name, benchmark in BENCHMARKS.items():
        if (chosen.only and name not in chosen.only) or (chosen.skip_slow and name in SLOW):
            continue
        for result in benchmark():
            results[_what(result.name)] = result.as_dict()
            print(table([result.as_dict()], header=False), flush=True)
    chosen.out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(list(results.values()), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {path}")
    if chosen.docs:
        print(f"wrote {write_page(list(results.values()))}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
