"""What all counting rankers share: fitting, tuning over a stated grid, and ranking in blocks of users."""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.catalogs.schema import time_values
from workbench.evaluation.metrics import mean_ranks, ndcg_values
from workbench.models.ranking import Histories, as_histories, in_time_order, item_codes, rank_in_blocks

BLOCK = 512  # users scored at once
MOST_SCORES = 40_000_000  # users x items that tuning looks at in each setting
DAY = 86_400 * 10**9  # nanoseconds
Scorer = Callable[[list[np.ndarray]], np.ndarray]  # coded histories -> scores (n_users, n_items)


@dataclass(eq=False)
class CountingRanker(ABC):
    """What the counting rankers share: ``fit``, ``tune`` and ``rank``. Settings are the fields of each class.

    Attributes:
        items: Ids of the items the ranker knows, once fitted.
        tuning: After ``tune``, one row per setting with its validation NDCG@10, the best first.
    """

    floor: ClassVar[bool] = True
    start: ClassVar[str] = "counts"
    grid: ClassVar[dict[str, tuple]] = {}
    may_be_zero: ClassVar[tuple[str, ...]] = ()
    items: ClassVar[list[str] | None] = None
    tuning: ClassVar[pd.DataFrame | None] = None

    def __post_init__(self) -> None:
        """Refuse settings that mean nothing."""
        for name, value in self.settings.items():
            if value is not None and (value < 0 or (value == 0 and name not in self.may_be_zero)):
                least = "0 or more" if name in self.may_be_zero else "above 0"
                raise ValueError(f"{name}={value} means nothing to {type(self).__name__}; give a number {least}.")

    @property
    def settings(self) -> dict[str, Any]:
        """Return the settings in use, by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def fit(self, interactions: pd.DataFrame, *, items: Sequence[str] | None = None) -> Self:
        """Count the train events.

        Args:
            interactions: Train events, usually ``split.train``.
            items: All items that may be met or recommended; None means those in ``interactions``.

        Raises:
            ValueError: If there are no events, or one names an item outside ``items``.
        """
        self._load(interactions, items=items)
        self._score = self._scorer()
        self._shared.clear()
        return self

    def tune(self, split: Split) -> Self:
        """Choose the settings with the best NDCG@10 on the validation items, fitted on train; ties keep the earlier.

        Where users times items are more than 40 million, every n-th user is asked.

        Afterwards the ranker is fitted on ``split.train`` and knows every item of the catalog.

        Raises:
            ValueError: If the split has no validation items.
        """
        if not len(split.validation):
            raise ValueError("split.validation is empty; settings cannot be chosen. Use fit, or longer histories.")
        self._load(split.train, items=split.dataset.catalog["item_id"].tolist())
        blocks, n_users, rows = list(tuning_blocks(split, items=self._index)), len(tuning_users(split)), []
        for values in itertools.product(*self._choices().values()):
            self._set(dict(zip(self.grid, values, strict=True)))
            score = self._scorer()
            gained = sum(block.gained(score(block.histories)) for block in blocks)
            rows.append(self.settings | {"ndcg@10": gained / n_users})
        self.tuning = pd.DataFrame(rows).sort_values("ndcg@10", ascending=False, kind="stable", ignore_index=True)
        self._set(max(rows, key=lambda row: row["ndcg@10"]))
        self._score = self._scorer()
        self._shared.clear()
        return self

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Rank items for every history; see ``models.ranking.rank_in_blocks``.

        Raises:
            ValueError: If an item of a history or of ``candidates`` is unknown.
            RuntimeError: If the ranker was not fitted.
        """
        rules = {"k": k, "exclude_seen": exclude_seen, "candidates": candidates}
        return rank_in_blocks(self._fitted(), histories, items=self._index, block_size=BLOCK, **rules)

    def scores(self, histories: Histories) -> np.ndarray:
        """Scores of all items, higher is better, for every history; (n_users, n_items).

        Raises:
            RuntimeError: If the ranker was not fitted.
        """
        return self._fitted()(item_codes(as_histories(histories), items=self._index))

    def _fitted(self) -> Scorer:
        if self.items is None:
            raise RuntimeError(f"this {type(self).__name__} has counted nothing yet; call fit or tune first.")
        return self._score

    @abstractmethod
    def _scorer(self) -> Scorer:
        """A function from coded histories to scores (n_users, n_items), under the current settings."""

    def _choices(self) -> dict[str, tuple]:
        """The grid, as far as the events allow it; settings that change slowly stand first."""
        return self.grid

    def _set(self, values: dict[str, Any]) -> None:
        """Take over the settings among the values."""
        for name in self.settings:
            setattr(self, name, values.get(name, getattr(self, name)))

    def _load(self, interactions: pd.DataFrame, *, items: Sequence[str] | None) -> None:
        """Keep the events as arrays of codes: users together, oldest first."""
        if not len(interactions):
            raise ValueError("there are no interactions to count; give the train events, such as split.train.")
        ordered = in_time_order(interactions)
        users = pd.factorize(ordered["user_id"])[0]
        order = np.argsort(users, kind="stable")
        self._index = pd.Index(pd.unique(interactions["item_id"]) if items is None else list(items), dtype=object)
        if not self._index.is_unique:
            raise ValueError(f"items names {self._index[self._index.duplicated()][0]!r} twice; name each item once.")
        self.items = self._index.tolist()
        self._users = users[order]
        self._codes = item_codes({"train": ordered["item_id"].tolist()}, items=self._index)[0][order]
        timed = "timestamp" in ordered
        self._ages = (time_values(ordered).max() - time_values(ordered))[order] / DAY if timed else None  # days
        self._counts = np.bincount(self._codes, minlength=len(self.items)).astype(float)
        self._shared: dict[Any, Any] = {}

    def _once(self, key: Any, build: Callable[[], Any]) -> Any:
        """Build something once for all settings that share it."""
        if key not in self._shared:
            self._shared[key] = build()
        return self._shared[key]

    def _or_popular(self, scores: np.ndarray) -> np.ndarray:
        """Order the items without any score by popularity, below all others, as numbers from -1 to 0."""
        return np.where(scores > 0, scores, -1 / (1 + self._counts))


