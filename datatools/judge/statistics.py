"""The arithmetic of a verdict: paired effects, intervals, and what a number of seeds can resolve.

Owns: the effect D in bits per byte, its two-level bootstrap and t interval, sign-flip tests, Holm's
correction and the minimal detectable effect. Refuses: models, texts and decisions.

A *loss matrix* is float64 of shape (seeds, documents), in nats: one row per paired run, one column
per reference document. Everything else is derived from two loss matrices and the documents'
`Layout`.

The effect is signed so that a positive D means that the second arm has fewer bits per byte:

    D = mean over seeds of macro average over domains of (bits per byte of A - bits per byte of B)

where a domain's bits per byte is its summed nats / ln 2 / its summed bytes. Swapping the arms
negates D and its interval exactly, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from datatools.records import make_id

__all__ = [
    "BOOTSTRAP_DRAWS",
    "Estimate",
    "Layout",
    "bootstrap_effects",
    "domain_bits",
    "domain_estimates",
    "estimate",
    "holm",
    "macro_bits",
    "minimal_effect",
    "order_interval",
    "sign_flip_p",
    "t_interval",
]

Floats = npt.NDArray[np.float64]

BOOTSTRAP_DRAWS: Final = 1999
"""Draws of a bootstrap. (1999 + 1) x 2.5 % is whole, so that the interval's ends are order
statistics (A. C. Davison, D. V. Hinkley, Bootstrap Methods and their Application, 1997, section
2.4)."""

_DRAWS_AT_ONCE: Final = 256
_EXACT_FLIPS: Final = 14
_RANDOM_FLIPS: Final = 9999


@dataclass(frozen=True)
class Layout:
    """Where each reference document belongs.

    Attributes:
        sizes: int64 of shape (documents,): bytes of UTF-8, above 0.
        domain: int64 of shape (documents,): index into `names`.
        cluster: int64 of shape (documents,): index of the source the document was cut from.
            Documents of one cluster are drawn together; a cluster lies in one domain.
        names: Domain names.
        weights: float64 of shape (domains,), summing to 1: the macro average's weights.
    """

    sizes: npt.NDArray[np.int64]
    domain: npt.NDArray[np.int64]
    cluster: npt.NDArray[np.int64]
    names: tuple[str, ...]
    weights: Floats

    @classmethod
    def of(cls, sizes: Sequence[int], domains: Sequence[str], clusters: Sequence[str]) -> Layout:
        """Number the domains and clusters by name, so that document order does not matter.

        Example:
            >>> Layout.of([10, 20], ["news", "forum"], ["n1", "f1"]).names
            ('forum', 'news')
        """
        names = tuple(sorted(set(domains)))
        index = {name: at for at, name in enumerate(names)}
        places = list(zip(domains, clusters, strict=True))
        pairs = {place: at for at, place in enumerate(sorted(set(places)))}
        return cls(
            sizes=np.array(sizes, dtype=np.int64),
            domain=np.array([index[name] for name in domains], dtype=np.int64),
            cluster=np.array([pairs[place] for place in places], dtype=np.int64),
            names=names,
            weights=np.full(len(names), 1.0 / max(len(names), 1)),
        )

    def by_domain(self, values: Floats) -> Floats:
        """Sum `values` of shape (..., documents) within domains: shape (..., domains)."""
        return _sum_by(values, self.domain, len(self.names))


def _sum_by(values: Floats, group: npt.NDArray[np.int64], groups: int) -> Floats:
    """Sum the last axis by group; sums run in document order, one float64 addition at a time."""
    flat = values.reshape(-1, values.shape[-1])
    summed = np.array([np.bincount(group, row, minlength=groups) for row in flat])
    return summed.reshape(*values.shape[:-1], groups)


def domain_bits(nll: Floats, layout: Layout) -> Floats:
    """Return bits per byte of each domain: documents weigh by their bytes.

    Args:
        nll: Nats of shape (..., documents).
        layout: The documents.

    Returns:
        float64 of shape (..., domains).

    Example:
        >>> layout = Layout.of([1, 3], ["a", "a"], ["x", "y"])
        >>> domain_bits(np.log(2) * np.array([8.0, 4.0]), layout)
        array([3.])
    """
    sizes = layout.by_domain(layout.sizes.astype(np.float64))
    return layout.by_domain(nll) / sizes / math.log(2)


def macro_bits(nll: Floats, layout: Layout) -> Floats:
    """Return bits per byte averaged over domains with the layout's weights: shape (...)."""
    return np.asarray((domain_bits(nll, layout) * layout.weights).sum(axis=-1), dtype=np.float64)


