"""zstd files as a run of frames."""

import io
import random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.ingest.files import StoredFile
from datatools.steps.ingest.members import DamagedMemberError, find_member
from datatools.steps.ingest.zstd_frames import ZstdFile, is_zstd


def stored(data):
    return StoredFile(io.BytesIO(data), len(data))


def read_frame(data, start=0, max_ratio=None):
    file = stored(data)
    frame = ZstdFile.of(file).open(file, start, max_ratio=max_ratio)
    content = b""
    while piece := frame.read(1 << 20):
        assert len(piece) <= 128 << 10
        content += piece
    return content, frame.position


def packed(data, level=3, **options):
    return zstandard.ZstdCompressor(level=level, **options).compress(data)


def streamed(data):
    """A frame that does not say how large its content is."""
    compressor = zstandard.ZstdCompressor(write_checksum=True).compressobj()
    return compressor.compress(data) + compressor.flush()


@settings(max_examples=40, deadline=None)
@given(contents=st.lists(st.binary(max_size=3000), min_size=1, max_size=5), checksum=st.booleans())
def test_frames_are_read_one_by_one_up_to_their_exact_ends(contents, checksum):
    frames = [packed(content, write_checksum=checksum) for content in contents]
    data = b"".join(frames)
    position = 0
    for content, frame in zip(contents, frames, strict=True):
        got, end = read_frame(data, position)
        assert got == content
        assert end == position + len(frame)
        position = end


def test_blocks_of_every_kind_are_read():
    noise = random.Random(0).randbytes(300_000)
    content = noise + b"a" * 500_000 + "한국어 ".encode() * 50_000
    for frame in (packed(content), streamed(content), packed(b""), streamed(b"")):
        expected = zstandard.ZstdDecompressor().decompressobj().decompress(frame)
        assert read_frame(frame) == (expected, len(frame))


def test_every_cut_is_seen():
    for frame in (packed("한국어와 English. ".encode() * 200), streamed(b"abc" * 5000)):
        for cut in range(len(frame)):
            with pytest.raises(DamagedMemberError) as caught:
                read_frame(frame[:cut])
            assert caught.value.kind == "truncated"


def test_no_flipped_bit_changes_checked_content_unseen():
    content = "한국어와 English. ".encode() * 30
    frame = packed(content, write_checksum=True)
    for bit in range(8 * len(frame)):
        flipped = bytearray(frame)
        flipped[bit // 8] ^= 1 << bit % 8
        try:
            got, _ = read_frame(bytes(flipped))
        except DamagedMemberError:
            continue
        # A flip in the descriptor may turn the check sum off, or the frame into a skippable one.
        assert got in (content, b"")


def test_a_bomb_never_grows_by_more_than_a_block():
    bomb = streamed(b"\0" * (64 << 20))
    assert len(bomb) < 10_000
    with pytest.raises(DamagedMemberError) as caught:
        read_frame(bomb, max_ratio=200)
    assert caught.value.kind == "bomb"


def test_a_window_larger_than_the_limit_is_refused_and_not_allocated():
    parameters = zstandard.ZstdCompressionParameters(window_log=30, enable_ldm=True)
    frame = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    data = frame.compress(b"a" * 1000) + frame.flush()
    with pytest.raises(DamagedMemberError, match="memory"):
        read_frame(data)


def test_a_skippable_frame_has_no_content():
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"notes"
    data = skippable + packed(b"text")
    assert is_zstd(data)
    assert read_frame(data) == (b"", len(skippable))
    assert read_frame(data, len(skippable))[0] == b"text"
    assert find_member(ZstdFile(), stored(data), 0, len(data)) == len(skippable)


@pytest.mark.parametrize("pack_dictionary", [False, True])
def test_a_dictionary_at_the_start_of_the_file_is_used(pack_dictionary):
    samples = [
        f"WARC/1.0 page {n} 한국어 문장 and English words {n * 7}".encode() for n in range(2000)
    ]
    dictionary = zstandard.train_dictionary(4096, samples)
    body = dictionary.as_bytes()
    body = packed(body) if pack_dictionary else body
    head = b"\x5d\x2a\x4d\x18" + len(body).to_bytes(4, "little") + body
    frames = [packed(sample, dict_data=dictionary) for sample in samples[:3]]
    data = head + b"".join(frames)
    position = len(head)
    for sample in samples[:3]:
        content, position = read_frame(data, position)
        assert content == sample
    # Without it the same frames are damage, not other text.
    with pytest.raises(DamagedMemberError, match="zstd"):
        read_frame(frames[0])