def tuning_users(split: Split) -> list[str]:
    """Users whose validation items choose settings: all, or every n-th where users times items are many.

    A grid tries hundreds of settings; each scores every item for all these users.
    """
    users = split.validation["user_id"].tolist()
    return users[:: max(1, round(len(users) * len(split.dataset.catalog) / MOST_SCORES))]


class TuningBlock(NamedTuple):
    """Some of the users whose validation items choose settings.

    Attributes:
        histories: The places in the catalog of the items that each knows.
        targets: The place of each one's validation item, (n_users,).
        allowed: Which items may be recommended to each: those not seen, (n_users, n_items).
    """

    histories: list[np.ndarray]
    targets: np.ndarray
    allowed: np.ndarray

    def gained(self, scores: np.ndarray) -> float:
        """NDCG@10 of the targets under these scores (n_users, n_items), summed over the users."""
        return float(ndcg_values(mean_ranks(scores, targets=self.targets, allowed=self.allowed), k=10).sum())


def tuning_blocks(split: Split, *, items: pd.Index) -> Iterator[TuningBlock]:
    """The tuning users, up to 512 at once; those without a history, who count as misses, are left out."""
    known = split.histories("validation")
    wanted = dict(zip(split.validation["user_id"], split.validation["item_id"], strict=True))
    users = [user for user in tuning_users(split) if known[user]]
    for first in range(0, len(users), BLOCK):
        block = users[first : first + BLOCK]
        histories = item_codes({user: known[user] for user in block}, items=items)
        allowed = np.ones((len(block), len(items)), dtype=bool)
        for row, history in enumerate(histories):
            allowed[row, history] = False
        yield TuningBlock(histories, items.get_indexer([wanted[user] for user in block]), allowed)
