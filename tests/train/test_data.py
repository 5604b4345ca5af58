import collections

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.errors import DataError
from datatools.train.data import (
    IGNORED,
    PackedConversations,
    PackedText,
    Pairs,
    rows_of_step,
    shuffled,
    windows,
)

END = 0


@given(st.integers(1, 400), st.integers(-(2**40), 2**70), st.integers(0, 50))
def test_the_order_of_an_epoch_visits_every_row_once(count, seed, epoch):
    order = shuffled(np.arange(count), count, seed=seed, epoch=epoch)
    assert sorted(order.tolist()) == list(range(count))


@given(st.integers(1, 10**12), st.data())
def test_a_place_in_the_order_needs_no_other_place(count, data):
    index = data.draw(st.integers(0, count - 1))
    others = np.array([0, index, count - 1])
    alone = shuffled(np.array([index]), count, seed=3, epoch=1)
    assert alone[0] == shuffled(others, count, seed=3, epoch=1)[1]
    assert 0 <= alone[0] < count


def test_every_row_comes_first_about_equally_often():
    first = [int(shuffled(np.array([0]), 5, seed=seed, epoch=0)[0]) for seed in range(2000)]
    counts = collections.Counter(first)
    # 400 expected; the standard deviation is 17.9, so 80 is 4.5 of them
    assert all(abs(counts[row] - 400) < 80 for row in range(5))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {
        tuple(shuffled(np.arange(50), 50, seed=seed, epoch=epoch).tolist())
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(orders) == 16


def test_a_large_order_does_not_follow_the_rows():
    order = shuffled(np.arange(5000), 5000, seed=0, epoch=0)
    assert abs(np.corrcoef(np.arange(5000), order)[0, 1]) < 0.06  # 4 standard deviations
    assert np.mean(np.abs(np.diff(order)) == 1) < 0.01


def test_steps_read_each_epoch_whole_before_the_next():
    seen = np.concatenate([rows_of_step(s, per_step=4, rows=10, seed=7) for s in range(10)])
    for epoch in range(4):
        assert sorted(seen[epoch * 10 : (epoch + 1) * 10].tolist()) == list(range(10))


@given(st.integers(0, 300), st.integers(1, 40))
def test_windows_make_every_token_but_the_first_a_target_once(length, context):
    targets = []
    for start, stop, fresh in windows(length, context):
        assert stop - 1 - start <= context
        assert start < fresh < stop
        targets += range(fresh, stop)
        assert fresh == 1 or fresh - start > context // 2  # at least half a context before it
    assert targets == list(range(1, length))


documents_of_ids = st.lists(
    st.lists(st.integers(3, 90), max_size=25).map(lambda ids: np.array(ids, dtype=np.int32)),
    min_size=1,
    max_size=12,
)


@given(documents_of_ids, st.integers(1, 12))
def test_packing_text_drops_no_token(documents, context):
    packed = PackedText.pack(documents, context=context, end=END)
    batch = packed.batch(np.arange(packed.rows))
    stream = [token for ids in documents for token in [*ids.tolist(), END]]
    assert batch.labels[batch.labels != IGNORED].tolist() == stream
    assert packed.tokens == len(stream)


@given(documents_of_ids, st.integers(1, 12))
def test_a_row_reads_what_comes_before_its_targets(documents, context):
    packed = PackedText.pack(documents, context=context, end=END)
    inputs, labels, _ = packed.batch(np.arange(packed.rows))
    assert (inputs[:, 0] == END).all()
    known = labels[:, :-1] != IGNORED
    np.testing.assert_array_equal(inputs[:, 1:][known], labels[:, :-1][known])


@given(documents_of_ids, st.integers(1, 12))
def test_spans_say_which_document_each_target_came_from(documents, context):
    packed = PackedText.pack(documents, context=context, end=END)
    for row in range(packed.rows):
        found = []
        for document, start, end in packed.spans(row):
            found += [*documents[document].tolist(), END][start:end]
        labels = packed.batch(np.array([row])).labels[0]
        assert found == labels[labels != IGNORED].tolist()


def test_large_ids_survive_packing():
    ids = np.array([70_000, 5], dtype=np.int32)
    packed = PackedText.pack([ids], context=4, end=END)
    assert packed.batch(np.array([0])).labels[0].tolist() == [70_000, 5, END, IGNORED]


def test_nothing_to_pack_is_an_error():
    with pytest.raises(DataError, match="there is none to train on"):
        PackedText.pack([], context=4, end=END)


def test_the_fingerprint_tells_texts_boundaries_and_lengths_apart():
    a, b = np.array([5, 6]), np.array([7])
    variants = [
        PackedText.pack([a, b], context=4, end=END),
        PackedText.pack([b, a], context=4, end=END),
        PackedText.pack([np.array([5]), np.array([6, 7])], context=4, end=END),
        PackedText.pack([a, b], context=5, end=END),
    ]
    assert len({packed.fingerprint for packed in variants}) == 4
    again = PackedText.pack([a.copy(), b.copy()], context=4, end=END)
    assert again.fingerprint == variants[0].fingerprint


@st.composite
def marked_sequences(draw):
    out = []
    for _ in range(draw(st.integers(1, 10))):
        length = draw(st.integers(0, 30))
        ids = np.array(draw(st.lists(st.integers(3, 90), min_size=length, max_size=length)))
        marks = draw(st.lists(st.booleans(), min_size=length, max_size=length))
        out.append((ids.astype(np.int32), np.array(marks, dtype=bool)))
    return out


def _targets(conversations):
    """Tokens that can be learnt: marked, and with something before them."""
    return collections.Counter(
        int(token) for ids, marks in conversations for token in ids[1:][marks[1:]]
    )


@given(marked_sequences(), st.integers(2, 12))
def test_packing_conversations_learns_every_marked_token_once(conversations, context):
    wanted = _targets(conversations)
    if not wanted:
        with pytest.raises(DataError, match="has a message to learn"):
            PackedConversations.pack(conversations, context=context)
        return
    packed = PackedConversations.pack(conversations, context=context)
    labels = packed.labels[packed.labels != IGNORED]
    assert collections.Counter(labels.tolist()) == wanted
    assert set(packed.untrained) == {
        number for number, one in enumerate(conversations) if not _targets([one])
    }


@given(marked_sequences(), st.integers(2, 12))
def test_pieces_of_a_row_keep_to_themselves(conversations, context):
    if not _targets(conversations):
        return
    packed = PackedConversations.pack(conversations, context=context)
    for row in range(packed.rows):
        segments, pieces = packed.segments[row], packed.spans(row)
        assert segments.max() == len(pieces)
        for number, (conversation, start, end) in enumerate(pieces, start=1):
            ids, marks = conversations[conversation]
            mine = segments == number
            learnt = packed.labels[row][mine]
            learnt = learnt[learnt != IGNORED]
            assert learnt.tolist() == ids[start:end][marks[start:end]].tolist()
            read = packed.inputs[row][mine]
            assert read.tolist() == ids[end - 1 - len(read) : end - 1].tolist()


def test_short_conversations_share_rows():
    one = (np.arange(3, 8, dtype=np.int32), np.array([False, False, False, True, True]))
    packed = PackedConversations.pack([one] * 10, context=8)  # four inputs each
    assert packed.rows == 5
    assert packed.utilisation == 1.0


def test_a_pair_that_is_too_long_loses_its_beginning():
    ids, marks = np.arange(1, 8, dtype=np.int32), np.array([False] * 4 + [True] * 3)
    short = (ids[-2:], marks[-2:])
    pairs = Pairs(chosen=((ids, marks),), rejected=(short,), context=5)
    tokens, labels, lengths = pairs.batch(np.array([0]))
    assert tokens.tolist() == [[3, 4, 5, 6, 7], [6, 7, 0, 0, 0]]
    assert labels.tolist() == [[IGNORED, 5, 6, 7, IGNORED], [7] + [IGNORED] * 4]
    assert lengths.tolist() == [5, 2]
    assert pairs.truncated == 1
    assert Pairs((short,), (short,), 5).truncated == 0
