"""What changed from one list to the next: what entered, what left, what moved, and how far both agree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

List = pd.DataFrame | Sequence[str]


@dataclass(frozen=True, eq=False)
class ListChanges:
    """Two lists of items beside each other.

    Attributes:
        table: One row per item of either list, those of the new list first, in its order: ``item_id``, ``before`` and
            ``after`` (its ranks, missing where it does not stand), ``change`` ("new", "left", "up 4", "down 2", "=").
        overlap: How many items stand in both.
        size: Length of the longer list.
        correlation: Spearman's, of the ranks of the items in both, -1 to 1; None when fewer than two are.

    Example:
        >>> compare_lists(["a", "b", "c"], ["c", "a", "d"]).table["change"].tolist()
        ['up 2', 'down 1', 'new', 'left']
    """

    table: pd.DataFrame
    overlap: int
    size: int
    correlation: float | None

    @property
    def sentence(self) -> str:
        """How far both lists agree.

        Example:
            >>> compare_lists(["a", "b", "c"], ["c", "a", "d"]).sentence
            '2 of 3, rank correlation -1.00'
            >>> compare_lists(["a"], ["b"]).sentence
            '0 of 1, no rank correlation: it needs two items in both'
        """
        if self.correlation is None:
            return f"{self.overlap:,} of {self.size:,}, no rank correlation: it needs two items in both"
        return f"{self.overlap:,} of {self.size:,}, rank correlation {self.correlation:.2f}"

    @property
    def entered(self) -> list[str]:
        """Items of the new list that the old one lacks, best first."""
        return self._items("new")

    @property
    def left(self) -> list[str]:
        """Items of the old list that the new one lacks, best first."""
        return self._items("left")

    def _items(self, change: str) -> list[str]:
        return self.table.loc[self.table["change"] == change, "item_id"].tolist()


def compare_lists(before: List, after: List) -> ListChanges:
    """What changed between two lists.

    Args:
        before: A rankings table of one user, or item ids, best first. Places without an item are left out; of an item
            that is named twice, as it can be where nothing constrains what is written, the first place counts.
        after: The same, later or of somebody else.

    Raises:
        ValueError: If a list is that of several users, or a text.

    Example:
        >>> changes = compare_lists(["a", "b", "c", "d"], ["b", "a", "c", "e"])
        >>> changes.overlap, changes.correlation, changes.left
        (3, 0.5, ['d'])
    """
    old, new = _ranks(before), _ranks(after)
    both = [item for item in new if item in old]
    items = [*new, *(item for item in old if item not in new)]
    ranks = [[own.get(item) for item in items] for own in (old, new)]
    columns = {name: pd.array(own, dtype="Int64") for name, own in zip(("before", "after"), ranks, strict=True)}
    changes = [_change(*pair) for pair in zip(*ranks, strict=True)]
    table = pd.DataFrame({"item_id": pd.array(items, dtype="str"), **columns, "change": pd.array(changes, dtype="str")})
    return ListChanges(
        table, len(both), max(len(old), len(new)), _spearman([old[i] for i in both], [new[i] for i in both])
    )


def _ranks(given: List) -> dict[str, int]:
    """Rank by item, the first of those it has."""
    if isinstance(given, str):
        raise ValueError(f"{given!r} is one text; give a list of item ids, best first.")
    if isinstance(given, pd.DataFrame):
        users = given["user_id"].nunique() if "user_id" in given else 1
        if users > 1:
            raise ValueError(f"a table holds the lists of {users:,} users; give the list of one user.")
        pairs = zip(given["item_id"].tolist(), given["rank"].tolist(), strict=True)
    else:
        pairs = ((item, rank) for rank, item in enumerate(given, start=1))
    ranks: dict[str, int] = {}
    for item, rank in pairs:
        if pd.notna(item):
            ranks.setdefault(item, rank)
    return ranks


def _spearman(before: list[int], after: list[int]) -> float | None:
    """Spearman's correlation of ranks without ties; None of fewer than two."""
    n = len(before)
    if n < 2:
        return None
    places = [np.argsort(np.argsort(own)) for own in (before, after)]
    return 1 - 6 * int(((places[0] - places[1]) ** 2).sum()) / (n * (n * n - 1))


def _change(before: int | None, after: int | None) -> str:
    """What became of one item, in words."""
    if before is None:
        return "new"
    if after is None:
        return "left"
    if before == after:
        return "="
    return f"up {before - after}" if after < before else f"down {after - before}"
