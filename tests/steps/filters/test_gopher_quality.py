import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.base import Batch, Context
from datatools.steps.filters.gopher_quality import BULLETS, GopherQuality
from datatools.steps.filters.word_lists import ENGLISH_STOP_WORDS, KOREAN_ENDINGS

PIECES = [
    *("the ", "And", "that ", "cat", "42", " ", "\n", "\n\n", "\r\n", "\t", "word " * 20),
    *("나는 ", "집에서", " 갔다.", "ㅋㅋ", "\u1112\u1161\u11ab", "으로 ", "하고,", "漢字"),
    *("...", "…", ".", "#", "- ", "• ", "○ ", "😀", "\0", "\u2028", "\u3000", "é"),
]
texts = st.lists(st.sampled_from(PIECES), max_size=50).map("".join) | st.text(max_size=50)

ENGLISH = """\
The harbour was quiet when the last of the fishing boats came in, and the men who had been out
since before dawn began to unload their boxes without saying much to each other. There was
little to say. The nets had come up nearly empty for the third week in a row, and everyone on
the quay knew that a few more weeks of this would decide which families could stay through the
winter.

Old Marten stood apart from the others with his hands in his coat. He had seen years like this
one, and he remembered how the herring had come back after the long cold spring when he was a
boy, in numbers that nobody believed until they saw the water shine. He did not tell the younger
men about it. They would listen politely and think that he was trying to be kind.

Instead he walked along the wall to the small white house at the end, where his daughter kept
the books for the cooperative. She looked up as he came in, pushed a chair towards him with her
foot, and went on adding the column of figures that she had been adding all morning. The total
would not change, but she wanted to be sure that she had made no mistake before she showed it to
anyone.
"""

KOREAN = """\
마지막 고깃배가 들어왔을 때 항구는 조용했다. 새벽이 되기 전부터 바다에 나가 있던 사람들은 서로
별말 없이 상자를 내리기 시작했다. 할 말이 별로 없었다. 벌써 석 주째 그물은 거의 빈 채로
올라왔고, 이런 날이 몇 주만 더 이어지면 어느 집이 겨울을 이곳에서 날 수 있을지 정해진다는 것을
부두에 있는 사람이라면 누구나 알고 있었다.

늙은 어부는 외투 주머니에 손을 넣고 사람들과 조금 떨어져 서 있었다. 그는 이런 해를 여러 번
겪었다. 어린 시절 길고 추운 봄이 지난 뒤에 청어 떼가 돌아오던 모습도 기억했다. 물빛이 반짝이는
것을 눈으로 보기 전에는 아무도 믿지 않을 만큼 많은 고기였다. 그러나 젊은 사람들에게는 그
이야기를 하지 않았다. 그들은 예의 바르게 들어 주겠지만, 그저 위로하려는 말이라고 생각할 것이
뻔했다.

대신 그는 방파제를 따라 끝에 있는 작고 하얀 집으로 걸어갔다. 그곳에서 딸이 조합의 장부를 맡아
적고 있었다. 딸은 아버지가 들어오는 것을 보더니 발로 의자를 밀어 주고는, 아침 내내 더하던 숫자를
다시 더하기 시작했다. 합계가 달라질 리는 없었다. 다만 누군가에게 보여 주기 전에 틀린 데가 없는지
한 번 더 확인하고 싶었을 뿐이다. 창밖에서는 갈매기가 울었고, 방 안에는 연필이 종이 위를 지나가는
소리만 들렸다. 노인은 의자에 앉아 그 소리를 오래 듣고 있었다. 봄이 오려면 아직 한참을 더
기다려야 했지만, 기다리는 일이라면 그는 누구보다 잘 알았다.
"""


def measure(filter_, texts):
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    measured = filter_.bind(Context()).measure(Batch(frame))
    assert measured.schema == pl.Schema(filter_.measures)
    return measured.to_dicts()


def reasons(filter_, texts):
    """One reason or None per text, by the engine."""
    frame = pl.DataFrame({"text": texts, "n": range(len(texts))}, schema_overrides={"n": pl.Int64})
    kept, dropped = filter_.apply(frame)
    found = dict(zip(dropped["n"], dropped["reason"], strict=True)) | dict.fromkeys(kept["n"])
    return [found[n] for n in range(len(texts))]


def is_hangul(char):
    blocks = [(0x1100, 0x11FF), (0x3130, 0x318F), (0xA960, 0xA97F), (0xAC00, 0xD7FF)]
    return char.isalpha() and any(a <= ord(char) <= b for a, b in [*blocks, (0xFFA0, 0xFFDC)])


