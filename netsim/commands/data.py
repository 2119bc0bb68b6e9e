"""``netsim data``: image sets that do not come with netsim."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from netsim.errors import InputError

__all__ = ["app", "fetch_kodak"]

app = typer.Typer(
    help="Image sets that do not come with netsim.",
    epilog="Example:  netsim data kodak",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_HOME = "http://r0k.us/graphics/kodak/"
_FILES = "https://r0k.us/graphics/kodak/kodak/"
_TIMEOUT_S = 30
_LARGEST_BYTES = 2_000_000  # the largest of the files has less than half of that

_ABOUT = f"""\
The Kodak image set: 24 photographs of 768×512 pixels, 8-bit RGB, PNG, 15 MB; released by the Eastman Kodak
Company for unrestricted use. {_HOME}
A folder that has them:  export NETSIM_KODAK=/path/to/kodak   or, in a scenario,   images: {{kodak: /path/to/kodak}}
Every file is checked against its known SHA-256.
"""


@app.callback()
def _data() -> None:
    """Image sets that do not come with netsim."""


@app.command(epilog="Example:  netsim data kodak --to images/kodak")
def kodak(
    to: Annotated[Path | None, typer.Option("--to", metavar="DIR", help="Folder [netsim's data folder].")] = None,
) -> None:
    """Tell about the Kodak set and fetch what is missing of it."""
    from netsim.images import kodak_home

    folder = to or kodak_home()
    typer.echo(_ABOUT)
    fetched = fetch_kodak(folder, say=typer.echo)
    typer.echo(f"{folder}: all 24 files, checksums right; {fetched} fetched now")
    if to is not None:
        typer.echo(f"next:  export NETSIM_KODAK={folder.resolve()}")
    else:
        typer.echo("next:  images: kodak   in a scenario finds them there")


def fetch_kodak(
    folder: Path,
    open_url: Callable[..., Any] = urllib.request.urlopen,
    say: Callable[[str], object] = lambda text: None,
) -> int:
    """Fetches those of the 24 files that ``folder`` lacks or has wrong.

    Each file is checked against its known SHA-256 before it appears in the folder, whole.

    Args:
        folder: Where the files are; it is made if it is missing.
        open_url: Opens a URL, as ``urllib.request.urlopen`` does.
        say: Gets a line for each file fetched.

    Returns:
        How many files were fetched.

    Raises:
        InputError: A file can't be fetched, or is another one than the set's.
    """
    from netsim.images import kodak_checksums
    from netsim.runs.atomic import make_folder, write_atomically

    make_folder(folder)
    fetched = 0
    for name, expected in kodak_checksums().items():
        path = folder / name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == expected:
            continue
        content = _fetched(_FILES + name, open_url)
        if hashlib.sha256(content).hexdigest() != expected:
            hint = "nothing was written; get the set elsewhere and point NETSIM_KODAK at it"
            raise InputError(f"{_FILES}{name} is not the known file ({len(content)} bytes)", hint=hint)
        write_atomically(path, lambda file, content=content: file.write(content))  # type: ignore[misc]
        fetched += 1
        say(f"  {name}  {len(content):,} bytes")
    return fetched


def _fetched(url: str, open_url: Callable[..., Any]) -> bytes:
    try:
        with open_url(url, timeout=_TIMEOUT_S) as answer:
            return bytes(answer.read(_LARGEST_BYTES))
    except (urllib.error.URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        hint = (
            "no network, or not to there? Copy the 24 files from a machine that has them into a folder, then\n"
            "export NETSIM_KODAK=/path/to/kodak   (rerun the same command to resume)"
        )
        raise InputError(f"can't fetch {url}: {reason}", hint=hint) from None
