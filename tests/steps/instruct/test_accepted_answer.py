import polars as pl
import pytest

from datatools.records import SCHEMAS
from datatools.steps.base import Batch, Context
from datatools.steps.instruct.accepted_answer import AcceptedAnswer

THREAD = SCHEMAS["thread"]

QUESTION = {
    "en": "How do I open the lid?\n\nIt is stuck.",
    "ko": "뚜껑을 어떻게 여나요?\n\n안 열려요.",
}
ANSWER = {"en": "Warm it and turn left.", "ko": "따뜻하게 데운 뒤 왼쪽으로 돌리세요."}


def answer(text, *, id="1", votes=None, accepted=False):
    return {"id": id, "text": text, "votes": votes, "accepted": accepted}


def threads(*rows) -> pl.DataFrame:
    """Rows of (question, answers), with the other columns of a thread filled in."""
    return pl.DataFrame(
        {
            "id": [f"t{row}" for row in range(len(rows))],
            "group_id": ["g"] * len(rows),
            "url": ["https://site.example"] * len(rows),
            "question": [question for question, _ in rows],
            "answers": [answers for _, answers in rows],
        },
        schema_overrides={"answers": THREAD["answers"]},
    )


def run(frame, **fields):
    return AcceptedAnswer(**fields).bind(Context()).map(Batch(frame))


def chosen(mapped) -> list[str | None]:
    return [row and row[1]["content"] for row in mapped.df["messages"].to_list()]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_accepted_answer_wins_over_votes(language):
    other = answer("!", id="2", votes=99)
    frame = threads((QUESTION[language], [other, answer(ANSWER[language], accepted=True)]))
    mapped = run(frame)
    assert mapped.dropped.to_list() == [None]
    assert mapped.df["messages"].to_list() == [
        [
            {
                "role": "user",
                "content": QUESTION[language],
                "name": None,
                "tool_calls": None,
                "train": False,
            },
            {
                "role": "assistant",
                "content": ANSWER[language],
                "name": None,
                "tool_calls": None,
                "train": True,
            },
        ]
    ]


def test_ids_groups_and_addresses_stay_and_the_threads_columns_go():
    mapped = run(threads((QUESTION["ko"], [answer(ANSWER["ko"], accepted=True)])))
    assert mapped.df.columns == ["id", "group_id", "url", "messages"]
    assert mapped.df.select("id", "group_id", "url").row(0) == ("t0", "g", "https://site.example")
    assert mapped.df.schema["messages"] == SCHEMAS["conversation"]["messages"]


@pytest.mark.parametrize(
    ("votes", "fields", "reason", "text"),
    [
        ([5, 3], {}, None, "A"),
        ([3, 5], {}, None, "B"),
        ([3, None], {}, None, "A"),
        ([2, 0], {}, "no_accepted_answer", None),
        ([2, 0], {"min_votes": 2}, None, "A"),
        ([None, None], {}, "no_accepted_answer", None),
        ([-4, -9], {}, "no_accepted_answer", None),
        ([5, 5], {}, "ambiguous_top_answer", None),
        ([5, 5], {"min_margin": 0}, None, "A"),
        ([9, 5], {"min_margin": 5}, "ambiguous_top_answer", None),
        ([9, 4], {"min_margin": 5}, None, "A"),
        ([9], {"min_margin": 50}, None, "A"),
    ],
)
def test_without_an_accepted_answer_the_votes_decide(votes, fields, reason, text):
    answers = [answer("AB"[i], id=str(i), votes=count) for i, count in enumerate(votes)]
    mapped = run(threads((QUESTION["en"], answers)), **fields)
    assert (mapped.dropped.to_list(), chosen(mapped)) == ([reason], [text])


