import pytest
from hypothesis import given
from hypothesis import strategies as st

from datatools.errors import DataError
from datatools.steps.shape.budgets import Asked, Held, budgets_of


def held(**sizes):
    return [Held(source, 10, size, size) for source, size in sizes.items()]


def amounts(sources, **asked):
    return {one.source: one.amount for one in budgets_of(sources, Asked(**asked))}


def test_by_default_everything_is_taken_once():
    sizes = {"code": 7, "web": 2**62 + 1, "ko": 3, "none": 0}
    assert amounts(held(**sizes)) == sizes


def test_a_temperature_gives_the_shares_of_the_paper():
    # p ~ size^(1/T), by hand: 16^(1/2) : 81^(1/2) = 4 : 9; with T = 4 2 : 3.
    sources = held(small=16, large=81)
    assert amounts(sources, temperature=2, total=13, max_epochs=9) == {"small": 4, "large": 9}
    assert amounts(sources, temperature=4, total=25, max_epochs=9) == {"small": 10, "large": 15}
    assert amounts(sources, temperature=1, total=97) == {"small": 16, "large": 81}


def test_without_a_total_the_largest_mix_that_keeps_the_shares_is_taken():
    sources = held(code=100, web=1000)
    assert amounts(sources, weights={"code": 1, "web": 3}) == {"code": 100, "web": 300}
    more = {"code": 4, "web": 1}
    found = amounts(sources, weights={"code": 1, "web": 3}, max_epochs=more)
    assert found == {"code": 333, "web": 1000}


def test_what_a_source_lacks_others_give_in_proportion():
    sources = held(a=10, b=1000, c=1000)
    weights = {"a": 2, "b": 1, "c": 3}
    asked = Asked(weights=weights, total=600)
    a, b, c = budgets_of(sources, asked)
    assert (a.asked, a.amount, a.why) == (200, 10, "holds no more within its epochs")
    assert (b.asked, b.amount, b.why) == (100, 148, "gives what others lack")
    assert (c.asked, c.amount) == (300, 442)
    less = amounts(sources, weights=weights, total=600, when_short="less")
    assert less == {"a": 10, "b": 100, "c": 300}


@given(
    sizes=st.lists(st.integers(1, 10**6), min_size=1, max_size=6),
    data=st.data(),
    total=st.integers(1, 10**7),
    epochs=st.integers(1, 4),
)
def test_amounts_add_up_and_keep_within_epochs(sizes, data, total, epochs):
    sources = [Held(str(at), 1, size, size) for at, size in enumerate(sizes)]
    weights = {one.source: data.draw(st.integers(1, 100)) for one in sources}
    asked = Asked(weights=weights, total=total, max_epochs=epochs)
    if total > epochs * sum(sizes) + len(sizes):
        with pytest.raises(DataError, match="is more than the sources hold"):
            budgets_of(sources, asked)
        return
    found = budgets_of(sources, asked)
    assert all(one.amount <= epochs * size for one, size in zip(found, sizes, strict=True))
    gap = min(total, epochs * sum(sizes)) - sum(one.amount for one in found)
    assert abs(gap) <= len(sizes)
    # Whoever is not at its limit gives at least its own share.
    for one, size in zip(found, sizes, strict=True):
        assert one.amount >= one.asked - 1 or one.amount == epochs * size


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"weights": {"code": 1, "wbe": 1}}, "weights.wbe: no record is of this source.*'web'"),
        ({"budgets": {"code": 1}}, "budgets: do not name the source 'web' of 10 records"),
        ({"max_epochs": {"cod": 2}}, "max_epochs.cod: no record is of this source"),
        ({"total": 1200}, "total: is more than the sources hold within their epochs, 1,100 bytes"),
        (
            {"budgets": {"code": 101, "web": 1}},
            "budgets.code: asks for 101 bytes of 'code', which holds 100 within its epochs",
        ),
        (
            {"weights": {"code": 1, "web": 1}, "total": 400, "when_short": "fail"},
            "weights.code: asks for 200 bytes of 'code', which holds 100",
        ),
    ],
)
def test_what_cannot_be_had_is_refused(asked, told):
    with pytest.raises(DataError, match=told):
        budgets_of(held(code=100, web=1000), Asked(**asked))


def test_nothing_is_asked_of_nothing():
    assert budgets_of([], Asked(weights={"code": 1}, total=5)) == []