def slow_measure(text):
    words = text.split()
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    letters = [c for c in text if c.isalpha()]
    hangul = sum(map(is_hangul, letters)) > len(letters) / 2
    stops = {word.lower() for word in words} & set(ENGLISH_STOP_WORDS)
    for word in words:
        while word and not (word[-1].isalnum() or word[-1] == "_"):
            word = word[:-1]
        if word and is_hangul(word[-1]):
            stops |= set(sorted((e for e in KOREAN_ENDINGS if word.endswith(e)), key=len)[-1:])
    length = sum(map(len, words)) / len(words) if words else 0.0

    def share(part, whole):
        return part / whole if whole else 0.0

    return {
        "script": "hangul" if hangul else "other",
        "word_count": len(words),
        "mean_word_length": length,
        "hash_ratio": share(text.count("#"), len(words)),
        "ellipsis_ratio": share(text.count("...") + text.count("…"), len(words)),
        "bullet_line_ratio": share(sum(line[0] in BULLETS for line in lines), len(lines)),
        "ellipsis_line_ratio": share(
            sum(line.endswith(("...", "…")) for line in lines), len(lines)
        ),
        "alpha_word_ratio": share(sum(any(map(str.isalpha, w)) for w in words), len(words)),
        "stop_word_count": len(stops),
    }


@settings(deadline=None)
@given(st.lists(texts, max_size=4))
def test_every_measure_equals_its_definition_in_plain_python(texts):
    assert measure(GopherQuality(), texts) == [slow_measure(text) for text in texts]


