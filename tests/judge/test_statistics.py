from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from datatools.judge.statistics import (
    Layout,
    bootstrap_effects,
    domain_bits,
    domain_estimates,
    estimate,
    holm,
    macro_bits,
    minimal_effect,
    order_interval,
    sign_flip_p,
    t_interval,
)


def a_layout(draw: np.random.Generator, documents: int = 60) -> Layout:
    sizes = draw.integers(50, 500, documents)
    domains = [f"domain{at % 3}" for at in range(documents)]
    clusters = [f"cluster{at // 6}" for at in range(documents)]
    return Layout.of(sizes.tolist(), domains, clusters)


def test_bits_per_byte_weigh_documents_by_bytes_and_domains_equally() -> None:
    layout = Layout.of([100, 300, 50], ["x", "x", "y"], ["a", "b", "c"])
    nll = np.array([80.0, 120.0, 70.0])
    x = (80 + 120) / math.log(2) / 400
    y = 70 / math.log(2) / 50
    assert domain_bits(nll, layout) == pytest.approx([x, y])
    assert float(macro_bits(nll, layout)) == pytest.approx((x + y) / 2)


def test_the_effect_is_the_mean_over_seeds_of_macro_averages() -> None:
    draw = np.random.default_rng(0)
    layout = a_layout(draw)
    a, b = draw.uniform(50, 400, (2, 4, 60))
    expected = []
    for seed in range(4):
        per_domain = []
        for name in range(3):
            documents = [at for at in range(60) if layout.domain[at] == name]
            nats = sum(a[seed, at] - b[seed, at] for at in documents)
            per_domain.append(nats / math.log(2) / sum(layout.sizes[at] for at in documents))
        expected.append(sum(per_domain) / 3)
    found = estimate(a, b, layout, key="k")
    assert found.seed_effects == pytest.approx(expected)
    assert found.effect == pytest.approx(sum(expected) / 4)
    assert found.seeds_for_b == sum(one > 0 for one in expected)
    assert found.seeds_for_a == sum(one < 0 for one in expected)


def test_the_t_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, 7)
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    assert t_interval(values, 0.9) == pytest.approx((expected.low, expected.high))


def test_the_bootstrap_agrees_with_a_slow_one_that_copies_documents() -> None:
    draw = np.random.default_rng(2)
    layout = a_layout(draw)
    gap = draw.normal(5, 20, (3, 60)) + draw.normal(0, 10, (3, 1))
    members = {
        name: [
            [at for at in range(60) if layout.cluster[at] == cluster]
            for cluster in sorted(set(layout.cluster[layout.domain == name].tolist()))
        ]
        for name in range(3)
    }
    slow = []
    for _ in range(1500):
        seeds = draw.integers(0, 3, 3)
        effect = 0.0
        for clusters in members.values():
            picked = draw.integers(0, len(clusters), len(clusters))
            documents = [at for one in picked for at in clusters[one]]
            nats = gap[seeds][:, documents].sum(axis=1).mean()
            effect += nats / math.log(2) / layout.sizes[documents].sum() / 3
        slow.append(effect)
    quick = bootstrap_effects(gap, layout, key="k")
    spread = float(np.std(slow))
    assert float(quick.mean()) == pytest.approx(float(np.mean(slow)), abs=0.15 * spread)
    assert float(quick.std()) == pytest.approx(spread, rel=0.1)
    quick_low, quick_high = order_interval(quick, 0.95)
    slow_low, slow_high = np.quantile(slow, [0.025, 0.975])
    assert quick_low == pytest.approx(slow_low, abs=0.35 * spread)
    assert quick_high == pytest.approx(slow_high, abs=0.35 * spread)


def test_the_wider_interval_is_reported() -> None:
    draw = np.random.default_rng(3)
    layout = a_layout(draw)
    noise = draw.normal(0, 30, 60)
    alike = np.tile(200.0 + noise, (3, 1))  # seeds agree: documents are what is uncertain
    found = estimate(alike, np.full((3, 60), 200.0), layout, key="k")
    assert found.method == "bootstrap"
    apart = np.array([[190.0], [200.0], [230.0]]) + np.zeros(60)  # documents agree
    found = estimate(apart, np.full((3, 60), 200.0), layout, key="k")
    assert found.method == "t"
    expected = t_interval(np.array(found.seed_effects), 0.95)
    assert (found.low, found.high) == pytest.approx(expected)


