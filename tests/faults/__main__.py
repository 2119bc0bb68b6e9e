"""``python -m tests.faults [COUNT]``: COUNT kills for each way to run; exit code 1 unless all gave the same bytes."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from random import Random

from tests.faults.kills import TARGETS, WAYS, kill_once, undisturbed


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=20, help="kills for each way [20]")
    parser.add_argument("--way", action="append", choices=WAYS, help="this one alone (may be repeated)")
    parser.add_argument("--seed", type=int, default=1, help="of the moments [1]")
    arguments = parser.parse_args()
    ways = arguments.way or list(WAYS)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="netsim-faults-") as text:
        folder = Path(text)
        expected = undisturbed(folder, ways)
        for way in ways:
            rng, good, resumed = Random(f"{way} {arguments.seed}"), 0, 0
            for number in range(arguments.count):
                target = TARGETS[number % len(TARGETS)]
                kill = kill_once(folder, f"{way}-{number}", way, target, expected, rng)
                good += not kill.faults
                resumed += kill.resumed
                found = "; ".join(kill.faults) or ("resumed, the same bytes" if kill.resumed else "the same bytes")
                print(f"{way}, {target} killed after {kill.after_s:.2f} s: {found}", flush=True)
            whole = expected.seconds[way]
            print(
                f"{way}: {good} of {arguments.count} with the undisturbed bytes, {resumed} resumed; {whole:.1f} s whole"
            )
            failed += arguments.count - good
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
