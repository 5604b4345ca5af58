import pytest
from endless import soon
from hypothesis import given
from hypothesis import strategies as st

from datatools.steps.instruct.boilerplate import strip_boilerplate

KOREAN = "전원을 10초간 누르면 초기화됩니다."
ENGLISH = "Hold the power button for ten seconds to reset it."


@pytest.mark.parametrize("body", [KOREAN, ENGLISH])
@pytest.mark.parametrize(
    "opening",
    [
        "안녕하세요.",
        "안녕하세요~^^",
        "안녕하세요! 반갑습니다!",
        "질문자님, 안녕하세요.\n\n",
        "안녕하세요, 동네 수리점입니다.",
        "질문에 답변 드리겠습니다.",
        "Hello!",
        "Hi there,\n",
        "Great question!",
        "Thanks for your question.",
    ],
)
def test_greetings_are_cut(opening, body):
    assert strip_boilerplate(f"{opening} {body}") == body


@pytest.mark.parametrize("body", [KOREAN, ENGLISH])
@pytest.mark.parametrize(
    "closing",
    [
        "도움이 되셨길 바랍니다.",
        "도움이 되었으면 좋겠습니다^^",
        "조금이나마 도움 되셨으면 합니다 ㅎㅎ",
        "채택 부탁드립니다!",
        "답변이 마음에 드시면 채택해 주세요~",
        "내공 부탁드려요.",
        "감사합니다.",
        "좋은 하루 되세요!",
        "\n출처: 우리집 설명서",
        "도움이 되셨길 바랍니다. 채택 부탁드립니다. 감사합니다.",
        "Hope this helps!",
        "I hope it helps you out.",
        "Please accept this answer if it worked for you.",
        "Let me know how it goes.",
        "Cheers,",
        "\nSource: the manual",
    ],
)
def test_closings_are_cut(closing, body):
    assert strip_boilerplate(f"{body} {closing}") == body


@pytest.mark.parametrize(
    "text",
    [
        "안녕하세요라는 말은 언제나 쓸 수 있습니다.",
        "안녕하세요는 인사말입니다.",
        "감사합니다를 영어로 하면 thank you입니다.",
        "이 제도는 여러 사람에게 도움이 되었습니다.",
        "채택률은 답변자의 등급에 영향을 줍니다.",
        "Hello is what you print first.",
        "The regards field is optional.",
        "```\nprint('hi')\nhope this helps\n```",
        "이름을 고르세요.\n감사합니다.\n그리고 저장하세요.",
    ],
)
def test_content_that_looks_like_it_stays(text):
    assert strip_boilerplate(text) == text


@pytest.mark.parametrize(
    "text", ["안녕하세요. 감사합니다.", "Hi! Hope this helps.", "채택 부탁드려요", ""]
)
def test_an_answer_of_nothing_else_becomes_empty(text):
    assert strip_boilerplate(text) == ""


@given(st.text(max_size=80))
def test_stripping_only_cuts_and_only_once(text):
    stripped = strip_boilerplate(text)
    assert stripped in text
    assert strip_boilerplate(stripped) == stripped


@pytest.mark.parametrize(
    "pump", ["안녕하세요. ", "감사합니다. ", "hi", " ", "도움이 ", ".", "채택 "]
)
def test_long_texts_take_linear_time(pump):
    with soon():
        strip_boilerplate(pump * 50_000)
