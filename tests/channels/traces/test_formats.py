"""Every format of traces: read as its definition says, written so that it reads back, refused where it is unclear."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path

import dpkt
import numpy as np
import pytest

from netsim.channels import TraceOptions, channel_from_spec, read_trace
from netsim.channels.traces import WRITABLE, Recording, Trace, read_rate_trace, trace_bytes
from netsim.channels.traces import files as files_module
from netsim.channels.traces import frames as frames_module
from netsim.channels.traces.read import recognised_format
from netsim.errors import InputError

LOST = [2, 3, 7]
RECEIVED = [i not in LOST for i in range(10)]


def only(path: Path, **options: object) -> Recording:
    (one,) = read_trace(path, TraceOptions(**options)).recordings  # type: ignore[arg-type]
    return one


def written(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# G.192: the words are those of ITU-T G.191's manual ------------------------------------------------------------


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("good", "bad"), [(0x6B21, 0x6B20), (0x007F, 0x0081), (0x0001, 0x00FF)])
def test_words_of_g192_are_frames_or_bits_in_either_byte_order(tmp_path: Path, order: str, good: int, bad: int) -> None:
    words = [good if arrived else bad for arrived in RECEIVED]
    path = written(tmp_path / "pattern", struct.pack(f"{order}10H", *words))
    assert recognised_format(path) == "g192"
    assert only(path).received.tolist() == RECEIVED


@pytest.mark.parametrize(("good", "bad"), [(0x21, 0x20), (0x7F, 0x81)])
def test_bytes_of_g192(tmp_path: Path, good: int, bad: int) -> None:
    path = written(tmp_path / "pattern", bytes(good if arrived else bad for arrived in RECEIVED))
    assert recognised_format(path) == "g192-byte"
    assert only(path).received.tolist() == RECEIVED


def test_compact_g192_has_the_first_event_in_the_lowest_bit(tmp_path: Path) -> None:
    path = written(tmp_path / "pattern", bytes([0b10001100, 0b0]))
    received = only(path, format="g192-compact").received.tolist()
    assert received == [*RECEIVED, *([True] * 6)]


@pytest.mark.parametrize("content", [b"", b"\x21\x6b\x21", struct.pack("<3H", 0x6B21, 0x007F, 0x6B21), b"\0\0" * 3])
def test_what_is_no_error_pattern_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(InputError):
        read_trace(written(tmp_path / "pattern", content), TraceOptions(format="g192"))
    with pytest.raises(InputError):
        read_trace(written(tmp_path / "pattern", content), TraceOptions(format="g192-byte"))


# tables -------------------------------------------------------------------------------------------------------


def test_missing_numbers_of_a_table_are_losses(tmp_path: Path) -> None:
    rows = "\n".join(f"{1000 + i},{0.5 * i}" for i in range(10) if i not in LOST)
    path = written(tmp_path / "log.csv", rows + "\n")
    one = only(path, columns="seq,time_s")
    assert one.received.tolist() == RECEIVED
    assert one.interval_s == 0.5
    with pytest.raises(InputError, match="does not name its columns") as caught:
        read_trace(path)
    assert "  1000,0.0" in caught.value.hint
    assert "--columns" in caught.value.hint


def test_columns_are_found_by_the_names_of_the_first_row(tmp_path: Path) -> None:
    rows = "\n".join(f'"{i}",a-b,{20 * i}' for i in range(10) if i not in LOST)
    path = written(tmp_path / "log.csv", f"packet,flow,rx_ms\n{rows}\n")
    one = only(path, columns="seq=packet time_ms=rx_ms link=flow")
    assert (one.label, one.received.tolist(), one.interval_s) == ("a-b", RECEIVED, 0.02)
    with pytest.raises(InputError, match="no column `pakcet`"):
        only(path, columns="seq=pakcet")


def test_a_counter_that_starts_again_is_refused_until_its_width_is_given(tmp_path: Path) -> None:
    """As duplicates, the second round would hide the losses of the first and lose its own."""
    arrived = [number for number in range(3000) if number % 100]
    path = written(tmp_path / "log.csv", "seq\n" + "\n".join(str(number % 1024) for number in arrived))
    with pytest.raises(InputError, match="falls by more than half its range, 2 times") as caught:
        only(path, columns="seq=seq")
    assert "--counter-bits 10" in caught.value.hint
    assert only(path, columns="seq=seq", counter_bits=10).received.sum() == len(arrived)


def test_a_packet_that_many_others_overtake_is_no_counter_that_starts_again(tmp_path: Path) -> None:
    late = [*range(1, 900), 0, *range(900, 2000)]
    assert only(written(tmp_path / "log.csv", "\n".join(map(str, ["seq", *late]))), columns="seq=seq").received.all()


def test_numbers_out_of_order_and_twice_count_once(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "# columns: seq\n4\n0\n1\n1\n9\n8\n6\n5\n")
    trace = read_trace(path)
    assert trace.recordings[0].received.tolist() == RECEIVED
    assert any("1 duplicates" in note for note in trace.notes)
    assert any("out of order" in note for note in trace.notes)


def test_fields_in_quotes_and_times_that_are_unknown(tmp_path: Path) -> None:
    """As RFC 4180 has them; a lost packet has no time of arrival."""
    table = '"packet, number",name,rx\r\n"0","a ""b"", c",1.0\r\n1,x,\r\n"2","a b",3.0\r\n'
    named = only(written(tmp_path / "named.csv", table.replace("packet, number", "no")), columns="seq=no time_ms=rx")
    assert named.received.tolist() == [True, True, True]
    assert str(named.times_s.tolist()) == "[0.001, nan, 0.003]"  # type: ignore[union-attr]


def test_a_name_of_two_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 columns `seq`"):
        only(written(tmp_path / "two.csv", "seq,seq\n0,5\n1,6\n"), columns="seq=seq")


@pytest.mark.parametrize("options", [{"counter_bits": 63}, {"sent": "0.." + "9" * 5000}, {"sent": "0..9" * 2}])
def test_numbers_beyond_64_bits_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(InputError):
        TraceOptions(**options)  # type: ignore[arg-type]


def test_the_widest_counter_starts_again(tmp_path: Path) -> None:
    path = written(tmp_path / "wide.csv", f"{2**62 - 2}\n{2**62 - 1}\n1\n")
    with pytest.raises(InputError, match="not a whole number"):  # more digits than any sequence number has
        only(path, columns="seq", counter_bits=62)
    wide = written(tmp_path / "wide.csv", f"{2**59 - 2}\n{2**59 - 1}\n1\n")
    assert only(wide, columns="seq", counter_bits=59).received.tolist() == [True, True, False, True]


def test_a_trace_has_a_limited_number_of_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "RECORDINGS_LIMIT", 3)
    for name, content, options in [
        ("labels", "# 1=lost\n" + "".join(f"l{i} 010\n" for i in range(4)), {}),
        ("lines", "# 1=lost\n" + "01\n\n" * 4, {}),
        ("links", "".join(f"l{i} 0\n" for i in range(4)), {"columns": "link seq"}),
        ("pings", ping_lines([1]) * 4, {}),
    ]:
        with pytest.raises(InputError, match="more than 3 recordings"):
            read_trace(written(tmp_path / name, content), TraceOptions(**options))  # type: ignore[arg-type]


def test_spaces_alone_are_no_error_pattern(tmp_path: Path) -> None:
    """0x20 is a lost event of G.192 in bytes, and a space."""
    assert only(written(tmp_path / "some", "! !!")).received.tolist() == [True, False, True, True]
    with pytest.raises(InputError):
        read_trace(written(tmp_path / "blank", "    "))


def test_what_was_sent_shows_losses_at_both_ends(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "# columns: seq\n5\n6\n")
    assert only(path, sent="3..8").received.tolist() == [False, False, True, True, False, False]
    with pytest.raises(InputError, match=r"number 6, sent were 0\.\.5"):
        only(path, sent="0..5")


def test_a_counter_that_starts_again(tmp_path: Path) -> None:
    numbers = [(250 + i) % 256 for i in range(10) if i not in LOST]
    path = written(tmp_path / "log.csv", "# columns: seq\n" + "".join(f"{n}\n" for n in numbers))
    assert only(path, counter_bits=8).received.tolist() == RECEIVED
    with pytest.raises(InputError, match="has the number"):
        only(path, counter_bits=4)


def test_numbers_that_are_too_far_apart_are_refused_before_memory_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "# columns: seq\n0\n999999999999999999\n")
    with pytest.raises(InputError, match=r"1,000,000,000,000,000,000 packets"):
        read_trace(path)


def test_seq_with_a_column_of_losses(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "# columns: seq lost\n0 0\n1 0\n2 1\n4 0\n")
    assert only(path).received.tolist() == [True, True, False, False, True]


# captures -----------------------------------------------------------------------------------------------------


def rtp_capture(path: Path, link: int, pcapng: bool = False, numbers: Iterator[int] | None = None) -> Path:
    """A capture built here from the RFCs: Ethernet or raw IPv4, UDP, RTP."""
    with path.open("wb") as file:
        writer = dpkt.pcapng.Writer(file, linktype=link) if pcapng else dpkt.pcap.Writer(file, linktype=link)
        for i, number in enumerate(numbers or (65534 + i for i in range(10) if i not in LOST)):
            rtp = bytes([0x80, 96]) + struct.pack(">HII", number & 0xFFFF, 160 * i, 0xDECAF) + b"payload"
            udp = struct.pack(">4H", 4000, 5004, 8 + len(rtp), 0) + rtp
            head = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), i, 0, 64, 17, 0, b"\n\0\0\1", b"\n\0\0\2")
            frame = head + udp
            if link == dpkt.pcap.DLT_EN10MB:
                frame = bytes(12) + b"\x08\0" + frame
            writer.writepkt(frame, ts=100 + 0.02 * number)
    return path


@pytest.mark.parametrize("link", [dpkt.pcap.DLT_EN10MB, dpkt.pcap.DLT_RAW])
@pytest.mark.parametrize("pcapng", [False, True])
def test_rtp_in_captures(tmp_path: Path, link: int, pcapng: bool) -> None:
    path = rtp_capture(tmp_path / "call", link, pcapng)
    one = only(path, rtp=True)
    assert one.received.tolist() == RECEIVED
    assert one.label == "10.0.0.1:4000>10.0.0.2:5004 ssrc=000decaf"
    assert one.interval_s == pytest.approx(0.02, abs=1e-5)
    assert only(path, udp_number="2:2").received.tolist() == RECEIVED


def test_a_capture_must_say_where_its_numbers_are(tmp_path: Path) -> None:
    path = rtp_capture(tmp_path / "call", dpkt.pcap.DLT_RAW)
    with pytest.raises(InputError) as caught:
        read_trace(path)
    assert "10.0.0.1:4000>10.0.0.2:5004: 7 packets, the first begins 80 60 ff fe" in caught.value.hint
    assert "--rtp" in caught.value.hint
    assert "--udp-number" in caught.value.hint
    with pytest.raises(InputError, match="holds no packets of RTP"):
        read_trace(path, TraceOptions(rtp=True, port=9))


def test_a_capture_that_is_cut_off_gives_what_it_holds(tmp_path: Path) -> None:
    path = rtp_capture(tmp_path / "call", dpkt.pcap.DLT_RAW, numbers=iter(range(10)))
    path.write_bytes(path.read_bytes()[:-30])
    assert 1 <= len(only(path, rtp=True).received) < 10


@pytest.mark.parametrize("length", [0, 4, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_capture_can_not_ask_for_memory(tmp_path: Path, length: int) -> None:
    path = rtp_capture(tmp_path / "call", dpkt.pcap.DLT_RAW, pcapng=True)
    with path.open("ab") as file:
        file.write(struct.pack("<II", 6, length))
    trace = read_trace(path, TraceOptions(rtp=True))
    assert len(trace.recordings[0].received) == 10
    assert any("damaged" in note for note in trace.notes)


def datagram(number: int, size: int = 20) -> bytes:
    """UDP of RTP, sequence number ``number``."""
    rtp = bytes([0x80, 96]) + struct.pack(">HII", number, 160 * number, 0xDECAF) + bytes(size)
    return struct.pack(">4H", 4000, 5004, 8 + len(rtp), 0) + rtp


def ipv4(payload: bytes, identity: int = 0, flags: int = 0) -> bytes:
    head = (0x45, 0, 20 + len(payload), identity, flags, 64, 17, 0, b"\n\0\0\1", b"\n\0\0\2")
    return struct.pack(">BBHHHBBH4s4s", *head) + payload


def ipv6(payload: bytes, extension: bytes = b"", following: int = 17) -> bytes:
    head = struct.pack(">IHBB", 6 << 28, len(extension) + len(payload), following, 64)
    return head + bytes(15) + b"\1" + bytes(15) + b"\2" + extension + payload


def ethernet(packet: bytes, kind: int = 0x0800) -> bytes:
    return bytes(12) + struct.pack(">H", kind) + packet


def pcap(path: Path, frames: list[bytes], link: int = 1, step_s: float = 0.02) -> Path:
    """A classic file: draft-ietf-opsawg-pcap, section 4."""
    records = [
        struct.pack("<4I", int(i * step_s), round(i * step_s % 1 * 1e6), len(frame), len(frame)) + frame
        for i, frame in enumerate(frames)
    ]
    return written(path, struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, link) + b"".join(records))


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """Of a pcapng file: draft-ietf-opsawg-pcapng, section 3.1."""
    body += bytes(-len(body) % 4)
    return struct.pack(f"{order}2I", kind, len(body) + 12) + body + struct.pack(f"{order}I", len(body) + 12)


def section(order: str = "<") -> bytes:
    return block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link: int, power: int = 6, order: str = "<") -> bytes:
    option = struct.pack(f"{order}2H4BI", 9, 1, power, 0, 0, 0, 0)
    return block(1, struct.pack(f"{order}HHI", link, 0, 0) + option, order)


def packet_of(number: int, ticks: int, frame: bytes, order: str = "<") -> bytes:
    head = struct.pack(f"{order}5I", number, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
    return block(6, head + frame, order)


def test_every_interface_of_a_pcapng_file_has_its_own_link_and_clock(tmp_path: Path) -> None:
    """Ethernet in microseconds and raw IP in nanoseconds, packets on each in turn."""
    packets = [
        packet_of(1, i * 20_000_000, ipv4(datagram(i)))
        if i % 2
        else packet_of(0, i * 20_000, ethernet(ipv4(datagram(i))))
        for i in range(6)
    ]
    one = only(
        written(tmp_path / "two.pcapng", section() + interface(1) + interface(101, 9) + b"".join(packets)), rtp=True
    )
    assert one.received.tolist() == [True] * 6
    assert one.times_s is not None
    assert np.allclose(one.times_s, 0.02 * np.arange(6))


def test_a_pcapng_file_may_have_sections_of_other_byte_orders_and_simple_packets(tmp_path: Path) -> None:
    simple = [block(3, struct.pack("<I", len(f)) + f) for f in (ipv4(datagram(0)), ipv4(datagram(1)))]
    ticks = [packet_of(0, 1024 * i, ethernet(ipv4(datagram(i))), ">") for i in (2, 4)]  # of 1/1,024 s
    content = section() + interface(101) + b"".join(simple) + section(">") + interface(1, 0x8A, ">") + b"".join(ticks)
    one = only(written(tmp_path / "joined.pcapng", content), rtp=True)
    assert one.received.tolist() == [True, True, True, False, True]
    assert str(one.times_s.tolist()) == "[nan, nan, 2.0, nan, 4.0]"  # type: ignore[union-attr]


def fragments(number: int, six: bool) -> list[bytes]:
    """A datagram in three parts, of 64, 64 and the remaining bytes."""
    whole, found = datagram(number, 150), []
    for place in (0, 64, 128):
        part, more = whole[place:][:64] if place < 128 else whole[place:], place < 128
        if six:
            extension = struct.pack(">BBHI", 17, 0, place | more, number)  # offset in units of eight, times eight
            found.append(ethernet(ipv6(part, extension, 44), 0x86DD))
        else:
            found.append(ethernet(ipv4(part, number, place // 8 | more << 13)))
    return found


@pytest.mark.parametrize("six", [False, True])
def test_a_datagram_that_lacks_a_fragment_is_lost(tmp_path: Path, six: bool) -> None:
    frames = [frame for number in range(6) for frame in fragments(number, six)]
    late = [*frames[:5], *frames[6:9], frames[5], *frames[9:]]  # the last part of 1 after all of 2
    assert only(pcap(tmp_path / "late", late), rtp=True).received.tolist() == [True] * 6
    kept = [
        frame for i, frame in enumerate(frames) if i not in (3, 7, 14)
    ]  # of 1 the first, of 2 the second, of 4 the last
    trace = read_trace(pcap(tmp_path / "lost", kept), TraceOptions(rtp=True))
    assert trace.recordings[0].received.tolist() == [True, False, False, True, False, True]
    assert any("3 UDP datagrams lack a fragment" in note for note in trace.notes)


def test_the_number_of_a_fragmented_datagram_comes_again(tmp_path: Path) -> None:
    """Half of packet 0 never joins half of packet 1, which has its IP number half a minute later."""
    first, second = fragments(0, False), [frame[:18] + b"\0\0" + frame[20:] for frame in fragments(1, False)]
    path = pcap(tmp_path / "again", [first[0], *fragments(5, False), *second], step_s=10)
    assert only(path, rtp=True, sent="0..5").received.tolist() == [False, True, False, False, False, True]


def test_fragments_without_end_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames_module, "_WAITING_LIMIT_BYTES", 4000)
    begun = [fragments(number, False)[0] for number in range(50)]
    trace = read_trace(pcap(tmp_path / "begun", [*begun, *fragments(50, False)]), TraceOptions(rtp=True))
    assert trace.recordings[0].received.tolist() == [True]
    assert "50 UDP datagrams lack a fragment and count as lost" in trace.notes


def test_what_is_not_read_of_a_capture_is_told(tmp_path: Path) -> None:
    frames = [ethernet(ipv4(datagram(0))), ethernet(ipv4(struct.pack(">4H", 4000, 5004, 10, 0) + b"hi"))]
    trace = read_trace(pcap(tmp_path / "call", frames), TraceOptions(rtp=True))
    assert "1 UDP packets are not RTP" in trace.notes
    with pytest.raises(InputError) as caught:
        read_trace(pcap(tmp_path / "radio", frames, link=127), TraceOptions(rtp=True))
    assert "2 frames of the link type 127 are not read" in caught.value.hint
    checked = pcap(tmp_path / "checked", frames, link=1 | 0x14000000)  # the upper bits: check sequences of two bytes
    assert only(checked, rtp=True).received.tolist() == [True]


def test_a_number_of_eight_bytes_is_never_skipped(tmp_path: Path) -> None:
    frames = [ethernet(ipv4(struct.pack(">4HQ", 1, 2, 16, 0, number))) for number in (2**63 - 1, 2**63)]
    with pytest.raises(InputError, match="has the number 9223372036854775808"):
        only(pcap(tmp_path / "eight", frames), udp_number="0:8")


def test_captures_with_gzip(tmp_path: Path) -> None:
    path = rtp_capture(tmp_path / "call", dpkt.pcap.DLT_RAW)
    packed = written(tmp_path / "call.gz", gzip.compress(path.read_bytes()))
    assert only(packed, rtp=True).received.tolist() == RECEIVED


def test_without_dpkt_a_capture_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    path = rtp_capture(tmp_path / "call", dpkt.pcap.DLT_RAW)
    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "dpkt":
            raise ImportError(name)
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InputError) as caught:
        read_trace(path, TraceOptions(rtp=True))
    assert "[traces]" in caught.value.hint


# ping and irtt ------------------------------------------------------------------------------------------------

IPUTILS = """PING example.org (192.0.2.1) 56(84) bytes of data.
[1700000000.100000] 64 bytes from 192.0.2.1: icmp_seq=1 ttl=56 time=12.3 ms
[1700000000.300000] 64 bytes from 192.0.2.1: icmp_seq=2 ttl=56 time=12.3 ms
[1700000000.310000] 64 bytes from 192.0.2.1: icmp_seq=2 ttl=56 time=22.3 ms (DUP!)
no answer yet for icmp_seq=3
From 192.0.2.9 icmp_seq=4 Destination Host Unreachable
[1700000000.900000] 64 bytes from example.org (192.0.2.1): icmp_seq=5 ttl=56 time=12.3 ms