@pytest.mark.parametrize("text", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_good_prose_stays(text):
    assert len(text.split()) > 150
    assert reasons(GopherQuality(), [text]) == [None]


def test_the_papers_own_rules_would_drop_korean_prose():
    """What the Korean reading is for: without it each of the two rules fires."""
    sentence = "나는 오늘 책을 한 권 샀다. 너는 이 노래 알아? 나도 꼭 가 볼게. "
    as_english = GopherQuality(
        min_mean_word_length=None, min_mean_word_length_hangul=3, stop_words=ENGLISH_STOP_WORDS
    )
    assert reasons(as_english, [sentence * 6]) == ["gopher_below_avg_threshold"]
    assert reasons(
        as_english.model_copy(update={"min_mean_word_length_hangul": None}), [KOREAN]
    ) == ["gopher_enough_stop_words"]
    assert reasons(GopherQuality(), [sentence * 6, KOREAN]) == [None, None]


WORDS = "the and " + "word " * 98  # 100 words

BOUNDARIES = [
    # field, threshold, a text exactly at it, a text just over it, reason
    ("min_words", 50, "word " * 50, "word " * 49, "gopher_short_doc"),
    ("max_words", 100, "word " * 100, "word " * 101, "gopher_long_doc"),
    ("min_mean_word_length", 3, "abc " * 9, "abc " * 9 + "ab", "gopher_below_avg_threshold"),
    (
        "min_mean_word_length_hangul",
        1.5,
        "나 가다 " * 9,
        "나 가다 " * 9 + "가",
        "gopher_below_avg_threshold",
    ),
    (
        "max_mean_word_length",
        10,
        "abcdefghij " * 9,
        "abcdefghij " * 9 + "가나다라마바사아자차카",
        "gopher_above_avg_threshold",
    ),
    ("max_hash_ratio", 0.1, WORDS + "#" * 10, WORDS + "#" * 11, "gopher_too_many_hashes"),
    (
        "max_ellipsis_ratio",
        0.1,
        "word... " + "나…" + " a" * 18,
        "word... " + "나…" + " a" * 17,
        "gopher_too_many_ellipsis",
    ),
    (
        "max_bullet_lines",
        0.9,
        "- 나\n\n" * 9 + "나",
        "\t○ a\r\n" * 10 + "나",
        "gopher_too_many_bullets",
    ),
    (
        "max_ellipsis_lines",
        0.3,
        "나... \n" * 3 + "\n" + "a\n" * 7,
        "a…\r\n" * 4 + "나\n" * 7,
        "gopher_too_many_end_ellipsis",
    ),
    ("min_alpha_words", 0.8, "나 a b ㄱ 1", "a b 나 - 1", "gopher_below_alpha_threshold"),
    ("min_stop_words", 2, "The of cat", "the the cat", "gopher_enough_stop_words"),
    ("min_stop_words", 2, "나는 집에 책", "나는, 너는. 책", "gopher_enough_stop_words"),
]
EVERY_RULE = {rule.field for rule in GopherQuality().rules()}


@pytest.mark.parametrize(
    ("field", "threshold", "at", "over", "reason"), BOUNDARIES, ids=lambda value: str(value)[:20]
)
def test_a_text_at_a_threshold_stays_and_one_beyond_leaves(field, threshold, at, over, reason):
    only = dict.fromkeys(EVERY_RULE) | {field: threshold}
    if field == "max_hash_ratio":
        at, over = at.replace("word #", "word#"), over.replace("word #", "word#")
    assert reasons(GopherQuality(**only), [at, over]) == [None, reason]
    # With the rule off both stay.
    assert reasons(GopherQuality(**dict.fromkeys(EVERY_RULE)), [at, over]) == [None, None]


def test_every_rule_has_a_boundary_above():
    assert {field for field, *_ in BOUNDARIES} == EVERY_RULE


@pytest.mark.parametrize("text", ["", " ", "\n\u3000\r\n"])
def test_a_text_without_words_has_zeros_and_is_dropped(text):
    measured = measure(GopherQuality(), [text])[0]
    assert measured.pop("script") == "other"
    assert set(measured.values()) == {0}
    assert reasons(GopherQuality(), [text]) == ["gopher_short_doc"]
    assert reasons(GopherQuality(min_words=None), [text]) == ["gopher_below_avg_threshold"]


def test_a_tie_of_scripts_is_not_hangul():
    assert [
        row["script"] for row in measure(GopherQuality(), ["ab 나라", "ab 나라다", "ㅋㅋ", "1"])
    ] == [
        "other",
        "hangul",
        "hangul",
        "other",
    ]


def test_a_list_of_stop_words_is_compared_with_whole_words_of_every_text():
    german = GopherQuality(stop_words=("der", "Über"))
    counts = [row["stop_word_count"] for row in measure(german, ["Der über", "derb", "나는 집에"])]
    assert counts == [2, 0, 0]


def test_a_bound_for_one_script_says_nothing_of_the_other():
    only = {**dict.fromkeys(EVERY_RULE), "min_mean_word_length_hangul": 100}
    assert reasons(GopherQuality(**only), ["the cat", "가 나"]) == [
        None,
        "gopher_below_avg_threshold",
    ]
    only = {**dict.fromkeys(EVERY_RULE), "min_mean_word_length": 100}
    assert reasons(GopherQuality(**only), ["the cat", "가 나"]) == [
        "gopher_below_avg_threshold",
        None,
    ]


def test_marks_are_words_to_datatrove_but_for_the_counts_of_words():
    (plain,) = measure(GopherQuality(), ["Well, it's so."])
    (theirs,) = measure(GopherQuality(profile="datatrove-0.10"), ["Well, it's so."])
    assert (plain["word_count"], plain["alpha_word_ratio"]) == (3, 1.0)
    # Well , it 's so .
    assert (theirs["word_count"], theirs["alpha_word_ratio"]) == (4, 4 / 6)
    assert theirs["mean_word_length"] == (4 + 2 + 2 + 2) / 4


def test_datatrove_compares_stop_words_with_their_case_and_counts_blank_lines():
    text = "The\n\n- of\n"
    (plain,) = measure(GopherQuality(), [text])
    (theirs,) = measure(GopherQuality(profile="datatrove-0.10"), [text])
    assert (plain["stop_word_count"], plain["bullet_line_ratio"]) == (2, 1 / 2)
    assert (theirs["stop_word_count"], theirs["bullet_line_ratio"]) == (1, 1 / 3)


def test_profiles_for_english_drop_korean_that_those_for_korean_keep():
    # Eojeols of two syllables, and no English word among them.
    prose = "나는 오늘 책을 한 권 샀다. 너는 이 노래 알아? 나도 꼭 가 볼게. " * 6
    for profile in ("paper", "datatrove-0.10"):
        assert reasons(GopherQuality(profile=profile), [prose, ENGLISH])[0] is not None
    for profile in ("datatools", "fineweb2-korean"):
        assert reasons(GopherQuality(profile=profile), [prose, KOREAN]) == [None, None]


def test_batches_do_not_matter():
    texts = [KOREAN, "", ENGLISH, "나는 나는", "the the"]
    together = measure(GopherQuality(), texts)
    assert together == [measure(GopherQuality(), [text])[0] for text in texts]