@dataclass(frozen=True)
class Estimate:
    """An effect and how sure we are of it.

    Attributes:
        effect: D in bits per byte; positive when B has fewer.
        low: Lower end of the interval.
        high: Upper end of the interval.
        level: Nominal coverage.
        method: Which interval was the wider: `bootstrap` or `t`.
        seed_effects: D of each paired seed.
    """

    effect: float
    low: float
    high: float
    level: float
    method: Literal["bootstrap", "t"]
    seed_effects: tuple[float, ...]

    @property
    def seeds_for_b(self) -> int:
        """Number of paired seeds in which B has fewer bits per byte."""
        return sum(value > 0 for value in self.seed_effects)

    @property
    def seeds_for_a(self) -> int:
        """Number of paired seeds in which A has fewer bits per byte."""
        return sum(value < 0 for value in self.seed_effects)


def estimate(
    nll_a: Floats,
    nll_b: Floats,
    layout: Layout,
    *,
    key: str,
    level: float = 0.95,
    draws: int = BOOTSTRAP_DRAWS,
) -> Estimate:
    """Estimate D from paired runs and report the wider of two intervals.

    The two-level bootstrap redraws seeds, and independently whole clusters of documents within each
    domain. With three seeds or more there is also a t interval on the seeds' effects: three redrawn
    seeds alone would be too sure of themselves by a factor sqrt(2/3).

    Args:
        nll_a: Nats of arm A, shape (seeds, documents).
        nll_b: Nats of arm B, shape (seeds, documents); row s is paired with row s of `nll_a`.
        layout: The documents.
        key: Names the draws; the same key gives the same interval.
        level: Nominal coverage in (0, 1).
        draws: Bootstrap draws.

    References:
        Bradley Efron, Robert Tibshirani, An Introduction to the Bootstrap, 1993, chapters 12-13.
        Art B. Owen, The Pigeonhole Bootstrap, 2007: rows and columns of a crossed table are redrawn
        independently.

    Example:
        >>> layout = Layout.of([100] * 4, ["a"] * 4, list("wxyz"))
        >>> a = np.full((3, 4), 200.0)
        >>> found = estimate(a, a - 20.0, layout, key="example")
        >>> round(found.effect, 3), round(found.low, 3), round(found.high, 3)
        (0.289, 0.289, 0.289)
    """
    gap = nll_a - nll_b  # (seeds, documents)
    per_seed = macro_bits(gap, layout)  # (seeds,)
    low, high = order_interval(bootstrap_effects(gap, layout, key=key, draws=draws), level)
    method: Literal["bootstrap", "t"] = "bootstrap"
    if len(per_seed) >= 3:
        t_low, t_high = t_interval(per_seed, level)
        if t_high - t_low >= high - low:
            low, high, method = t_low, t_high, "t"
    return Estimate(
        effect=float(per_seed.mean()),
        low=low,
        high=high,
        level=level,
        method=method,
        seed_effects=tuple(float(value) for value in per_seed),
    )


def domain_estimates(
    nll_a: Floats, nll_b: Floats, layout: Layout, *, key: str, level: float = 0.95
) -> dict[str, tuple[Estimate, float]]:
    """Return each domain's estimate with its p value, Holm-corrected over domains.

    These are guardrails, not the endpoint. A domain's p value is the larger of two: flipping the
    signs of its clusters' gaps asks about the documents, and with three seeds or more Student's
    test asks about the seeds.
    """
    found: list[tuple[str, Estimate, float]] = []
    for index, name in enumerate(layout.names):
        member = layout.domain == index
        part = Layout(
            sizes=layout.sizes[member],
            domain=np.zeros(int(member.sum()), dtype=np.int64),
            cluster=np.unique(layout.cluster[member], return_inverse=True)[1],
            names=(name,),
            weights=np.ones(1),
        )
        a, b = nll_a[:, member], nll_b[:, member]
        clusters = _sum_by((a - b).mean(axis=0), part.cluster, int(part.cluster.max()) + 1)
        value = estimate(a, b, part, key=f"{key}/{name}", level=level)
        p = sign_flip_p(clusters, key=f"{key}/{name}")
        found.append((name, value, max(p, _student_p(np.array(value.seed_effects)))))
    corrected = holm([p for _, _, p in found])
    return {name: (value, float(p)) for (name, value, _), p in zip(found, corrected, strict=True)}


