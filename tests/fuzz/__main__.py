"""``python -m tests.fuzz KIND [COUNT]``: many cases of one kind; exit code 1 if any is a fault."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.fuzz.harness import CI_CASES, kind_names, load_kind, run_case, run_cases


def main() -> int:
    """Runs what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kind", choices=[*kind_names(), "all"])
    parser.add_argument("count", type=int, nargs="?", default=CI_CASES, help=f"number of cases [{CI_CASES}]")
    parser.add_argument("--first", type=int, default=0, help="number of the first case [0]")
    parser.add_argument("--case", type=int, help="run this case alone, with its traceback")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="netsim-fuzz-") as folder:
        os.environ["NETSIM_STORE"] = str(Path(folder) / "store.sqlite")
        if arguments.case is not None:
            print(repr(run_case(load_kind(arguments.kind), arguments.case, Path(folder))))
            return 0
        names = kind_names() if arguments.kind == "all" else [arguments.kind]
        faulty = 0
        for name in names:
            outcome = run_cases(name, range(arguments.first, arguments.first + arguments.count))
            print(outcome.report(name), flush=True)
            faulty += outcome.faulty
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
