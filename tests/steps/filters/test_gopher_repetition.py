import re
from collections import Counter

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datatools.steps.base import Batch, Context
from datatools.steps.filters.gopher_repetition import GopherRepetition

PIECES = [
    "a ",
    "나 ",
    "나는 ",
    "the cat ",
    "\n",
    "\n\n",
    "\r\n",
    " ",
    "😀",
    "\0",
    "\u2028",
    "ㅋㅋ\n",
]
texts = st.lists(st.sampled_from(PIECES), max_size=60).map("".join) | st.text(max_size=50)

ENGLISH = """\
Bread needs little more than flour, water, salt and time. Of these the last is the one that most
people try to save, and it is the one that makes the difference. A dough that rests overnight in
a cool kitchen develops a taste which no amount of kneading can replace, because the yeast works
slowly while other organisms, slower still, add the faint sourness that we call flavour.

Begin in the evening. Stir the flour into the water until no dry patches remain, cover the bowl
and leave it for half an hour; then sprinkle the salt over the top and fold the edges towards
the middle a few times. Nothing about this has to be exact. If the dough sticks to your fingers,
wet them.

In the morning it will have doubled and its surface will tremble when you move the bowl. Turn it
out on a floured board, shape it without pressing out the gas, and let it stand while the oven
grows as hot as it can. Bake until the crust is darker than you think it should be. Wait an hour
before cutting, if anyone in the house will let you.
"""

KOREAN = """\
빵을 만드는 데는 밀가루와 물, 소금 그리고 시간이 있으면 된다. 사람들은 대개 이 가운데 시간을
아끼려 하지만, 맛을 가르는 것은 바로 그 시간이다. 서늘한 부엌에서 하룻밤 쉰 반죽은 아무리 오래
치대도 얻을 수 없는 풍미를 지닌다. 효모가 천천히 일하는 동안 그보다 더 느린 미생물들이 은은한
신맛을 보태 주기 때문이다.

저녁에 시작하자. 마른 가루가 보이지 않을 때까지 물에 밀가루를 섞고, 그릇을 덮어 삼십 분쯤 둔다.
그다음 소금을 위에 뿌리고 가장자리를 가운데로 몇 번 접는다. 정확하지 않아도 괜찮다. 반죽이
손가락에 붙으면 손에 물을 묻히면 된다.

아침이 되면 반죽은 두 배로 부풀어 그릇을 움직일 때마다 표면이 가볍게 떨린다. 덧가루를 뿌린 판에
꺼내어 가스가 빠지지 않도록 모양을 잡고, 오븐이 가장 뜨겁게 달아오를 때까지 그대로 둔다.
겉껍질이 생각보다 더 짙은 색이 될 때까지 굽는다. 집안 식구들이 참아 준다면, 자르기 전에 한
시간은 기다리는 것이 좋다. 남은 빵은 천으로 싸서 바람이 잘 드는 곳에 두었다가 이튿날 살짝 구워
먹는다. 겨울에는 사흘까지도 두고 먹을 수 있지만, 그때까지 남아 있는 일은 거의 없다.
"""


def measure(texts):
    step = GopherRepetition()
    frame = pl.DataFrame({"text": texts}, schema={"text": pl.String})
    measured = step.bind(Context()).measure(Batch(frame))
    assert measured.schema == pl.Schema(step.measures)
    return measured.to_dicts()


def reasons(step, texts):
    """One reason or None per text, by the engine."""
    frame = pl.DataFrame({"text": texts, "n": range(len(texts))}, schema_overrides={"n": pl.Int64})
    kept, dropped = step.apply(frame)
    found = dict(zip(dropped["n"], dropped["reason"], strict=True)) | dict.fromkeys(kept["n"])
    return [found[n] for n in range(len(texts))]


def later_copies(pieces):
    return [piece for i, piece in enumerate(pieces) if piece in pieces[:i]]


def slow_measure(text):
    if not text:
        return dict.fromkeys(GopherRepetition.measures, 0.0)
    stripped = "\n".join(line.strip() for line in text.split("\n"))
    paragraphs = [p for p in re.split(r"\n{2,}", stripped.strip("\n")) if p]
    lines = [line for line in stripped.split("\n") if line]
    words = text.split()
    measured = {
        "characters": len(text),
        "dup_para_frac": len(later_copies(paragraphs)) / max(1, len(paragraphs)),
        "dup_para_char_frac": len("".join(later_copies(paragraphs))) / len(text),
        "dup_line_frac": len(later_copies(lines)) / max(1, len(lines)),
        "dup_line_char_frac": len("".join(later_copies(lines))) / len(text),
    }
    for n in (2, 3, 4):
        grams = Counter(zip(*(words[k:] for k in range(n)), strict=False))
        gram, count = max(grams.items(), key=lambda item: item[1], default=((), 0))
        measured[f"top_{n}_gram"] = len(" ".join(gram)) * count / len(text) if count > 1 else 0.0
    for n in range(5, 11):
        met, repeated, i = set(), 0, 0
        while i + n <= len(words):
            gram = tuple(words[i : i + n])
            repeated += len("".join(gram)) if gram in met else 0
            i += n if gram in met else 1
            met.add(gram)
        measured[f"duplicated_{n}_n_grams"] = repeated / len(text)
    return measured