def _student_p(values: Floats) -> float:
    """Return the two-sided p value of a zero mean under Student's test; 0 with fewer than three."""
    from scipy.special import stdtr  # type: ignore[import-untyped, unused-ignore] # no stubs

    count = len(values)
    if count < 3:
        return 0.0
    mean, error = abs(float(values.mean())), float(values.std(ddof=1)) / math.sqrt(count)
    if error == 0:
        return float(mean == 0)
    return 2 * float(stdtr(count - 1, -mean / error))


def bootstrap_effects(
    gap: Floats, layout: Layout, *, key: str, draws: int = BOOTSTRAP_DRAWS
) -> Floats:
    """Return redrawn effects: seeds, and independently clusters within each domain.

    Draws come from raw Philox words keyed by `key`, which are the same under every numpy version,
    and depend on the clusters' names but not on the order of documents.

    Args:
        gap: nats of A minus nats of B, shape (seeds, documents).
        layout: The documents.
        key: Names the draws.
        draws: How many.

    Returns:
        float64 of shape (draws,), in bits per byte.

    Complexity:
        O(draws x (clusters x seeds)) time, O(256 x clusters) memory.
    """
    seeds = gap.shape[0]
    seed_share = _draw_counts(f"{key}/seeds", draws, seeds) / seeds  # (draws, seeds)
    total = np.zeros(draws)
    clusters = int(layout.cluster.max()) + 1
    cluster_gap = _sum_by(gap, layout.cluster, clusters)  # (seeds, clusters)
    cluster_size = _sum_by(layout.sizes.astype(np.float64), layout.cluster, clusters)
    cluster_domain = np.zeros(clusters, dtype=np.int64)
    cluster_domain[layout.cluster] = layout.domain
    for index, name in enumerate(layout.names):
        member = np.flatnonzero(cluster_domain == index)
        counts = _draw_counts(f"{key}/clusters/{name}", draws, len(member))
        for start in range(0, draws, _DRAWS_AT_ONCE):
            part = slice(start, start + _DRAWS_AT_ONCE)
            weight = counts[part].astype(np.float64)  # (some draws, clusters)
            nats = weight @ cluster_gap[:, member].T  # (some draws, seeds)
            mean_nats = (nats * seed_share[part]).sum(axis=1)
            total[part] += layout.weights[index] * mean_nats / (weight @ cluster_size[member])
    return total / math.log(2)


def _draw_counts(key: str, draws: int, items: int) -> npt.NDArray[np.uint16]:
    """Draw `items` of `items` with replacement, `draws` times: how often each came up."""
    words = np.random.Philox(key=int(make_id(key), 16)).random_raw(draws * items)
    # The modulus favours low items by items / 2**64: nothing.
    picks = (words % np.uint64(items)).astype(np.int64).reshape(draws, items)
    flat = (picks + np.arange(draws)[:, None] * items).ravel()
    return np.bincount(flat, minlength=draws * items).astype(np.uint16).reshape(draws, items)


def order_interval(values: Floats, level: float) -> tuple[float, float]:
    """Return the central interval between two order statistics, mirrored exactly by negation.

    `numpy.quantile` interpolates from below, so the interval of -x is not exactly the mirror image
    of the interval of x; the k-th smallest and the k-th largest are.

    Example:
        >>> order_interval(np.arange(1.0, 200.0), 0.95)
        (5.0, 195.0)
    """
    ordered = np.sort(values)
    rank = max(1, round((len(ordered) + 1) * (1 - level) / 2))
    return float(ordered[rank - 1]), float(ordered[-rank])


