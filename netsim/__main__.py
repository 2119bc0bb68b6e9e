"""The command line: ``netsim``, and ``python -m netsim`` where no such program is on the path."""

from __future__ import annotations

import os
from contextlib import suppress

__all__ = ["main"]


def main() -> None:
    """Entry point. Ctrl-C while the command line is still being imported ends the process without a traceback."""
    from netsim.console import open_closed_streams

    open_closed_streams()
    try:
        from netsim.cli import main as run

        run()
    except KeyboardInterrupt:  # later, `netsim.cli` handles signals itself
        with suppress(OSError):
            os.write(2, b"stopping...\n")
        os._exit(130)


if __name__ == "__main__":
    main()
