"""Loss traces as text: lines of 0s and 1s, and tables with named columns."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise
from pathlib import Path

import numpy as np

from netsim.channels.traces.files import check_packets, check_recordings, read_bytes, read_lines, shown_head
from netsim.channels.traces.model import Recording, Trace, TraceOptions
from netsim.channels.traces.numbers import recording_from_numbers
from netsim.errors import InputError, did_you_mean

__all__ = ["COLUMNS", "read_text"]

_TIMES = {"time_s": 1.0, "time_ms": 1e-3, "time_us": 1e-6, "time_ns": 1e-9}
COLUMNS = ("link", "index", "seq", *_TIMES, "lost", "received", "-")
"""Names of a table's columns."""

_POLARITY_HINT = (
    "add a header line that says which way it runs: `# 1=lost` or `# 1=received`; or give --one lost or --one received"
)
_COLUMNS_HINT = (
    "one record per line, with more than one column: name them in a header line, `# columns: index lost`, or give\n"
    "--columns `index lost` (in a scenario: `columns`); where the first row names them, `index=number lost=dropped`.\n"
    "Names: `lost` (1 = lost) or `received` (1 = received); `seq` (missing numbers are losses); `index` (no number\n"
    "is missing); `time_s`, `time_ms`, `time_us`, `time_ns`; `link`; `-`: not read"
)
_WHOLE = re.compile(r"\d{1,18}", re.ASCII)
_QUOTED, _SEPARATOR = re.compile(r'"((?:[^"]|"")*)"'), re.compile(r"\s*[,;]\s*|\s+")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", re.ASCII | re.IGNORECASE)


def read_text(path: Path, options: TraceOptions) -> Trace:
    """Recorded series of a text file, in the file's order.

    Lines that begin with ``#`` are comments. One of them, or ``options.one``, states the polarity: ``1=lost`` or
    ``1=received``.

    Without named columns, every other line holds 0s and 1s, after a link's label if there are several links
    (a label that comes again is another recording of that link). Lines without a label that follow each other
    are one series, labelled "1", "2", …

    With a header ``# columns: NAMES``, or ``options.columns``, the file is a table, its fields separated by spaces,
    tabs, commas or semicolons. ``lost`` or ``received`` is a column of 0s and 1s and states the polarity; ``seq``
    holds numbers, of which missing ones are losses; ``index`` must count the records without a gap; ``link`` holds
    labels; ``time_s`` (``_ms``, ``_us``, ``_ns``) times, empty where unknown; ``-`` is not read. The rows of a link are
    one recording, up to an empty line or a comment.

    Args:
        path: A UTF-8 text file of at most ``TEXT_LIMIT_BYTES``.
        options: ``one``, ``columns``, ``counter_bits`` and ``sent`` count.

    Returns:
        The trace.

    Raises:
        InputError: The file can't be read; the polarity is missing or contradictory; a line can't be read; there are
            no packets; rows have a label that may be an index or a time.
    """
    content = read_bytes(path)
    try:
        header = [line.strip() for line in read_lines(content) if line.lstrip().startswith("#")]
    except ValueError:
        raise InputError(f"cannot read trace {path}: not a text file", hint="a text file in UTF-8") from None
    columns = _columns(path, header, options.columns)
    tabular = any(
        re.search(r"[,;\t]", line) for line in islice(read_lines(content), 20) if not line.lstrip().startswith("#")
    )
    if not columns and (options.format == "csv" or (tabular and not _stated(header) and not options.one)):
        hint = f"{shown_head(content[:4096])}\n{_COLUMNS_HINT}"
        raise InputError(f"trace {path} is a table that does not name its columns", hint=hint)
    if columns:
        recordings, notes = _table(path, read_lines(content), columns, header, options)
    else:
        lost_digit = _lost_digit(path, header, options, content)
        bits = _strings(path, read_lines(content))
        recordings, notes = [Recording(label, _received(text, lost_digit)) for label, text in bits], []
    if not recordings:
        raise InputError(f"trace {path} holds no packets", hint="a line of 0s and 1s after the header")
    check_packets(path, sum(len(one.received) for one in recordings))
    return Trace(path, "csv" if columns else "text", tuple(recordings), tuple(notes))


def _received(bits: bytes | bytearray, lost_digit: str) -> np.ndarray:
    return np.frombuffer(bits, dtype=np.uint8) != ord(lost_digit)


# polarity -----------------------------------------------------------------------------------------------------


def _stated(header: Sequence[str]) -> set[str]:
    """Digits that mean lost, as the header's comments say."""
    found = re.findall(r"(?<![\w.=-])([01])\s*=\s*(lost|received)\b", " ".join(header), re.IGNORECASE)
    return {digit if word.lower() == "lost" else "10"[int(digit)] for digit, word in found}


