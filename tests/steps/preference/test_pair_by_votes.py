import math
from datetime import datetime
from fractions import Fraction

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.records import SCHEMAS, make_id
from datatools.steps.base import Batch, Context
from datatools.steps.preference.pair_by_votes import PairByVotes

ENGLISH = ["Boil it for six minutes.", "Use cold water.", "Ask a cook.", "Steam it."]
KOREAN = ["6분 삶으세요.", "찬물부터 삶으세요.", "요리사에게 물어보세요.", "찌세요."]
EARLY, LATE = "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"


def answer(text, votes, *, id=None, date=None, accepted=False):
    return {"id": id or text, "text": text, "votes": votes, "date": date, "accepted": accepted}


def threads(*answer_lists) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": [f"t{row}" for row in range(len(answer_lists))],
            "group_id": [f"g{row}" for row in range(len(answer_lists))],
            "doc_id": ["d"] * len(answer_lists),
            "language": ["ko"] * len(answer_lists),
            "question": ["계란은 어떻게 삶나요?"] * len(answer_lists),
            "answers": list(answer_lists),
        },
        schema_overrides={"answers": SCHEMAS["thread"]["answers"]},
    )


def run(*answer_lists, **fields):
    return PairByVotes(**fields).bind(Context()).flat_map(Batch(threads(*answer_lists)))


def winners(expanded) -> list[tuple[str, str]]:
    return [
        (chosen[0]["content"], rejected[0]["content"])
        for chosen, rejected in expanded.children.select("chosen", "rejected").iter_rows()
    ]


@pytest.mark.parametrize("said", [ENGLISH, KOREAN])
def test_the_answer_with_more_votes_wins_if_it_is_not_the_older_one(said):
    a, b, *_ = said
    later = run([answer(a, 8, date=LATE), answer(b, 2, date=EARLY)])
    assert winners(later) == [(a, b)]
    assert later.children["strength"].to_list() == [2.0]
    assert later.children["weight"].to_list() == [1.0]
    assert later.dropped.to_list() == [None]
    earlier = run([answer(a, 8, date=EARLY), answer(b, 2, date=LATE)])
    assert earlier.children.height == 0
    assert earlier.dropped.to_list() == ["no_pair:earlier_winner"]
    assert earlier.detail.to_list() == ["1 earlier_winner"]


def test_a_pair_is_a_prompt_and_two_continuations():
    a, b, *_ = KOREAN
    child = run([answer(a, 8, id="1"), answer(b, 2, id="2")]).children.row(0, named=True)
    blank = {"name": None, "tool_calls": None}
    assert child["prompt"] == [
        {"role": "user", "content": "계란은 어떻게 삶나요?", "train": False, **blank}
    ]
    assert child["chosen"] == [{"role": "assistant", "content": a, "train": True, **blank}]
    assert child["rejected"] == [{"role": "assistant", "content": b, "train": True, **blank}]
    assert (child["group_id"], child["doc_id"], child["language"]) == ("g0", "d", "ko")
    assert (child["parent"], child["key"]) == (0, make_id("1", "2"))


def test_children_have_the_columns_of_a_preference_and_a_weight():
    schema = dict(run([answer("a", 2), answer("b", 1)]).children.drop("parent", "key").schema)
    expected = {**SCHEMAS["preference"], **PairByVotes().adds()}
    del expected["id"]
    assert schema == expected
    assert dict(run([]).children.drop("parent", "key").schema) == expected


@pytest.mark.parametrize(
    ("dates", "pairs"),
    [
        ((None, None), 1),
        ((EARLY, None), 1),
        ((None, EARLY), 1),
        ((EARLY, EARLY), 1),
        (("2024-01-01", "2024-01-01"), 1),
        (("2024-01-01", "2024-01-01T00:00:01"), 0),
        (("2024-01-01T09:00:00+09:00", "2024-01-01T00:00:00Z"), 1),
        (("2024-01-01T08:59:59+09:00", "2024-01-01T00:00:00Z"), 0),
        (("어제", EARLY), 1),
    ],
)
def test_dates_are_compared_as_moments_and_only_if_both_are_known(dates, pairs):
    won, lost = dates
    children = run([answer("a", 9, date=won), answer("b", 2, date=lost)]).children
    assert children.height == pairs


@pytest.mark.parametrize(
    ("answers", "fields", "reason"),
    [
        ([], {}, "one_answer"),
        (None, {}, "one_answer"),
        ([answer("a", 9)], {}, "one_answer"),
        ([answer("a", 9), answer("b", None)], {}, "votes_unknown"),
        ([answer("a", 9), answer(" \u200b", 1)], {}, "empty_answer"),
        ([answer("가 나", 9), answer("가\u200b  나", 1, id="2")], {}, "equal_text"),
        ([answer("a", 9), answer("b", 0)], {}, "below_min_score"),
        ([answer("a", 9), answer("b", 1)], {"min_score": 2}, "below_min_score"),
        ([answer("a", 9), answer("b", -3)], {}, "below_min_score"),
        ([answer("a", 9), answer("b", 9)], {}, "tie"),
        ([answer("a", 9), answer("b", 7)], {"min_margin": 3}, "below_margin"),
        ([answer("a", 9), answer("b", 7)], {"min_ratio": 1.5}, "below_margin"),
    ],
)
def test_a_thread_without_a_pair_says_which_rule_stopped_it(answers, fields, reason):
    expanded = run(answers, **fields)
    assert expanded.children.height == 0
    assert expanded.dropped.to_list() == [f"no_pair:{reason}"]


