"""Wishes made from what users really met next: does a history help to answer a request, and a request a history?

For every test user one or two attributes of the held-out item are asked for in words the model was trained on. Four
ways to answer are compared on the rank of that very item, seen items removed:

- ``history``: the history alone, the wish ignored;
- ``request``: the wish alone, the history ignored;
- ``filter``: ranked by the history, then everything that does not carry the attributes is taken out;
- ``both``: history and wish in one prompt.

The filter is told the attributes themselves and cannot misunderstand; the others only read the words.
"""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.evaluation import PairedDifference
from workbench.evaluation.intervals import bootstrap_means, percentile_interval
from workbench.evaluation.metrics import mean_ranks, ndcg_values
from workbench.language.requests import held_out, phrase, read_requests
from workbench.models import GPT2Recommender

WAYS = ("history", "request", "filter", "both")
OTHERS = {"filter": "rank by history, then filter", "request": "the request alone"}


def draw_wishes(split: Split, *, seed: int = 0) -> pd.DataFrame:
    """One wish per test user whose held-out item has attributes that training may combine.

    Returns:
        Index ``user_id``; columns ``request`` (the words), ``combination`` and ``target`` (catalog row).
    """
    catalog = split.dataset.catalog
    attributes = read_requests(catalog, at_most=1).item_attributes
    rows = pd.Index(catalog["item_id"]).get_indexer(split.test["item_id"])
    rng = np.random.default_rng(seed)
    wishes = []
    for user, row in zip(split.test["user_id"], rows, strict=True):
        own = [c for size in (1, 2) for c in combinations(attributes[row], size) if not held_out(c)]
        if own:
            combination = own[rng.integers(len(own))]
            words = phrase(combination, rng, language="zh" if rng.random() < 0.5 else "en")
            wishes.append((user, words, combination, row))
    return pd.DataFrame(wishes, columns=["user_id", "request", "combination", "target"]).set_index("user_id")


def wish_ndcg(recommender: GPT2Recommender, split: Split, wishes: pd.DataFrame) -> pd.DataFrame:
    """NDCG@10 of each user's held-out item, one column per way to answer."""
    known = split.histories("test")
    histories = {user: known[user] for user in wishes.index}
    nobody, requests = {user: [] for user in wishes.index}, wishes["request"].to_dict()
    items = pd.Index(split.dataset.catalog["item_id"])
    matching = read_requests(split.dataset.catalog, at_most=2).matches
    unseen = np.ones((len(wishes), len(items)), dtype=bool)
    matches = np.zeros_like(unseen)
    for row, (history, combination) in enumerate(zip(histories.values(), wishes["combination"], strict=True)):
        unseen[row, items.get_indexer(history)] = False
        matches[row, matching[combination]] = True
    by_history = recommender.log_probabilities(histories)
    answers = {
        "history": (by_history, unseen),
        "request": (recommender.log_probabilities(nobody, request=requests), unseen),
        "filter": (by_history, unseen & matches),
        "both": (recommender.log_probabilities(histories, request=requests), unseen),
    }
    targets = wishes["target"].to_numpy()
    ranks = {way: mean_ranks(scores, targets=targets, allowed=allowed) for way, (scores, allowed) in answers.items()}
    return pd.DataFrame({way: ndcg_values(ranks[way], k=10) for way in WAYS}, index=wishes.index)


def compare_ways(recommenders: Sequence[GPT2Recommender], split: Split, *, seed: int = 0) -> dict:
    """Mean NDCG@10 of every way over the recommenders, and how far ``both`` lies ahead of ``filter`` and ``request``.

    All intervals are 95 % bootstrap intervals over users; the differences are paired.
    """
    wishes = draw_wishes(split, seed=seed)
    values = sum(wish_ndcg(one, split, wishes) for one in recommenders) / len(recommenders)
    for other in OTHERS:
        values[f"both - {other}"] = values["both"] - values[other]
    lows, highs = percentile_interval(bootstrap_means(values.to_numpy(), seed=seed))
    figures = {
        name: {"ndcg@10": float(values[name].mean()), "low": float(low), "high": float(high)}
        for name, low, high in zip(values, lows, highs, strict=True)
    }
    finding = " ".join(
        str(as_difference(figures[f"both - {other}"], name, n_users=len(wishes), n_runs=len(recommenders)))
        for other, name in OTHERS.items()
    )
    return {"ways": figures, "users": len(wishes), "seeds": len(recommenders), "finding": finding}


def as_difference(figures: dict[str, float], other: str, *, n_users: int, n_runs: int) -> PairedDifference:
    """The difference between ``both`` and another way, which says of itself whether it holds."""
    names = ("history and request in one prompt", other)
    mean, low, high = figures["ndcg@10"], figures["low"], figures["high"]
    return PairedDifference(mean, low, high, n_users=n_users, metric="ndcg", k=10, names=names, n_runs=(n_runs, n_runs))
