"""The characters of a page."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.ingest.charset import codec_of, decode_page

KOREAN = (
    "똠방각하는 펲시콜라를 좋아했다. 정부는 오늘 새로운 대책을 발표하고 국회에 보고할 예정이다."
)
ENGLISH = "The government will present the new plan to parliament today."
JAPANESE = "政府は本日、新しい対策を発表し、国会に報告する予定です。日本語のテキスト。"
CHINESE = "政府今天公布了新的措施，并将向议会报告。这是一个简体中文的例子。"
TAIWANESE = "政府今天公佈了新的措施，並將向議會報告。這是一個繁體中文的例子。"
RUSSIAN = "Правительство сегодня представит парламенту новый план действий."
FRENCH = "Le gouvernement présentera aujourd’hui son nouveau plan à l’assemblée : « déjà vu »."


def page(text, charset=None):
    meta = f'<meta charset="{charset}">' if charset else ""
    return f"<html><head>{meta}<title>{text[:8]}</title></head><body><p>{text}</p></body></html>"


@pytest.mark.parametrize(
    ("label", "codec", "text"),
    [
        ("euc-kr", "cp949", KOREAN),
        ("ks_c_5601-1987", "cp949", KOREAN),
        ("korean", "cp949", KOREAN),
        ("windows-949", "cp949", KOREAN),
        ("UHC", "cp949", KOREAN),
        ("MS949", "cp949", KOREAN),
        ("utf-8", "utf-8", KOREAN),
        ("shift_jis", "cp932", JAPANESE + "①㈱"),
        ("x-sjis", "cp932", JAPANESE),
        ("euc-jp", "euc_jp", JAPANESE),
        ("iso-2022-jp", "iso2022_jp", JAPANESE),
        ("gb2312", "gb18030", CHINESE + "€𠀀"),
        ("gbk", "gb18030", CHINESE),
        ("big5", "big5hkscs", TAIWANESE),
        ("windows-1251", "cp1251", RUSSIAN),
        ("koi8-r", "koi8-r", RUSSIAN),
        ("iso-8859-1", "cp1252", FRENCH),
        ("latin1", "cp1252", ENGLISH + " café"),
        ("tis-620", "cp874", "รัฐบาลจะเสนอแผนใหม่"),
    ],
)
def test_a_declared_page_decodes_exactly(label, codec, text):
    for html, http in ((page(text, label), None), (page(text), label)):
        decoded = decode_page(html.encode(codec), http)
        assert decoded.text == html
        assert decoded.replaced == 0
        assert decoded.encoding == codec
        assert decoded.evidence == ("http" if http else "meta")


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp949", KOREAN),
        ("cp949", "한국어 문장입니다."),
        ("cp949", ENGLISH * 5 + "이다."),
        ("utf-8", KOREAN),
        ("utf-16", KOREAN),
        ("utf-16-le", KOREAN),
        ("utf-16-be", KOREAN),
        ("utf-32", KOREAN),
        ("cp932", JAPANESE * 3),
        ("euc_jp", JAPANESE * 3),
        ("iso2022_jp", JAPANESE),
        ("gb18030", CHINESE * 3),
        ("big5hkscs", TAIWANESE * 3),
        ("cp1251", RUSSIAN),
        ("cp1252", FRENCH * 3),
        ("ascii", ENGLISH),
    ],
)
def test_a_page_without_a_declaration_decodes_exactly(codec, text):
    decoded = decode_page(page(text).encode(codec))
    assert decoded.text == page(text)
    assert decoded.replaced == 0


@settings(max_examples=100, deadline=None)
@given(st.text(st.characters(codec="cp949", exclude_categories=["Cc"])))
def test_whatever_cp949_can_say_is_read_back_under_its_korean_names(text):
    html = page(text)
    assert decode_page(html.encode("cp949"), "euc-kr").text == html


@pytest.mark.parametrize("label", ["euc-kr", "shift_jis", "utf-16", "windows-1252", "nonsense", ""])
def test_valid_utf8_is_not_spoiled_by_a_wrong_declaration(label):
    html = page(KOREAN, label)
    assert decode_page(html.encode()).text == html


def test_western_is_what_servers_say_without_looking_so_it_comes_last():
    html = page(KOREAN, "euc-kr")
    assert decode_page(html.encode("cp949"), "ISO-8859-1").text == html
    assert decode_page(page(KOREAN).encode(), "ISO-8859-1").text == page(KOREAN)
    assert decode_page(page("café").encode("cp1252"), "ISO-8859-1").text == page("café")


def test_http_comes_before_meta():
    html = page(JAPANESE, "euc-jp")
    decoded = decode_page(html.encode("cp932"), "shift_jis")
    assert (decoded.text, decoded.evidence) == (html, "http")


def test_a_byte_order_mark_comes_before_everything_and_is_no_character():
    for codec in ("utf-8-sig", "utf-16", "utf-32"):
        decoded = decode_page(page(KOREAN, "euc-kr").encode(codec), "shift_jis")
        assert (decoded.text, decoded.evidence) == (page(KOREAN, "euc-kr"), "bom")


def test_korean_bytes_declared_as_utf8_are_read_as_korean():
    decoded = decode_page(page(KOREAN, "utf-8").encode("cp949"), "utf-8")
    assert (decoded.text, decoded.encoding, decoded.evidence) == (
        page(KOREAN, "utf-8"),
        "cp949",
        "detected",
    )


def test_a_few_broken_bytes_do_not_change_the_encoding_and_are_counted():
    for codec, label in (("utf-8", "utf-8"), ("cp949", "euc-kr")):
        data = page(KOREAN * 5, label).encode(codec).replace(b"</p>", b"\xff\xff</p>")
        decoded = decode_page(data)
        assert decoded.encoding == codec
        assert decoded.replaced == 2
        assert decoded.text.replace("\ufffd", "") == page(KOREAN * 5, label)


def test_replacement_characters_of_the_page_itself_are_not_counted():
    assert decode_page(page("\ufffd" * 5).encode()).replaced == 0
    assert decode_page(page("한국어 문장 \ufffd").encode() + b"\xff").replaced == 1


def test_declarations_are_found_where_browsers_find_them():
    euc = KOREAN.encode("cp949")
    for head in (
        b'<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=euc-kr">',
        b"<meta charset=euc-kr>",
        b"<meta charset = 'EUC-KR' />",
        b'<?xml version="1.0" encoding="euc-kr"?>',
        b"<!-- <meta charset=shift_jis> --><meta charset=euc-kr>",
        b"<title>" + b"x" * 3000 + b"</title><meta charset=euc-kr>",
    ):
        decoded = decode_page(head + euc)
        assert (decoded.encoding, decoded.evidence) == ("cp949", "meta")


def test_utf7_hides_markup_and_is_no_encoding():
    assert codec_of("utf-7") is None
    data = b'<meta charset="utf-7"><p>+ADw-script+AD4-</p>'
    assert decode_page(data).text == data.decode()


def test_a_meta_element_that_can_be_read_is_not_in_utf16():
    assert decode_page(page(KOREAN, "utf-16").encode()).text == page(KOREAN, "utf-16")


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=200), label=st.sampled_from([None, "utf-8", "euc-kr", "big5", "hz"]))
def test_no_bytes_at_all_make_decoding_fail_or_give_lone_surrogates(data, label):
    decoded = decode_page(data, label)
    decoded.text.encode()
    assert 0 <= decoded.replaced <= decoded.text.count("\ufffd")


@pytest.mark.shared
def test_a_story_in_two_encodings_is_one_text(shared_dir):
    folder = shared_dir / "data/b_html/ko"
    legacy = decode_page((folder / "kim-yujeong_dongbaek_euckr.txt").read_bytes())
    modern = decode_page((folder / "kim-yujeong_dongbaek_utf8.txt").read_bytes())
    assert (legacy.encoding, legacy.replaced) == ("cp949", 0)
    assert legacy.text.split() == modern.text.split()
