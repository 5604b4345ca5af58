import json
from collections import Counter
from importlib.resources import files

from datatools.sample.content import (
    articles,
    defect_texts,
    faq_pages,
    heldout,
    questions,
)


def hangul_share(text):
    letters = [char for char in text if char.isalpha()]
    return sum("가" <= char <= "힣" for char in letters) / len(letters)


def thread_text(question):
    return "\n".join([question.title, question.text, *(a.text for a in question.answers)])


def test_korean_and_english_are_equals():
    for rows, least in ((questions(), 60), (articles(), 40), (faq_pages(), 2), (heldout(), 20)):
        counts = Counter(row["language"] if isinstance(row, dict) else row.language for row in rows)
        assert set(counts) == {"en", "ko"}
        assert min(counts.values()) >= least
        assert max(counts.values()) - min(counts.values()) <= 1


def test_texts_are_in_the_language_they_claim():
    texts = [(q.language, thread_text(q)) for q in questions()]
    texts += [(a.language, a.text) for a in articles()]
    texts += [(row["language"], row["text"]) for row in heldout()]
    for language, text in texts:
        share = hangul_share(text)
        assert share < 0.02 if language == "en" else share > 0.6, text[:60]


def test_threads_have_two_to_four_answers_and_sixty_words():
    for question in questions():
        assert 2 <= len(question.answers) <= 4, question.id
        assert len(thread_text(question).split()) >= 60, question.id
        assert sum(answer.accepted for answer in question.answers) <= 1


def test_markup_is_half_json_ld_and_half_microdata():
    counts = Counter((q.language, q.markup) for q in questions())
    assert len(counts) == 4
    assert all(30 <= count <= 40 for count in counts.values())


def test_answers_come_after_their_question_and_before_the_crawl():
    for question in questions():
        dates = [answer.date for answer in question.answers]
        assert len(set(dates)) == len(dates)
        assert question.date < min(dates)
        assert max(dates) < "2024-05-01"


def test_votes_give_clear_pairs_with_winners_written_later_and_earlier():
    later = earlier = 0
    for question in questions():
        for one in question.answers:
            for other in question.answers:
                if one.votes >= 2 * other.votes and other.votes >= 2:
                    later += one.date > other.date
                    earlier += one.date < other.date
    assert later >= 120
    assert earlier >= 50


def test_some_answers_hold_code_and_some_hold_lists():
    texts = [answer.text for question in questions() for answer in question.answers]
    assert sum("```" in text for text in texts) >= 6
    assert sum("\n- " in text for text in texts) >= 8


def test_ids_are_unique():
    ids = [q.id for q in questions()] + [f.id for f in faq_pages()] + [a.id for a in articles()]
    ids += [answer.id for question in questions() for answer in question.answers]
    ids += [row["id"] for row in heldout()]
    assert len(set(ids)) == len(ids)


def test_answers_are_written_not_generated():
    texts = [a.text for q in questions() if not q.defect for a in q.answers]
    assert len(set(texts)) == len(texts)
    openings = Counter(tuple(text.split()[:4]) for text in texts)
    assert max(openings.values()) <= 3


def test_heldout_prose_is_tens_of_kilobytes_over_many_domains():
    for language in ("en", "ko"):
        rows = [row for row in heldout() if row["language"] == language]
        assert sum(len(row["text"].encode()) for row in rows) >= 25_000
        assert len({row["domain"] for row in rows}) >= 20


def test_data_files_are_json_lines_with_a_final_newline():
    for name in ("forum", "articles", "defects", "heldout"):
        text = files("datatools.sample").joinpath(f"{name}.jsonl").read_text(encoding="utf-8")
        assert text.endswith("}\n")
        assert all(isinstance(json.loads(line), dict) for line in text[:-1].split("\n"))


def test_every_text_of_the_defects_file_belongs_to_a_known_defect():
    known = ["wrong_language", "cp949", "charset_utf8_label", "charset_euckr_label"]
    known += ["broken_html", "truncated", "boilerplate", "repetitive"]
    lines = files("datatools.sample").joinpath("defects.jsonl").read_text(encoding="utf-8")
    assert sum(len(defect_texts(defect)) for defect in known) == lines.count("\n")
