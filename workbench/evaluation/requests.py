"""Measures answers to requests in words: how many of the first places carry everything that was asked for."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from workbench.evaluation.intervals import bootstrap_means, percentile_interval


def request_precision(rankings: pd.DataFrame, requests: pd.DataFrame, *, k: int = 10) -> np.ndarray:
    """Precision@min(k, matches) of each request, between 0 and 1: a request that one film fits can still reach 1.

    Args:
        rankings: Rankings table whose ``user_id`` is the row number of the request, as a string.
        requests: Table with ``matches``, a tuple of item ids per request.
        k: Places that are looked at, at most.

    Returns:
        Shape (n_requests,).

    Example:
        >>> requests = pd.DataFrame({"matches": [("a", "b")]})
        >>> shown = pd.DataFrame({"user_id": ["0", "0"], "item_id": ["a", "c"], "rank": [1, 2]})
        >>> request_precision(shown, requests)  # one of min(10, 2) places
        array([0.5])
    """
    shown = dict(list(rankings.groupby("user_id", sort=False)["item_id"]))
    values = np.zeros(len(requests))
    for row, matches in enumerate(requests["matches"]):
        places = min(k, len(matches))
        values[row] = sum(item in set(matches) for item in shown.get(str(row), [])[:places]) / places
    return values


def evaluate_requests(rankers: Mapping[str, object], requests: pd.DataFrame, *, k: int = 10) -> pd.DataFrame:
    """Precision@min(k, matches) of rankers on requests, by whether training used the combination and the phrasing.

    Args:
        rankers: By name; each answers ``rank(histories, k=, request={user_id: words})``.
        requests: From :func:`workbench.language.request_table`.
        k: Places that are looked at, at most.

    Returns:
        Index ``ranker``, ``combination``, ``phrasing`` ("trained" or "held out"); columns ``precision`` (0 to 1), its
        95 % bootstrap interval over requests ``precision_low``, ``precision_high``, and ``requests``, their number.
    """
    histories = {str(row): [] for row in range(len(requests))}
    words = dict(zip(histories, requests["request"], strict=True))
    label = {True: "trained", False: "held out"}
    groups = [requests["trained_combination"].map(label), requests["trained_phrasing"].map(label)]
    rows = []
    for name, ranker in rankers.items():
        values = pd.Series(request_precision(ranker.rank(histories, k=k, request=words), requests, k=k), requests.index)
        for (combination, phrasing), some in values.groupby(groups, sort=False):
            low, high = percentile_interval(bootstrap_means(some.to_numpy()[:, None], seed=0))
            rows.append((name, combination, phrasing, some.mean(), float(low[0]), float(high[0]), len(some)))
    columns = ["ranker", "combination", "phrasing", "precision", "precision_low", "precision_high", "requests"]
    return pd.DataFrame(rows, columns=columns).set_index(["ranker", "combination", "phrasing"])
