import unicodedata

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.records import SCHEMAS
from datatools.steps.base import Batch, Context
from datatools.steps.preference.pair_checks import PairChecks, edits_within

LONG = {
    "en": "To descale the kettle, fill it with equal parts of water and vinegar, bring it to the "
    "boil, wait for twenty minutes, pour it out, and boil fresh water twice before you make tea.",
    "ko": "주전자의 물때를 없애려면 물과 식초를 같은 양으로 채우고 끓인 다음 이십 분 동안 "
    "기다렸다가 쏟아 버리고, 차를 다시 끓이기 전에 깨끗한 물을 두 번 더 끓여서 헹구어 내시면 "
    "됩니다. 한 달에 한 번이면 충분합니다.",
}
QUESTION = {"en": "How do I clean my kettle?", "ko": "주전자는 어떻게 닦나요?"}
OTHER = {"en": "Scrub it with sand.", "ko": "모래로 문지르세요."}


def said(*contents, roles=("assistant", "user")):
    return [{"role": roles[turn % 2], "content": content} for turn, content in enumerate(contents)]


def asked(*contents):
    return said(*contents, roles=("user", "assistant"))


def pairs(*rows) -> pl.DataFrame:
    schema = SCHEMAS["preference"]
    names = ("prompt", "chosen", "rejected", "strength")
    return pl.DataFrame(
        {name: [row[column] for row in rows] for column, name in enumerate(names)},
        schema={name: schema[name] for name in names},
    )


def run(*rows, **fields):
    return PairChecks(**fields).bind(Context()).map(Batch(pairs(*rows)))


def reason(chosen, rejected, *, language="en", prompt=None, strength=1.0, **fields):
    prompt = asked(QUESTION[language]) if prompt is None else prompt
    chosen = said(chosen) if isinstance(chosen, str | None) else chosen
    rejected = said(rejected) if isinstance(rejected, str | None) else rejected
    return run((prompt, chosen, rejected, strength), **fields).dropped.to_list()[0]


