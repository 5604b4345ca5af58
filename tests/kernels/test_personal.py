"""Personal numbers in running text: hand-made examples side by side, and what must always hold."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.kernels.personal import KINDS, find_personal
from datatools.steps.safety.context_words import context_phrases
from datatools.steps.safety.pii import PII


def found(buffers, texts):
    """Return per text the kinds and strings that were found."""
    spans = find_personal(*buffers(texts), context_phrases()).tolist()
    told = [[] for _ in texts]
    for row, start, stop, kind in spans:
        told[row].append((KINDS[kind], texts[row].encode()[start:stop].decode()))
    return told


def test_the_step_names_the_kinds_as_the_kernel_numbers_them():
    assert PII == KINDS


FOUND = {
    "phone": [
        "전화[010-1234-5678]로 주세요",
        "핸드폰 [010 1234 5678], [010.2345.6789]",
        "[０１０－１２３４－５６７８]",
        "[01012345678]번으로",
        "[02-123-4567] [031)123-4567] [(02)123-4567] [02) 123-4567]",
        "[010 - 1234 - 5678] [070-1234-5678] [0505-123-4567] [080-123-4567]",
        "[+82 10-1234-5678], [+82-2-123-4567], [(+82) 10 1234 5678], [+82(0)10-1234-5678]",
        "[82-10-1234-5678] [+821012345678]",
        "고객센터 [1588-1234], [1577-0000]",
        "연락처 [0212345678]",
        "[02-123-4567 내선 12]번 / [010-1234-5678] (전화)",
        "call [(212) 555-0199] or [212-555-0199] or [212.555.0199]",
        "[+1 212 555 0199], [1-800-555-0199], [(579)888-3058 x12]",
        "[345-899-3560x4587] [+44 20 7946 0958] [+33 1 23 45 67 89]",
        "Phone: [2125550199], mobile [450 0840]",
        "[0496 46 46 70] and [0341 8387176] and [(64) 3591-3246]",
        "[434 14 557]-Office",
    ],
    "rrn": [
        "주민번호는[880101-1234568]입니다",
        "주민등록번호 [9001011234567]",
        "주민등록번호: [201105-3123456]",
        "resident registration number [901231 2345678]",
    ],
    "frn": ["외국인등록번호 [900101-5123456]", "alien registration [0002297000000]"],
    "ssn": ["my SSN is [123-45-6789]", "[219-09-9999]", "사회보장번호 [219 09 9999]"],
    "card": [
        "카드 [4111 1111 1111 1111]로 결제",
        "[5500-0000-0000-0004] [378282246310005] [3782 822463 10005]",
        "[3530111333300000], [4539578763621486]",
        "card number [501864667909]",
    ],
    "bank_account": [
        "국민은행 [123456-01-123456] 홍길동",
        "계좌번호 [11012345678901]",
        "입금: 농협 [301-1234-5678-91]",
        "[110-123-456789] (신한은행)",
        "[GB82 WEST 1234 5698 7654 32], [DE89370400440532013000]",
        "account number: [000123456789], routing number [021000021]",
    ],
    "ip": [
        "아이피 [93.184.216.34]에서",
        "http://[142.250.1.100]:8080/x",
        "[2001:4860:4860::8888] [6e40:4041:c617:e898:c11:40d2:c669:2eb4]",
        "ping [8.8.8.8]",
    ],
    "passport": ["여권번호 [M12345678]", "passport [M123A4567]", "passport no. [123456789]"],
    "driving_licence": ["운전면허 [11-12-345678-90]", "driver's license [F162823540116]"],
    "email": ["문의:[kim.lee@example.co.kr]로", "<[a+b@c.org]>"],
}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in FOUND.items() for text in texts]
)
def test_what_is_personal_is_found_from_end_to_end(buffers, kind, text):
    # Brackets are the marks of this table, not of the text.
    plain = text.replace("[", "").replace("]", "")
    expected = [(kind, piece.partition("]")[0]) for piece in text.split("[")[1:]]
    assert found(buffers, [plain]) == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "2023-10-25, 2023.10.25 12:30:00, 20231025, 10/25/2023",
        "2024-01-15 10:30:00.123456 +0900",
        "1,234,567원 $4,111.50 ₩12,000 3.14159265358979",
        "서울 37.566535, 126.977969 (37°33'N 126°58'E)",
        "ISBN 978-89-01-23456-7, 979-11-5784-123-4, ISSN 1234-5679",
        "550e8400-e29b-41d4-a716-446655440000",
        "d41d8cd98f00b204e9800998ecf8427e 4111111111111111a",
        "주문번호 880101-1234568, 운송장 123456789012",
        "order number 4111111111111111, tracking 378282246310005",
        "사업자등록번호 124-81-00998 법인등록번호 110111-1234567",
        "1592-1598년 임진왜란, 1600-1800년, 1588-1592",
        "version 93.184.216.34, v93.184.216.34, ANSI 4.10.4.5, 1.3.6.1.4.1",
        "192.168.0.1 10.0.0.1 127.0.0.1 203.0.113.5 255.255.255.0",
        "990230-1234567 과 881301-1234567 은 없는 날",
        "900101-1234567 은 검증 번호가 틀리다",
        "4111 1111 1111 1112 는 Luhn 이 틀리다",
        "000-12-3456, 666-12-3456, 900-12-3456, 123-00-4567, 123-45-0000",
        "GB83 WEST 1234 5698 7654 32",
        "AB-010-1234-5678, SKU1234567890, MODEL-4111111111111111",
        "/news/01012345678/view?id=4111111111111111",
        "1700000000000 1712041234567 (milliseconds)",
        "089 00000000 SECT22, 0x0123456789abcdef",
        "M12345678 and 11-12-345678-90 without a word beside them",
        "123-456-789012 123456-01-123456",
        "00:1A:2B:3C:4D:5E 12:34:56 std::vector",
        "icon@2x.png @handle git@github.com:a/b https://me:pass@host.com",
        "3 123 4567 을 12 345 6789 와 더하면",
        "pp. 123-145, 12(3), 1-2-3-4-5-6-7-8-9-10",
        "+1 -2 +100 200, 5+821012345678",
        "contact for 1990-2018, call 1990 2018",
    ],
)
def test_what_only_looks_personal_stays(buffers, text):
    assert found(buffers, [text]) == [[]]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("주문번호 12-34 카드 4111111111111111", ["card"]),
        ("카드 결제, 주문번호 4111111111111111", []),
        ("SSN or order number 219-09-9999", []),
        ("order number, SSN 219-09-9999", ["ssn"]),
        ("계좌 말고 전화 0212345678", ["phone"]),
        ("전화 말고 계좌 0212345678", ["phone"]),  # an area code says more than a word
        ("phone or account number 12345678", ["bank_account"]),
    ],
)
def test_of_several_words_the_nearest_decides(buffers, text, kinds):
    assert [kind for kind, _ in found(buffers, [text])[0]] == kinds


PIECES = [
    *("010", "1234", "5678", "02", "1588", "880101", "1234568", "4111", "1111", "82", "2024", "1"),
    *("-", " - ", " ", ".", ")", "(", "+", "/", ":", ",", "@", "x", "\n", "～", "－", "\u00a0"),
    *(
        "전화",
        "계좌",
        "주문번호",
        "카드 ",
        "여권 ",
        "phone ",
        "account ",
        "order number ",
        "M",
        "GB",
    ),
    *("naver.com", "kim", "a@b.kr", "93.184.216.34", "2001:4860:4860::8888", "로", "😀", "é"),
    *("4111 1111 1111 1111", "010-1234-5678", "880101-1234568", "123-45-6789", "０１０", "[PHONE]"),
]
texts = st.lists(
    st.lists(st.sampled_from(PIECES), max_size=25).map("".join)
    | st.text("0123456789-. ()@:+가x", max_size=60),
    max_size=6,
)


@given(texts)
def test_spans_are_in_order_apart_and_whole_characters(texts):
    spans = find_personal(*_buffers(texts), context_phrases()).tolist()
    for before, after in itertools.pairwise(spans):
        assert (after[0], after[1]) >= (before[0], before[2])
    for row, start, stop, kind in spans:
        piece = texts[row].encode()[start:stop].decode()  # raises inside a character
        assert len(piece) >= 6
        assert kind in range(len(KINDS))


@given(texts)
def test_a_text_is_judged_by_itself(texts):
    together = find_personal(*_buffers(texts), context_phrases())
    alone = [find_personal(*_buffers([text]), context_phrases()) for text in texts]
    for row, spans in enumerate(alone):
        assert np.array_equal(together[together[:, 0] == row, 1:], spans[:, 1:])


def test_offsets_that_do_not_start_at_zero_are_followed(buffers):
    offsets, data = buffers(["010-9999-9999", "전화 010-1234-5678"])
    spans = find_personal(offsets[1:], data, context_phrases())
    assert spans.tolist() == [[0, 7, 20, KINDS.index("phone")]]


def test_more_finds_than_there_was_room_for_are_all_told(buffers):
    spans = find_personal(*buffers(["010-1234-5678 " * 5000]), context_phrases())
    assert len(spans) == 5000
    assert spans[-1].tolist() == [0, 14 * 4999, 14 * 4999 + 13, KINDS.index("phone")]


@pytest.mark.parametrize(
    "piece", ["1-", "1 ", "1.", "a1:", "@", "a@", "a.", "(1", "8", "1:", "전화 1"]
)
def test_long_repetitions_end(buffers, piece):
    spans = find_personal(*buffers([piece * 200_000]), context_phrases())
    assert len(spans) == 0


def _buffers(texts):
    import polars as pl

    from datatools.steps.base import Batch

    return Batch(pl.DataFrame({"text": texts}, schema={"text": pl.String})).buffers("text")