def test_the_reason_is_the_rule_that_stopped_the_pair_that_came_furthest():
    answers = [answer("a", 9, date=EARLY), answer("b", 2, date=LATE), answer("c", None)]
    expanded = run(answers)
    assert expanded.dropped.to_list() == ["no_pair:earlier_winner"]
    assert expanded.detail.to_list() == ["2 votes_unknown, 1 earlier_winner"]


def test_pairs_that_were_not_made_are_told_also_when_others_were():
    answers = [answer("a", 9, date=EARLY), answer("b", 4, date=LATE), answer("c", 2)]
    expanded = run(answers)
    assert winners(expanded) == [("a", "c"), ("b", "c")]
    assert expanded.detail.to_list() == ["1 earlier_winner"]


@pytest.mark.parametrize(
    ("accepted", "best", "conflict"), [(3, 4, True), (4, 4, False), (5, 4, False), (None, 4, False)]
)
def test_asker_and_readers_in_conflict_drop_the_thread(accepted, best, conflict):
    answers = [answer("a", accepted, accepted=True), answer("b", best), answer("c", 1)]
    expanded = run(answers)
    assert (expanded.dropped.to_list() == ["accept_vote_conflict"]) == conflict
    assert (expanded.children.height == 0) == conflict
    if conflict:
        assert expanded.detail.to_list() == ["the accepted answer has 3 votes, another 4"]


def test_the_strongest_pairs_are_kept_and_ids_break_ties():
    answers = [answer(id, votes, id=id) for id, votes in (("d", 8), ("c", 4), ("b", 2), ("a", 1))]
    expanded = run(answers, max_pairs_per_question=4)
    # 8:1, then 8:2 and 4:1, then of 8:4, 4:2 and 2:1 the one whose ids sort first.
    assert winners(expanded) == [("d", "a"), ("c", "a"), ("d", "b"), ("b", "a")]
    assert expanded.children["strength"].to_list() == [3.0, 2.0, 2.0, 1.0]
    assert expanded.children["weight"].to_list() == [0.25] * 4
    assert winners(run(answers[::-1], max_pairs_per_question=4)) == winners(expanded)


SCORED = st.lists(
    st.tuples(st.none() | st.integers(-2, 12), st.sampled_from([None, EARLY, LATE])), max_size=7
)


@given(
    SCORED,
    st.integers(1, 3),
    st.sampled_from([1.0, 1.5, 2.0]),
    st.integers(1, 3),
    st.integers(1, 9),
)
def test_pairs_are_those_of_the_rule_written_out(scored, min_score, min_ratio, min_margin, cap):
    answers = [
        answer(f"답 {i}", votes, id=str(i), date=date) for i, (votes, date) in enumerate(scored)
    ]
    expected = []
    for a in answers:
        for b in answers:
            if a is b or a["votes"] is None or b["votes"] is None:
                continue
            if min(a["votes"], b["votes"]) < min_score or a["votes"] <= b["votes"]:
                continue
            if a["votes"] - b["votes"] < min_margin:
                continue
            if Fraction(a["votes"], b["votes"]) < Fraction(min_ratio):
                continue
            dated = a["date"] and b["date"]
            if dated and datetime.fromisoformat(a["date"]) < datetime.fromisoformat(b["date"]):
                continue
            expected.append((-Fraction(a["votes"], b["votes"]), a["id"], b["id"]))
    expected = sorted(expected)[:cap]
    expanded = run(
        answers,
        min_score=min_score,
        min_ratio=min_ratio,
        min_margin=min_margin,
        max_pairs_per_question=cap,
    )
    assert expanded.children["key"].to_list() == [make_id(a, b) for _, a, b in expected]
    strengths = [math.log2(-ratio) for ratio, _, _ in expected]
    assert expanded.children["strength"].to_list() == pytest.approx(strengths, abs=1e-6)
    assert sum(expanded.children["weight"]) == pytest.approx(1 if expected else 0)
    assert (expanded.dropped[0] is None) == bool(expected)


def test_answers_without_ids_are_told_apart_by_their_texts():
    answers = [{**answer("a", 4), "id": None}, {**answer("b", 2), "id": None}]
    key = run(answers).children["key"].to_list()
    assert key == [make_id(make_id("answer", "a"), make_id("answer", "b"))]


def test_batches_may_be_cut_anywhere():
    lists = [
        [answer("a", 4), answer("b", 2)],
        [answer("a", 4)],
        [answer("가", 9), answer("나", 3), answer("다", 1)],
    ]
    whole = run(*lists)
    bound = PairByVotes().bind(Context())
    frame = threads(*lists)
    parts = [bound.flat_map(Batch(frame[row])) for row in range(3)]
    assert (
        pl.concat([part.children for part in parts])
        .drop("parent")
        .equals(whole.children.drop("parent"))
    )
    assert whole.children["parent"].to_list() == [0, 2, 2, 2]


def test_it_runs_on_a_frame_in_memory():
    kept, dropped = PairByVotes(min_score=2).apply(
        threads([answer(KOREAN[0], 8), answer(KOREAN[1], 2)], [answer("a", 1)])
    )
    assert kept["weight"].to_list() == [1.0]
    assert kept["id"].to_list() == [make_id("t0", "PairByVotes", make_id(*KOREAN[:2]))]
    assert dropped["reason"].to_list() == ["expanded", "no_pair:one_answer"]
