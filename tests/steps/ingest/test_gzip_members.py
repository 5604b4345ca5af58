"""gzip files as a run of members."""

import gzip
import io
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.gzip_members import GZIP
from datatools.steps.ingest.members import DamagedMemberError, find_member


def stored(data):
    return StoredFile(io.BytesIO(data), len(data))


def read_member(data, start=0, limit=1000, max_ratio=None):
    member = GZIP.open(stored(data), start, max_ratio=max_ratio)
    content = b""
    while piece := member.read(limit):
        assert len(piece) <= limit
        content += piece
    return content, member.position


def zipped(data, level=9):
    return gzip.compress(data, level, mtime=0)


@settings(max_examples=60, deadline=None)
@given(
    contents=st.lists(st.binary(max_size=3000), min_size=1, max_size=6),
    level=st.sampled_from([0, 1, 9]),
    limit=st.integers(1, 5000),
)
def test_members_are_read_one_by_one_up_to_their_exact_ends(contents, level, limit):
    members = [zipped(content, level) for content in contents]
    data = b"".join(members)
    position = 0
    for content, member in zip(contents, members, strict=True):
        got, end = read_member(data, position, limit)
        assert got == content
        assert end == position + len(member)
        position = end


def test_a_member_larger_than_the_limit_ends_where_it_ends():
    # zlib names the bytes after a member in two attributes when the limit was hit before.
    content = random.Random(0).randbytes(400_000) + b"a" * 400_000
    first, second = zipped(content), zipped(b"next")
    assert read_member(first + second, 0, 262_144) == (content, len(first))


def test_every_cut_is_seen():
    member = zipped("한국어와 English. ".encode() * 20)
    for cut in range(len(member)):
        with pytest.raises(DamagedMemberError) as caught:
            read_member(member[:cut])
        assert caught.value.kind == "truncated"


def test_no_flipped_bit_changes_the_content_unseen():
    content = "한국어와 English. ".encode() * 20
    member = zipped(content)
    unseen = 0
    for bit in range(8 * len(member)):
        flipped = bytearray(member)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            got, _ = read_member(bytes(flipped))
        except DamagedMemberError:
            continue
        assert got == content
        unseen += 1
    # What says nothing about the content may change: time stamp, operating system, level (6 bytes),
    # the text flag, and padding bits of the deflate stream.
    assert unseen < 8 * 6 + 16


def test_a_bomb_is_stopped_before_it_is_large():
    bomb = zipped(b"\0" * (64 << 20))
    member = GZIP.open(stored(bomb), 0, max_ratio=200)
    pieces = []
    with pytest.raises(DamagedMemberError) as caught:
        pieces.extend(iter(lambda: member.read(1 << 18), b""))
    assert caught.value.kind == "bomb"
    assert sum(map(len, pieces)) < 16 << 20
    assert len(read_member(bomb, limit=1 << 20)[0]) == 64 << 20  # without a ratio it is just long


def test_the_next_member_is_found_after_damage():
    members = [zipped(b"WARC/1.0 %d " % number * 50) for number in range(4)]
    data = b"".join(members)
    second, third = len(members[0]), len(members[0]) + len(members[1])
    broken = bytearray(data)
    broken[second + 15] ^= 255
    assert find_member(GZIP, stored(bytes(broken)), 1, len(data), opens_with=b"WARC/") == third
    assert find_member(GZIP, stored(data), 1, second + 1, opens_with=b"WARC/") == second
    assert find_member(GZIP, stored(data), 1, second, opens_with=b"WARC/") is None
    assert find_member(GZIP, stored(data), 1, len(data), opens_with=b"HTTP/") is None


def test_a_magic_at_the_edge_of_a_scan_is_found():
    member = zipped(b"WARC/1.0")
    for gap in range((256 << 10) - 4, (256 << 10) + 2):
        data = b"x" * gap + member
        assert find_member(GZIP, stored(data), 0, len(data)) == gap


def test_an_archive_inside_a_page_is_not_taken_for_members_of_the_file():
    rng = random.Random(1)
    inner = zipped(b"WARC/1.0 inner " + rng.randbytes(300)) * 3
    # An archive is incompressible, so deflate stores it as it is and its members stand in the file.
    pages = [zipped(b"WARC/1.0 page " + rng.randbytes(40_000)) for _ in range(4)]
    outer = zlib.compressobj(0, zlib.DEFLATED, 31)
    outer_page = outer.compress(b"WARC/1.0 outer " + inner) + outer.flush()
    data = pages[0] + outer_page + b"".join(pages[1:])
    inside = data.index(inner)
    assert find_member(GZIP, stored(data), inside, len(data), opens_with=b"WARC/") == inside
    true_start = len(pages[0]) + len(outer_page)
    assert (
        find_member(GZIP, stored(data), inside, len(data), opens_with=b"WARC/", span=GZIP.span)
        == true_start
    )
