"""Recorded traces: what is read, what is refused, and statistics of the ring that is played."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.channels import TraceChannel, read_trace, trace_channel
from netsim.errors import InputError

LINKS = "# two links, 1=lost\na-b 0010\nb-a 1100\n\na-b 0111\n"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    path = tmp_path / "links.txt"
    path.write_text(LINKS)
    return path


def test_both_polarities_read_the_same(tmp_path: Path) -> None:
    (tmp_path / "lost.txt").write_text("# mine; 1 = lost\n0010\n")
    (tmp_path / "received.txt").write_text("# mine\n# 1=received\n1101\n")
    for name in ("lost", "received"):
        (one,) = read_trace(tmp_path / f"{name}.txt").recordings
        assert one.label == "1"
        assert one.received.tolist() == [True, True, False, True]


def test_links_and_their_recordings(links: Path) -> None:
    assert [one.label for one in read_trace(links).recordings] == ["a-b", "b-a", "a-b"]
    assert len(trace_channel(links).series) == 3
    channel = trace_channel(links, "a-b")
    assert channel.name == "trace links a-b"
    assert channel.loss_rate == 0.5
    assert trace_channel(links, "b-a", name="mine").name == "mine"


def test_lines_without_label_are_one_series_until_a_break(tmp_path: Path) -> None:
    path = tmp_path / "wrapped.txt"
    path.write_text("# 1=lost\n00\n11\n\n01\n# another\n10\n")
    assert [(one.label, (~one.received).astype(int).tolist()) for one in read_trace(path).recordings] == [
        ("1", [0, 0, 1, 1]),
        ("2", [0, 1]),
        ("3", [1, 0]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0101\n", "does not say whether 1 means lost or received"),
        ("# loss trace\n0101\n", "does not say whether 1 means lost or received"),
        ("# 1=lost\n# 1=received\n01\n", "states both polarities"),
        ("# 1=lost\n\n", "holds no packets"),
        ("# 1=lost\n0102\n", "`0102` is not a series"),
        ("# 1=lost\nlink 01 10\n", "`link 01 10` is not a series"),
    ],
)
def test_unclear_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_trace(path)
    assert message in str(caught.value)
    if "polarit" in message or "whether" in message:
        assert "# 1=lost" in caught.value.hint
        assert "# 1=received" in caught.value.hint


def test_a_series_broken_off_far_along_the_line_says_where(tmp_path: Path) -> None:
    path = tmp_path / "bad.txt"
    path.write_text("# 1=lost\n" + "01" * 1000 + "abc\n")
    with pytest.raises(InputError) as caught:
        read_trace(path)
    assert caught.value.hint.startswith("`a` follows 2,000 digits; ")


def test_missing_files_and_links_are_refused(links: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no\.txt: No such file"):
        read_trace(tmp_path / "no.txt")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="of no known format"):
        read_trace(tmp_path / "binary")
    with pytest.raises(InputError, match="has no link `a-c`") as caught:
        trace_channel(links, "a-c")
    assert "`a-b`" in caught.value.hint
    assert caught.value.key == ("link",)
    with pytest.raises(InputError, match="no packets"):
        TraceChannel("empty", [])
    with pytest.raises(InputError, match="time step"):
        TraceChannel("still", [np.ones(3, dtype=bool)], step_s=-1)


def test_playback_wraps_around() -> None:
    channel = TraceChannel("ring", [np.array([True, False, False])])
    uniforms = np.zeros((7, 2))
    received, state = channel.receive(uniforms, (0, 2))
    assert received.tolist() == [True, False, False, True, False, False, True]
    assert state == (0, 0)
    assert channel.receive(uniforms[:0], (0, 2))[1] == (0, 2)


@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 0, 3, "varying"]))
def test_receive_is_receive_one_n_times(seed: int, steps: int | str) -> None:
    rng = np.random.default_rng(seed)
    channel = TraceChannel("random", [rng.random(n) < 0.7 for n in (3, 8)])
    start = state = channel.initial_state(rng.random())
    every = rng.integers(0, 4, 20) if steps == "varying" else np.full(20, steps)
    expected = []
    for k in every.tolist():
        arrived, state = channel.receive_one(0.5, 0.5, state, k)
        expected.append(arrived)
    received, after = channel.receive(np.zeros((20, 2)), start, every)
    assert (received.tolist(), after) == (expected, state)


def test_every_record_is_equally_likely_to_be_the_first() -> None:
    channel = TraceChannel("two", [np.ones(3, dtype=bool), np.ones(2, dtype=bool)])
    states = [channel.initial_state((i + 0.5) / 5) for i in range(5)]
    assert states == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert channel.initial_state(1 - 2**-53) == (1, 1)


@given(st.lists(st.lists(st.booleans(), min_size=1, max_size=9), min_size=1, max_size=3), st.integers(1, 5))
def test_statistics_are_those_of_the_playback(series: list[list[bool]], packets: int) -> None:
    """Every possible trial, played out."""
    channel = TraceChannel("random", [np.array(s) for s in series])
    total = sum(map(len, series))
    masks = np.zeros(2**packets)
    lag_pairs = []
    for i in range(total):
        received, _ = channel.receive(np.zeros((packets, 2)), channel.initial_state((i + 0.5) / total))
        masks[int(received @ (1 << np.arange(packets)))] += 1 / total
        lag_pairs.append((~received[0], ~received[-1]))
    np.testing.assert_allclose(channel.mask_probabilities(packets), masks, atol=1e-12)
    counts = np.bincount([packets - m.bit_count() for m in range(2**packets)], weights=masks, minlength=packets + 1)
    np.testing.assert_allclose(channel.loss_count_probabilities(packets), counts, atol=1e-12)
    rate = channel.loss_rate
    assert rate == pytest.approx(1 - np.mean(np.concatenate(series)))
    if 0 < rate < 1:
        joint = np.mean([a and b for a, b in lag_pairs])
        expected = (joint - rate**2) / (rate * (1 - rate))
        assert channel.autocorrelation(packets - 1) == pytest.approx(expected, abs=1e-9)


def test_bursts_are_counted_round_the_ring() -> None:
    lost = np.array([1, 0, 1, 1, 0, 1], dtype=bool)
    assert TraceChannel("ring", [~lost]).mean_burst == 2  # two runs of two: 3–4, and 6 with 1
    assert TraceChannel("dead", [np.zeros(4, dtype=bool)]).mean_burst == float("inf")
    assert TraceChannel("fine", [np.ones(4, dtype=bool)]).mean_burst == 0
    assert TraceChannel("fine", [np.ones(4, dtype=bool)]).autocorrelation(2) == 0


@pytest.mark.parametrize("packets", [0, 25])
def test_impossible_windows_are_refused(packets: int) -> None:
    channel = TraceChannel("ring", [np.array([True, False])])
    with pytest.raises(InputError):
        channel.mask_probabilities(packets)
    if packets == 0:
        with pytest.raises(InputError):
            channel.loss_count_probabilities(packets)
    with pytest.raises(InputError):
        channel.autocorrelation(-1)


EVERY_TENTH = [int(number % 10 == 3) for number in range(200)]


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("# columns: index lost", "{i} {lost}"),
        ("# columns: index lost\n# 1=lost", "{i} {lost}"),
        ("# Columns: INDEX, Received", "{i},{received}"),
        ("# columns: lost index", "{lost}\t{i}"),
        ("# columns: - link lost -", "0.{i:03} a-b {lost} 1500"),
        ("# columns: index - received", "{i}; {i}; {received}"),
    ],
)
def test_a_table_with_named_columns_is_one_series(tmp_path: Path, header: str, row: str) -> None:
    """Every tenth packet is lost, so that every window of ten has lost one: brute force over all windows."""
    lines = [row.format(i=i, lost=lost, received=1 - lost) for i, lost in enumerate(EVERY_TENTH)]
    channel = trace_channel(write(tmp_path / "table.txt", "\n".join([header, *lines, ""])))
    assert [s.tolist() for s in channel.series] == [[lost == 0 for lost in EVERY_TENTH]]
    windows = [sum(EVERY_TENTH[(first + j) % 200] for j in range(10)) for first in range(200)]
    assert set(windows) == {1}
    assert channel.loss_count_probabilities(10)[1] == 1


def test_a_table_of_several_links_and_recordings(tmp_path: Path) -> None:
    rows = "a 0 1\nb 7 0\na 1 0\nb 8 0\n\na 0 1\n"
    series = read_trace(write(tmp_path / "links.txt", f"# columns: link index received\n{rows}")).recordings
    assert [(one.label, one.received.astype(int).tolist()) for one in series] == [
        ("a", [1, 0]),
        ("b", [0, 0]),
        ("a", [1]),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# 1=lost\n" + "".join(f"{i} {lost}\n" for i, lost in enumerate(EVERY_TENTH)), ":2  `0 0` is a link of one"),
        ("# 1=lost\n0.00 0\n0.02 1\n", ":2  `0.00 0` is a link of one record"),
        ("# 1=lost\n0 0\n0 1\n1 0\n", ":2  `0 0` is a link of one record"),
        ("# 1=lost\na 0\na 1\nb 0\n", ":2  `a 0` is a link of one record"),
        ("# 1=lost\n0 0010\n4 0110\n8 1\n", ":4  `8 1` is a link of one record"),
        ("# 1=lost\n0 0010\n4 0110\n8 10\n", ":2  the first column, 0, 4, …, counts the records"),
        ("# 1=lost\n0,0\n1,1\n", ":2  `0,0` is not a series"),
        ("# 1=lost\n0 0 1500\n", ":2  `0 0 1500` is not a series"),
        ("seq,lost\n0,0\n", "is a table that does not name its columns"),
    ],
)
def test_a_table_without_named_columns_is_refused_with_the_way_to_name_them(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        read_trace(write(tmp_path / "table.txt", text))
    assert message in str(caught.value)
    assert "# columns: index lost" in caught.value.hint or "# 1=lost" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# columns: index\n0\n", "columns `index`"),
        ("# columns: lost received\n0 1\n", "columns `lost received`"),
        ("# columns: link link lost\na b 1\n", "columns `link link lost`"),
        ("# columns: number lost\n0 1\n", "a column `number`"),
        ("# columns: lost\n# columns: received\n0\n", "names its columns twice"),
        ("# 1=received\n# columns: index lost\n0 1\n", "states both polarities"),
        ("# columns: index lost\n0 1\n1\n", ":3  `1` has 1 fields"),
        ("# columns: index lost\n0 1\n1 2\n", ":3  `2` is neither 0 nor 1"),
        ("# columns: index lost\n0 1\n2 0\n", ":3  index 2 where 1 comes next"),
        ("# columns: index lost\n0 1\n0 1\n", ":3  index 0 where 1 comes next"),
        ("# columns: index lost\nx 1\n", ":2  index `x` is not"),
        ("# columns: index lost\n\n", "holds no packets"),
    ],
)
def test_unclear_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_trace(write(tmp_path / "table.txt", text))
    assert message in str(caught.value)


@pytest.mark.parametrize("header", ["# 1=lost", "#1 = Lost", "# 1=LOST, 0=Received", "# 0=received", "\ufeff# 1=lost"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_spellings_of_the_header_and_line_ends(tmp_path: Path, header: str, end: str) -> None:
    (one,) = read_trace(write(tmp_path / "lost.txt", end.join([header, "0010", ""]))).recordings
    assert one.received.tolist() == [True, True, False, True]


def test_a_number_that_ends_in_one_states_no_polarity(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not say"):
        read_trace(write(tmp_path / "lost.txt", "# p=0.1=lost\n0010\n"))