def _lost_digit(path: Path, header: Sequence[str], options: TraceOptions, content: bytes = b"") -> str:
    """The digit that means lost."""
    said = _stated(header) | ({"1" if options.one == "lost" else "0"} if options.one else set())
    if len(said) != 1:
        what = "states both polarities" if said else "does not say whether 1 means lost or received"
        head = f"{shown_head(content[:4096])}\n" if content and not said else ""
        raise InputError(f"trace {path} {what}", hint=f"{head}{_POLARITY_HINT}")
    return said.pop()


# lines of 0s and 1s -------------------------------------------------------------------------------------------


def _first_wrong_character(words: Sequence[str]) -> str:
    """What breaks off a series, which may be far beyond the quoted head of the line; empty if no series begins."""
    kept = words[-1].lstrip("01")
    begun = len(words[-1]) - len(kept)
    return f"`{kept[0]}` follows {begun:,} digits; " if kept and begun and len(words) <= 2 else ""


def _strings(path: Path, lines: Iterable[str]) -> list[tuple[str, bytes]]:
    """(label, bits) of each series of a file without named columns."""
    found: list[tuple[str, bytearray]] = []
    labelled: list[tuple[str, str, int]] = []
    continues = False  # does an unlabelled line continue the last series?
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continues = False
            continue
        if len(words) > 2 or set(words[-1]) - {"0", "1"}:
            hint = (
                f"{_first_wrong_character(words)}a line holds 0s and 1s without spaces, after a label if there are "
                f"several links; or {_COLUMNS_HINT}"
            )
            raise InputError(f"`{_short(line)}` is not a series", where=f"{path}:{number}", hint=hint)
        if len(words) == 2:
            labelled.append((words[0], words[1], number))
            found.append((words[0], bytearray(words[1], "ascii")))
        elif continues:
            found[-1][1].extend(words[0].encode())
        else:
            found.append((str(len(found) + 1), bytearray(words[0], "ascii")))
        check_recordings(path, len(found))
        continues = len(words) == 1
    _refuse_unnamed_columns(path, labelled)
    return [(label, bytes(digits)) for label, digits in found]


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


# tables -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Columns:
    """roles: of each field by position; or by_name: role by the name in the table's first row."""

    roles: tuple[str, ...] = ()
    by_name: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.roles or self.by_name)


@dataclass
class _Rows:
    """Fields of one recording's rows."""

    label: str
    bits: bytearray = field(default_factory=bytearray)
    numbers: array[int] = field(default_factory=lambda: array("q"))
    times_s: array[float] = field(default_factory=lambda: array("d"))


def _columns(path: Path, header: Sequence[str], given: str) -> _Columns:
    """The table's columns; empty where neither the header nor an option names them."""
    matches = [match for line in header if (match := re.match(r"#+\s*columns?\s*[:=](.*)", line, re.IGNORECASE))]
    if len(matches) > 1 or (matches and given):
        raise InputError(f"trace {path} names its columns twice", hint="one line `# columns: …`, or --columns")
    if not matches and not given:
        return _Columns()
    text = given or matches[0][1]
    words = [word for word in _fields(text) if word]
    if words and all("=" in word for word in words):
        pairs = [word.split("=", 1) for word in words]
        roles = [role.lower() for role, _ in pairs]
        _check_roles(path, roles)
        return _Columns(by_name={name: role for role, (_, name) in zip(roles, pairs, strict=True)})
    roles = [word.lower() for word in words]
    _check_roles(path, roles)
    return _Columns(tuple(roles))


def _check_roles(path: Path, roles: Sequence[str]) -> None:
    for role in roles:
        if role not in COLUMNS:
            hint = f"{did_you_mean(role, COLUMNS)}; `-` is not read"
            raise InputError(f"trace {path} has a column `{role}`", hint=hint)
    named = [role for role in roles if role != "-"]
    states = [role for role in ("lost", "received") if role in named]
    numbered = [role for role in ("index", "seq") if role in named]
    times = [role for role in _TIMES if role in named]
    if len(set(named)) < len(named) or max(len(states), len(numbered), len(times)) > 1:
        hint = "each name once; one of `lost` and `received`, of `seq` and `index`, of the times"
        raise InputError(f"trace {path} has the columns `{' '.join(roles)}`", hint=hint)
    if not states and "seq" not in named:
        hint = "`lost` or `received`, or `seq`: missing numbers are losses"
        raise InputError(f"trace {path} has the columns `{' '.join(roles)}`", hint=hint)


def _table(
    path: Path, lines: Iterable[str], columns: _Columns, header: Sequence[str], options: TraceOptions
) -> tuple[list[Recording], list[str]]:
    roles = set(columns.roles) | set(columns.by_name.values())
    lost_digit = "1"
    if "lost" in roles or "received" in roles:
        said = _stated(header) | {"1" if "lost" in roles else "0"}
        if options.one:
            said.add("1" if options.one == "lost" else "0")
        if len(said) != 1:
            raise InputError(f"trace {path} states both polarities", hint=_POLARITY_HINT)
        lost_digit = said.pop()
    recordings: list[Recording] = []
    notes: list[str] = []
    for rows in _recordings(path, lines, columns):
        times_s = np.array(rows.times_s) if len(rows.times_s) else None
        lost = ~_received(rows.bits, lost_digit) if rows.bits else None
        if "seq" in roles:
            one, more = recording_from_numbers(
                path,
                rows.label,
                np.array(rows.numbers, dtype=np.int64),
                lost=lost,
                times_s=times_s,
                bits=options.counter_bits,
                sent=options.sent_range(),
            )
            notes += more
        else:
            assert lost is not None
            one = Recording(rows.label, ~lost, times_s)
        recordings.append(one)
    return recordings, notes


