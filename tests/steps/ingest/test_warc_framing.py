"""Where WARC records begin and end."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.warc_framing import FileWindow, Window, frame_records

LIMIT = 1 << 20


def record(block, *, length=None, kind="metadata", line_end=b"\r\n", extra=b""):
    size = len(block) if length is None else length
    lines = (
        b"WARC/1.0", b"WARC-Type: " + kind.encode(), b"WARC-Record-ID: <urn:uuid:1>",
        *([extra] if extra else []), b"Content-Length: %s" % str(size).encode(), b"", b"",
    )  # fmt: skip
    return line_end.join(lines) + block + line_end * 2


def in_pieces(data, size):
    stream = io.BytesIO(data)
    return Window(lambda wanted: stream.read(min(size, wanted)))


def windows(data):
    file = StoredFile(io.BytesIO(data), len(data))
    return FileWindow(file, 0), in_pieces(data, 7), in_pieces(data, 1 << 20)


def frame(data, limit=LIMIT):
    """Frame through every kind of window, check that all agree and tile, and return one result."""
    results = [list(frame_records(window, 0, limit)) for window in windows(data)]
    assert results[0] == results[1] == results[2]
    position = 0
    for framed in results[0]:
        assert framed.start == position
        assert framed.end > position
        position = framed.end
    assert position == len(data)
    return results[0]


def blocks(framed):
    return [item.block for item in framed if item.problem is None]


def problems(framed):
    return [item.problem.reason for item in framed if item.problem is not None]


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"])
def test_records_are_cut_where_their_lengths_say(line_end):
    data = record(b"one", line_end=line_end) + record(b"", line_end=line_end) + record(b"two\n\n")
    framed = frame(data)
    assert blocks(framed) == [b"one", b"", b"two\n\n"]
    assert problems(framed) == []
    assert framed[0].headers["warc-type"] == "metadata"


def test_a_record_inside_a_record_is_content():
    inner = record(b"inner")
    assert blocks(frame(record(b"<pre>\r\n\r\n" + inner + b"</pre>") + record(b"next"))) == [
        b"<pre>\r\n\r\n" + inner + b"</pre>",
        b"next",
    ]


@pytest.mark.parametrize(
    "length", [0, 100, 499, 520, 10**6, 10**15, -5, "0x10", "", "1e3", "9" * 30]
)
def test_a_wrong_length_costs_its_record_and_no_other(length):
    bad = record(b"y" * 500, length=length)
    framed = frame(record(b"before") + bad + record(b"after"))
    assert blocks(framed) == [b"before", b"after"]
    assert problems(framed) == ["warc_length"]


def test_a_length_that_takes_in_closing_line_ends_costs_nothing():
    framed = frame(record(b"y" * 500, length=501) + record(b"after"))
    assert (blocks(framed), problems(framed)) == ([b"y" * 500 + b"\r", b"after"], [])


def test_two_different_lengths_are_no_length():
    bad = record(b"y" * 50, extra=b"Content-Length: 7")
    framed = frame(bad + record(b"after"))
    assert (blocks(framed), problems(framed)) == ([b"after"], ["warc_length"])


def test_a_wrong_length_in_the_last_record_is_told_from_a_cut():
    framed = frame(record(b"a") + record(b"y" * 50, length=20))
    assert (blocks(framed), problems(framed)) == ([b"a"], ["warc_length"])
    framed = frame(record(b"a") + record(b"y" * 50)[:-20])
    assert (blocks(framed), problems(framed)) == ([b"a"], ["truncated"])


def test_every_cut_of_a_file_is_seen_or_costs_nothing():
    data = record("한국어".encode()) + record(b"second record")
    first = len(record("한국어".encode()))
    for cut in range(len(data)):
        framed = frame(data[:cut])
        if cut in (0, first):  # between records a cut cannot be seen
            assert problems(framed) == []
        elif cut < first:
            # Two line ends close a record; without them its block may still be complete.
            complete = cut >= first - 4
            assert blocks(framed) == (["한국어".encode()] if complete else [])
            assert problems(framed) == ([] if complete else ["truncated"])
        else:
            complete = cut >= len(data) - 4
            assert problems(framed) == ([] if complete else ["truncated"])


def test_garbage_between_records_is_told_and_passed():
    framed = frame(record(b"a") + b"garbage WARC/x\r\n\r\n more" + record(b"b"))
    assert (blocks(framed), problems(framed)) == ([b"a", b"b"], ["warc_no_record"])


def test_garbage_after_a_closed_record_does_not_cost_the_record():
    framed = frame(record(b"a") + b"junk" * 1000)
    assert (blocks(framed), problems(framed)) == ([b"a"], ["warc_no_record"])


def test_blank_lines_and_nuls_are_padding():
    framed = frame(b"\r\n\r\n" + record(b"a") + b"\0" * 5000)
    assert (blocks(framed), problems(framed)) == ([b"a"], ["padding", "padding"])


def test_an_endless_header_costs_its_record():
    for extra in (b"X: " + b"b" * (1 << 20), b"\r\n".join(b"X-%d: 1" % n for n in range(2000))):
        framed = frame(record(b"a") + record(b"x", extra=extra) + record(b"b"))
        assert (blocks(framed), problems(framed)) == ([b"a", b"b"], ["warc_header_size"])


def test_a_block_over_the_limit_is_passed_over_with_its_beginning():
    large = b"HTTP/1.1 200 OK\r\n\r\n" + b"z" * 300_000
    framed = frame(record(b"a") + record(large) + record(b"b"), limit=1000)
    assert problems(framed) == []
    assert [item.length for item in framed] == [1, len(large), 1]
    assert framed[1].block == large[: 64 << 10]


def test_a_wrong_length_over_the_limit_costs_more_only_where_the_stream_cannot_go_back():
    data = record(b"a") + record(b"y" * 200_000, length=150_000) + record(b"b")
    file_window, *streams = windows(data)
    framed = list(frame_records(file_window, 0, 1000))
    assert (blocks(framed), problems(framed)) == ([b"a", b"b"], ["warc_length"])
    for stream in streams:
        framed = list(frame_records(stream, 0, 1000))
        assert problems(framed) == ["warc_length"]
        assert framed[-1].end == len(data)


def test_a_length_that_would_fill_the_memory_allocates_nothing():
    # `WarcRecord.from_bytes` of fastwarc 2.0.1 aborts the process on this header.
    assert problems(frame(record(b"x", length=10**15))) == ["truncated"]


def test_reading_from_any_record_on_gives_the_same_records():
    data = (
        record(b"a") + record(b"y" * 500, length=100) + record(b"b") + b"junk\n\n"
        + record(b"c" * 3000) + b"\0\0" + record(b"d")
    )  # fmt: skip
    whole = frame(data)
    file = StoredFile(io.BytesIO(data), len(data))
    for index, framed in enumerate(whole):
        rest = list(frame_records(FileWindow(file, framed.start), framed.start, LIMIT))
        assert rest == whole[index:]


PIECES = st.sampled_from(
    [b"WARC/1.0\r\n", b"WARC-Type: a\r\n", b"WARC-Record-ID: b\r\n", b"Content-Length: 3\r\n",
     b"\r\n",
     b"\n", b"abc", b"\r\n\r\n", b"WARC/", b"Content-Length: 99999\r\n", b"\0", record(b"xyz")]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=25))
def test_whatever_the_bytes_the_stretches_tile_the_stream(pieces):
    frame(b"".join(pieces))


def test_searching_is_linear_in_what_is_passed_over():
    # Each of these lines looks like the start of a record; none is.
    data = b"WARC/1.0\r\n" * 300_000
    assert problems(list(frame_records(windows(data)[0], 0, LIMIT))) == ["warc_header_size"]
