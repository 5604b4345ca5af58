"""Holding a member back until it is known to be whole."""

import gzip
import io
import random

import pytest

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.gzip_members import GZIP
from datatools.steps.ingest.members import Checked, DamagedMemberError, padding_end

CONTENT = random.Random(0).randbytes(300_000)
MEMBER = gzip.compress(CONTENT, mtime=0)


def drain(data, hold_bytes):
    file = StoredFile(io.BytesIO(data), len(data))
    checked = Checked(GZIP.open(file, 0, max_ratio=None), hold_bytes)
    content = b""
    try:
        while piece := checked.read(1 << 16):
            content += piece
    except DamagedMemberError as damage:
        return content, damage.kind
    return content, None


@pytest.mark.parametrize("hold_bytes", [0, 1, 100_000, 1 << 20])
def test_a_whole_member_is_handed_out_whole(hold_bytes):
    assert drain(MEMBER, hold_bytes) == (CONTENT, None)


def test_nothing_of_a_member_with_wrong_bytes_is_handed_out():
    wrong = MEMBER[:-8] + bytes(4) + MEMBER[-4:]  # the check sum, which comes last
    assert drain(wrong, 1 << 20) == (b"", "corrupt")


def test_of_a_cut_member_what_came_before_the_cut_is_handed_out():
    content, kind = drain(MEMBER[:200_000], 1 << 20)
    assert kind == "truncated"
    assert CONTENT.startswith(content)
    assert len(content) > 190_000


def test_a_member_too_large_to_hold_is_handed_out_and_its_damage_still_told():
    content, kind = drain(MEMBER[:-8] + bytes(8), 1000)
    assert kind == "corrupt"
    assert CONTENT.startswith(content)


def test_padding_ends_at_the_first_byte_that_is_not_nul():
    for nuls in (0, 1, 4095, 4096, 10_000):
        data = bytes(nuls) + b"x" + bytes(5)
        file = StoredFile(io.BytesIO(data), len(data))
        assert padding_end(file, 0, len(data)) == nuls
        assert padding_end(file, 0, nuls // 2) == nuls // 2
