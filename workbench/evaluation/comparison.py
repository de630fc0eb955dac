"""Measures rankers side by side: one table with intervals and a protocol card, and paired differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.evaluation.card import protocol_card
from workbench.evaluation.intervals import bootstrap_coverage, bootstrap_means, percentile_interval
from workbench.evaluation.metrics import coverage, hit_values, mrr_values, ndcg_values
from workbench.evaluation.placement import HeldOutRanks, Ranker, find_ranks

METRICS = {"hit_rate": hit_values, "ndcg": ndcg_values, "mrr": mrr_values}


@dataclass(frozen=True)
class PairedDifference:
    """How far the first ranker lies ahead of the second, user by user.

    Attributes:
        mean: Mean over users of (first - second); positive is better for the first.
        low: Lower end of the 95 % bootstrap interval over users.
        high: Upper end.
        n_users: Number of users.
        metric: "hit_rate", "ndcg" or "mrr".
        k: Cut-off of the metric.
        names: What the two are called.
        n_runs: Number of runs (seeds) that were averaged on each side.
    """

    mean: float
    low: float
    high: float
    n_users: int
    metric: str
    k: int
    names: tuple[str, str] = ("a", "b")
    n_runs: tuple[int, int] = (1, 1)

    @property
    def verdict(self) -> str:
        """Return "ahead of" or "behind" only if the interval excludes zero."""
        if self.low > 0:
            return "ahead of"
        return "behind" if self.high < 0 else "not told apart from"

    def __str__(self) -> str:
        """Return one sentence with the verdict and the figures it rests on."""
        first, second = (
            f"{name} (mean of {runs} runs)" if runs > 1 else name
            for name, runs in zip(self.names, self.n_runs, strict=True)
        )
        return (
            f"{first} is {self.verdict} {second}: {self.metric}@{self.k} differs by {self.mean:+.4f} "
            f"(95 % interval {self.low:+.4f} to {self.high:+.4f}, {self.n_users:,} users)."
        )


def evaluate(
    rankers: Mapping[str, Ranker],
    split: Split,
    *,
    on: Literal["test", "validation"] = "test",
    k: Sequence[int] = (5, 10, 20),
    histories: Mapping[str, Sequence[str]] | None = None,
    exclude_seen: bool = True,
    candidates: Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Measure rankers on the held-out items of a split, ranking the full catalog.

    Users without a history and items that a ranker does not know count as misses. A tie takes the mean rank.

    Args:
        rankers: What to measure, by name; the names become the index.
        split: What was held out.
        on: The held-out table to measure on.
        k: Cut-offs.
        histories: What is known before each held-out event, if it is not ``split.histories(on)`` (an experiment with
            shuffled histories, say).
        exclude_seen: Whether items of the history are left out of the lists.
        candidates: The only items that may be shown; None means all.
        seed: Seed of the bootstrap.

    Returns:
        One row per ranker; columns ``hit_rate@k``, ``ndcg@k``, ``mrr@k``, ``coverage@k`` for every k, all 0 to 1, each
        with ``_low`` and ``_high`` (95 % bootstrap over users). ``.attrs["card"]`` is the protocol card and
        ``.attrs["ranks"]`` holds the ``HeldOutRanks`` by name, which ``compare`` accepts in place of rankers.

    Raises:
        ValueError: If there is nothing to measure, or a ranker's answer is not a rankings table.

    Example:
        >>> from workbench.catalogs import leave_one_out, read_tables
        >>> from workbench.models import Popularity
        >>> items = pd.DataFrame({"item_id": list("abcd"), "title": ["Alien", "Brazil", "Casablanca", "Dune"]})
        >>> events = pd.DataFrame({"user_id": list("uuuvv"), "item_id": list("bcacc"), "position": [0, 1, 2, 0, 1]})
        >>> split = leave_one_out(read_tables(items=items, interactions=events, name="four films"))
        >>> popularity = Popularity().fit(split.train, items=list("abcd"))
        >>> evaluate({"popularity": popularity}, split, k=[1, 2])[["hit_rate@1", "hit_rate@2"]]  # "a" ties with "d"
                    hit_rate@1  hit_rate@2
        ranker
        popularity         0.0         1.0
    """
    _check_question(rankers, split, on=on, k=k)
    known = dict(histories) if histories is not None else split.histories(on)
    catalog = pd.Index(split.dataset.catalog["item_id"], dtype=object)
    targets = _targets(split, on=on, histories=known)
    rules = {"exclude_seen": exclude_seen, "candidates": candidates}
    results = {
        name: find_ranks(ranker, histories=known, targets=targets, catalog=catalog, limit=max(k), **rules)
        for name, ranker in rankers.items()
    }
    rows = [_measure(result, k=k, n_items=len(catalog), seed=seed) for result in results.values()]
    table = pd.DataFrame(rows, index=pd.Index(list(results), name="ranker"))
    card = protocol_card(split, rankers=rankers, results=results, histories=known, on=on, seed=seed, **rules)
    table.attrs = {"card": card, "ranks": results}
    return table


