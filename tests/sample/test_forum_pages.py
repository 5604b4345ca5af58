import json
import re

import lxml.html
import pytest
from sample_reading import microdata, responses

from datatools.sample.content import faq_pages, questions
from datatools.sample.forum_pages import faq_html, faq_url, question_html, question_url

BROKEN = ("jsonld_trailing_comma", "jsonld_raw_newline", "jsonld_cut_off")


@pytest.fixture(scope="module")
def pages(crawl):
    found = responses(crawl.folder / "forum-00000.warc.gz")
    return {url: body.decode("utf-8") for url, (_, _, body) in found.items()}


def json_ld(page):
    scripts = re.findall(r'<script type="application/ld\+json">(.*?)</script>', page, re.DOTALL)
    return scripts[0] if scripts else None


def qa_page(data):
    """Return the QAPage in any of the shapes in which sites write it."""
    if isinstance(data, list):
        (data,) = data
    if "@graph" in data:
        (data,) = [node for node in data["@graph"] if node["@type"] == "QAPage"]
    assert data["@type"] == "QAPage"
    return data


def squeezed(text):
    """Return the letters and digits of a text, whatever its markup."""
    if text.startswith("<"):
        text = lxml.html.fromstring(f"<div>{text}</div>").text_content()
    text = re.sub(r"```\w*", "", text)
    return re.sub(r"[\W_]+", "", text)


def test_every_question_is_one_page(pages):
    assert set(pages) == {question_url(q) for q in questions()} | {faq_url(f) for f in faq_pages()}


def test_json_ld_says_what_the_thread_says(pages):
    checked = 0
    for question in questions():
        if question.markup != "json-ld" or question.defect in BROKEN:
            continue
        entity = qa_page(json.loads(json_ld(pages[question_url(question)])))["mainEntity"]
        assert entity["name"] == question.title
        assert squeezed(entity["text"]) == squeezed(question.text)
        assert entity["answerCount"] == len(question.answers)
        accepted = [entity["acceptedAnswer"]] if "acceptedAnswer" in entity else []
        told = [(True, *facts) for facts in map(answer_facts, accepted)] + [
            (False, *facts) for facts in map(answer_facts, entity["suggestedAnswer"])
        ]
        assert sorted(told) == sorted(
            (a.accepted, squeezed(a.text), a.votes, a.date, a.author) for a in question.answers
        )
        checked += 1
    assert checked > 60


def answer_facts(answer):
    return (
        squeezed(answer["text"]),
        answer["upvoteCount"],
        answer["dateCreated"],
        answer["author"]["name"],
    )


def test_microdata_says_what_the_thread_says(pages):
    checked = 0
    for question in questions():
        if question.markup != "microdata":
            continue
        page = pages[question_url(question)]
        assert json_ld(page) is None
        (item,) = microdata(page)
        assert item["type"].endswith("://schema.org/QAPage")
        (entity,) = item["mainEntity"]
        assert entity["name"] == [question.title]
        assert squeezed(entity["text"][0]) == squeezed(question.text)
        assert entity["answerCount"] == [str(len(question.answers))]
        told = [
            (
                prop == "acceptedAnswer",
                squeezed(answer.get("text", [""])[0]),
                int(answer["upvoteCount"][0]),
                answer["dateCreated"][0],
                answer["author"][0]["name"][0],
            )
            for prop in ("acceptedAnswer", "suggestedAnswer")
            for answer in entity.get(prop, [])
        ]
        assert sorted(told) == sorted(
            (a.accepted, squeezed(a.text), a.votes, a.date, a.author) for a in question.answers
        )
        checked += 1
    assert checked > 60


def test_markup_comes_in_the_variants_that_sites_write(pages):
    data = [json_ld(page) for page in pages.values()]
    shapes = {text[:1] + ("g" if "@graph" in text else "") for text in data if text}
    assert {"[", "{", "{g"} <= shapes
    types = {
        microdata(page)[0]["type"].partition(":")[0]
        for page in pages.values()
        if "itemscope" in page
    }
    assert types == {"http", "https"}
    assert any("```" not in text and "<li>" in text for text in data if text)  # HTML in JSON


def test_broken_json_is_broken_and_two_of_three_kinds_can_be_repaired(pages):
    by_defect = {}
    for question in questions():
        if question.defect in BROKEN:
            text = json_ld(pages[question_url(question)])
            with pytest.raises(json.JSONDecodeError):
                json.loads(text)
            by_defect.setdefault(question.defect, []).append((question, text))
    for question, text in by_defect["jsonld_trailing_comma"]:
        repaired = json.loads(re.sub(r",(\s*[}\]])", r"\1", text))
        assert qa_page(repaired)["mainEntity"]["name"] == question.title
    for question, text in by_defect["jsonld_raw_newline"]:
        repaired = json.loads(text, strict=False)
        assert qa_page(repaired)["mainEntity"]["text"] == question.text
    assert {question.language for question, _ in by_defect["jsonld_cut_off"]} == {"en", "ko"}
    assert not any(text.rstrip().endswith(("}", "]")) for _, text in by_defect["jsonld_cut_off"])


def test_the_visible_page_shows_code_lists_and_the_accepted_answer_first():
    question = next(q for q in questions() if "```" in q.answers[1].text and q.answers[1].accepted)
    tree = lxml.html.fromstring(question_html(question, []))
    first = tree.xpath('//div[contains(@class, "answer")]')[0]
    assert first.get("id") == question.answers[1].id
    code = first.find(".//pre/code")
    assert code.text_content() in question.answers[1].text


def test_faq_pages_carry_every_entry_in_either_markup(pages):
    for faq in faq_pages():
        page = pages[faq_url(faq)]
        assert page == faq_html(faq)
        if faq.markup == "json-ld":
            data = json.loads(json_ld(page))
            assert data["@type"] == "FAQPage"
            told = [(e["name"], squeezed(e["acceptedAnswer"]["text"])) for e in data["mainEntity"]]
        else:
            (item,) = microdata(page)
            told = [
                (e["name"][0], squeezed(e["acceptedAnswer"][0]["text"][0]))
                for e in item["mainEntity"]
            ]
        assert told == [(e.question, squeezed(e.answer)) for e in faq.entries]


def test_text_that_looks_like_markup_is_shown_not_obeyed(pages):
    question = next(
        q for q in questions() if q.defect == "special_token_in_answer" and q.markup == "microdata"
    )
    assert "&lt;|im_end|&gt;" in pages[question_url(question)]
    assert "<|im_end|>" not in pages[question_url(question)]
