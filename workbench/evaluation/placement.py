"""Where each user's held-out item stands: rankers are asked in blocks of users, and ties take the mean rank.

A list is cut somewhere, and the cut may run through a group of equal scores. Places after the ``limit`` earn nothing,
so ``2 * limit`` places always settle the matter: a group that starts within the limit and still runs at place
``2 * limit`` has its mean rank beyond the limit. Only users whose list is cut inside such a group are asked again.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import pandas as pd

EXTRA_PLACES = 5


class Ranker(Protocol):
    """Whatever answers ``rank``; ``items``, ``start``, ``device``, ``seed`` and ``floor`` are read if they exist."""

    def rank(
        self,
        histories: Mapping[str, Sequence[str]],
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Return the rankings table: ``user_id``, ``item_id``, ``rank``, ``score``."""


@dataclass(frozen=True, eq=False)
class HeldOutRanks:
    """What one ranker did with the held-out items of a split.

    Attributes:
        user_ids: The users, in the order of all arrays here.
        ranks: Rank of each user's held-out item, from 1; the mean rank of a tie; ``inf`` beyond ``limit``.
        shown: Catalog places of the items in each list, shape (n_users, limit); -1 where a list is shorter.
        limit: Ranks up to here are exact; larger k cannot be measured from this object.
        seconds: Time spent in ``rank``.
        faults: What the ranker did that it must not do, as sentences.
    """

    user_ids: np.ndarray
    ranks: np.ndarray
    shown: np.ndarray
    limit: int
    seconds: float = 0.0
    faults: tuple[str, ...] = field(default=())

    def __deepcopy__(self, memo: dict[int, Any]) -> "HeldOutRanks":
        """Return itself: pandas copies ``attrs`` with every table, and these arrays never change."""
        return self


def find_ranks(
    ranker: Ranker,
    *,
    histories: Mapping[str, Sequence[str]],
    targets: Mapping[str, str],
    catalog: pd.Index,
    limit: int,
    exclude_seen: bool = True,
    candidates: Sequence[str] | None = None,
    block_size: int = 512,
) -> HeldOutRanks:
    """Ask a ranker for every user and find the rank of the user's held-out item.

    Users without any history are not asked: nothing personal can be said about them, so they count as misses.
    Items that the ranker says it does not know (its ``items``) are left out of the histories.

    Args:
        ranker: Anything with ``rank``.
        histories: Per user, what is known before the held-out event.
        targets: Per user, the held-out item.
        catalog: All item ids.
        limit: Largest k that will be measured.
        exclude_seen: Passed on to the ranker.
        candidates: Passed on to the ranker.
        block_size: Users per call of ``rank``, which bounds the memory.

    Raises:
        ValueError: If the ranker's answer is not a rankings table.
    """
    users = list(targets)
    known = set(ranker.items) if getattr(ranker, "items", None) is not None else None
    asked = {
        user: [item for item in histories[user] if known is None or item in known] for user in users if histories[user]
    }
    ranks = np.full(len(users), np.inf)
    shown = np.full((len(users), limit), -1)
    place = {user: row for row, user in enumerate(users)}
    faults = np.zeros(2, dtype=int)
    started = time.perf_counter()
    names = list(asked)
    for start in range(0, len(names), block_size):
        block = {user: asked[user] for user in names[start : start + block_size]}
        table = _settled_lists(ranker, block, limit=limit, exclude_seen=exclude_seen, candidates=candidates)
        rows = table["user_id"].map(place).to_numpy(dtype=int)  # a block may get no list at all
        codes = catalog.get_indexer(table["item_id"])
        hit = table["item_id"].to_numpy() == np.array([targets[user] for user in table["user_id"]], dtype=object)
        ranks[rows[hit]] = _mean_rank_of_ties(table)[hit]
        in_list = table["rank"].to_numpy() <= limit
        shown[rows[in_list], table["rank"].to_numpy()[in_list] - 1] = codes[in_list]
        faults += [_count_seen(table, histories=histories) if exclude_seen else 0, (codes < 0).sum()]
    return HeldOutRanks(
        user_ids=np.array(users, dtype=object),
        ranks=np.where(ranks <= limit, ranks, np.inf),
        shown=shown,
        limit=limit,
        seconds=time.perf_counter() - started,
        faults=_fault_sentences(*faults),
    )


