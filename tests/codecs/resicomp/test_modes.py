"""Context modes: their matrices, what is usable, how many masks there are, and which passes decode."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from netcodecs.resicomp.modes import (
    MODES,
    context_matrix,
    decoding_passes,
    effective_masks,
    own_contexts,
    usable,
    usable_masks,
)

from netsim.errors import InputError

RULES = {  # G[i, j] for j < i, 0-based, as the paper's Fig. 7 shows them
    "LC": lambda i, j: True,
    "ISC": lambda i, j: False,
    **{f"MDC-{n}": lambda i, j, n=n: i % n == j % n for n in (2, 3, 4, 5)},
    "LMDC": lambda i, j: j % 2 == 0,
    "SLC": lambda i, j: j == 0,
    "TwoLoop": lambda i, j: j % 2 == 0 or (i % 2 == 1 and i >= 3),
}
MASKS_OF_TEN = {  # the source's counts, of 1,024
    "LC": 11,
    "TwoLoop": 21,
    "MDC-2": 36,
    "LMDC": 63,
    "MDC-3": 80,
    "MDC-4": 144,
    "MDC-5": 243,
    "SLC": 513,
    "ISC": 1024,
}


def all_masks(slices):
    return np.arange(1 << slices)[:, None] >> np.arange(slices) & 1 == 1


def usable_by_iterating(contexts, received):
    """A slice is usable iff it arrived and all its contexts are *usable*: applied until nothing changes."""
    now = received.copy()
    while True:
        then = received & np.stack([now[:, row].all(axis=1) for row in contexts], axis=1)
        if (then == now).all():
            return now
        now = then


def closed_matrices(most=7):
    """Random context matrices: any pairs below the diagonal, closed transitively."""

    def close(pairs_and_size):
        size, pairs = pairs_and_size
        matrix = np.zeros((size, size), dtype=bool)
        for a, b in pairs:
            if a % size != b % size:
                matrix[max(a % size, b % size), min(a % size, b % size)] = True
        for i in range(size):
            for j in np.flatnonzero(matrix[i]):
                matrix[i] |= matrix[j]
        return matrix

    pairs = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=20)
    return st.tuples(st.integers(1, most), pairs).map(close)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("slices", [1, 2, 3, 10, 32])
def test_matrices_are_the_papers_and_pass_the_users_check(mode, slices):
    matrix = context_matrix(mode, slices)
    expected = [[j < i and RULES[mode](i, j) for j in range(slices)] for i in range(slices)]
    assert matrix.dtype == bool
    assert matrix.tolist() == expected
    assert own_contexts(matrix.astype(int).tolist(), slices).tolist() == expected
    assert context_matrix(expected, slices).tolist() == expected


def test_modes_are_all_nine_by_their_number_of_masks():
    assert set(MODES) == set(RULES)
    counts = [effective_masks(context_matrix(mode, 10)) for mode in MODES]
    assert all(a < b for a, b in pairwise(counts))


def test_more_descriptions_than_slices_are_intra_slices():
    assert not context_matrix("MDC-7", 7).any()
    assert context_matrix("MDC-6", 7).sum() == 1


@pytest.mark.parametrize("mode", MODES)
def test_one_look_at_the_contexts_is_enough(mode):
    contexts = context_matrix(mode, 10)
    masks = all_masks(10)
    assert np.array_equal(usable(contexts, masks), usable_by_iterating(contexts, masks))


@settings(max_examples=60, deadline=None)
@given(closed_matrices())
def test_laws_of_any_closed_matrix(contexts):
    slices = len(contexts)
    assert np.array_equal(own_contexts(contexts.tolist()), contexts)
    masks = all_masks(slices)
    found = usable(contexts, masks)
    assert np.array_equal(found, usable_by_iterating(contexts, masks))
    assert (found <= masks).all()
    assert np.array_equal(usable(contexts, found), found)
    for slice_ in range(slices):  # monotone: one more slice received never takes one away
        more = masks.copy()
        more[:, slice_] = True
        assert (usable(contexts, more) >= found).all()
    distinct = np.unique(found, axis=0)
    assert effective_masks(contexts) == len(distinct)
    assert np.array_equal(np.unique(usable_masks(contexts), axis=0), distinct)
    assert len(usable_masks(contexts)) == len(distinct)


def test_usable_takes_any_leading_shape():
    contexts = context_matrix("LMDC", 10)
    received = np.random.default_rng(5).random((3, 4, 10)) < 0.8
    found = usable(contexts, received)
    assert found.shape == (3, 4, 10)
    for index in np.ndindex(3, 4):
        assert np.array_equal(found[index], usable(contexts, received[index]))


@pytest.mark.parametrize(("mode", "count"), MASKS_OF_TEN.items())
def test_effective_masks_of_ten_slices(mode, count):
    contexts = context_matrix(mode, 10)
    assert effective_masks(contexts) == count
    assert len(np.unique(usable(contexts, all_masks(10)), axis=0)) == count
    listed = usable_masks(contexts)
    assert len(listed) == count
    assert not listed[0].any()
    assert listed[-1].all()


def test_effective_masks_of_long_streams():
    n = 300
    assert effective_masks(context_matrix("LC", n)) == n + 1
    assert effective_masks(context_matrix("ISC", n)) == 2**n
    assert effective_masks(context_matrix("SLC", n)) == 2 ** (n - 1) + 1
    assert effective_masks(context_matrix("MDC-2", n)) == (n // 2 + 1) ** 2
    with pytest.raises(InputError, match="usable masks"):
        usable_masks(context_matrix("ISC", 32))


@settings(max_examples=60, deadline=None)
@given(closed_matrices(), st.randoms(use_true_random=False))
def test_rounds_decode_every_usable_slice_after_its_contexts(contexts, random):
    received = np.array([random.random() < 0.7 for _ in contexts])
    wanted = usable(contexts, received)
    decoded: set[int] = set()
    for one in decoding_passes(contexts, wanted):
        assert decoded.issuperset(one.contexts)
        for number in one.slices:
            assert np.flatnonzero(contexts[number]).tolist() == list(one.contexts)
        assert decoded.isdisjoint(one.slices)
        decoded.update(one.slices)
    assert sorted(decoded) == np.flatnonzero(wanted).tolist()
    passes = [one.contexts for one in decoding_passes(contexts)]
    assert len(passes) == len(set(passes)) == len(np.unique(contexts, axis=0))
    assert passes[0] == ()


def test_passes_of_the_modes():
    passes = {mode: len(decoding_passes(context_matrix(mode, 10))) for mode in MODES}
    assert passes == {
        "LC": 10,  # one each
        "TwoLoop": 9,
        "MDC-2": 9,  # the first of every description together, then one each
        "LMDC": 6,
        "MDC-3": 8,
        "MDC-4": 7,
        "MDC-5": 6,
        "SLC": 2,
        "ISC": 1,
    }
    after_loss = decoding_passes(context_matrix("SLC", 5), np.array([True, False, True, False, True]))
    assert [(one.contexts, one.slices) for one in after_loss] == [((), (0,)), ((0,), (2, 4))]
    assert decoding_passes(context_matrix("SLC", 5), np.zeros(5, dtype=bool)) == ()


@pytest.mark.parametrize(
    ("rows", "key", "telling"),
    [
        ([[0, 0], [1, 1]], (1, 1), "slice 2 is predicted from itself"),
        ([[0, 1], [0, 0]], (0, 1), "slice 1 is predicted from slice 2, which comes later"),
        (
            [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 1, 0]],
            (3, 0),
            "slice 4 is predicted from slice 3, and slice 3 from slice 1, but slice 4 not from slice 1",
        ),
        ([[0, 0], [1]], (1,), "row 2 has 1 entries, and there are 2 rows"),
        ([[0, 0], [1, 2]], (1, 1), "2 in row 2, column 2"),
        ([[0, 0], [0.5, 0]], (1, 0), "0.5 in row 2, column 1"),
        ([[0, 0], ["1", 0]], (1, 0), "'1' in row 2, column 1"),
        ([[0, 0], [None, 0]], (1, 0), "None in row 2, column 1"),
        ([[0, 0], "10"], (1,), "row 2 is '10'"),
        ([0, 0], (0,), "row 1 is 0"),
        ([], (), "is not a matrix"),
        ({"rows": 1}, (), "is not a matrix"),
        (None, (), "is not a matrix"),
    ],
)
def test_own_matrices_that_are_refused(rows, key, telling):
    with pytest.raises(InputError) as refused:
        own_contexts(rows)
    assert telling in refused.value.message
    assert refused.value.key == key
    assert refused.value.hint


def test_own_matrix_from_yaml():
    from ruamel.yaml import YAML

    rows = YAML(typ="safe").load("[[0, 0, 0], [true, 0, 0], [1, 1, false]]")
    assert own_contexts(rows, 3).tolist() == context_matrix("LC", 3).tolist()
    with pytest.raises(InputError, match="3 rows for 10 slices"):
        context_matrix(rows, 10)


@pytest.mark.parametrize(("mode", "telling"), [("MDC-1", "MDC-n"), ("LCC", "did you mean `LC`"), ("", "known")])
def test_unknown_modes(mode, telling):
    with pytest.raises(InputError, match=f"no context mode `{mode}`") as refused:
        context_matrix(mode, 10)
    assert telling in refused.value.hint
    with pytest.raises(InputError, match="0 slices"):
        context_matrix("LC", 0)
