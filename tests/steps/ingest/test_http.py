"""HTTP responses as crawlers store them."""

import gzip
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.ingest.http import HttpError, decode_body, parse_head

PAGE = "<html><body><p>한국어와 English</p></body></html>".encode() * 40


def response(body, *fields, status="HTTP/1.1 200 OK", line_end="\r\n"):
    return line_end.join([status, *fields, "", ""]).encode("latin-1") + body


def decode(block, **options):
    return decode_body(block, parse_head(block), **options)


def chunked(body, size):
    chunks = [body[i : i + size] for i in range(0, len(body), size)] + [b""]
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


ENCODERS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "x-gzip": lambda data: gzip.compress(data, mtime=0),
    "deflate": zlib.compress,
    "br": brotli.compress,
    "zstd": lambda data: zstandard.ZstdCompressor().compress(data),
    "identity": lambda data: data,
}


def raw_deflate(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize("line_end", ["\r\n", "\n"])
def test_the_head_is_read_whatever_its_line_ends(line_end):
    block = response(
        b"body", "Content-Type: text/html", "X-Long: a", "  b", "junk", "X-A : 1", "x-a: 2",
        line_end=line_end,
    )  # fmt: skip
    head = parse_head(block)
    assert head.status == 200
    assert head.fields["content-type"] == "text/html"
    assert head.fields["x-long"].split() == ["a", "b"]
    assert head.fields["x-a"] == "1, 2"
    assert block[head.body_start :] == b"body"


@pytest.mark.parametrize("status", ["HTTP/1.1 404 Not Found", "HTTP/1.0 404", "HTTP/2 404"])
def test_status_lines_without_a_reason_are_read(status):
    assert parse_head(response(b"", status=status)).status == 404


def test_a_head_that_nothing_follows_has_an_empty_body():
    assert decode(b"HTTP/1.1 200 OK") == b""
    assert decode(b"HTTP/1.1 200 OK\r\nA: b") == b""


@pytest.mark.parametrize(
    "block", [b"", b"<html>", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 2000\r\n\r\n"]
)
def test_a_block_without_a_status_line_is_refused(block):
    with pytest.raises(HttpError) as caught:
        parse_head(block)
    assert caught.value.reason == "http_head"


def test_a_head_without_an_end_is_refused():
    with pytest.raises(HttpError, match="no end of the head"):
        parse_head(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 20_000)


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(min_size=1, max_size=500),
    size=st.integers(1, 600),
    codings=st.lists(st.sampled_from(sorted(ENCODERS)), max_size=3),
)
def test_codings_in_any_order_and_chunks_of_any_size_are_undone(body, size, codings):
    coded = body
    for coding in codings:
        coded = ENCODERS[coding](coded)
    block = response(
        chunked(coded, size),
        "Transfer-Encoding: chunked",
        f"Content-Encoding: {', '.join(codings)}",
    )
    assert decode(block) == body


def test_raw_deflate_which_some_servers_send_is_undone():
    assert decode(response(raw_deflate(PAGE), "Content-Encoding: deflate")) == PAGE


def test_gzip_members_that_follow_one_another_are_joined_and_what_is_no_member_is_ignored():
    body = gzip.compress(PAGE) + gzip.compress(b"more") + b"\0\0junk"
    assert decode(response(body, "Content-Encoding: gzip")) == PAGE + b"more"


def test_a_body_stored_decoded_under_a_head_that_still_names_the_coding_is_taken_as_it_is():
    assert decode(response(PAGE, "Content-Encoding: gzip", "Transfer-Encoding: chunked")) == PAGE


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_coded_body_that_is_cut_is_refused_unless_the_crawler_says_it_cut_it(coding):
    body = ENCODERS[coding](PAGE)[:-5]
    block = response(body, f"Content-Encoding: {coding}")
    with pytest.raises(HttpError, match=r"stops before its end|ends inside") as caught:
        decode(block)
    assert caught.value.reason == "http_coding"
    assert PAGE.startswith(decode(block, cut_short=True))


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        ("gzip", gzip.compress(PAGE, mtime=0)[:-8] + b"crc?" + gzip.compress(PAGE, mtime=0)[-4:]),
        ("deflate", zlib.compress(PAGE)[:-4] + b"sum?"),
        ("br", brotli.compress(PAGE)[:20] + b"\xff" * 50),
        ("zstd", zstandard.ZstdCompressor(write_checksum=True).compress(PAGE)[:-4] + b"sum?"),
    ],
)
def test_a_coded_body_that_is_broken_is_refused_whoever_cut_it(coding, body):
    for cut_short in (False, True):
        with pytest.raises(HttpError, match="broken") as caught:
            decode(response(body, f"Content-Encoding: {coding}"), cut_short=cut_short)
        assert caught.value.reason == "http_coding"


def test_chunks_that_lie_or_stop_are_refused():
    whole = chunked(PAGE, 100)
    with pytest.raises(HttpError, match="no last chunk"):
        decode(response(whole[:-40], "Transfer-Encoding: chunked"))
    assert PAGE.startswith(
        decode(response(whole[:-40], "Transfer-Encoding: chunked"), cut_short=True)
    )
    with pytest.raises(HttpError, match="another length"):
        decode(response(b"5\r\nabcdefgh\r\n0\r\n\r\n", "Transfer-Encoding: chunked"))


def test_unknown_and_too_many_codings_are_refused():
    with pytest.raises(HttpError, match="unknown content coding 'nonsense'"):
        decode(response(PAGE, "Content-Encoding: nonsense"))
    with pytest.raises(HttpError, match="4 content codings"):
        decode(response(PAGE, "Content-Encoding: gzip, gzip", "Content-Encoding: br, br"))


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_bomb_is_refused_at_the_budget(coding):
    bomb = ENCODERS[coding](b"A" * (48 << 20))
    with pytest.raises(HttpError, match="grew to more than") as caught:
        decode(response(bomb, f"Content-Encoding: {coding}"))
    assert caught.value.reason == "record_size"


def test_a_bomb_in_a_bomb_is_refused_at_the_budget():
    inner = gzip.compress(gzip.compress(b"A" * (40 << 20)))
    with pytest.raises(HttpError, match="grew to more than"):
        decode(response(inner, "Content-Encoding: gzip, gzip"))


def test_a_plain_body_over_the_budget_is_refused():
    with pytest.raises(HttpError, match="10 at most"):
        decode(response(b"12345678901"), max_bytes=10)
    assert decode(response(b"1234567890"), max_bytes=10) == b"1234567890"
