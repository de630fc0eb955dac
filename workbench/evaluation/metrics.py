"""How high the held-out items stand: hit rate, NDCG, MRR, and coverage.

Each accuracy metric is a mean over users of a value that depends only on the rank of that user's held-out item among
*all* items. Sampled candidates are not offered: they can reverse which model looks better (Krichene & Rendle, 2020).
"""

import numpy as np
from numpy.typing import ArrayLike


def hit_values(ranks: ArrayLike, *, k: int = 10) -> np.ndarray:
    """Per user 1 if the held-out item stands in the first k places, else 0; shape (n_users,)."""
    return (_checked(ranks, k=k) <= k).astype(float)


def ndcg_values(ranks: ArrayLike, *, k: int = 10) -> np.ndarray:
    """Per user ``1 / log2(rank + 1)`` in the first k places, else 0; shape (n_users,).

    One held-out item per user makes the ideal gain 1, so nothing is left to divide by (Järvelin & Kekäläinen, 2002).
    """
    ranks = _checked(ranks, k=k)
    return np.where(ranks <= k, 1 / np.log2(ranks + 1), 0.0)


def mrr_values(ranks: ArrayLike, *, k: int = 10) -> np.ndarray:
    """Per user ``1 / rank`` in the first k places, else 0; shape (n_users,)."""
    ranks = _checked(ranks, k=k)
    return np.where(ranks <= k, 1 / ranks, 0.0)


def hit_rate(ranks: ArrayLike, *, k: int = 10) -> float:
    """Share of users, 0 to 1, whose held-out item stands in the first k places.

    Args:
        ranks: 1-based rank of each user's held-out item, shape (n_users,); ``inf`` for an item that was not ranked.
            The mean rank of a tie may be fractional.
        k: Number of places that count.

    Raises:
        ValueError: If there are no users, k is below 1, or a rank is NaN or below 1.

    Example:
        >>> hit_rate([1, 4, float("inf")], k=2)  # one of three
        0.3333333333333333
    """
    return float(hit_values(ranks, k=k).mean())


def ndcg(ranks: ArrayLike, *, k: int = 10) -> float:
    """Mean NDCG@k over users, 0 to 1; see ``ndcg_values`` for the formula and ``hit_rate`` for the arguments.

    Example:
        >>> ndcg([1, 3, float("inf"), 11], k=10)  # (1 + 1/2 + 0 + 0) / 4
        0.375
    """
    return float(ndcg_values(ranks, k=k).mean())


def mrr(ranks: ArrayLike, *, k: int = 10) -> float:
    """Mean reciprocal rank cut at k, 0 to 1; see ``hit_rate`` for the arguments.

    Example:
        >>> mrr([1, 4, float("inf"), 11], k=10)  # (1 + 1/4 + 0 + 0) / 4
        0.3125
    """
    return float(mrr_values(ranks, k=k).mean())


def coverage(shown: ArrayLike, *, n_items: int) -> float:
    """Share of the catalog, 0 to 1, that stands in at least one user's list.

    Args:
        shown: The items of all lists, in any shape; repetitions count once.
        n_items: Number of items in the catalog.

    Raises:
        ValueError: If the catalog is empty.

    Example:
        >>> coverage([["a", "b"], ["b", "c"]], n_items=4)
        0.75
    """
    if n_items < 1:
        raise ValueError(f"n_items is {n_items}; the share of an empty catalog is not defined.")
    return len(np.unique(np.asarray(shown))) / n_items


def mean_ranks(scores: np.ndarray, *, targets: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Rank of each user's target among the allowed items; a tie takes the mean rank.

    This is the same measure as ``evaluate``, for whoever holds all scores at once (tuning, early stopping).

    Args:
        scores: Higher is better, shape (n_users, n_items); compared in float32.
        targets: Column of each user's held-out item, shape (n_users,).
        allowed: True where an item may be shown to a user, shape (n_users, n_items).

    Returns:
        Ranks from 1, shape (n_users,); ``inf`` where the target itself is not allowed.

    Example:
        >>> scores = np.array([[3.0, 2.0, 2.0, 1.0]])
        >>> mean_ranks(scores, targets=np.array([1]), allowed=np.ones((1, 4), dtype=bool))  # places 2 and 3
        array([2.5])
    """
    scores = np.asarray(scores, dtype=np.float32)
    rows = np.arange(len(scores))
    own = scores[rows, targets][:, None]
    above = ((scores > own) & allowed).sum(axis=1)
    tied = ((scores == own) & allowed).sum(axis=1)
    return np.where(allowed[rows, targets], above + (tied + 1) / 2, np.inf)


def _checked(ranks: ArrayLike, *, k: int) -> np.ndarray:
    """The ranks as floats, or one clear error."""
    ranks = np.asarray(ranks, dtype=float)
    if ranks.size == 0:
        raise ValueError("ranks is empty: there is no user to average over. Use a split with held-out items.")
    if k < 1:
        raise ValueError(f"k is {k}; at least one place must count.")
    if not (ranks >= 1).all():
        raise ValueError(f"ranks start at 1 and may be inf; the lowest given is {ranks.min()}.")
    return ranks
