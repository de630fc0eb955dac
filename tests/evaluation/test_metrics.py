"""Metrics of ranks: values by arithmetic, against a second implementation, and properties that must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.evaluation import coverage, hit_rate, mrr, ndcg
from workbench.evaluation.intervals import bootstrap_coverage, bootstrap_means, percentile_interval
from workbench.evaluation.metrics import mean_ranks

METRICS = [hit_rate, ndcg, mrr]
some_ranks = st.lists(st.one_of(st.integers(1, 60).map(float), st.just(math.inf)), min_size=1, max_size=50)


def test_values_by_arithmetic():
    ranks = [1, 2, 10, 11, math.inf]
    assert hit_rate(ranks, k=10) == pytest.approx(3 / 5)
    assert ndcg(ranks, k=10) == pytest.approx((1 + 1 / math.log2(3) + 1 / math.log2(11)) / 5)
    assert mrr(ranks, k=10) == pytest.approx((1 + 1 / 2 + 1 / 10) / 5)


def test_the_mean_rank_of_a_tie_may_fall_between_two_places():
    assert hit_rate([10.5], k=10) == 0
    assert ndcg([1.5], k=10) == pytest.approx(1 / math.log2(2.5))


@pytest.fixture
def ranx(monkeypatch):
    """The second implementation, run as plain Python: compiling it takes a minute, 60 users take none."""
    import numba

    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    import ranx

    return ranx


@pytest.mark.parametrize("k", [1, 5, 10])
def test_metrics_agree_with_ranx(ranx, k):
    rng = np.random.default_rng(2)
    users = [f"u{row}" for row in range(60)]
    scores = rng.permuted(np.tile(np.arange(25.0), (60, 1)), axis=1)
    targets = rng.integers(25, size=60)
    qrels = ranx.Qrels({user: {f"i{target}": 1} for user, target in zip(users, targets, strict=True)})
    run = ranx.Run(
        {user: {f"i{i}": float(s) for i, s in enumerate(row)} for user, row in zip(users, scores, strict=True)}
    )
    theirs = ranx.evaluate(qrels, run, [f"hit_rate@{k}", f"ndcg@{k}", f"mrr@{k}"])
    ranks = mean_ranks(scores, targets=targets, allowed=np.ones_like(scores, dtype=bool))
    assert hit_rate(ranks, k=k) == pytest.approx(theirs[f"hit_rate@{k}"])
    assert ndcg(ranks, k=k) == pytest.approx(theirs[f"ndcg@{k}"])
    assert mrr(ranks, k=k) == pytest.approx(theirs[f"mrr@{k}"])


@given(ranks=some_ranks, seed=st.integers(0, 9), k=st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_the_order_of_users_changes_nothing(ranks, seed, k):
    shuffled = np.random.default_rng(seed).permutation(ranks)
    for metric in METRICS:
        assert metric(shuffled, k=k) == pytest.approx(metric(ranks, k=k))


@given(ranks=some_ranks, k=st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_metrics_lie_between_zero_and_one_and_grow_with_k(ranks, k):
    for metric in METRICS:
        assert 0 <= metric(ranks, k=k) <= metric(ranks, k=k + 5) <= 1


@given(n_items=st.integers(2, 40), n_users=st.integers(1, 10), seed=st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_an_all_equal_scorer_gets_the_mean_rank_and_an_oracle_rank_one(n_items, n_users, seed):
    targets = np.random.default_rng(seed).integers(n_items, size=n_users)
    allowed = np.ones((n_users, n_items), dtype=bool)
    equal = mean_ranks(np.zeros((n_users, n_items)), targets=targets, allowed=allowed)
    assert equal.tolist() == [(n_items + 1) / 2] * n_users
    oracle = mean_ranks(np.eye(n_items)[targets], targets=targets, allowed=allowed)
    assert ndcg(oracle, k=1) == 1


@given(seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_renumbering_the_items_changes_no_rank(seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(4, size=(5, 12)).astype(float)
    allowed, targets = rng.random((5, 12)) < 0.7, rng.integers(12, size=5)
    order = rng.permutation(12)
    moved = mean_ranks(scores[:, order], targets=np.argsort(order)[targets], allowed=allowed[:, order])
    assert moved.tolist() == mean_ranks(scores, targets=targets, allowed=allowed).tolist()


def test_coverage_counts_every_item_once():
    assert coverage([["a", "b"], ["a", "c"]], n_items=6) == 3 / 6


@pytest.mark.parametrize(
    ("ranks", "k", "message"),
    [([], 10, "empty"), ([1], 0, "k is 0"), ([0.5], 10, "start at 1"), ([math.nan], 10, "nan")],
)
def test_bad_ranks_give_one_clear_error(ranks, k, message):
    with pytest.raises(ValueError, match=message):
        ndcg(ranks, k=k)


def test_the_interval_of_a_share_is_as_wide_as_theory_says():
    hits = np.repeat([1.0, 0.0], [300, 700])[:, None]
    low, high = percentile_interval(bootstrap_means(hits, seed=1))
    half = 1.96 * math.sqrt(0.3 * 0.7 / 1000)  # the normal approximation
    assert low[0] == pytest.approx(0.3 - half, abs=0.004)
    assert high[0] == pytest.approx(0.3 + half, abs=0.004)


def test_the_same_seed_gives_the_same_interval_and_another_seed_another():
    values = np.random.default_rng(0).random((50, 2))
    assert np.array_equal(bootstrap_means(values, seed=3), bootstrap_means(values, seed=3))
    assert not np.array_equal(bootstrap_means(values, seed=3), bootstrap_means(values, seed=4))


def test_the_interval_of_coverage_contains_the_coverage():
    shown = np.random.default_rng(0).integers(200, size=(60, 5))
    low, high = percentile_interval(bootstrap_coverage(shown, n_items=200))
    assert 0 < low < len(np.unique(shown)) / 200 < high < 1
