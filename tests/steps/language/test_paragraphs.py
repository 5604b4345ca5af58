import pytest

from datatools.steps.language.detection import load_detector
from datatools.steps.language.paragraphs import Paragraph, judge_paragraphs, mixture

KOREAN = "장독대는 집에서 볕이 가장 잘 드는 곳에 둔다."
ENGLISH = "The jars stand where the yard gets the most sun, and the lids come off on dry days."


def shares(language, text, *paragraphs, min_score=0.8):
    return mixture(language, text, paragraphs, min_score)


@pytest.mark.parametrize("engine", ["fasttext", "langdetect"])
def test_each_line_that_is_not_blank_has_a_language_of_its_own(engine):
    text = f"{KOREAN}\r\n\n  \n{ENGLISH}\n* * *\n한국 Windows 11 업데이트 version"
    paragraphs = judge_paragraphs(load_detector(engine, 500), text)
    assert [paragraph.language for paragraph in paragraphs] == ["ko", "en", "und", "ko"]
    # A syllable counts two and a half letters, a Latin letter one.
    english = sum(map(str.isalpha, ENGLISH))
    assert [paragraph.size for paragraph in paragraphs] == [18 * 2.5, english, 0, 6 * 2.5 + 14]
    assert paragraphs[2].score == 0


def test_a_text_without_lines_has_no_paragraphs():
    detect = load_detector("fasttext", 500)
    assert judge_paragraphs(detect, "") == judge_paragraphs(detect, "\n \r\n\t") == []


def test_letters_in_paragraphs_in_another_language_are_counted():
    paragraphs = (Paragraph("ko", 0.99, 60), Paragraph("en", 0.9, 30), Paragraph("de", 0.85, 10))
    assert shares("ko", "가", *paragraphs)[:2] == (0.4, 2 / 3)
    assert shares("ko", "가", *paragraphs, min_score=0.86)[:2] == (0.3, 1 / 3)


def test_a_paragraph_without_letters_or_language_is_in_no_other_language():
    paragraphs = (Paragraph("ko", 0.99, 60), Paragraph("und", 0.0, 20), Paragraph("und", 0.0, 0))
    assert shares("ko", "가", *paragraphs) == (0, 0, 0)


@pytest.mark.parametrize("pair", ["hr sr", "id ms", "zh yue", "en sco"])
def test_varieties_that_a_line_cannot_tell_apart_are_no_switching(pair):
    one, other = pair.split()
    assert shares(one, "a", Paragraph(one, 0.99, 60), Paragraph(other, 0.99, 40))[:2] == (0, 0)


def test_foreign_letters_count_wherever_they_stand():
    assert shares("ko", "한국 version", Paragraph("ko", 0.99, 12))[2] == 7 / 12
    assert shares("ko", "大韓民國은", Paragraph("ko", 0.99, 10.5))[2] == 0


def test_nothing_is_no_mixture():
    assert shares("und", "") == (0, 0, 0)
