"""Rankers that only count: the floors that a language model must beat.

They are small, quick and often hard to beat, and a table without one of them says "no floor". All of them fit on the
train events alone. ``tune`` tries a stated grid of settings on the validation items and keeps the best by NDCG@10;
counts are shared between settings, so that a grid costs seconds.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import linalg, sparse

from workbench.models.floor import CountingRanker, Scorer


@dataclass(eq=False)
class Popularity(CountingRanker):
    """The same list for everybody: what was met most often, lately if ``half_life`` is set.

    Attributes:
        half_life: Days after which an event counts half; None counts all events alike.

    Raises:
        ValueError: If ``half_life`` is set and the events have no timestamps.

    Example:
        >>> import pandas as pd
        >>> train = pd.DataFrame({"user_id": list("uvw"), "item_id": list("aab"), "position": [0, 0, 0]})
        >>> Popularity().fit(train).rank({"x": []})["item_id"].tolist()
        ['a', 'b']
    """

    grid: ClassVar = {"half_life": (None, 1000.0, 300.0, 100.0, 30.0, 10.0, 3.0)}
    half_life: float | None = None

    def _scorer(self) -> Scorer:
        popularity = self._counts
        if self.half_life is not None:
            if self._ages is None:
                raise ValueError(f"half_life={self.half_life} days needs timestamps; these events only have an order.")
            weights = 0.5 ** (self._ages / self.half_life)
            popularity = np.bincount(self._codes, weights=weights, minlength=len(self.items))
        return lambda histories: np.broadcast_to(popularity, (len(histories), len(popularity)))

    def _choices(self) -> dict[str, tuple]:
        return self.grid if self._ages is not None else {"half_life": (None,)}


@dataclass(eq=False)
class Transitions(CountingRanker):
    """What came directly after the last items: first-order transition counts, smoothed by popularity.

    The score of item j after item i is ``(n(i -> j) + smoothing * share(j)) / (n(i) + smoothing)``, summed over the
    ``last`` items of the history, the m-th last weighted by ``1 / m``. Repeats of one item lead nowhere.

    Attributes:
        last: Number of items at the end of the history that count.
        smoothing: Weight of popularity, in transitions; more of it shrinks rarely seen items towards popularity.
    """

    grid: ClassVar = {"last": (1, 2, 3, 5), "smoothing": (0.1, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)}
    last: int = 1
    smoothing: float = 10.0

    def _scorer(self) -> Scorer:
        follows = self._once("follows", lambda: _pairs_at_distance(self._users, self._codes, 1, n=len(self.items)))
        total = np.asarray(follows.sum(axis=1)).ravel() + self.smoothing
        rates = sparse.diags_array(1 / total) @ follows
        share = self._counts / self._counts.sum()

        def score(histories: list[np.ndarray]) -> np.ndarray:
            weights = _last_items(histories, last=self.last, n=len(self.items))
            popular = weights @ (self.smoothing / total)  # (n_users,)
            scores = (weights @ rates).toarray() + popular[:, None] * share
            return np.where(popular[:, None] > 0, scores, share)

        return score


@dataclass(eq=False)
class CoOccurrence(CountingRanker):
    """What stood near the last items in other people's sequences.

    The weight of a pair (i, j) is the number of times j stood within ``window`` events of i, each divided by the
    distance if ``decay`` is set. It is divided by ``count(i) ** source_power * count(j) ** target_power`` (both 0.5 is
    the cosine) and summed over the ``last`` items i of the history, the m-th last weighted by ``1 / m``. Items with
    no such pair follow by popularity.

    Attributes:
        window: Largest distance of a pair, in events.
        symmetric: Whether j may also stand before i; otherwise only after it.
        decay: Whether near pairs weigh more.
        source_power: How much the popularity of an item of the history is discounted.
        target_power: How much the popularity of a recommended item is discounted.
        last: Number of items at the end of the history that count.
    """

    grid: ClassVar = {
        "symmetric": (False, True),
        "decay": (False, True),
        "window": (5, 10, 20, 50),
        "source_power": (0.5, 1.0),
        "target_power": (0.0, 0.25, 0.5, 0.75, 1.0),
        "last": (10,),
    }
    may_be_zero: ClassVar = ("symmetric", "decay", "source_power", "target_power")
    window: int = 10
    symmetric: bool = True
    decay: bool = False
    source_power: float = 1.0
    target_power: float = 0.25
    last: int = 10

    def _scorer(self) -> Scorer:
        pairs = self._pairs()
        counts = np.maximum(self._counts, 1)
        source, target = counts**-self.source_power, counts**-self.target_power

        def score(histories: list[np.ndarray]) -> np.ndarray:
            weights = _last_items(histories, last=self.last, n=len(self.items)) @ sparse.diags_array(source)
            return self._or_popular((weights @ pairs).toarray() * target)

        return score

    def _pairs(self) -> sparse.csr_array:
        """Weighted counts of pairs; the latest are kept, so that a larger window of their kind can grow out of them."""
        kind, n = (self.symmetric, self.decay), len(self.items)
        done, pairs = self._shared.get(kind, (0, sparse.csr_array((n, n), dtype=np.float32)))
        if done > self.window:
            done, pairs = 0, sparse.csr_array((n, n), dtype=np.float32)
        for distance in range(done + 1, self.window + 1):
            found = _pairs_at_distance(self._users, self._codes, distance, n=n)
            if self.symmetric:
                found = found + found.T
            pairs = pairs + (found / np.float32(distance) if self.decay else found)
        self._shared = {kind: (self.window, pairs)}
        return pairs


@dataclass(eq=False)
class EASE(CountingRanker):
    """The best linear item-to-item model in closed form (Steck, 2019), blind to order.

    With X the users-by-items matrix of the train events (0 or 1) and ``P = (X'X + regularisation * I) ** -1``, the
    weight of item i for item j is ``-P[i, j] / P[j, j]``, and nothing for itself.

    Attributes:
        regularisation: Added to the diagonal; in users.
    """

    grid: ClassVar = {"regularisation": (30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)}
    regularisation: float = 300.0

    def _scorer(self) -> Scorer:
        gram = self._once("gram", self._gram)
        weights = _ease_weights(gram, regularisation=self.regularisation)
        share = self._counts / self._counts.sum()

        def score(histories: list[np.ndarray]) -> np.ndarray:
            met = _binary([np.unique(history) for history in histories], n=len(self.items))
            scores = met @ weights
            empty = np.array([len(history) == 0 for history in histories], dtype=bool)
            return np.where(empty[:, None], share, scores)

        return score

    def _gram(self) -> np.ndarray:
        """X'X: in how many train sequences two items stand together, shape (n_items, n_items)."""
        marks = np.ones(len(self._codes), dtype=np.float32)
        met = sparse.csr_array((marks, (self._users, self._codes)), shape=(self._users.max() + 1, len(self.items)))
        met.data[:] = 1  # csr_array has added up repeated pairs
        return (met.T @ met).toarray()


def _pairs_at_distance(users: np.ndarray, codes: np.ndarray, distance: int, *, n: int) -> sparse.csr_array:
    """How often the second item stood ``distance`` events after the first for one user; never an item with itself."""
    first, second = codes[:-distance], codes[distance:]
    kept = (users[:-distance] == users[distance:]) & (first != second)
    return sparse.csr_array((np.ones(kept.sum(), dtype=np.float32), (first[kept], second[kept])), shape=(n, n))


def _last_items(histories: list[np.ndarray], *, last: int, n: int) -> sparse.csr_array:
    """Weights ``1 / m`` of the m-th last item of every history, shape (n_users, n_items)."""
    ends = [history[::-1][:last] for history in histories]
    weights = np.concatenate([1 / np.arange(1, len(end) + 1) for end in ends] or [[]])
    rows = np.repeat(np.arange(len(ends)), [len(end) for end in ends])
    return sparse.csr_array((weights, (rows, np.concatenate(ends or [[]]).astype(int))), shape=(len(ends), n))


def _binary(histories: list[np.ndarray], *, n: int) -> sparse.csr_array:
    """1 where an item stands in a history, shape (n_users, n_items)."""
    rows = np.repeat(np.arange(len(histories)), [len(history) for history in histories])
    marks = np.ones(len(rows), dtype=np.float32)
    return sparse.csr_array((marks, (rows, np.concatenate(histories or [[]]).astype(int))), shape=(len(histories), n))


def _ease_weights(gram: np.ndarray, *, regularisation: float) -> np.ndarray:
    """The closed form, in float32 by Cholesky: half the work and memory of a general inverse."""
    ridge = gram.astype(np.float32, order="F", copy=True)
    ridge[np.diag_indices_from(ridge)] += np.float32(regularisation)
    factor, problem = linalg.lapack.spotrf(ridge, lower=1, overwrite_a=1)
    inverse, failed = linalg.lapack.spotri(factor, lower=1, overwrite_c=1)
    if problem or failed:
        raise ValueError(f"regularisation={regularisation} is too small for these counts; choose a larger value.")
    inverse = np.tril(inverse) + np.tril(inverse, -1).T  # LAPACK fills one half only
    weights = inverse / -np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights
