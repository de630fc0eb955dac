"""How sure a mean over users is: percentile bootstrap, resampling users (Efron & Tibshirani, 1993)."""

from collections.abc import Iterator

import numpy as np
from scipy import sparse

TAIL = 0.025  # left out at each end: 95 % intervals
REPEATS = 1000


def bootstrap_means(values: np.ndarray, *, seed: int = 0, repeats: int = REPEATS) -> np.ndarray:
    """Means of every column over resampled users, shape (repeats, n_columns).

    Args:
        values: One row per user, one column per quantity, shape (n_users, n_columns).
        seed: The same seed and number of users give the same resamples, so that columns measured in two calls
            stay paired.
        repeats: Number of resamples.

    Raises:
        ValueError: If there are no users.

    Example:
        >>> bootstrap_means(np.ones((5, 2)), repeats=3).tolist()
        [[1.0, 1.0], [1.0, 1.0], [1.0, 1.0]]
    """
    values = np.asarray(values, dtype=float)
    chunks = _draws(len(values), seed=seed, repeats=repeats)
    return np.concatenate([weights @ values / len(values) for weights in chunks])


def bootstrap_coverage(shown: np.ndarray, *, n_items: int, seed: int = 0, repeats: int = REPEATS) -> np.ndarray:
    """Coverage over resampled users, moved so that its mean is the coverage observed; shape (repeats,).

    A resample repeats some users and leaves out others, so it always shows fewer different items than the users
    themselves. Only the spread of the resamples says something; hence the shift.

    Args:
        shown: Item codes of each user's list, shape (n_users, k); -1 where a list is shorter than k.
        n_items: Number of items in the catalog.
        seed: See ``bootstrap_means``.
        repeats: Number of resamples.
    """
    rows, places = np.nonzero(shown >= 0)
    marks = np.ones(len(rows), dtype=np.float32)
    lists = sparse.csr_matrix((marks, (rows, shown[rows, places])), shape=(len(shown), n_items))
    chunks = _draws(len(shown), seed=seed, repeats=repeats)
    samples = np.concatenate([((lists.T @ (weights > 0).T.astype(np.float32)) > 0).mean(axis=0) for weights in chunks])
    observed = len(np.unique(shown[shown >= 0])) / n_items
    return np.clip(samples - samples.mean() + observed, 0, 1)


def percentile_interval(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper end of the central 95 % of the samples, column by column.

    Example:
        >>> low, high = percentile_interval(np.arange(41.0))  # 2.5 % of 40 steps at each end
        >>> float(low), float(high)
        (1.0, 39.0)
    """
    low, high = np.quantile(samples, [TAIL, 1 - TAIL], axis=0)
    return low, high


def _draws(n_users: int, *, seed: int, repeats: int, chunk: int = 50) -> Iterator[np.ndarray]:
    """How often each user is drawn, some resamples at a time; arrays of shape (chunk, n_users)."""
    if n_users == 0:
        raise ValueError("there is no user to resample. Use a split with held-out items.")
    rng = np.random.default_rng(seed)
    for start in range(0, repeats, chunk):
        size = min(chunk, repeats - start)
        drawn = rng.integers(n_users, size=(size, n_users)) + n_users * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=size * n_users).reshape(size, n_users)
