"""Reads recorded losses from text files whose header says what a 1 means and, in a table, what each column is."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from netsim.errors import InputError, did_you_mean

__all__ = ["read_trace"]

BoolArray = NDArray[np.bool_]

COLUMNS = ("link", "index", "lost", "received", "-")
_POLARITY_HINT = "add a header line that says which way it runs: `# 1=lost` or `# 1=received`"
_COLUMNS_HINT = (
    "one record per line, with more than one column: name them in a header line, `# columns: index lost`\n"
    "names: `lost` (1 = lost) or `received` (1 = received); `link`; `index`; `-` for a column that is not read"
)


_WHOLE = re.compile(r"\d{1,18}", re.ASCII)


def read_trace(path: Path) -> list[tuple[str, BoolArray]]:
    """Recorded series as (link label, received bool [n]), in the file's order.

    Lines that begin with ``#`` are comments. One of them states the polarity, ``1=lost`` or ``1=received``.

    Without named columns, every other line holds 0s and 1s, after a link's label if there are several links
    (a label that comes again is another recording of that link). Lines without a label that follow each other
    are one series, labelled "1", "2", …

    With a header ``# columns: NAMES`` the file is a table, its fields separated by spaces, tabs, commas or
    semicolons. ``lost`` or ``received`` is the column of 0s and 1s and states the polarity; ``link`` holds labels;
    ``index`` must count the records without a gap; ``-`` is not read. The rows of a link are one recording, up to
    an empty line or a comment.

    Raises InputError for a file that can't be read, a missing or contradictory polarity, other characters, no
    packets, and rows whose label may be an index or a time: of one record each, or labels that count the records.
    """
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise InputError(f"cannot read trace {path}: {reason}", hint="a text file of 0s and 1s, in UTF-8") from None
    header = [line.strip() for line in lines if line.lstrip().startswith("#")]
    columns = _columns(path, header)
    received_digit = _received_digit(path, header, columns)
    found = _table(path, lines, columns) if columns else _strings(path, lines)
    if not found:
        raise InputError(f"trace {path} holds no packets", hint="a line of 0s and 1s after the header")
    return [(label, np.frombuffer(bits.encode(), dtype=np.uint8) == ord(received_digit)) for label, bits in found]


def _columns(path: Path, header: Sequence[str]) -> tuple[str, ...]:
    """Names of the table's columns; empty where the header names none."""
    matches = [match for line in header if (match := re.match(r"#+\s*columns?\s*[:=](.*)", line, re.IGNORECASE))]
    if not matches:
        return ()
    if len(matches) > 1:
        raise InputError(f"trace {path} names its columns twice", hint="one line `# columns: …`")
    names = tuple(_fields(matches[0][1].lower()))
    for name in names:
        if name not in COLUMNS:
            raise InputError(
                f"trace {path} has a column `{name}`", hint=f"{did_you_mean(name, COLUMNS)}; `-` is not read"
            )
    named = [name for name in names if name != "-"]
    if len(set(named)) < len(named) or ("lost" in names) == ("received" in names):
        message = f"trace {path} has the columns `{' '.join(names)}`"
        raise InputError(message, hint="`lost` or `received` once, `link` and `index` at most once")
    return names


def _received_digit(path: Path, header: Sequence[str], columns: Sequence[str]) -> str:
    """The digit that means received."""
    found = re.findall(r"(?<![\w.=-])([01])\s*=\s*(lost|received)\b", " ".join(header), re.IGNORECASE)
    said = {digit if word.lower() == "received" else "10"[int(digit)] for digit, word in found}
    if columns:
        said.add("1" if "received" in columns else "0")
    if len(said) != 1:
        what = "states both polarities" if said else "does not say whether 1 means lost or received"
        raise InputError(f"trace {path} {what}", hint=_POLARITY_HINT)
    return said.pop()


def _strings(path: Path, lines: Sequence[str]) -> list[tuple[str, str]]:
    """(label, bits) of each series of a file without named columns."""
    found: list[tuple[str, str]] = []
    labelled: list[tuple[str, str, int]] = []
    continues = False  # does an unlabelled line continue the last series?
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continues = False
            continue
        if len(words) > 2 or set(words[-1]) - {"0", "1"}:
            hint = (
                f"a line holds 0s and 1s without spaces, after a label if there are several links; or {_COLUMNS_HINT}"
            )
            raise InputError(f"`{_short(line)}` is no series", where=f"{path}:{number}", hint=hint)
        if len(words) == 2:
            labelled.append((words[0], words[1], number))
            found.append((words[0], words[1]))
        elif continues:
            found[-1] = (found[-1][0], found[-1][1] + words[0])
        else:
            found.append((str(len(found) + 1), words[0]))
        continues = len(words) == 1
    _refuse_unnamed_columns(path, labelled)
    return found


def _refuse_unnamed_columns(path: Path, labelled: Sequence[tuple[str, str, int]]) -> None:
    """Rows of a label and one record, or of labels that count the records, are a table of unnamed columns."""
    for label, bits, number in labelled:
        if len(bits) == 1:
            message = f"`{_short(f'{label} {bits}')}` is a link of one record, or a row of a table"
            raise InputError(message, where=f"{path}:{number}", hint=_COLUMNS_HINT)
    if len(labelled) < 2 or not all(_WHOLE.fullmatch(label) for label, _, _ in labelled):
        return
    pairs = pairwise(labelled)
    if all(int(after) == int(label) + len(bits) for (label, bits, _), (after, _, _) in pairs):
        message = f"the first column, {labelled[0][0]}, {labelled[1][0]}, …, counts the records"
        raise InputError(message, where=f"{path}:{labelled[0][2]}", hint=_COLUMNS_HINT)


def _table(path: Path, lines: Sequence[str], columns: Sequence[str]) -> list[tuple[str, str]]:
    """(label, bits) of each recording of a table."""
    found: list[tuple[str, list[str]]] = []
    recordings: dict[str, int] = {}  # link → its place in ``found``
    ends: dict[str, int] = {}  # link → index of the record that comes next
    for number, row in _rows(path, lines, columns):
        if row is None:
            recordings, ends = {}, {}
            continue
        bits = row["lost"] if "lost" in row else row["received"]
        where = f"{path}:{number}"
        if set(bits) - {"0", "1"}:
            raise InputError(f"`{_short(bits)}` is neither 0 nor 1", where=where, hint=_COLUMNS_HINT)
        label = row.get("link", "")
        if label not in recordings:
            recordings[label] = len(found)
            found.append((label or str(len(found) + 1), []))
        found[recordings[label]][1].append(bits)
        if "index" in row:
            index = _index(row["index"], where)
            if index != ends.get(label, index):
                hint = (
                    "a row for every packet that was sent, in order; `-` in place of `index` leaves the column unread"
                )
                raise InputError(f"index {index} where {ends[label]} comes next", where=where, hint=hint)
            ends[label] = index + len(bits)
    return [(label, "".join(bits)) for label, bits in found]


def _rows(path: Path, lines: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str] | None]]:
    """(line number, fields by column) of each row; None in place of the fields where a recording ends."""
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            yield number, None
            continue
        words = _fields(line)
        if len(words) != len(columns):
            message = f"`{_short(line)}` has {len(words)} fields, the header names {len(columns)} columns"
            raise InputError(message, where=f"{path}:{number}", hint=f"columns: {' '.join(columns)}")
        yield number, {name: word for name, word in zip(columns, words, strict=True) if name != "-"}


def _index(text: str, where: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise InputError(f"index `{_short(text)}` is not a whole number", where=where, hint="`-` is not read")
    return int(text)


def _fields(line: str) -> list[str]:
    return re.split(r"\s*[,;]\s*|\s+", line.strip())


def _short(line: str) -> str:
    return line if len(line) <= 40 else line[:37] + "..."
