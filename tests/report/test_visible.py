import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from datatools.report.visible import cut, script_language, visible

BIDI = {chr(c) for c in (*range(0x202A, 0x202F), *range(0x2066, 0x206A))}


@given(st.text(st.characters(exclude_characters="\r")))
def test_only_characters_that_act_are_replaced(text):
    expected = "".join(
        "\ufffd"
        if (unicodedata.category(c) in ("Cc", "Cs") and c not in "\t\n") or c in BIDI
        else c
        for c in text
    )
    assert visible(text) == expected


def test_lone_surrogates_and_escape_sequences_are_shown():
    assert visible("\udcff\x1b]0;title\x07\x00\x9b") == "��]0;title���"


def test_every_carriage_return_ends_a_line():
    assert visible("a\r\nb\rc\n") == "a\nb\nc\n"


def test_joiners_and_combining_marks_stay():
    for text in ("می\u200cخواهم", "👩\u200d👩\u200d👧", "한\u0301", "ᄒ\u1161\u11ab"):
        assert visible(text) == text


@given(st.text(), st.integers(0, 30))
def test_a_cut_text_and_what_is_left_out_add_up(text, characters):
    found = cut(text, characters)
    assert text.startswith(found.text)
    assert len(found.text) + found.left_out == len(text)
    assert len(found.text) <= characters


def test_scripts_suggest_languages():
    assert script_language("세종대왕 Sejong the Great") == "ko"
    assert script_language("ᄒᆞᆫ글") == "ko"  # conjoining jamo
    assert script_language("これは日本語です") == "ja"
    assert script_language("这是中文") == "zh"
    assert script_language("plain English, one 한글 word only among many others") is None
    assert script_language("1234 !?") is None
    assert script_language("") is None