def t_interval(values: Floats, level: float) -> tuple[float, float]:
    """Return Student's interval for the mean of `values`, shape (n,) with n >= 2.

    Example:
        >>> low, high = t_interval(np.array([1.0, 2.0, 3.0]), 0.95)
        >>> round(low, 3), round(high, 3)
        (-0.484, 4.484)
    """
    from scipy.special import stdtrit

    count = len(values)
    mean = float(values.mean())
    half = float(stdtrit(count - 1, 0.5 + level / 2)) * float(values.std(ddof=1)) / count**0.5
    return mean - half, mean + half


def sign_flip_p(values: Floats, *, key: str = "") -> float:
    """Return the two-sided p value of a zero mean, by flipping the signs of `values`.

    Exact up to 14 values (all sign patterns); above that, 9,999 keyed random patterns and the
    observed one. Values that are all zero give 1.

    Args:
        values: Paired differences, shape (n,), independent and symmetric around 0 under the null.
        key: Names the random patterns.

    References:
        Ronald A. Fisher, The Design of Experiments, 1935, section 21.
        Belinda Phipson, Gordon K. Smyth, Permutation P-values Should Never Be Zero, 2010.

    Example:
        >>> sign_flip_p(np.array([1.0, 2.0, 3.0]))
        0.25
    """
    count = len(values)
    if count <= _EXACT_FLIPS:
        patterns = np.arange(1 << count, dtype=np.int64)[:, None] >> np.arange(count) & 1
        extra = 0
    else:
        words = np.random.Philox(key=int(make_id("flip", key), 16)).random_raw(
            _RANDOM_FLIPS * ((count + 63) // 64)
        )
        bits = np.unpackbits(words.view(np.uint8)).reshape(_RANDOM_FLIPS, -1)
        patterns = bits[:, :count].astype(np.int64)
        extra = 1
    sums = np.abs((1 - 2 * patterns) @ values)
    seen = abs(float(values.sum()))
    # Equal sums differ in the last bits by the order of additions.
    reached = int((sums >= seen - 1e-12 * float(np.abs(values).sum())).sum())
    return (reached + extra) / (len(sums) + extra)


def holm(p_values: Sequence[float]) -> Floats:
    """Return Holm's adjusted p values, in the order given.

    References:
        Sture Holm, A Simple Sequentially Rejective Multiple Test Procedure, 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03]).round(6).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return adjusted


def minimal_effect(
    seeds: int,
    *,
    sigma_known: bool,
    paired: bool = False,
    alpha: float = 0.05,
    power: float = 0.8,
) -> float:
    """Return the smallest effect that a two-sided test finds with the given power, in sigmas.

    Args:
        seeds: Runs per arm; at least 2.
        sigma_known: Whether sigma comes from earlier runs (a z test) or from these (a t test).
        paired: Whether sigma is that of the paired difference (a one-sample test) or that of one
            run, with independent arms (a two-sample test).
        alpha: False-positive rate.
        power: Chance to find an effect of this size.

    References:
        Jacob Cohen, Statistical Power Analysis for the Behavioral Sciences, 1988, chapter 2.

    Example:
        >>> [round(minimal_effect(n, sigma_known=False), 2) for n in (2, 3, 5)]
        [5.65, 3.07, 2.02]
        >>> [round(minimal_effect(n, sigma_known=True), 2) for n in (2, 3, 5)]
        [2.8, 2.29, 1.77]
    """
    scale = math.sqrt((1.0 if paired else 2.0) / seeds)
    normal = NormalDist()
    if sigma_known:
        return (normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)) * scale
    from scipy.special import nctdtr, stdtrit

    freedom = (seeds - 1) * (1 if paired else 2)
    critical = float(stdtrit(freedom, 1 - alpha / 2))
    low, high = 0.0, 1000.0
    for _ in range(60):  # the power rises with the effect: halve the bracket
        middle = (low + high) / 2
        found = 1 - float(nctdtr(freedom, middle, critical))
        low, high = (middle, high) if found < power else (low, middle)
    return high * scale
