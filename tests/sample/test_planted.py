import re
from itertools import combinations

import pytest
from fastwarc.warc import ArchiveIterator, WarcRecordType
from sample_reading import article_words, jaccard, responses

from datatools.sample.content import articles, defect_texts, questions
from datatools.sample.forum_pages import question_url
from datatools.sample.planted import plant_site, shingle_jaccard


@pytest.fixture(scope="module")
def site(crawl):
    return responses(crawl.folder / "site-00000.warc.gz")


def words_of(site, url):
    return article_words(site[url][2].decode("utf-8"))


BILINGUAL = [
    *("exact_duplicate", "near_duplicate", "abridged", "boilerplate", "broken_html", "repetitive"),
    *("identical_answers", "whitespace_only_difference", "empty_answer"),
    *("special_token_in_answer", "jsonld_cut_off", "near_duplicate_question"),
    *("vote_tie", "accept_vote_conflict"),
]
SINGLE = [
    *("cp949", "charset_utf8_label", "charset_euckr_label", "http_404", "image", "empty_body"),
    *("truncated_record", "jsonld_trailing_comma", "jsonld_raw_newline"),
]


@pytest.mark.parametrize("defect", BILINGUAL)
def test_a_defect_of_texts_is_planted_in_both_languages(crawl, defect):
    languages = {re.search(r"/(en|ko)/", row.url)[1] for row in crawl.planted(defect)}
    assert languages == {"en", "ko"}


@pytest.mark.parametrize("defect", SINGLE)
def test_a_defect_of_bytes_is_planted_once(crawl, defect):
    assert len(crawl.planted(defect)) == 1


def test_three_foreign_languages_have_four_pages_each(crawl):
    foreign = [row.url.split("/")[3] for row in crawl.planted("wrong_language")]
    assert {name: foreign.count(name) for name in foreign} == {"de": 4, "fr": 4, "ja": 4}


def test_every_row_of_truth_names_steps_and_a_verdict(crawl):
    verdicts = "kept|drop|skip|incomplete|quarantine|no_pair|same_group"
    for row in crawl.truth:
        assert re.fullmatch(rf"[A-Z]\w+(\|[A-Z]\w+)* ({verdicts})", row.expect), row
        assert row.marker or not row.expect.endswith("kept")


def test_no_defect_is_left_untested(crawl):
    assert {row.defect for row in crawl.truth} == {*BILINGUAL, *SINGLE, "wrong_language"}


def test_exact_duplicates_are_the_same_bytes(crawl, site):
    rows = crawl.planted("exact_duplicate")
    assert len(rows) == 4
    for row in rows:
        assert site[row.url][2] == site[row.pair_url][2]


def test_near_duplicates_are_as_similar_as_truth_says_and_above_the_threshold(crawl, site):
    rows = crawl.planted("near_duplicate")
    assert len(rows) == 8
    for row in rows:
        one, other = words_of(site, row.url), words_of(site, row.pair_url)
        assert jaccard(one, other) == pytest.approx(row.jaccard, abs=1e-12)
        assert 0.81 <= row.jaccard < 0.95
        changed = sum(a != b for a, b in zip(one, other, strict=True))
        assert 0.01 <= changed / len(one) <= 0.03
        assert site[row.url][2] != site[row.pair_url][2]


def test_abridged_articles_are_alike_but_well_below_the_threshold(crawl, site):
    for row in crawl.planted("abridged"):
        one, other = words_of(site, row.url), words_of(site, row.pair_url)
        assert jaccard(one, other) == pytest.approx(row.jaccard, abs=1e-12)
        assert 0.3 < row.jaccard < 0.7
        assert len(one) >= 80


def test_no_other_two_pages_are_near_duplicates(crawl, site):
    planted = {frozenset((row.url, row.pair_url)) for row in crawl.truth if row.pair_url}
    texts = {
        url: words_of(site, url)
        for url, (status, kind, body) in site.items()
        if b"<article>" in body
        and kind.endswith("charset=utf-8")
        and b"\xff" not in body
        and url not in {row.url for row in crawl.planted("charset_utf8_label")}
    }
    for one, other in combinations(texts, 2):
        if frozenset((one, other)) not in planted:
            a = set(zip(*(texts[one][i:] for i in range(3)), strict=False))
            b = set(zip(*(texts[other][i:] for i in range(3)), strict=False))
            assert len(a & b) < 0.1 * max(1, min(len(a), len(b))), (one, other)


def test_the_cp949_page_decodes_exactly_as_cp949_and_not_as_euc_kr(crawl, site):
    (row,) = crawl.planted("cp949")
    status, kind, body = site[row.url]
    assert (status, kind) == (200, "text/html; charset=euc-kr")
    assert b'<meta charset="euc-kr">' in body
    (text,) = defect_texts("cp949")
    assert article_words(body.decode("cp949")) == text.title.split() + text.text.split()
    assert "똠방각하" in row.marker
    assert row.marker in body.decode("cp949")
    with pytest.raises(UnicodeDecodeError):
        body.decode("euc_kr")
    with pytest.raises(UnicodeDecodeError):
        body.decode("utf-8")


