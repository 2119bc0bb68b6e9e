"""Repetition: which packets come back, from which bytes, and how often that happens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.channels.chains import bernoulli
from netsim.channels.spec import channel_from_spec
from netsim.codec import Packet
from netsim.engines.exact import distributions
from netsim.engines.stratified import simulate_strata
from netsim.errors import InputError
from netsim.links.packets import DELIVERED, PacketBurst
from netsim.links.profile import IDEAL
from netsim.protection.base import NoProtection
from netsim.protection.reed_solomon import ReedSolomon
from netsim.protection.repetition import Repetition
from netsim.streams import Streams
from tests.protection.laws import check_laws, payloads, stream_of


def test_copies_follow_the_stream_round_by_round():
    stream = stream_of([30, 7, 0, 55])
    sent = Repetition(packets=(1, 4), times=3).protect(stream).sent
    a, b, c, d = payloads(stream)
    assert payloads(sent) == [a, b, c, d, a, d, a, d]
    assert sent.bytes_total == 92 + 2 * 85
    assert sent.bpp == pytest.approx(8 * 262 / 64**2)
    assert payloads(Repetition(first=2).protect(stream).sent) == [a, b, c, d, a, b]


def test_protected_packets_are_neither_counted_nor_copied():
    stream = stream_of([20, 30, 40, 50], protected=(0, 2))
    protected = Repetition(packets=(2,)).protect(stream)
    assert payloads(protected.sent)[4:] == [payloads(stream)[3]]
    assert protected.sent.protected.tolist() == [True, False, True, False, False]
    received = np.array([True, True, True, False, True])
    assert protected.recover(received).all()


def test_a_packet_that_is_not_there():
    stream = stream_of([5] * 4, protected=(0,))
    with pytest.raises(
        InputError, match=r"repeat \(2, 4, 9\): there is no packet 4; 3 of the stream's packets"
    ) as refused:
        Repetition(packets=(2, 9, 4)).protect(stream)
    assert "first: 2" in refused.value.hint
    assert len(Repetition(first=9).protect(stream).sent) == 7
    for wrong in ({}, {"packets": (1,), "first": 1}, {"first": 0}, {"packets": (1, 1)}, {"first": 1, "times": 1}):
        with pytest.raises(ValueError, match="packets"):
            Repetition(**wrong)


def test_recovery_reads_received_bytes_alone():
    protected = Repetition(first=2, times=3).protect(stream_of([50] * 3))
    want = payloads(protected.data)
    received = np.array([False, True, True, False, False, True, False])
    sent = protected.sent.packets
    garbage = tuple(p if there else Packet(b"\xff" * 3) for p, there in zip(sent, received, strict=True))
    for stream in (protected.sent, protected.data):
        object.__setattr__(stream, "packets", garbage[: len(stream.packets)])
    assert protected.recovered_payloads(received) == want


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=12),
    st.integers(1, 14),
    st.integers(2, 4),
    st.randoms(use_true_random=False),
)
def test_recover_and_payloads_agree_and_are_monotone(shape, first, times, random):
    stream = stream_of([size for size, _ in shape], [i for i, (_, mark) in enumerate(shape) if mark])
    protection = Repetition(first=first, times=times)
    protected = check_laws(protection, stream, random, 0.6)
    droppable = int((~stream.protected).sum())
    assert len(protected.sent) == len(stream) + (times - 1) * min(first, droppable)


def test_recover_takes_any_leading_shape():
    protected = Repetition(first=3).protect(stream_of([9] * 7))
    received = np.random.default_rng(3).random((4, 5, 10)) < 0.7
    recovered = protected.recover(received)
    assert recovered.shape == (4, 5, 7)
    for index in np.ndindex(4, 5):
        assert (recovered[index] == protected.recover(received[index])).all()


@pytest.mark.parametrize(
    ("protection", "packets"),
    [
        (NoProtection(), 4),
        (ReedSolomon(code=(6, 4)), 4),
        (ReedSolomon(code=(4, 2)), 4),
        (Repetition(first=1), 4),
        (Repetition(first=4), 4),
        (Repetition(first=2), 0),
    ],
)
def test_count_decides_exactly_where_it_does(protection, packets):
    protected = protection.protect(stream_of([3] * packets))
    n = len(protected.sent)
    received = np.arange(1 << n)[:, None] >> np.arange(n) & 1 == 1
    whole = protected.recover(received).all(axis=1)
    outcomes = [np.unique(whole[received.sum(axis=1) == count]) for count in range(n + 1)]
    assert protected.count_decides == all(len(one) == 1 for one in outcomes)


def outcomes(engine, protection, packets, channel):
    """(weights [m], which packets the decoder has bool [m, packets], probability left out) of one slot."""
    protected = protection.protect(stream_of([100] * packets))
    offer = PacketBurst(tuple(protected.sent.sizes_bytes.tolist()), tuple(protected.sent.protected.tolist()))
    if engine == "exact":
        data_packets = packets if protected.count_decides else None
        (batch,) = distributions(1, lambda slot: offer, channel, IDEAL, 0.999, lambda slot: data_packets)
    else:
        (batch,) = simulate_strata(1, lambda slot: offer, [channel], 0, IDEAL, Streams(3, "strata"), 20_000)
    return batch.weight, protected.recover(batch.outcome == DELIVERED), batch.residual_mass


def test_failure_ratio_of_a_codec_that_needs_all_packets():
    """Under independent loss each repeated packet is lost with probability ε², ε³, …"""
    for loss in (0.05, 0.3):
        for protection, expected in (
            (Repetition(packets=(1,)), 1 - (1 - loss**2) * (1 - loss) ** 3),
            (Repetition(packets=(2, 3)), 1 - (1 - loss**2) ** 2 * (1 - loss) ** 2),
            (Repetition(first=4), 1 - (1 - loss**2) ** 4),
            (Repetition(packets=(2, 4), times=4), 1 - (1 - loss**4) ** 2 * (1 - loss) ** 2),
        ):
            weight, there, rest = outcomes("exact", protection, 4, bernoulli(loss))
            assert rest == 0
            assert weight.sum() == pytest.approx(1, abs=1e-12)
            assert weight @ ~there.all(axis=1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["EP1", "EP3", "EP4", "EP5", "EP6", "ge-15"])
def test_bursts_against_the_chains_own_closed_form(name):
    """LC's loss of everything, the first packet and its copy: P(packet 1 lost) · P(packet 11 lost | packet 1 lost)."""
    channel = channel_from_spec(name)
    stationary, step, loss = channel.start_distribution, channel.transition, channel.loss
    first_lost = stationary * loss
    both = (first_lost @ np.linalg.matrix_power(step, 10)) @ loss
    weight, there, _ = outcomes("exact", Repetition(packets=(1,)), 10, channel)
    assert weight @ ~there[:, 0] == pytest.approx(both, abs=1e-12)
    weight, there, _ = outcomes("exact", NoProtection(), 10, channel)
    assert weight @ ~there[:, 0] == pytest.approx(channel.loss_rate, abs=1e-12)
    assert both < channel.loss_rate


def test_a_copy_at_the_end_outlives_bursts_that_one_beside_its_packet_would_not():
    """Why copies come last: mean bursts of ten packets, and a copy ten packets away or the very next one."""
    channel = channel_from_spec("EP5")
    lost = (channel.start_distribution * channel.loss) / channel.loss_rate
    apart = [float(lost @ np.linalg.matrix_power(channel.transition, k) @ channel.loss) for k in (1, 10)]
    assert apart[0] == pytest.approx(1 - 1 / 10)
    weight, there, _ = outcomes("exact", Repetition(packets=(1,)), 10, channel)
    assert weight @ ~there[:, 0] / channel.loss_rate == pytest.approx(apart[1])
    assert apart[1] < 0.5 < apart[0]


def test_strata_tend_to_the_exact_answer():
    channel = channel_from_spec("EP4")
    protection = Repetition(packets=(1, 2), times=3)
    exact_weight, exact_there, _ = outcomes("exact", protection, 10, channel)
    weight, there, rest = outcomes("stratified", protection, 10, channel)
    for part in (np.s_[:, 0], np.s_[:, 1], np.s_[:, 9]):
        assert weight @ there[part] == pytest.approx(exact_weight @ exact_there[part], abs=0.01 + rest)
    assert weight @ there.all(axis=1) == pytest.approx(exact_weight @ exact_there.all(axis=1), abs=0.01 + rest)