@settings(deadline=None)
@given(st.lists(texts, max_size=4))
def test_every_measure_equals_its_definition_in_plain_python(texts):
    assert measure(texts) == [slow_measure(text) for text in texts]


@pytest.mark.parametrize("text", [ENGLISH, KOREAN], ids=["English", "Korean"])
def test_good_prose_stays(text):
    assert len(text.split()) > 130
    assert reasons(GopherRepetition(), [text]) == [None]


def distinct(count):
    return [f"w{k:03}" for k in range(count)]  # four characters each


def ngram_text(n, share):
    """1,000 characters whose repeated n-gram has the share asked for; and one a bit more."""
    made = []
    for extra in (0, 1):
        gram = [f"g{k}" for k in range(n)]
        gram[-1] += "x" * (int(1000 * share) - 2 * n + extra)
        text = " ".join(gram) + " 나 " + " ".join(gram) + " "
        made.append(text + "y" * (1000 - len(text)))
        assert len(made[-1]) == 1000
    return made


def top_text(n, share):
    """The same for the top n-gram: said twice, spaces counted."""
    made = []
    for extra in (0, 1):
        size = int(1000 * share) // 2 + extra
        gram = [f"g{k}" for k in range(n)]
        gram[-1] += "x" * (size - len(" ".join(gram)))
        text = " ".join(gram) + " 나 " + " ".join(gram) + " "
        made.append(text + "y" * (1000 - len(text)))
        assert len(made[-1]) == 1000
    return made


def lines_text(copies, others, end):
    return end.join(["같은 줄"] * copies + distinct(others))


BOUNDARIES = [
    # field, threshold, a text exactly at it, a text over it
    ("max_dup_line_frac", 0.30, lines_text(4, 6, "\n"), lines_text(5, 6, "\r\n")),
    ("max_dup_para_frac", 0.30, lines_text(4, 6, "\n\n"), lines_text(5, 6, "\n \n")),
    # 2 later copies of 5 characters in 50; and in 49.
    ("max_dup_line_char_frac", 0.20, "abcde\n" * 3 + "나" * 32, "abcde\n" * 3 + "나" * 31),
    ("max_dup_para_char_frac", 0.20, "abcde\n\n" * 3 + "나" * 29, "abcde\n\n" * 3 + "나" * 28),
    *((f"max_top_{n}_gram", t, *top_text(n, t)) for n, t in ((2, 0.20), (3, 0.18), (4, 0.16))),
    *(
        (f"max_duplicated_{n}_n_grams", t, *ngram_text(n, t))
        for n, t in ((5, 0.15), (6, 0.14), (7, 0.13), (8, 0.12), (9, 0.11), (10, 0.10))
    ),
]
EVERY_RULE = {rule.field for rule in GopherRepetition().rules()}


@pytest.mark.parametrize(("field", "threshold", "at", "over"), BOUNDARIES)
def test_a_text_at_a_threshold_of_table_a1_stays_and_one_beyond_leaves(field, threshold, at, over):
    assert getattr(GopherRepetition(), field) == threshold
    only = dict.fromkeys(EVERY_RULE) | {field: threshold}
    assert reasons(GopherRepetition(**only), [at, over]) == [None, field.removeprefix("max_")]


def test_every_rule_has_a_boundary_above():
    assert {field for field, *_ in BOUNDARIES} | {"min_characters"} == EVERY_RULE


def test_an_empty_text_leaves_where_characters_are_asked_for():
    only = dict.fromkeys(EVERY_RULE) | {"min_characters": 1}
    assert reasons(GopherRepetition(**only), ["", " ", "가"]) == ["empty", None, None]


def test_datatrove_counts_the_empty_line_at_the_end_and_what_is_said_once():
    theirs = GopherRepetition(profile="datatrove-0.10")
    # Lines "", "가", "": one of three is a copy. The only pair of words is all of the text.
    assert reasons(theirs, ["\n가\n", "네 알겠습니다", "", "\n\n"]) == [
        "dup_line_frac",
        "top_2_gram",
        "empty",
        "dup_line_frac",
    ]
    assert reasons(GopherRepetition(), ["\n가\n", "네 알겠습니다", ""]) == [None, None, None]


def test_korean_prose_stays_under_the_thresholds_measured_for_korean():
    assert reasons(GopherRepetition(profile="fineweb2-korean"), [KOREAN, ENGLISH]) == [None, None]


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\u3000\r\n"])
def test_a_text_without_words_repeats_nothing(text):
    (measured,) = measure([text])
    assert measured.pop("characters") == len(text)
    assert set(measured.values()) == {0.0}


def test_blank_lines_are_not_repeated_lines():
    # datatrove issue 273: a page of short paragraphs is not repetitive.
    page = "\n\n\n".join(distinct(20)) + "\n"
    assert measure([page])[0]["dup_line_frac"] == 0
    assert measure([page.replace("\n", "\r\n")])[0]["dup_line_frac"] == 0


def test_one_line_said_once_has_no_top_ngram():
    assert measure(["네 알겠습니다"])[0]["top_2_gram"] == 0


def test_batches_do_not_matter():
    texts = [KOREAN, "", ENGLISH * 2, "가 나 " * 30, "가 나"]
    assert measure(texts) == [measure([text])[0] for text in texts]
