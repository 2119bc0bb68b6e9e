"""Trace files: valid ones of every form, whole and damaged."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np

from netsim.channels.trace import trace_channel
from netsim.channels.traces import WRITABLE, Recording, Trace, TraceOptions, read_rate_trace, read_trace, trace_bytes
from tests.fuzz.mutations import damaged

WORDS = [
    *(b"1=lost", b"1=received", b"0 = lost", b"# columns: index lost\n", b"# columns: link received -\n", b"#"),
    *(b"\r\n", b"\r", b"\n\n", b"\t", b",", b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\x0c", "\u2028".encode()),
    *(b"0", b"1", b"01", b"2", b"a-b 0010\n", b"0 0\n1 1\n", b"-1", b"9" * 30, "٣".encode()),
]


def attempt(rng: Random, folder: Path) -> object:
    """Reads a file and plays it; where the file is whole, the series are those that were written."""
    if rng.random() < 0.5:
        return _other_format(rng, folder)
    text, expected = _table(rng) if rng.random() < 0.5 else _strings(rng)
    text = rng.choice(["\n", "\r\n"]).join([*text, ""])
    whole = rng.random() < 0.3
    path = folder / "trace.txt"
    path.write_bytes(text.encode() if whole else damaged(text.encode(), rng, WORDS))
    if whole:
        found = [(one.label, one.received.astype(int).tolist()) for one in read_trace(path).recordings]
        assert found == expected
    channel = trace_channel(path)
    assert 0 <= channel.loss_rate <= 1
    assert abs(channel.loss_count_probabilities(5).sum() - 1) < 1e-9
    assert channel.mean_burst >= 0
    return channel


PING = b"""PING a (192.0.2.1) 56(84) bytes of data.
64 bytes from 192.0.2.1: icmp_seq=1 ttl=56 time=12.3 ms
no answer yet for icmp_seq=2
64 bytes from 192.0.2.1: icmp_seq=3 ttl=56 time=12.3 ms
4 packets transmitted, 2 received, 50% packet loss, time 3000ms
"""
IRTT = b'{"round_trips": [{"seqno": 0, "lost": "false"}, {"seqno": 1, "lost": "true_up"}, {"lost": "true_down"}]}'
TABLE = b"seq,t,lost\n3,0.1,0\n5,0.2,1\n4,.3,0\n"
OPTIONS: dict[str, dict[str, object]] = {
    "g192-compact": {"format": "g192-compact"},
    "pcap": {"rtp": True},
    "pcapng": {"udp_number": "2:2"},
    "irtt": {"direction": "up"},
    "table": {"columns": "seq=seq time_s=t lost=lost"},
}


def _other_format(rng: Random, folder: Path) -> object:
    """A damaged file of another format, with the options that the whole one needs."""
    kind = rng.choice([*WRITABLE, "ping", "irtt", "table", "mahimahi"])
    fixed = {"ping": PING, "irtt": IRTT, "table": TABLE, "mahimahi": b"1\n2\n2\n40\n"}
    received = np.array([rng.random() < 0.7 for _ in range(rng.randint(1, 40))])
    whole = fixed.get(kind) or trace_bytes(Trace(Path("made"), "text", (Recording("1", received),)), kind)
    path = folder / "trace"
    path.write_bytes(damaged(whole, rng, WORDS))
    if kind == "mahimahi":
        return read_rate_trace(path).rates_bps()
    trace = read_trace(path, TraceOptions(**OPTIONS.get(kind, {})))  # type: ignore[arg-type]
    return [one.received.mean() for one in trace.recordings]


def _bits(rng: Random, least: int) -> list[int]:
    return [rng.randrange(2) for _ in range(rng.randint(least, 40))]


def _table(rng: Random) -> tuple[list[str], list[tuple[str, list[int]]]]:
    lost, linked = rng.random() < 0.5, rng.random() < 0.5
    value = "lost" if lost else "received"
    names = rng.sample(["index", value, "-", *(["link"] if linked else [])], k=3 + linked)
    links = ["a", "b", "7"][: rng.randint(1, 3)] if linked else ["1"]
    series = [(link, _bits(rng, 1)) for link in links]
    first, separator = rng.choice([0, 1, 1000]), rng.choice([" ", "\t", ",", "; "])
    lines = []
    for link, received in series:
        for i, bit in enumerate(received):
            fields = {"index": str(first + i), value: str(bit ^ lost), "-": "1.5", "link": link}
            lines.append(separator.join(fields[name] for name in names))
    return ["# columns: " + " ".join(names), *lines], series


def _strings(rng: Random) -> tuple[list[str], list[tuple[str, list[int]]]]:
    lost, labelled = rng.random() < 0.5, rng.random() < 0.5
    lines, series = [f"# made up, 1={'lost' if lost else 'received'}"], []
    for i in range(rng.randint(1, 4)):
        received = _bits(rng, 2)
        text = "".join(str(bit ^ lost) for bit in received)
        lines += [f"link-{i} {text}"] if labelled else [text[:7], *([text[7:]] if text[7:] else []), "#"]
        series.append((f"link-{i}" if labelled else str(i + 1), received))
    return lines, series