--- example.org ping statistics ---
7 packets transmitted, 3 received, +1 duplicates, +1 errors, 57.1429% packet loss, time 1206ms
rtt min/avg/max/mdev = 12.300/12.300/12.300/0.000 ms
"""
MACOS = """PING example.org (192.0.2.1): 56 data bytes
Request timeout for icmp_seq 0
64 bytes from 192.0.2.1: icmp_seq=1 ttl=56 time=12.3 ms

--- example.org ping statistics ---
3 packets transmitted, 1 packets received, 66.7% packet loss
"""
BUSYBOX = """PING 192.0.2.1 (192.0.2.1): 56 data bytes
64 bytes from 192.0.2.1: seq=1 ttl=56 time=12.345 ms

--- 192.0.2.1 ping statistics ---
2 packets transmitted, 1 packets received, 50% packet loss
"""


@pytest.mark.parametrize(
    ("output", "received"),
    [
        (IPUTILS, [1, 1, 0, 0, 1, 0, 0]),
        (MACOS, [0, 1, 0]),
        (BUSYBOX, [0, 1]),
        (IPUTILS.split("\n\n")[0], [1, 1, 0, 0, 1]),
    ],
)
def test_ping_of_three_systems(tmp_path: Path, output: str, received: list[int]) -> None:
    path = written(tmp_path / "ping.txt", output)
    assert recognised_format(path) == "ping"
    assert only(path).received.astype(int).tolist() == received


def ping_lines(numbers: list[int], start: str = "PING h (10.0.0.2) 56(84) bytes of data.", end: str = "") -> str:
    return "\n".join([start, *(f"64 bytes from 10.0.0.2: icmp_seq={n} ttl=64 time=1 ms" for n in numbers), "", end])


BSD = "PING h (10.0.0.2): 56 data bytes"


@pytest.mark.parametrize(
    ("output", "received"),
    [
        (ping_lines([2, 4], BSD, "5 packets transmitted, 2 packets received, 60.0% packet loss"), [0, 0, 1, 0, 1]),
        (ping_lines([2, 4], end="5 packets transmitted, 2 received, 60% packet loss"), [0, 1, 0, 1, 0]),
        (ping_lines([2, 4], BSD), [0, 0, 1, 0, 1]),
        (ping_lines([2, 4]), [0, 1, 0, 1]),
        (ping_lines([65530, 65532], "tail of a file"), [1, 0, 1]),
        (ping_lines([0, 1, 2, 2, 4], BSD), [1, 1, 1, 0, 1]),
    ],
)
def test_the_first_number_of_ping_is_that_of_its_system(tmp_path: Path, output: str, received: list[int]) -> None:
    assert only(written(tmp_path / "ping", output), format="ping").received.tolist() == [bool(one) for one in received]


def test_numbers_of_ping_that_start_again(tmp_path: Path) -> None:
    """65,539 requests of Linux; number 0 is then the 65,536th, not the first."""
    sent = [n % 65536 for n in range(1, 65540)]
    lines = ping_lines([n for n in sent if n != 1], end="65539 packets transmitted, 65537 received, 0.003% packet loss")
    one = only(written(tmp_path / "long", lines))
    assert np.flatnonzero(~one.received).tolist() == [0, 65536]
    late = ping_lines(sent) + "no answer yet for icmp_seq=4\nno answer yet for icmp_seq=5\n"
    assert np.flatnonzero(~only(written(tmp_path / "late", late)).received).tolist() == [65539, 65540]


def test_a_quiet_ping_shows_no_losses(tmp_path: Path) -> None:
    quiet = ping_lines([], end="5 packets transmitted, 4 received, 20% packet loss")
    with pytest.raises(InputError, match="the summary counts 4 received, the lines show 0") as caught:
        only(written(tmp_path / "quiet", quiet))
    assert "LC_ALL=C" in caught.value.hint


def test_times_and_links_of_ping(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path / "ping.txt", IPUTILS + MACOS))
    assert [one.label for one in trace.recordings] == ["example.org", "example.org"]
    assert trace.recordings[0].interval_s == pytest.approx(0.2)
    assert trace.recordings[1].times_s is None


def test_a_summary_that_disagrees_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "ping.txt", IPUTILS.replace("3 received", "4 received"))
    with pytest.raises(InputError, match="the summary counts 4 received, the lines show 3"):
        read_trace(path)


def irtt_file(path: Path, states: list[str]) -> Path:
    trips = [
        {"seqno": i, "lost": state, "timestamps": {"client": {"send": {"wall": 1, "monotonic": 10_000_000 * i}}}}
        for i, state in enumerate(states)
    ]
    return written(path, gzip.compress(json.dumps({"version": {}, "round_trips": trips}).encode()))


def test_irtt_by_direction(tmp_path: Path) -> None:
    path = irtt_file(tmp_path / "irtt.json.gz", ["false", "true_up", "true_down", "false"])
    assert only(path, direction="round-trip").received.astype(int).tolist() == [1, 0, 0, 1]
    assert only(path, direction="up").received.astype(int).tolist() == [1, 0, 1, 1]
    assert only(path, direction="down").received.astype(int).tolist() == [1, 0, 1]
    assert only(path, direction="up").interval_s == pytest.approx(0.01)
    with pytest.raises(InputError, match="both directions") as caught:
        read_trace(path)
    assert "--direction" in caught.value.hint


def test_a_time_of_irtt_beyond_its_clock_is_unknown(tmp_path: Path) -> None:
    trips = '{"round_trips": [{"lost": "false", "timestamps": {"client": {"send": {"monotonic": %s}}}}]}' % ("9" * 400)
    assert only(written(tmp_path / "far.json", trips), direction="round-trip").times_s is None


def test_irtt_without_the_servers_counts_has_no_direction(tmp_path: Path) -> None:
    path = irtt_file(tmp_path / "irtt.json.gz", ["false", "true"])
    assert only(path, direction="round-trip").received.astype(int).tolist() == [1, 0]
    with pytest.raises(InputError, match="does not tell losses up from losses down"):
        only(path, direction="up")


@pytest.mark.parametrize("text", ["{", "{}", '{"round_trips": [{"lost": 1}]}', "[" * 100_000, "{" + '"a":{' * 100_000])
def test_what_is_not_irtts_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(InputError):
        read_trace(written(tmp_path / "irtt.json", text), TraceOptions(format="irtt", direction="up"))


# Mahimahi -----------------------------------------------------------------------------------------------------


def test_a_mahimahi_trace_is_a_rate(tmp_path: Path) -> None:
    """One opportunity a millisecond for one second, none in the next: 12 Mbit/s, then nothing."""
    path = written(tmp_path / "lte.up", "".join(f"{ms}\n" for ms in [*range(1, 1001), 2000]))
    trace = read_rate_trace(path)
    assert trace.rates_bps().tolist() == [12e6, 12e3]
    assert trace.mean_rate_bps == 8 * 1500 * 1001 / 2
    with pytest.raises(InputError, match="does not say what its numbers are"):
        read_trace(path)
    with pytest.raises(InputError, match="holds no losses"):
        read_trace(path, TraceOptions(format="mahimahi"))


@pytest.mark.parametrize(("text", "message"), [("2\n1\n", ":2  1 comes after 2"), ("x\n", ":1  `x`"), ("0\n", "never")])
def test_what_is_no_mahimahi_trace_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_rate_trace(written(tmp_path / "lte.up", text))
    assert message in str(caught.value)


# writing ------------------------------------------------------------------------------------------------------

READ_BACK = {
    "g192-compact": {"format": "g192-compact"},
    "pcap": {"rtp": True, "sent": "0..15"},
    "pcapng": {"rtp": True, "sent": "0..15"},
}


@pytest.mark.parametrize("order", ["little", "big"])
@pytest.mark.parametrize("format", WRITABLE)
def test_what_is_written_reads_back(tmp_path: Path, format: str, order: str) -> None:
    received = np.random.default_rng(3).random(16) < 0.6
    trace = Trace(Path("made"), "text", (Recording("1", received),))
    path = written(tmp_path / "trace", trace_bytes(trace, format, order))
    assert only(path, **READ_BACK.get(format, {})).received.tolist() == received.tolist()


@pytest.mark.parametrize("format", ["text", "csv", "pcap"])
def test_several_recordings_read_back(tmp_path: Path, format: str) -> None:
    rng = np.random.default_rng(4)
    received = [rng.random(n) < 0.6 for n in (5, 1, 9)]
    for series in received:
        series[[0, -1]] = True  # ends that a capture can show
    trace = Trace(Path("made"), "text", tuple(Recording(f"l {i}", one) for i, one in enumerate(received)))
    path = written(tmp_path / "trace", trace_bytes(trace, format))
    options = TraceOptions(rtp=True) if format == "pcap" else None
    found = read_trace(path, options).recordings
    assert sorted(one.received.tolist() for one in found) == sorted(one.tolist() for one in received)
    with pytest.raises(InputError, match="g192 holds one recording"):
        trace_bytes(trace, "g192")


# strangers' files ---------------------------------------------------------------------------------------------


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a regular file"):
        read_trace(Path("/dev/zero"))
    with pytest.raises(InputError, match="not a regular file"):
        read_trace(tmp_path)


def test_a_gzip_bomb_stops_at_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_module, "TEXT_LIMIT_BYTES", 1000)
    monkeypatch.setattr(files_module.read_bytes, "__defaults__", (1000,))
    path = written(tmp_path / "bomb.gz", gzip.compress(b"# 1=lost\n" + b"0" * 2000))
    with pytest.raises(InputError, match="larger than"):
        read_trace(path)


def test_a_damaged_gzip_file_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "bad.gz", gzip.compress(b"# 1=lost\n0101\n" * 1000)[:60])
    with pytest.raises(InputError, match="cannot read trace"):
        read_trace(path)


def test_control_characters_of_a_file_do_not_reach_the_terminal(tmp_path: Path) -> None:
    path = written(tmp_path / "evil.txt", "\x1b]0;owned\x07 something\n")
    with pytest.raises(InputError) as caught:
        read_trace(path)
    assert "\x1b" not in str(caught.value)
    assert r"\x1b]0;owned\x07 something" in caught.value.hint


def test_blocks_of_a_capture_have_a_limit() -> None:
    with open("/dev/zero", "rb") as zeros, pytest.raises(ValueError, match="a block of"):
        frames_module._Limited(zeros).read(1 << 30)


# options ------------------------------------------------------------------------------------------------------


def test_a_scenario_gives_the_same_options_as_the_flags(tmp_path: Path) -> None:
    path = written(tmp_path / "log.csv", "7\n8\n10\n")
    channel = channel_from_spec({"trace": str(path), "columns": "seq", "sent": "6..11"})
    assert getattr(channel, "loss_rate") == 0.5  # noqa: B009
    for spec, key in (
        ({"sent": "6-11"}, "sent"),
        ({"format": "cvs"}, "format"),
        ({"one": 1}, "one"),
        ({"rtp": True}, "rtp"),
        ({"udp_number": "x"}, "udp_number"),
        ({"counter_bits": 64}, "counter_bits"),
    ):
        with pytest.raises(InputError) as caught:
            channel_from_spec({"trace": str(path), "columns": "seq", **spec})
        assert caught.value.key == (key,)