@pytest.mark.parametrize(
    ("defect", "label", "codec"),
    [("charset_utf8_label", "utf-8", "cp949"), ("charset_euckr_label", "cp949", "utf-8")],
)
def test_a_page_with_a_wrong_label_fails_by_its_label_and_reads_by_its_bytes(
    crawl, site, defect, label, codec
):
    (row,) = crawl.planted(defect)
    body = site[row.url][2]
    with pytest.raises(UnicodeDecodeError):
        body.decode(label)
    assert row.marker in body.decode(codec)


def test_broken_html_has_stray_bytes_and_open_elements_around_an_intact_text(crawl, site):
    for row in crawl.planted("broken_html"):
        body = site[row.url][2]
        with pytest.raises(UnicodeDecodeError):
            body.decode("utf-8")
        page = body.decode("utf-8", "replace")
        assert "</p>" not in page
        assert "</html>" not in page
        assert row.marker in page


def test_pages_to_be_dropped_have_what_they_are_dropped_for(crawl, site):
    for row in crawl.planted("boilerplate"):
        page = site[row.url][2].decode()
        assert "<article>" not in page
        assert "<p>" not in page.split("<footer>")[0]
    for row in crawl.planted("repetitive"):
        words = words_of(site, row.url)
        assert len(words) > 400
        assert len(set(words)) < 20
    for row in crawl.planted("wrong_language"):
        assert row.marker in site[row.url][2].decode()
        assert len("".join(words_of(site, row.url))) > 350


def test_answers_that_are_no_pages_look_like_it(crawl, site):
    (missing,), (image,), (empty,) = (
        crawl.planted(defect) for defect in ("http_404", "image", "empty_body")
    )
    assert site[missing.url][0] == 404
    assert site[image.url][1] == "image/png"
    assert site[image.url][2].startswith(b"\x89PNG\r\n\x1a\n")
    assert site[empty.url][2] == b""


def test_the_truncated_file_gives_its_complete_pages_and_loses_the_last(crawl):
    (row,) = crawl.planted("truncated_record")
    whole = []
    with (crawl.folder / row.file).open("rb") as file:
        for record in ArchiveIterator(file, record_types=WarcRecordType.response):
            if record.reader.read().rstrip().endswith(b"</html>"):
                whole.append(record.headers["WARC-Target-URI"])
    assert len(whole) == 2
    assert row.url not in whole
    assert row.offset < (crawl.folder / row.file).stat().st_size


def test_ties_and_conflicts_in_truth_are_those_of_the_votes(crawl):
    defective = {q.id for q in questions() if q.defect}
    ties, conflicts = [], []
    for question in questions():
        if question.id in defective and question.defect != "near_duplicate_question":
            continue
        votes = [answer.votes for answer in question.answers]
        ties += [question_url(question)] * sum(a == b for a, b in combinations(votes, 2))
        for answer in question.answers:
            if answer.accepted and any(answer.votes < other for other in votes):
                conflicts.append(question_url(question))
    assert sorted(row.url for row in crawl.planted("vote_tie")) == sorted(ties)
    assert sorted(row.url for row in crawl.planted("accept_vote_conflict")) == sorted(conflicts)


def test_planted_answers_have_the_defect_they_are_planted_for():
    by_defect = {}
    for question in questions():
        by_defect.setdefault(question.defect, []).append([a.text for a in question.answers])
    assert all(a == b for a, b in by_defect["identical_answers"])
    for one, other in by_defect["whitespace_only_difference"]:
        assert one != other
        assert one.split() == other.split()
    assert all(texts.count("") == 1 for texts in by_defect["empty_answer"])
    for texts in by_defect["special_token_in_answer"]:
        assert any("<|im_end|>" in text for text in texts)


def test_questions_planted_as_near_duplicates_are_pairs_of_one_language(crawl):
    asked = {question_url(q): f"{q.title}\n{q.text}".split() for q in questions()}
    rows = crawl.planted("near_duplicate_question")
    for row in rows:
        assert jaccard(asked[row.url], asked[row.pair_url]) == pytest.approx(row.jaccard)
        assert row.jaccard > 0.8
    assert len(rows) == 2


def test_the_seed_moves_the_duplicates():
    urls = [{row.url for _, row in plant_site(seed)} for seed in (0, 1)]
    assert urls[0] != urls[1]
    assert len(urls[0]) == len(urls[1])


def test_similarity_of_texts_without_a_shingle_is_zero():
    assert shingle_jaccard("", "") == 0
    assert shingle_jaccard("a b c d", "a b c d") == 0
    assert shingle_jaccard("a b c d e", "a b c d e") == 1


def test_every_article_is_long_enough_for_the_usual_filters():
    english = {"the", "be", "to", "of", "and", "that", "have", "with"}
    for article in articles():
        words = article.text.split()
        assert len(words) >= 120, article.id
        if article.language == "en":
            assert len(english & set(words)) >= 2