def test_two_seeds_have_no_t_interval() -> None:
    layout = Layout.of([10, 10], ["x", "x"], ["a", "b"])
    found = estimate(np.ones((2, 2)), np.zeros((2, 2)), layout, key="k")
    assert found.method == "bootstrap"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_swapping_the_arms_negates_effect_and_interval_to_the_last_bit(
    seed: int, seeds: int
) -> None:
    draw = np.random.default_rng(seed)
    layout = a_layout(draw)
    a, b = draw.uniform(50, 400, (2, seeds, 60))
    one, other = (
        estimate(a, b, layout, key="k", draws=199),
        estimate(b, a, layout, key="k", draws=199),
    )
    assert (one.effect, one.low, one.high) == (-other.effect, -other.high, -other.low)
    assert one.seed_effects == tuple(-value for value in other.seed_effects)


def test_document_order_changes_an_interval_by_rounding_alone() -> None:
    draw = np.random.default_rng(4)
    sizes = draw.integers(50, 500, 60)
    domains = np.array([f"domain{at % 3}" for at in range(60)])
    clusters = np.array([f"cluster{at // 6}" for at in range(60)])
    a, b = draw.uniform(50, 400, (2, 3, 60))
    found = []
    for order in (np.arange(60), draw.permutation(60)):
        layout = Layout.of(sizes[order].tolist(), domains[order].tolist(), clusters[order].tolist())
        one = estimate(a[:, order], b[:, order], layout, key="k")
        found.append((one.effect, one.low, one.high))
    assert found[0] == pytest.approx(found[1], rel=1e-12)


def test_another_key_draws_otherwise_and_the_same_key_the_same() -> None:
    draw = np.random.default_rng(5)
    layout = a_layout(draw)
    gap = draw.normal(0, 20, (3, 60))
    first = bootstrap_effects(gap, layout, key="one")
    assert np.array_equal(first, bootstrap_effects(gap, layout, key="one"))
    assert not np.array_equal(first, bootstrap_effects(gap, layout, key="two"))


def simulate(draw: np.random.Generator, layout: Layout, effect: float) -> tuple[float, float]:
    """One comparison of three seeds: noise of seeds, of clusters and of documents."""
    clusters = int(layout.cluster.max()) + 1
    scale = layout.sizes * math.log(2)
    per_byte = (
        effect
        + draw.normal(0, 0.01, (3, 1))
        + draw.normal(0, 0.03, clusters)[layout.cluster]
        + draw.normal(0, 0.03, len(scale))
        + draw.normal(0, 0.03, (3, len(scale)))
    )
    gap = per_byte * scale
    found = estimate(gap, np.zeros_like(gap), layout, key="a/a", draws=499)
    return found.low, found.high


def count_misses(effect: float, comparisons: int) -> int:
    draw = np.random.default_rng(20240607)
    documents = 120
    layout = Layout.of(
        draw.integers(300, 1500, documents).tolist(),
        [f"domain{at % 3}" for at in range(documents)],
        [f"cluster{at // 3}" for at in range(documents)],
    )
    intervals = [simulate(draw, layout, effect) for _ in range(comparisons)]
    return sum(not low <= effect <= high for low, high in intervals)


def test_of_a_thousand_a_a_comparisons_at_most_68_are_called() -> None:
    # At a true rate of 5 %, more than 68 would come up once in 180 times.
    assert stats.binom.sf(68, 1000, 0.05) == pytest.approx(1 / 180, rel=0.1)
    called = count_misses(0.0, 1000)
    assert 10 <= called <= 68  # intervals that never miss would be too wide to be of use


def test_intervals_cover_a_true_effect_at_least_as_often_as_they_say() -> None:
    assert 10 <= count_misses(0.05, 1000) <= 68