def _recordings(path: Path, lines: Iterable[str], columns: _Columns) -> list[_Rows]:
    """The rows of each recording of a table."""
    found: list[_Rows] = []
    open_: dict[str, _Rows] = {}  # the recording that a link's next row continues
    for number, row in _rows(path, lines, columns):
        if row is None:
            open_ = {}
            continue
        where = f"{path}:{number}"
        label = row.get("link", "")
        if label not in open_:
            open_[label] = _Rows(label or str(len(found) + 1))
            found.append(open_[label])
            check_recordings(path, len(found))
        rows = open_[label]
        bits = row.get("lost", row.get("received"))
        if bits is not None:
            single = "seq" in row or any(key in row for key in _TIMES)
            if set(bits) - {"0", "1"} or not bits or (single and len(bits) != 1):
                raise InputError(f"`{_short(bits)}` is neither 0 nor 1", where=where, hint=_COLUMNS_HINT)
            rows.bits.extend(bits.encode())
        if "index" in row:
            _check_index(row["index"], rows, bits or "", where)
        if "seq" in row:
            rows.numbers.append(_whole("seq", row["seq"], where))
        for key, unit in _TIMES.items():
            if key in row:
                rows.times_s.append(_time(row[key], where) * unit)
    return found


def _check_index(text: str, rows: _Rows, bits: str, where: str) -> None:
    """An index continues the rows before it; ``rows.numbers`` holds the one that comes next."""
    index = _whole("index", text, where)
    if len(rows.numbers) and index != rows.numbers[0]:
        hint = (
            "a row for every packet that was sent, in order; `seq` in place of `index` takes missing numbers as\n"
            "losses, and `-` leaves the column unread"
        )
        raise InputError(f"index {index} where {rows.numbers[0]} comes next", where=where, hint=hint)
    rows.numbers = array("q", [index + len(bits)])


def _rows(path: Path, lines: Iterable[str], columns: _Columns) -> Iterator[tuple[int, dict[str, str] | None]]:
    """(line number, fields by role) of each row; None in place of the fields where a recording ends."""
    roles: Sequence[str] = columns.roles
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            yield number, None
            continue
        words = _fields(line)
        if not roles:
            roles = _named_roles(words, columns.by_name, f"{path}:{number}")
            continue
        if len(words) != len(roles):
            message = f"`{_short(line)}` has {len(words)} fields, the header names {len(roles)} columns"
            raise InputError(message, where=f"{path}:{number}", hint=f"columns: {' '.join(roles)}")
        yield number, {role: word for role, word in zip(roles, words, strict=True) if role != "-"}


def _named_roles(words: Sequence[str], by_name: dict[str, str], where: str) -> tuple[str, ...]:
    """Roles by position, from a table's first row."""
    for name in by_name:
        if words.count(name) != 1:
            message = f"{words.count(name)} columns `{name}`" if name in words else f"no column `{name}`"
            hint = "name columns by position: --columns `seq - lost`" if name in words else did_you_mean(name, words)
            raise InputError(message, where=where, hint=hint)
    return tuple(by_name.get(word, "-") for word in words)


def _whole(what: str, text: str, where: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise InputError(f"{what} `{_short(text)}` is not a whole number", where=where, hint="`-` is not read")
    return int(text)


def _time(text: str, where: str) -> float:
    """A time; NaN of an empty field: a lost packet has no time of arrival."""
    if not text:
        return float("nan")
    if not _NUMBER.fullmatch(text):
        raise InputError(f"time `{_short(text)}` is not a number", where=where, hint="`-` is not read")
    return float(text)


def _fields(line: str) -> list[str]:
    """Fields between commas, semicolons or white space; in quotes, these separate nothing (RFC 4180)."""
    if '"' not in line:
        return re.split(r"\s*[,;]\s*|\s+", line.strip())
    words, line, at = [], line.strip(), 0
    while True:
        quoted = _QUOTED.match(line, at)
        separator = _SEPARATOR.search(line, quoted.end() if quoted else at)
        stop = separator.start() if separator else len(line)
        words.append(quoted[1].replace('""', '"') if quoted and stop == quoted.end() else line[at:stop])
        if not separator:
            return words
        at = separator.end()


def _short(line: str) -> str:
    clean = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line[:41])
    return clean if len(line) <= 40 else clean[:37] + "..."