def compare(
    a: Ranker | HeldOutRanks | Sequence[Ranker | HeldOutRanks],
    b: Ranker | HeldOutRanks | Sequence[Ranker | HeldOutRanks],
    split: Split,
    *,
    on: Literal["test", "validation"] = "test",
    metric: Literal["hit_rate", "ndcg", "mrr"] = "ndcg",
    k: int = 10,
    names: tuple[str, str] | None = None,
    seed: int = 0,
) -> PairedDifference:
    """Difference of two rankers on the same users, with a paired bootstrap interval.

    Args:
        a: A ranker, the ``HeldOutRanks`` of one (from ``evaluate(...).attrs["ranks"]``, to save its time), or a list of
            either: several seeds of one model, whose per-user values are averaged.
        b: The same, to compare with.
        split: What was held out.
        on: The held-out table to measure on.
        metric: The value that is averaged over users.
        k: Its cut-off.
        names: What to call the two in the sentence; by default their class names.
        seed: Seed of the bootstrap.

    Raises:
        ValueError: If the metric is unknown, or given ranks are of other users or too short for k.
    """
    if metric not in METRICS:
        raise ValueError(f"metric is {metric!r}; choose one of {sorted(METRICS)}.")
    sides = [list(side) if isinstance(side, list | tuple) else [side] for side in (a, b)]
    _check_question({"a": sides[0], "b": sides[1]}, split, on=on, k=[k])
    if not all(sides):
        raise ValueError("an empty list of rankers was given; compare needs at least one on each side.")
    histories = split.histories(on)
    catalog = pd.Index(split.dataset.catalog["item_id"], dtype=object)
    targets = _targets(split, on=on, histories=histories)

    def values(side: list[Ranker | HeldOutRanks]) -> np.ndarray:
        found = [
            _fitting(one, users=list(targets), k=k)
            if isinstance(one, HeldOutRanks)
            else find_ranks(one, histories=histories, targets=targets, catalog=catalog, limit=k)
            for one in side
        ]
        return np.mean([METRICS[metric](result.ranks, k=k) for result in found], axis=0)

    difference = values(sides[0]) - values(sides[1])
    low, high = percentile_interval(bootstrap_means(difference[:, None], seed=seed))
    return PairedDifference(
        mean=float(difference.mean()),
        low=float(low[0]),
        high=float(high[0]),
        n_users=len(difference),
        metric=metric,
        k=k,
        names=names or _names(sides),
        n_runs=(len(sides[0]), len(sides[1])),
    )


def _measure(result: HeldOutRanks, *, k: Sequence[int], n_items: int, seed: int) -> dict[str, float]:
    """One row of the table: every metric at every k, with its interval."""
    columns = {f"{name}@{place}": value(result.ranks, k=place) for place in k for name, value in METRICS.items()}
    values = np.stack(list(columns.values()), axis=1)  # (n_users, n_columns)
    low, high = percentile_interval(bootstrap_means(values, seed=seed))
    figures = dict(zip(columns, zip(values.mean(axis=0), low, high, strict=True), strict=True))
    for place in k:
        shown = result.shown[:, :place]
        low, high = percentile_interval(bootstrap_coverage(shown, n_items=n_items, seed=seed))
        figures[f"coverage@{place}"] = (coverage(shown[shown >= 0], n_items=n_items), low, high)
    row = {}
    for name in [f"{metric}@{place}" for place in k for metric in (*METRICS, "coverage")]:
        row[name], row[f"{name}_low"], row[f"{name}_high"] = map(float, figures[name])
    return row


def _targets(split: Split, *, on: str, histories: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The held-out item of each user."""
    held_out = split.test if on == "test" else split.validation
    if held_out["user_id"].duplicated().any():
        raise ValueError(f"split.{on} holds several rows for one user; keep exactly one held-out event per user.")
    missing = held_out.loc[~held_out["user_id"].isin(list(histories)), "user_id"]
    if len(missing):
        raise ValueError(f"histories lacks {len(missing):,} held-out user(s), first {missing.iloc[0]!r}; give them [].")
    return dict(zip(held_out["user_id"], held_out["item_id"], strict=True))


def _check_question(rankers: Mapping[str, object], split: Split, *, on: str, k: Sequence[int]) -> None:
    """One clear error if there is nothing to measure."""
    if on not in ("test", "validation"):
        raise ValueError(f"on is {on!r}; choose 'test' or 'validation'.")
    if not isinstance(rankers, Mapping) or not rankers:
        raise ValueError('give rankers as a mapping with at least one entry, such as {"popularity": ranker}.')
    if not len(k) or min(k) < 1:
        raise ValueError(f"k is {k!r}; give at least one cut-off of 1 or more.")
    if not len(split.test if on == "test" else split.validation):
        raise ValueError(f"split.{on} is empty: no user has a held-out item. Use longer histories or another split.")


def _fitting(ranks: HeldOutRanks, *, users: list[str], k: int) -> HeldOutRanks:
    """The given ranks, if they answer the question."""
    if list(ranks.user_ids) != users:
        raise ValueError("these ranks are of other users, or in another order; measure both rankers on the same split.")
    if ranks.limit < k:
        raise ValueError(f"these ranks are exact up to {ranks.limit}, not {k}; evaluate with a larger k.")
    return ranks


def _names(sides: list[list[object]]) -> tuple[str, str]:
    """Class names of the two sides, or "a" and "b" where those say nothing."""
    first, second = (type(side[0]).__name__ for side in sides)
    if first == second or HeldOutRanks.__name__ in (first, second):
        return "a", "b"
    return first, second
