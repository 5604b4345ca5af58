from __future__ import annotations

import unicodedata

import numpy as np
import pytest
import slow_overlap

from datatools.judge.arm import Text
from datatools.judge.contamination import seen_shares
from datatools.judge.reference import ReferenceDocument, ReferenceSet


def slow_shares(documents: list[ReferenceDocument], texts: list[str]) -> list[float]:
    def windows(text: str) -> list[tuple[str, ...]]:
        found = slow_overlap.windows(unicodedata.normalize("NFC", text), 26, 26)
        return [run for run, *_ in found]

    arm = {window for text in texts for window in windows(text)}
    shares = []
    for one in documents:
        own = windows(one.text)
        shares.append(sum(window in arm for window in own) / len(own) if own else 0.0)
    return shares


def words(start: int, count: int) -> str:
    return " ".join(f"w{at}" for at in range(start, start + count))


def test_shares_equal_those_of_plain_sets(prose: list[Text], neutral: ReferenceSet) -> None:
    documents = [one for _, one in neutral.items()]
    texts = [one.text for one in prose]
    for at in (3, 40, 90, 130):  # whole, half, and in the middle of something else
        piece = documents[at].text
        texts[at] = f"{texts[at]}\n{piece[: len(piece) // (1 + at % 2)]}\n{texts[at]}"
    shares = seen_shares(documents, texts)
    assert shares.tolist() == pytest.approx(slow_shares(documents, texts))
    assert shares[40] == 1.0 or shares[130] == 1.0
    assert float(np.median(shares)) == 0.0


def test_a_copied_half_is_half_seen() -> None:
    document = ReferenceDocument("d", words(0, 112), "d", "en")  # 100 windows
    assert seen_shares([document], [words(0, 62)]).tolist() == [0.5]


def test_korean_is_found_under_other_spacing_and_english_is_not() -> None:
    korean = "오래된 도서관에서 그는 낡은 지도를 아주 천천히 펼쳐 보았다고 한다"
    document = ReferenceDocument("k", korean, "k", "ko")
    assert seen_shares([document], [korean.replace(" ", "")]).tolist() == [1.0]
    english = ReferenceDocument("e", words(0, 40), "e", "en")
    assert seen_shares([english], [words(0, 40).replace(" ", "")]).tolist() == [0.0]


def test_case_punctuation_and_unicode_form_do_not_hide_a_copy() -> None:
    text = "Café, the OLD harbour; and then - at last! - we saw: a light on the water."
    document = ReferenceDocument("d", text, "d", "en")
    copy = unicodedata.normalize("NFD", text.upper().replace(",", " ..."))
    assert seen_shares([document], [copy]).tolist() == [1.0]


def test_windows_do_not_reach_across_texts() -> None:
    document = ReferenceDocument("d", words(0, 14), "d", "en")
    assert seen_shares([document], [words(0, 7), words(7, 7)]).tolist() == [0.0]


def test_what_is_shorter_than_a_window_cannot_be_checked() -> None:
    documents = [
        ReferenceDocument("d", words(0, 12), "d", "en"),
        ReferenceDocument("", "", "", "ko"),
    ]
    assert seen_shares(documents, [words(0, 12), ""]).tolist() == [0.0, 0.0]
    assert seen_shares(documents, []).tolist() == [0.0, 0.0]
