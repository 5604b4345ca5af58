import itertools
import random

import polars as pl
import pytest
import toys
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jobs import dataset, run_job
from slow_similarity import similar_pairs, similarity

from datatools.errors import ConfigError
from datatools.steps.instruct.group_prompts import GroupPrompts

ASK = [
    "How do I sharpen a kitchen knife at home without a stone",
    "부엌칼을 집에서 숫돌 없이 갈려면 어떻게 해야 하나요",
    "What is the fastest way to learn to read Korean as an adult",
    "어른이 한국어 읽기를 가장 빨리 배우는 방법은 무엇인가요",
    "Why",
    "왜",
    "",
]
REWORDED = ["{}", "{}?", "{}??", "  {}  ", "{} please", "{} 알려 주세요"]


def slow_groups(questions, threshold):
    """Return for each question the position of the first of its component."""
    root = list(range(len(questions)))
    pairs = similar_pairs(questions, threshold, unit="char")
    changed = True
    while changed:
        changed = False
        for i, j in pairs:
            low = min(root[i], root[j])
            if root[i] != low or root[j] != low:
                root[i] = root[j] = low
                changed = True
    return root


def grouped(questions, **settings_):
    frame = pl.DataFrame(
        {"id": [str(i) for i in range(len(questions))], "question": questions},
        schema={"id": pl.String, "question": pl.String},
    )
    kept, dropped = GroupPrompts(**settings_).apply(frame)
    assert dropped.height == 0
    assert kept["id"].to_list() == frame["id"].to_list()
    return [int(group) for group in kept["group_id"]]


questions = st.lists(
    st.builds(str.format, st.sampled_from(REWORDED), st.sampled_from(ASK)), max_size=10
)


@settings(max_examples=10)
@given(questions=questions)
def test_groups_are_the_components_of_similar_questions_named_by_their_first(questions):
    # Far above the threshold the search finds every pair; near it, it may miss one.
    pairs = list(itertools.combinations(questions, 2))
    assume(not any(0.7 <= similarity(a, b, unit="char") < 0.75 for a, b in pairs))
    assert grouped(questions) == slow_groups(questions, 0.7)


def chain():
    """Return questions of which only neighbours are similar."""
    draw = random.Random(5)
    words = ["".join(draw.choices("abcdefghij가나다라마", k=6)) for _ in range(80)]
    return [" ".join(words[at : at + 30]) for at in range(0, 31, 3)]


def test_a_chain_of_rewordings_is_one_group_though_its_ends_differ():
    links = chain()
    assert similarity(links[0], links[1], unit="char") > 0.75
    assert similarity(links[0], links[-1], unit="char") < 0.1
    assert grouped(links) == [0] * len(links)
    shuffled = links[::2] + links[1::2]
    assert grouped(shuffled) == [0] * len(links)


def test_a_lower_threshold_makes_larger_groups():
    base = ASK[0]
    asked = [
        base,
        base.replace("kitchen", "pocket"),
        base.replace("sharpen a kitchen", "clean an old"),
    ]
    sizes = [len(set(grouped(asked, threshold=t))) for t in (0.9, 0.6, 0.3)]
    assert sizes == [3, 2, 1] or sizes == sorted(sizes, reverse=True)
    assert sizes[0] > sizes[-1]


def test_a_question_alone_is_its_own_group():
    assert grouped(ASK[:4]) == [0, 1, 2, 3]


@pytest.mark.parametrize("unit_bytes", [60, 300, 1 << 20])
def test_groups_do_not_depend_on_shards(tmp_path, unit_bytes):
    path = tmp_path / "a.txt"
    lines = [f"page | {REWORDED[i % 4].format(ASK[i % 5])}" for i in range(40)]
    path.write_text("\n".join(lines) + "\n")
    source = toys.ReadLines(paths=(str(path),), unit_bytes=unit_bytes)
    run_job(tmp_path / "out", {"a": dataset(source, toys.Questions(), GroupPrompts())})
    frame = pl.read_parquet(tmp_path / "out/a/*.parquet")
    root = slow_groups(frame["question"].to_list(), 0.7)
    assert frame["group_id"].to_list() == [frame["id"][at] for at in root]
    # `why?` is shorter than a shingle and `why??` is not: five questions, and one of those apart.
    assert frame["group_id"].n_unique() == 6


def test_a_threshold_that_no_bands_can_find_is_refused():
    with pytest.raises(ConfigError, match=r"no bands of 128 permutations reach a recall of 0.98"):
        GroupPrompts(threshold=0.01)