def test_of_several_accepted_answers_the_most_voted_then_the_first_id_is_taken():
    several = [
        answer("A", id="3", votes=1, accepted=True),
        answer("B", id="2", votes=4, accepted=True),
        answer("C", id="1", votes=4, accepted=True),
    ]
    forth = chosen(run(threads((QUESTION["en"], several))))
    back = chosen(run(threads((QUESTION["en"], several[::-1]))))
    assert forth == back == ["C"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty_answer"),
        (None, "empty_answer"),
        ("\u200b \u3164", "empty_answer"),
        ("Hi! Hope this helps.", "empty_answer"),
        ("안녕하세요. 채택 부탁드립니다.", "empty_answer"),
        ("See the above answer for the lid.", "answer_refers_outside"),
        ("@anna turn it left", "answer_refers_outside"),
        ("위 답변처럼 돌리세요.", "answer_refers_outside"),
        ("윗분 말씀이 맞아요, 왼쪽입니다.", "answer_refers_outside"),
        ("https://lid.example", "link_only_answer"),
        ("여기를 참고하세요 https://lid.example", "link_only_answer"),
        ("> It is stuck.", "answer_quotes_question"),
        ("It is stuck", "answer_quotes_question"),
        ("안 열려요!!", "answer_quotes_question"),
    ],
)
def test_an_answer_that_cannot_stand_alone_drops_the_thread(text, reason):
    question = QUESTION["ko"] if text and any("가" <= c <= "힣" for c in text) else QUESTION["en"]
    usable = answer(ANSWER["en"], id="2", votes=50)
    mapped = run(threads((question, [answer(text, accepted=True), usable])))
    assert (mapped.dropped.to_list(), chosen(mapped)) == ([reason], [None])


@pytest.mark.parametrize("question", ["", None, "\u200b"])
def test_a_thread_without_a_question_is_dropped(question):
    mapped = run(threads((question, [answer("A", accepted=True)])))
    assert mapped.dropped.to_list() == ["empty_question"]


@pytest.mark.parametrize("answers", [[], None])
def test_a_thread_without_answers_is_dropped(answers):
    assert run(threads((QUESTION["ko"], answers))).dropped.to_list() == ["no_accepted_answer"]


def test_boilerplate_is_cut_and_its_characters_are_reported():
    texts = {
        f"안녕하세요. {ANSWER['ko']} 채택 부탁드립니다!": ANSWER["ko"],
        f"Hello! {ANSWER['en']} Hope this helps.": ANSWER["en"],
        ANSWER["en"]: ANSWER["en"],
    }
    frame = threads(*((QUESTION["ko"], [answer(text, accepted=True)]) for text in texts))
    mapped = run(frame)
    assert chosen(mapped) == list(texts.values())
    assert mapped.removed == {"boilerplate": sum(len(a) - len(b) for a, b in texts.items())}
    kept = run(frame, strip_boilerplate=False)
    assert chosen(kept) == list(texts)
    assert kept.removed == {"boilerplate": 0}


def test_characters_of_dropped_answers_do_not_count_as_removed():
    frame = threads((QUESTION["en"], [answer("Hi! See above.", accepted=True)]))
    assert not any(run(frame).removed.values())


def test_batches_may_be_cut_anywhere():
    frame = threads(
        (QUESTION["en"], [answer(ANSWER["en"], accepted=True)]),
        (QUESTION["ko"], []),
        (QUESTION["ko"], [answer("Hi! " + ANSWER["ko"], votes=7)]),
    )
    whole = run(frame)
    parts = [run(frame[row]) for row in range(frame.height)]
    assert pl.concat([part.df for part in parts]).equals(whole.df)
    assert sum(part.removed["boilerplate"] for part in parts) == whole.removed["boilerplate"]


def test_the_detail_tells_the_votes():
    answers = [answer("A", id="1", votes=7), answer("B", id="2", votes=7)]
    assert run(threads((QUESTION["en"], answers))).detail.to_list() == ["7 votes and 7"]


def test_it_runs_on_a_frame_in_memory():
    frame = threads((QUESTION["ko"], [answer(ANSWER["ko"], accepted=True)]), (QUESTION["en"], []))
    kept, dropped = AcceptedAnswer().apply(frame)
    assert kept["messages"][0][1]["content"] == ANSWER["ko"]
    assert dropped["reason"].to_list() == ["no_accepted_answer"]
