"""What a WARC record means."""

import base64
import hashlib

import pytest

from datatools.steps.ingest.warc_framing import Framed
from datatools.steps.ingest.warc_page import Page, PassedOver, Unusable, page_of

HTML = "<html><body>한국어 page</body></html>"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=%s\r\n\r\n"


def page(block, length=None, max_record_bytes=1 << 20, verify_digests=True, **headers):
    fields = {"warc-type": "response"} | {k.replace("_", "-"): v for k, v in headers.items()}
    record = Framed(0, 1, fields, len(block) if length is None else length, block)
    return page_of(record, max_record_bytes=max_record_bytes, verify_digests=verify_digests)


def sha1(data):
    return "sha1:" + base64.b32encode(hashlib.sha1(data).digest()).decode()


def http(status=200, content_type="text/html", body=b"<p>"):
    field = f"Content-Type: {content_type}\r\n" if content_type is not None else ""
    return f"HTTP/1.1 {status} X\r\n{field}\r\n".encode() + body


def test_html_in_any_encoding_becomes_utf8():
    kept = page(
        HEAD % b"euc-kr" + HTML.encode("cp949"),
        warc_target_uri="<http://example.org/한>",
        warc_date="2024-01-01T00:00:00Z",
        warc_record_id="<urn:uuid:1>",
    )
    assert kept == Page(
        None,
        HTML.encode(),
        "http://example.org/한",
        "2024-01-01T00:00:00Z",
        {
            "record_id": "urn:uuid:1",
            "charset": "cp949",
            "charset_from": "http",
            "content_type": "text/html",
            "http_status": 200,
        },
    )


def test_what_could_not_be_decoded_is_counted():
    kept = page(HEAD % b"utf-8" + HTML.encode() + b"\xff\xfe")
    assert kept.meta["replaced_chars"] == 2
    assert kept.html == HTML.encode() + "\ufffd\ufffd".encode()


def test_a_byte_order_mark_is_no_part_of_the_page():
    assert page(HEAD % b"utf-8" + b"\xef\xbb\xbf" + HTML.encode()).html == HTML.encode()


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("request", "warc-type:request"),
        ("warcinfo", "warc-type:warcinfo"),
        ("Metadata", "warc-type:metadata"),
        ("revisit", "warc-type:revisit"),
        ("resource", "warc-type:resource"),
        ("continuation", "warc-type:continuation"),
        ("x" * 500, "warc-type:other"),
        ("", "warc-type:other"),
    ],
)
def test_other_kinds_of_records_are_passed_over(kind, reason):
    assert page(b"", warc_type=kind) == PassedOver(reason)


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        (http(404), "http-status:404"),
        (http(301), "http-status:301"),
        (http(content_type="image/png"), "content-type:image/png"),
        (http(content_type="Application/PDF; x=y"), "content-type:application/pdf"),
        (http(content_type="text/\x01evil"), "content-type:other"),
        (http(content_type="a" * 200), "content-type:other"),
        (http(content_type=None, body=b"plain words"), "content-type:none"),
    ],
)
def test_responses_that_are_no_pages_are_passed_over(block, reason):
    assert page(block) == PassedOver(reason)


def test_a_response_that_is_not_http_is_passed_over():
    assert page(b"20080430\n", content_type="text/dns") == PassedOver("content-type:text/dns")


@pytest.mark.parametrize(
    "block",
    [
        http(content_type="TEXT/HTML;charset=utf-8"),
        http(content_type="application/xhtml+xml"),
        http(content_type=None, body=b"  <!DOCTYPE html><p>"),
    ],
)
def test_pages_are_known_by_type_or_by_their_look(block):
    assert isinstance(page(block), Page)


def test_the_crawlers_own_type_serves_where_http_gives_none():
    block = http(content_type=None, body=b"words")
    assert isinstance(page(block, warc_identified_payload_type="text/html"), Page)


def test_a_block_that_is_not_http_is_unusable():
    assert page(b"<html>").reason == "http_head"


def test_an_image_is_passed_over_however_large_and_a_page_is_refused():
    assert page(http(content_type="image/png"), length=1 << 40) == PassedOver(
        "content-type:image/png"
    )
    assert page(http(), length=1 << 40).reason == "record_size"


def test_a_page_in_several_records_is_unusable():
    assert page(http(), warc_segment_number="1").reason == "warc_segmented"


def test_a_cut_page_is_kept_and_says_so():
    kept = page(http(body=b"<p>half"), warc_truncated="length", warc_block_digest=sha1(b"other"))
    assert (kept.html, kept.meta["truncated"]) == (b"<p>half", "length")


BLOCK = http(body=b"<p>text")
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n"
CHUNKED += b"3\r\n<p>\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("block", "headers", "kept"),
    [
        (BLOCK, {"warc_block_digest": sha1(BLOCK)}, True),
        (BLOCK, {"warc_block_digest": sha1(b"other")}, False),
        (BLOCK, {"warc_block_digest": "sha256:" + hashlib.sha256(BLOCK).hexdigest()}, True),
        (BLOCK, {"warc_block_digest": "md5:" + hashlib.md5(b"other").hexdigest()}, False),
        (BLOCK, {"warc_payload_digest": sha1(b"<p>text")}, True),
        (BLOCK, {"warc_payload_digest": sha1(b"other")}, False),
        (BLOCK, {"warc_payload_digest": sha1(b"other"), "warc_block_digest": sha1(BLOCK)}, True),
        (CHUNKED, {"warc_payload_digest": sha1(b"3\r\n<p>\r\n0\r\n\r\n")}, True),
        (CHUNKED, {"warc_payload_digest": sha1(b"<p>")}, True),
        (CHUNKED, {"warc_payload_digest": sha1(b"other")}, False),
        (BLOCK, {"warc_block_digest": "crc32:1234"}, True),
        (BLOCK, {"warc_block_digest": "sha1:short"}, True),
        (BLOCK, {"warc_block_digest": "nonsense"}, True),
    ],
)
def test_a_digest_that_can_be_told_decides(block, headers, kept):
    got = page(block, **headers)
    assert isinstance(got, Page) if kept else got.reason == "digest_mismatch"
    assert isinstance(page(block, verify_digests=False, **headers), Page)


def test_a_conversion_record_is_text():
    text = "한국어 text\nof a page"
    kept = page(
        text.encode(), warc_type="conversion", content_type="text/plain",
        warc_identified_content_language="kor,eng", warc_block_digest=sha1(text.encode()),
    )  # fmt: skip
    assert (kept.text, kept.html) == (text, None)
    assert kept.meta == {"languages": "kor,eng", "charset": "utf-8", "content_type": "text/plain"}
    broken = page(text.encode(), warc_type="conversion", warc_block_digest=sha1(b"other"))
    assert broken.reason == "digest_mismatch"
    assert page(b"\xff\xd8", warc_type="conversion", content_type="image/jpeg") == PassedOver(
        "content-type:image/jpeg"
    )
    assert page(b"", length=1 << 40, warc_type="conversion").reason == "record_size"


def test_unusable_pages_say_what_was_found():
    got = page(http(body=b"") + b"x" * 100, max_record_bytes=50)
    assert isinstance(got, Unusable)
    assert "50 at most" in got.detail
