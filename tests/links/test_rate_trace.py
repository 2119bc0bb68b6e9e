"""Links with a rate trace, against a simulation of Mahimahi's queue, opportunity by opportunity."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netsim
from netsim.channels import bernoulli
from netsim.channels.traces import RateTrace
from netsim.engines.event import simulate_trial
from netsim.engines.schedule import transmission_schedule
from netsim.errors import InputError
from netsim.links.packets import PacketBurst
from netsim.links.profile import LinkProfile, link_from_spec
from netsim.streams import Streams


def delivered_ms(times_ms: list[int], packets: list[tuple[int, int]]) -> list[int]:
    """When each (arrival in ms, bytes on the wire) of a FIFO queue has been delivered.

    At each opportunity up to 1,500 bytes of what waits leave; the trace repeats when it ends. As in mm-link, which
    passes the opportunities of a millisecond before it reads packets, an idle link misses those of the packet's own.
    """

    def waits(number: int, time: int) -> bool:
        arrival = packets[number][0]
        return arrival < time or (arrival == time and done[-1:] == [time])

    left = [size for _, size in packets]
    done: list[int] = []
    for turn in count():
        for time in (turn * times_ms[-1] + time_ms for time_ms in times_ms):
            budget = 1500
            while len(done) < len(packets) and waits(len(done), time) and budget > 0:
                taken = min(budget, left[len(done)])
                budget -= taken
                left[len(done)] -= taken
                if left[len(done)]:
                    break
                done.append(time)
            if len(done) == len(packets):
                return done
    raise AssertionError


def trace_of(times_ms: list[int]) -> RateTrace:
    return RateTrace(Path("made"), np.array(times_ms, dtype=np.int64))


TIMES = st.lists(st.integers(0, 40), min_size=1, max_size=8).map(sorted).filter(lambda times: times[-1] > 0)
SLOTS = st.lists(st.lists(st.integers(1, 4000), min_size=1, max_size=4), min_size=1, max_size=4)


@given(TIMES, SLOTS, st.integers(1, 60))
@settings(deadline=None)
def test_packets_leave_as_mahimahi_lets_them(times_ms: list[int], slots: list[list[int]], period_ms: int) -> None:
    link = LinkProfile("traced", rate_trace=trace_of(times_ms), overhead_bytes=28, period_s=period_ms / 1000)
    bursts = [PacketBurst(tuple(sizes), (False,) * len(sizes)) for sizes in slots]
    packets = [(slot * period_ms, size + 28) for slot, sizes in enumerate(slots) for size in sizes]
    expected = [ms / 1000 for ms in delivered_ms(times_ms, packets)]
    schedule = transmission_schedule(len(slots), lambda slot: bursts[slot], link)
    assert np.concatenate([one.arrival_s for one in schedule]).tolist() == expected
    streams = Streams(1, "rates")
    trial = simulate_trial(len(slots), lambda slot, _: bursts[slot], bernoulli(0.0), link, streams, streams, 0)
    assert np.concatenate([one.arrival_s for one in trial]).tolist() == expected


def test_packets_share_an_opportunity_and_large_ones_take_several() -> None:
    """Two of 700 bytes leave together at 10 ms; 3,200 bytes take what is left there and three more opportunities."""
    assert delivered_ms([10, 20, 30], [(0, 700), (0, 700), (0, 3200)]) == [10, 10, 40]
    link = LinkProfile("traced", rate_trace=trace_of([10, 20, 30]))
    (slot,) = transmission_schedule(1, lambda _: PacketBurst((700, 700, 3200), (False,) * 3), link)
    assert slot.arrival_s.tolist() == [0.01, 0.01, 0.04]


def test_an_idle_link_delivers_after_the_packet_came_never_at_once() -> None:
    """12 Mbit/s, slots at whole milliseconds: 1,500 bytes take the opportunity one millisecond later, in each slot."""
    link = LinkProfile("traced", rate_trace=trace_of([0, 1, 2, 3]), period_s=0.01)
    schedule = transmission_schedule(3, lambda _: PacketBurst((1500, 1500), (False,) * 2), link)
    assert [one.arrival_s.tolist() for one in schedule] == [[0.001, 0.002], [0.011, 0.012], [0.021, 0.021]]


def test_arq_gives_up_what_the_trace_can_not_deliver_in_time() -> None:
    """The only opportunity after the loss comes at 50 ms, after the deadline."""
    from netsim.links.packets import Arq

    link = LinkProfile("traced", rate_trace=trace_of([10, 50]), deadline_s=0.04)
    burst = PacketBurst((1000,), (False,), arq=Arq(2))
    streams = Streams(1, "rates")
    (slot,) = simulate_trial(1, lambda *_: burst, bernoulli(1.0), link, streams, streams, 0)
    assert int(np.isfinite(slot.sent_s).sum()) == 1


def test_a_scenario_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "lte.up").write_text("".join(f"{ms}\n" for ms in range(5, 1001, 5)))
    (tmp_path / "mine.yaml").write_text(
        "images: {samples: [coffee]}\ncodecs: [{jpeg: {quality: 30, packets: 4}}]\nchannels: [EP4]\n"
        "link: {mobile: {rate_trace: lte.up, name: lte}}\nengine: array\ntrials: 2\n"
    )
    run = netsim.run(tmp_path / "mine.yaml", out=tmp_path / "run")
    (written,) = [run.manifest["scenario"]["link"]]
    assert written == {"mobile": {"rate_trace": str((tmp_path / "lte.up").resolve()), "name": "lte"}}
    assert any(path.endswith("lte.up") for path in run.manifest["inputs"]["files"])
    two = netsim.run(tmp_path / "mine.yaml", out=tmp_path / "two", overrides=["engine=event"])
    assert (run.log["end_s"] == two.log["end_s"]).all() if "end_s" in run.log else True
    link = link_from_spec({"ideal": {"rate_trace": str(tmp_path / "lte.up")}})
    assert link.rate_bps == 2.4e6
    assert hash(link) == hash(link_from_spec({"ideal": {"rate_trace": str(tmp_path / "lte.up")}}))


@pytest.mark.parametrize(
    ("numbers", "message", "key"),
    [
        ({"rate_trace": "no.up"}, "cannot read trace", "rate_trace"),
        ({"rate_trace": 3}, "rate_trace is 3", "rate_trace"),
        ({"rate_trace": "bad.up"}, "`x` is not a time", "rate_trace"),
        ({"rate_trace": "good.up", "rate_bps": 9600}, "beside a rate_trace", "rate_bps"),
    ],
)
def test_what_is_no_rate_is_refused(
    tmp_path: Path, numbers: dict[str, object], message: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bad.up").write_text("x\n")
    Path("good.up").write_text("1\n")
    with pytest.raises(InputError, match=message) as caught:
        link_from_spec({"mobile": numbers})
    assert caught.value.key == ("mobile", key)