@pytest.mark.parametrize("count", [2, 5, 9, 12])
def test_exact_sign_flips_agree_with_scipy(count: int) -> None:
    values = np.random.default_rng(count).normal(0.5, 1.0, count)
    expected = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip_p(values) == pytest.approx(expected)


def test_random_sign_flips_come_near_the_exact_value() -> None:
    values = np.random.default_rng(8).normal(0.4, 1.0, 16)
    exact = stats.permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=np.inf
    ).pvalue
    assert sign_flip_p(values, key="k") == pytest.approx(exact, abs=0.015)


def test_differences_of_zero_are_no_evidence() -> None:
    assert sign_flip_p(np.zeros(6)) == 1.0
    assert sign_flip_p(np.zeros(40)) == 1.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_the_closure_of_bonferroni(p_values: list[float]) -> None:
    # A hypothesis is rejected when every set that holds it is, each by Bonferroni.
    expected = []
    for at in range(len(p_values)):
        worst = 0.0
        for size in range(len(p_values)):
            others = [i for i in range(len(p_values)) if i != at]
            for rest in itertools.combinations(others, size):
                members = [p_values[i] for i in (at, *rest)]
                worst = max(worst, min(1.0, len(members) * min(members)))
        expected.append(worst)
    assert holm(p_values) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seeds", "unknown", "known"),
    [
        *((2, 5.65, 2.80), (3, 3.07, 2.29), (4, 2.38, 1.98), (5, 2.02, 1.77)),
        *((6, 1.80, 1.62), (8, 1.51, 1.40), (10, 1.32, 1.25)),
    ],
)
def test_minimal_effects_are_those_of_the_published_table(
    seeds: int, unknown: float, known: float
) -> None:
    assert minimal_effect(seeds, sigma_known=False) == pytest.approx(unknown, abs=0.006)
    assert minimal_effect(seeds, sigma_known=True) == pytest.approx(known, abs=0.006)


def test_a_paired_minimal_effect_is_found_in_four_of_five_simulations() -> None:
    effect = minimal_effect(4, sigma_known=False, paired=True)
    samples = np.random.default_rng(9).normal(effect, 1.0, (4000, 4))
    found = stats.ttest_1samp(samples, 0.0, axis=1).pvalue < 0.05
    assert float(found.mean()) == pytest.approx(0.8, abs=0.03)


def test_domains_are_estimated_apart_and_corrected_together() -> None:
    draw = np.random.default_rng(10)
    layout = a_layout(draw)
    b = np.full((3, 60), 300.0)
    a = b + np.where(layout.domain == 1, 40.0, 0.0) + draw.normal(0, 1.0, (3, 60))
    found = domain_estimates(a, b, layout, key="k")
    bits = domain_bits(a - b, layout).mean(axis=0)
    assert list(found) == ["domain0", "domain1", "domain2"]
    for at, (value, _) in enumerate(found.values()):
        assert value.effect == pytest.approx(bits[at])
    raw = []
    for at, name in enumerate(found):
        clusters = sorted(set(layout.cluster[layout.domain == at].tolist()))
        gaps = (a - b).mean(axis=0)
        sums = [gaps[(layout.cluster == c) & (layout.domain == at)].sum() for c in clusters]
        over_seeds = stats.ttest_1samp(found[name][0].seed_effects, 0.0).pvalue
        raw.append(max(sign_flip_p(np.array(sums)), over_seeds))
    assert [p for _, p in found.values()] == pytest.approx(holm(raw).tolist())
    assert found["domain1"][1] < 0.05 < found["domain0"][1]


def test_documents_that_agree_do_not_hide_seeds_that_do_not() -> None:
    layout = Layout.of([100] * 12, ["x"] * 12, [str(at) for at in range(12)])
    b = np.full((3, 12), 300.0)
    gap = np.array([[-20.0], [30.0], [50.0]]) + np.zeros(12)
    p = domain_estimates(b + gap, b, layout, key="k")["x"][1]
    assert p == pytest.approx(stats.ttest_1samp([-20, 30, 50], 0.0).pvalue)
    assert domain_estimates(b, b, layout, key="k")["x"][1] == 1.0
