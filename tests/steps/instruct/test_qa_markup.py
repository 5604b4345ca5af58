from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.instruct.qa_markup import (
    QaMarkup,
    looks_marked,
    parse_date,
    parse_qa_markup,
    parse_votes,
    qa_parser,
)


def json_ld(block: str) -> str:
    return f'<html><head><script type="application/ld+json">{block}</script></head></html>'


@given(st.integers(-(10**9), 10**9))
def test_counts_are_read_with_and_without_grouping(count):
    assert parse_votes(str(count)) == count
    assert parse_votes(f" {count:,} ") == count


@given(st.integers(0, 9999), st.integers(0, 9))
def test_a_fraction_of_thousands_is_exact(whole, tenth):
    assert parse_votes(f"{whole}.{tenth}k") == whole * 1000 + tenth * 100
    assert parse_votes(f"{whole}.{tenth}천") == whole * 1000 + tenth * 100
    assert parse_votes(f"{whole}.{tenth}만") == whole * 10000 + tenth * 1000


@pytest.mark.parametrize(
    "text", ["", "many", "1.234", "12 votes", "추천 3", "1e3", "٣", "--1", "9" * 40, "1.2345k"]
)
def test_what_is_no_plain_count_is_unknown(text):
    assert parse_votes(text) is None


@given(st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1)), st.integers(-12, 12))
def test_dates_with_a_zone_become_utc(moment, hours):
    moment = moment.replace(microsecond=0)
    stated = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    expected = stated.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert parse_date(stated.isoformat()) == expected
    assert parse_date(moment.isoformat()) == moment.isoformat()


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2024.3.1.", "2024-03-01"),
        ("2024년 12월 31일", "2024-12-31"),
        ("2024-02-30", None),
        ("0001-01-01T00:00:00+09:00", None),
        ("어제", None),
        ("", None),
    ],
)
def test_dates_without_a_time_and_what_is_no_date(text, date):
    assert parse_date(text) == date


def test_net_votes_are_up_less_down_however_down_is_signed():
    for down in (2, -2, "2"):
        block = (
            '{"@context": "https://schema.org", "@type": "Question", "name": "왜?", '
            f'"acceptedAnswer": {{"text": "그냥", "upvoteCount": 5, "downvoteCount": "{down}"}}}}'
        )
        assert parse_qa_markup(json_ld(block)).questions[0].answers[0].votes == 3


@pytest.mark.parametrize("kind", ["Question", "schema:Question", "http://schema.org/Question"])
def test_types_are_recognised_with_and_without_their_vocabulary(kind):
    block = (
        f'{{"@type": ["Thing", "{kind}"], "name": "Why?", "suggestedAnswer": {{"text": "So."}}}}'
    )
    (question,) = parse_qa_markup(json_ld(block)).questions
    assert (question.title, question.answers[0].text) == ("Why?", "So.")


def test_other_types_that_end_in_question_are_not_questions():
    block = '{"@type": "https://other.example/Question", "name": "?", "acceptedAnswer": "Question"}'
    assert parse_qa_markup(json_ld(block)) == QaMarkup()


def test_an_answer_may_be_written_as_its_text():
    block = '{"@type": "Question", "name": {"@value": "왜?"}, "acceptedAnswer": "그냥요."}'
    (question,) = parse_qa_markup(json_ld(block)).questions
    assert question.title == "왜?"
    assert (question.answers[0].text, question.answers[0].accepted) == ("그냥요.", True)


def test_the_same_question_twice_unites_its_answers():
    entry = '{"@type": "Question", "name": "%s", "acceptedAnswer": {"text": "%s"}}'
    block = (
        f"[{entry % ('Open?', 'Yes.')}, {entry % ('open? ', 'yes.')}, {entry % ('Open?', 'No.')}]"
    )
    (question,) = parse_qa_markup(json_ld(block)).questions
    assert [answer.text for answer in question.answers] == ["Yes.", "No."]


def test_a_script_that_is_commented_out_is_not_read():
    block = '{"@type": "Question", "name": "Why?", "acceptedAnswer": {"text": "So."}}'
    assert parse_qa_markup(f"<!-- {json_ld(block)} -->") == QaMarkup()


def test_a_broken_block_that_mentions_no_question_is_not_our_business():
    assert (
        parse_qa_markup(json_ld('{"@type": "Article", "headline": "The Question" ,,}')).broken == ()
    )
    assert len(parse_qa_markup(json_ld('{"@type": "Question" ,,}')).broken) == 1


def test_a_good_block_counts_beside_a_broken_one():
    good = json_ld('{"@type": "Question", "name": "왜?", "acceptedAnswer": "네"}')
    markup = parse_qa_markup(json_ld('{"@type": "Question", "name": "a "b" c"}') + good)
    assert [question.title for question in markup.questions] == ["왜?"]
    assert len(markup.broken) == 1


def test_the_fenced_parser_says_the_same_in_bytes():
    html = json_ld('{"@type": "Question", "name": "왜\\ud800?", "acceptedAnswer": "네"}')
    assert QaMarkup.from_json(qa_parser()(html.encode())) == parse_qa_markup(html)


def test_the_byte_search_lets_every_form_through():
    assert looks_marked(
        json_ld('{"@context":"https:\\/\\/schema.org","@type":"Question"}').encode()
    )
    assert looks_marked(b"<div itemscope itemtype=http://schema.org/Question>")
    assert not looks_marked(b"<p>Question: what is schema.com?</p>")