def _settled_lists(ranker: Ranker, block: Mapping[str, Sequence[str]], *, limit: int, **rules: Any) -> pd.DataFrame:
    """Lists long enough for exact ranks up to the limit; see the top of this file."""
    places = min(limit + EXTRA_PLACES, 2 * limit)
    table = _checked(ranker.rank(block, k=places, **rules), users=block, places=places)
    last = table.groupby("user_id", sort=False)["score"].transform("last")
    cut = table[table["score"] == last].groupby("user_id", sort=False)["rank"].agg(["min", "max"])
    undecided = cut.index[(cut["max"] == places) & (cut["min"] + cut["max"] <= 2 * limit)]  # mean rank may be <= limit
    if places == 2 * limit or not len(undecided):
        return table
    again = {user: block[user] for user in undecided}
    longer = _checked(ranker.rank(again, k=2 * limit, **rules), users=again, places=2 * limit)
    return pd.concat([table[~table["user_id"].isin(undecided)], longer], ignore_index=True)


def _mean_rank_of_ties(table: pd.DataFrame) -> np.ndarray:
    """For every row, the mean rank of the rows of the same user with the same score."""
    new = (table["user_id"] != table["user_id"].shift()) | (table["score"] != table["score"].shift())
    return table["rank"].groupby(new.cumsum().to_numpy()).transform("mean").to_numpy()


def _checked(table: pd.DataFrame, *, users: Mapping[str, Any], places: int) -> pd.DataFrame:
    """The rankings with float32 scores, or one clear error about the ranker."""
    missing = [name for name in ("user_id", "item_id", "rank", "score") if name not in table]
    if missing:
        raise ValueError(f"rank returned a table without {missing}; see the rankings table in models.ranking.top_k.")
    table = table.assign(score=table["score"].astype(np.float32)).reset_index(drop=True)
    stranger = table.loc[~table["user_id"].isin(list(users)), "user_id"]
    if len(stranger):
        raise ValueError(f"rank returned user {stranger.iloc[0]!r}, who was not in the histories.")
    expected = table.groupby("user_id", sort=False).cumcount() + 1
    if (table["rank"] != expected).any() or (expected > places).any():
        raise ValueError(f"rank must return ranks 1, 2, ... in order for each user, at most k={places} of them.")
    falling = table.groupby("user_id", sort=False)["score"].diff().fillna(0) <= 0
    if table["score"].isna().any() or not falling.all():
        raise ValueError("rank returned scores that rise along a list or hold NaN; sort by score, the highest first.")
    twice = table.duplicated(["user_id", "item_id"])
    if twice.any():
        row = table[twice].iloc[0]
        raise ValueError(f"rank returned item {row['item_id']!r} twice for user {row['user_id']!r}.")
    return table


def _count_seen(table: pd.DataFrame, *, histories: Mapping[str, Sequence[str]]) -> int:
    """Number of rows whose item stands in the user's own history."""
    seen = {user: set(histories[user]) for user in pd.unique(table["user_id"])}
    return sum(item in seen[user] for user, item in zip(table["user_id"], table["item_id"], strict=True))


def _fault_sentences(n_seen: int, n_elsewhere: int) -> tuple[str, ...]:
    """Sentences for the card; none if all is well."""
    sentences = []
    if n_seen:
        sentences.append(f"returned {n_seen:,} item(s) that the user has already seen")
    if n_elsewhere:
        sentences.append(f"returned {n_elsewhere:,} item(s) that are not in the catalog")
    return tuple(sentences)
