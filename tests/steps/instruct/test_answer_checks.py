import pytest
from endless import soon

from datatools.steps.instruct.answer_checks import is_link_only, quotes_question, refers_outside


@pytest.mark.parametrize(
    "text",
    [
        "See above.",
        "As mentioned above, use a file.",
        "As Peter already said in the comments below, no.",
        "The accepted answer is wrong.",
        "Peter's answer is right, but slow.",
        "I agree with the previous poster.",
        "@kim is right",
        "Try it.\n@kim_2: no",
        "thanks (@lee)",
        "위 답변처럼 하세요.",
        "위의 답변이 맞아요",
        "위에 분 말씀대로입니다",
        "윗분 말씀이 맞습니다.",
        "윗글 참고",
        "앞의 답변과 같아요",
        "앞선 답변을 보세요",
        "아래 댓글 보세요",
        "다른 분들이 말씀하신 대로",
        "먼저 답변하신 것처럼",
        "제 생각도 @홍길동 님과 같아요",
    ],
)
def test_answers_that_lean_on_another_post(text):
    assert refers_outside(text)


@pytest.mark.parametrize(
    "text",
    [
        "Put the lid above the pot.",
        "The answer is 42.",
        "Mail kim@example.com or install @scope/tool.",
        "Use the decorator:\n\n```py\n@property\ndef x(self): ...\n```",
        "Write `@override` first.",
        "Numbers above 7 are odd answers to give.",
        "위 그림처럼 접으세요.",
        "단위 분산을 구하세요.",
        "위원회 답변은 공개됩니다.",
        "앞으로 10분 더 끓이세요.",
        "아래와 같이 입력하세요.",
        "답변은 3입니다. 위에서 아래로 읽으세요.",
        "",
    ],
)
def test_answers_that_stand_alone(text):
    assert not refers_outside(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://a.example/x?y=1",
        "See https://a.example",
        "Check out this link: <https://a.example>",
        "here",
        "여기 참고하세요: http://가나.example/다",
        "www.a.example 들어가보세요",
        "아래 링크를 확인해 보세요\nhttps://a.example\nhttps://b.example",
    ],
)
def test_answers_that_only_point(text):
    assert is_link_only(text)


@pytest.mark.parametrize(
    "text",
    [
        "Restart it, see https://a.example",
        "재부팅하세요. https://a.example",
        "42",
        "A",
        "예",
        "!?",
        "",
    ],
)
def test_answers_that_say_something_beside_the_link(text):
    assert not is_link_only(text)


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("> why is it red?", "why is it red?"),
        ("Why is it RED", "why is it red?\n\nI painted it."),
        ("왜 빨간가요", "왜 빨간가요?\n\n제가 칠했는데요."),
        ("I painted it twice, last Monday.", "Why?\n\nSo: I painted it twice, last monday!"),
        ("> 인용\n\n> 또 인용\n", "다른 질문"),
    ],
)
def test_answers_that_repeat_the_question(answer, question):
    assert quotes_question(answer, question)


@pytest.mark.parametrize(
    ("answer", "question"),
    [
        ("yes", "Is it yes or no?"),
        ("> why is it red?\n\nBecause of the paint.", "why is it red?"),
        ("빨간색", "빨간색인가요 파란색인가요?"),
        ("!!", "왜?"),
    ],
)
def test_answers_that_answer(answer, question):
    assert not quotes_question(answer, question)


@pytest.mark.parametrize(
    "pump", ["@a", "위 ", "as like ", "`", "```\n", "see the ", "a's ", "다른 분들"]
)
@pytest.mark.parametrize("check", [refers_outside, is_link_only])
def test_long_texts_take_linear_time(pump, check):
    with soon():
        check(pump * 50_000)