@pytest.mark.parametrize("language", ["en", "ko"])
class TestOnePairOfEachLanguage:
    def test_a_sound_pair_stays(self, language):
        assert reason(LONG[language], OTHER[language], language=language) is None
        assert reason(OTHER[language], LONG[language], language=language) is None

    @pytest.mark.parametrize("blank", ["", None, " \n", "\u200b", "\u3164\uffa0", "\u00ad\ufeff"])
    def test_a_side_that_shows_nothing(self, language, blank):
        assert reason(LONG[language], blank, language=language) == "pair_empty"
        assert reason(blank, LONG[language], language=language) == "pair_empty"

    @pytest.mark.parametrize("blank", ["", None, "\u200b\t"])
    def test_a_prompt_that_shows_nothing(self, language, blank):
        prompt = asked(blank)
        assert reason(LONG[language], OTHER[language], prompt=prompt) == "pair_prompt_empty"
        prompt = asked(QUESTION[language], blank, QUESTION[language])
        assert reason(LONG[language], OTHER[language], prompt=prompt) == "pair_prompt_empty"

    @pytest.mark.parametrize("strength", [None, 0.0, -1.0, float("nan")])
    def test_a_tie(self, language, strength):
        assert reason(LONG[language], OTHER[language], strength=strength) == "pair_tie"

    @pytest.mark.parametrize("token", ["<|endoftext|>", "<|im_end|>", "</s>", "<end_of_turn>"])
    def test_a_control_token_on_any_side(self, language, token):
        held = OTHER[language] + token
        prompt = asked(QUESTION[language] + token)
        assert reason(held, LONG[language]) == "pair_special_token"
        assert reason(LONG[language], held) == "pair_special_token"
        assert reason(LONG[language], OTHER[language], prompt=prompt) == "pair_special_token"
        assert reason(LONG[language], held, special_tokens=("<other>",)) is None

    def test_equal_sides(self, language):
        assert reason(LONG[language], LONG[language]) == "pair_identical"

    @pytest.mark.parametrize(
        "disguise",
        [
            lambda text: unicodedata.normalize("NFD", text) + " ",
            lambda text: text.replace(" ", "  \n"),
            lambda text: "\u200b".join(text),
            lambda text: text + "\u3164",
        ],
    )
    def test_sides_that_read_the_same(self, language, disguise):
        assert reason(LONG[language], disguise(LONG[language])) == "pair_identical_normalised"
        assert reason(disguise(OTHER[language]), OTHER[language]) == "pair_identical_normalised"

    def test_a_side_that_begins_the_other(self, language):
        half = LONG[language][: len(LONG[language]) // 2]
        assert reason(LONG[language], half) == "pair_prefix"
        assert reason(half + "\u200b", LONG[language]) == "pair_prefix"

    def test_sides_that_differ_in_a_letter_or_two(self, language):
        text = LONG[language]
        changed = text[:40] + "X" + text[41:-9] + text[-8:]
        assert reason(text, changed) == "pair_near_duplicate"
        loose = {"max_edit_similarity": 1, "max_overlap": 1}
        assert reason(text, changed, **loose) is None

    def test_sides_that_share_their_sentences_in_another_order(self, language):
        text = LONG[language]
        turned = text[90:] + text[:90]
        assert reason(text, turned) == "pair_near_duplicate"
        assert reason(text, turned, max_overlap=1) is None


@pytest.mark.parametrize(
    ("prompt", "chosen", "rejected"),
    [
        ([], said("a"), said("b")),
        (None, said("a"), said("b")),
        (asked("q", "a"), said("a"), said("b")),
        (said("q"), said("a"), said("b")),
        ([{"role": "system", "content": "s"}], said("a"), said("b")),
        ([{"role": None, "content": "s"}], said("a"), said("b")),
        (asked("q"), [], said("b")),
        (asked("q"), None, said("b")),
        (asked("q"), said("a"), asked("b")),
        (asked("q"), said("a", "u"), said("b")),
        (asked("q"), [*said("a"), *said("b")], said("b")),
        # The prompt repeated on both sides, as implicit formats have it.
        (asked("q"), asked("q", "a"), asked("q", "b")),
    ],
)
def test_roles_that_no_trainer_can_render(prompt, chosen, rejected):
    assert run((prompt, chosen, rejected, 1.0)).dropped.to_list() == ["pair_roles"]


def test_a_system_turn_and_longer_conversations_are_sound():
    system = {"role": "system", "content": "짧게."}
    row = ([system, *asked("q", "a", "r")], said("네", "왜?", "그냥"), said("아니요"), 1.0)
    assert run(row).dropped.to_list() == [None]


def test_the_detail_says_what_was_found():
    rows = [
        (asked("q"), said("a"), said("b<|im_end|>"), 1.0),
        (asked("q"), said("a"), said(" "), 1.0),
        (asked("q"), said("a"), said("b"), 0.0),
        (asked("q"), asked("a"), said("b"), 1.0),
        (asked("q"), said("ab"), said("a"), 1.0),
    ]
    assert run(*rows).detail.to_list() == [
        "<|im_end|>",
        "rejected",
        "strength 0.0",
        "chosen: user",
        "chosen",
    ]


def test_short_answers_may_differ_in_one_digit():
    assert reason("The answer is 42.", "The answer is 43.") is None
    assert reason("정답은 3번입니다.", "정답은 4번입니다.") is None


def test_the_rows_stay_as_they_are():
    frame = pairs((asked("q"), said("a"), said("a"), 1.0), (asked("q"), said("a"), said("b"), 1.0))
    assert PairChecks().bind(Context()).map(Batch(frame)).df.equals(frame)


def test_it_runs_on_a_frame_in_memory():
    frame = pairs((asked("q"), said("a"), said("a"), 1.0), (asked("q"), said("a"), said("b"), 1.0))
    kept, dropped = PairChecks().apply(frame)
    assert kept.height == 1
    assert dropped["reason"].to_list() == ["pair_identical"]


# -------------------------------------------------------------------------------------------------
# Edits


def distance(one: str, other: str) -> int:
    """The table of edits, all of it."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]


TEXTS = st.text(alphabet="ab가나 ", max_size=12)


@settings(max_examples=300)
@given(TEXTS, TEXTS, st.integers(0, 12))
def test_edits_are_those_of_the_whole_table(one, other, limit):
    assert edits_within(one, other, limit) == (distance(one, other) <= limit)


@settings(max_examples=100)
@given(
    st.text(alphabet="abcd가나다라", min_size=30, max_size=60),
    st.lists(st.tuples(st.integers(0, 59), st.sampled_from(["", "x", "하하"])), max_size=5),
    st.integers(0, 6),
)
def test_edits_of_texts_that_are_nearly_the_same(one, changes, limit):
    other = one
    for place, new in changes:
        other = other[:place] + new + other[place + 1 :]
    assert edits_within(one, other, limit) == (distance(one, other) <= limit)


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet="abcde가나다라마", min_size=50, max_size=120),
    st.lists(st.tuples(st.integers(0, 119), st.sampled_from(["", "x"])), max_size=4),
    st.sampled_from([0.9, 0.95, 0.98, 0.99]),
)
def test_the_threshold_is_one_less_edits_over_length(one, changes, similarity):
    other = one
    for place, new in changes:
        other = other[:place] + new + other[place + 1 :]
    if one.startswith(other) or other.startswith(one):
        return
    longer = max(len(one), len(other))
    # 1 - edits / longer > similarity, in exact hundredths.
    near = 100 * (longer - distance(one, other)) > round(100 * similarity) * longer
    found = reason(one, other, max_edit_similarity=similarity, max_overlap=1)
    assert (found == "pair_near_duplicate") == near
