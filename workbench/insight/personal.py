"""Is a list made for this person? One request, two histories: each list is held against both of the people."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
import pandas as pd

from workbench.catalogs.films import Films
from workbench.catalogs.schema import mark_values
from workbench.evaluation import PairedDifference
from workbench.evaluation.intervals import bootstrap_means, percentile_interval
from workbench.models import GPT2Recommender
from workbench.models.vectors import unit_rows

Fit = Callable[[str, Sequence[str]], float]  # of a list of items to a user, larger is better


def exchange_lists(
    recommender: GPT2Recommender,
    histories: Mapping[str, Sequence[str]],
    *,
    fit: Fit,
    request: str,
    k: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Give each user the list of somebody else, and ask how well either fits: the request is the same for all.

    Items that one of a pair has seen are on neither list, so that nothing but the history decides.

    Args:
        recommender: Who recommends.
        histories: ``{user_id: [item_id, ...]}``, oldest first; users are paired at random.
        fit: How well a list of items fits a user.
        request: A wish in words, for everybody.
        k: Length of the lists.
        seed: Of the pairing.

    Returns:
        One row per user: ``user_id``, ``other``, ``own_fit``, ``other_fit`` (of the other's list to this user) and
        ``shared`` (items on both lists).
    """
    users = np.array(sorted(histories))
    order = np.random.default_rng(seed).permutation(users)
    others = dict(zip(order, np.roll(order, 1), strict=True))
    ranking = recommender.rank(histories, request=request, k=len(recommender.catalog))
    lists = {user: own["item_id"].tolist() for user, own in ranking.groupby("user_id")}
    rows = []
    for user, other in others.items():
        seen = set(histories[user]) | set(histories[other])
        own, their = ([item for item in lists[one] if item not in seen][:k] for one in (user, other))
        shared = len(set(own) & set(their))
        rows.append((user, other, fit(user, own), fit(user, their), shared))
    return pd.DataFrame(rows, columns=["user_id", "other", "own_fit", "other_fit", "shared"])


def true_fit(films: Films, histories: Mapping[str, Sequence[str]]) -> Fit:
    """On simulated viewers: the true probability, 0 to 1, that the next film of a viewer is on a list."""
    chances = cache(lambda user: films.probabilities(histories[user], viewer=user))
    return lambda user, items: float(chances(user)[films.positions(items)].sum())


def genre_fit(catalog: pd.DataFrame, histories: Mapping[str, Sequence[str]]) -> Fit:
    """Where nobody knows the truth: cosine, 0 to 1, of the genres of a list with those of a user's history."""
    marks = mark_values(catalog["genres"].fillna("")).set_axis(catalog["item_id"].astype(str), axis=0)

    def profile(items: Sequence[str]) -> np.ndarray:
        return unit_rows(marks.loc[list(items)].to_numpy(dtype=float).sum(axis=0)[None])[0]

    return lambda user, items: float(profile(items) @ profile(histories[user]))


def own_advantage(exchanged: pd.DataFrame, *, k: int = 10, seed: int = 0) -> PairedDifference:
    """How much better a user's own list fits than somebody else's, with a paired 95 % bootstrap interval.

    Example:
        >>> exchanged = pd.DataFrame({"own_fit": [0.4, 0.6], "other_fit": [0.2, 0.4]})
        >>> round(own_advantage(exchanged).mean, 3)
        0.2
    """
    values = (exchanged["own_fit"] - exchanged["other_fit"]).to_numpy()
    low, high = percentile_interval(bootstrap_means(values[:, None], seed=seed))
    names = ("a user's own list", "somebody else's list for the same request")
    return PairedDifference(
        float(values.mean()), float(low[0]), float(high[0]), n_users=len(values), metric="fit", k=k, names=names
    )
