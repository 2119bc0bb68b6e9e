"""Reed–Solomon: the same code as reedsolo's, and every recoverable loss recovered byte by byte."""

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import reedsolo
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.codec import Packet
from netsim.errors import InputError
from netsim.protection.base import NoProtection
from netsim.protection.galois import inverse, parity_matrix, product
from netsim.protection.reed_solomon import ReedSolomon, parity_for_share
from tests.protection.laws import check_laws, payloads, stream_of


@pytest.mark.parametrize(("n", "k"), [(10, 7), (10, 3), (10, 9), (2, 1), (255, 200)])
def test_parity_bytes_are_reedsolos_own(n, k):
    data = np.random.default_rng(n).integers(0, 256, (k, 40), dtype=np.uint8)
    coder = reedsolo.RSCodec(n - k)
    columns = [np.frombuffer(bytes(coder.encode(data[:, c].tobytes())), dtype=np.uint8) for c in range(40)]
    np.testing.assert_array_equal(product(parity_matrix(n, k), data), np.stack(columns, axis=1)[k:])


def test_sent_packets_are_reedsolos_code_words_and_data_stay_as_they_are():
    stream = stream_of([30, 7, 0, 55, 12, 55, 1])
    sent = ReedSolomon(code=(10, 7)).protect(stream).sent
    assert payloads(sent)[:7] == payloads(stream)
    assert [len(p) for p in payloads(sent)[7:]] == [57] * 3  # two bytes above the longest
    coder = reedsolo.RSCodec(3)
    words = [(len(p).to_bytes(2, "big") + p).ljust(57, b"\0") for p in payloads(stream)]
    for column in range(57):
        word = bytes(w[column] for w in words) + bytes(p[column] for p in payloads(sent)[7:])
        assert bytes(coder.encode(word[:7])) == word


@pytest.mark.parametrize(("n", "k"), [(10, 7), (6, 2), (5, 4)])
def test_every_pattern_of_up_to_n_minus_k_losses_is_recovered(n, k):
    stream = stream_of([(37 * i) % 61 for i in range(k)], seed=n)
    protected = ReedSolomon(code=(n, k)).protect(stream)
    for losses in range(n + 1):
        for lost in combinations(range(n), losses):
            received = ~np.isin(np.arange(n), lost)
            recovered = protected.recovered_payloads(received)
            if losses <= n - k:
                assert recovered == payloads(stream)
            else:
                assert recovered == [p if there else None for p, there in zip(payloads(stream), received, strict=False)]
            assert protected.recover(received).tolist() == [payload is not None for payload in recovered]


@pytest.mark.parametrize("settings", [{"share": Fraction(0)}, {"code": (7, 7)}])
def test_without_parity_all_is_as_without_protection(settings):
    protection, plain = ReedSolomon(**settings), NoProtection()
    stream = stream_of([30, 70_000, 0, 55])  # a code takes 65,535 bytes
    assert payloads(protection.protect(stream).sent) == payloads(plain.protect(stream).sent)
    assert protection.overhead_bytes == plain.overhead_bytes


def test_recovery_reads_received_bytes_alone():
    protected = ReedSolomon(code=(10, 7)).protect(stream_of([50] * 7))
    want = payloads(protected.data)
    received = ~np.isin(np.arange(10), (0, 3, 8))
    sent = protected.sent.packets
    garbage = tuple(p if there else Packet(b"\xff" * 3) for p, there in zip(sent, received, strict=True))
    for stream in (protected.sent, protected.data):
        object.__setattr__(stream, "packets", garbage[: len(stream.packets)])
    assert protected.recovered_payloads(received) == want


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.booleans()), max_size=14),
    st.one_of(
        st.fractions(0, Fraction(9, 10), max_denominator=100).map(lambda share: ReedSolomon(share=share)),
        st.tuples(st.integers(0, 4), st.integers(1, 5)).map(lambda rk: ReedSolomon(code=(rk[0] + rk[1], rk[1]))),
    ),
    st.randoms(use_true_random=False),
)
def test_recover_and_payloads_agree_and_are_monotone(shape, protection, random):
    stream = stream_of([size for size, _ in shape], [i for i, (_, mark) in enumerate(shape) if mark])
    check_laws(protection, stream, random, 0.7)


def test_protected_packets_pass_through_uncovered():
    stream = stream_of([20, 30, 40, 50], protected=(0,))
    protected = ReedSolomon(code=(5, 3)).protect(stream)
    assert protected.sent.protected.tolist() == [True] + [False] * 5
    assert len(protected.sent.packets[-1].payload) == 52
    received = np.array([False, False, True, False, True, True])  # never happens to the first, and nothing covers it
    assert protected.recover(received).tolist() == [False, True, True, True]


def test_recover_takes_any_leading_shape():
    protected = ReedSolomon(code=(10, 7)).protect(stream_of([9] * 7))
    received = np.random.default_rng(3).random((4, 5, 10)) < 0.7
    recovered = protected.recover(received)
    assert recovered.shape == (4, 5, 7)
    for index in np.ndindex(4, 5):
        assert (recovered[index] == protected.recover(received[index])).all()


@pytest.mark.parametrize(("percent", "k", "parity"), [(0, 10, 0), (10, 9, 1), (30, 7, 3), (50, 5, 5), (70, 3, 7)])
def test_a_share_of_ten_packets(percent, k, parity):
    protection = ReedSolomon(share=Fraction(percent, 100))
    assert protection.data_packets(10) == k
    assert protection.block_sizes(k) == [(k, parity)]
    assert len(protection.protect(stream_of([5] * k)).sent) == 10


def test_parity_is_nearest_the_share_for_every_count():
    for percent in range(0, 95, 5):
        share = Fraction(percent, 100)
        for k in range(1, 30, 3):
            parity = parity_for_share(k, share)
            around = [r for r in range(parity - 2, parity + 3) if r >= 0]
            assert min(abs(Fraction(r, k + r) - share) for r in around) == abs(Fraction(parity, k + parity) - share)


def test_long_streams_are_cut_into_blocks():
    protection = ReedSolomon(share=Fraction(1, 2))
    assert protection.block_sizes(200) == [(100, 100), (100, 100)]
    protected = protection.protect(stream_of([6] * 200))
    lost = np.ones(400, dtype=bool)
    lost[[*range(50), *range(100, 150), *range(200, 250)]] = False
    assert protected.recovered_payloads(lost) == payloads(protected.data)
    assert ReedSolomon(code=(10, 7)).block_sizes(9) == [(7, 3), (2, 3)]


def test_refusals():
    with pytest.raises(InputError, match="65,536 bytes"):
        ReedSolomon(code=(3, 2)).protect(stream_of([65_536, 1]))
    with pytest.raises(InputError, match="more than 255 packets"):
        ReedSolomon(share=Fraction(999, 1000))
    with pytest.raises(ValueError, match="singular"):
        inverse(np.ones((2, 2), dtype=np.uint8))


def test_no_protection_changes_nothing():
    stream = stream_of([3, 4])
    plain = NoProtection().protect(stream)
    assert plain.sent is stream
    assert plain.recover(np.array([True, False])).tolist() == [True, False]
    assert plain.recovered_payloads(np.array([True, False])) == [payloads(stream)[0], None]
    assert NoProtection().data_packets(10) == 10
