"""The trie over a spelling: every item is a path from the root, one word after the other.

Whoever walks it can say nothing but items, and the probabilities of all items given a prompt sum to one: at every node
the model chooses among the words that go on from there. Nodes are numbered level by level, the root is 0; an *edge* is
a word that leads from one node to the next, and since each node but the root has one edge that leads to it, edge ``e``
leads to node ``e + 1``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np


@dataclass(frozen=True, eq=False)
class Trie:
    """Edges sorted by level, then by the node they leave, then by word.

    Attributes:
        parents: Node that each edge leaves, (n_edges,), ascending.
        words: Id of the word of each edge, (n_edges,).
        paths: Edges of each item from the root on, filled up with -1; (n_items, longest).
    """

    parents: np.ndarray
    words: np.ndarray
    paths: np.ndarray

    @property
    def longest(self) -> int:
        """Words of the longest spelling."""
        return self.paths.shape[1]

    @cached_property
    def first_edges(self) -> np.ndarray:
        """Where the edges of each node begin, one number more than there are nodes; (n_nodes + 1,)."""
        return np.searchsorted(self.parents, np.arange(len(self.parents) + 2))

    @cached_property
    def forks(self) -> np.ndarray:
        """Nodes where there is a choice, two edges or more, ascending; elsewhere the next word is certain."""
        return np.flatnonzero(np.diff(self.first_edges) > 1)

    @cached_property
    def decisive(self) -> np.ndarray:
        """The root, and every node that is a fork or leads to one, ascending: what must be read to know all chances."""
        return np.unique([0, *(node for fork in self.forks.tolist() for node in self.ancestors(fork))])

    @cached_property
    def stops(self) -> np.ndarray:
        """From each node on, the first that is a fork or an end, by words that are certain; (n_nodes,)."""
        stops = np.arange(len(self.parents) + 1)
        single = np.flatnonzero(np.diff(self.first_edges) == 1)
        stops[single] = self.first_edges[single] + 1
        while (ahead := stops[stops] != stops).any():
            stops[ahead] = stops[stops[ahead]]
        return stops

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """How many words lead to each node, and an item whose path they begin; both (n_nodes,)."""
        depths, items = np.zeros((2, len(self.parents) + 1), dtype=np.int64)
        rows, columns = np.nonzero(self.paths >= 0)
        depths[self.paths[rows, columns] + 1], items[self.paths[rows, columns] + 1] = columns + 1, rows
        return depths, items

    @cached_property
    def leaves(self) -> np.ndarray:
        """Node at the end of each item's path, (n_items,); two items never share one."""
        last = (self.paths >= 0).sum(axis=1) - 1
        return self.paths[np.arange(len(self.paths)), last] + 1

    @cached_property
    def below(self) -> np.ndarray:
        """How many items lie behind each edge, (n_edges,)."""
        return np.bincount(self.paths[self.paths >= 0], minlength=len(self.parents))

    def ancestors(self, node: int) -> list[int]:
        """Nodes from below the root down to this one."""
        path = []
        while node:
            path.append(node)
            node = int(self.parents[node - 1])
        return path[::-1]

    def blocked(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Edges behind which there is nothing but these items, (n_edges,) of bool.

        Example:
            >>> build_trie([(7, 1), (7, 2), (8,)]).blocked([1, 2]).tolist()  # edges 7, 8, 7-1, 7-2
            [False, True, False, True]
        """
        paths = self.paths[np.unique(np.asarray(rows, dtype=int))]
        return np.bincount(paths[paths >= 0], minlength=len(self.parents)) == self.below


def build_trie(spellings: Sequence[Sequence[int]]) -> Trie:
    """The trie over spellings, none of which may be the beginning of another.

    Args:
        spellings: Word ids of each item, at least one.

    Raises:
        ValueError: If a spelling is empty, stands there twice, or is the beginning of another one.

    Example:
        >>> trie = build_trie([(7, 1), (7, 2), (8,)])
        >>> trie.words.tolist(), trie.parents.tolist(), trie.paths.tolist()
        ([7, 8, 1, 2], [0, 0, 1, 1], [[0, 2], [0, 3], [1, -1]])
    """
    lengths = np.array([len(spelling) for spelling in spellings])
    if not len(lengths):
        raise ValueError("there are no spellings; a trie holds at least one item.")
    if not lengths.min():
        raise ValueError(f"the spelling of item {int(lengths.argmin())} (from 0) is empty; give it a word.")
    table = np.full((len(lengths), lengths.max()), -1, dtype=np.int64)
    table[np.arange(lengths.max()) < lengths[:, None]] = np.concatenate([np.asarray(own) for own in spellings])
    nodes, paths = np.zeros(len(table), dtype=np.int64), np.full_like(table, -1)
    parents, words, n_edges = [], [], 0
    for level in range(table.shape[1]):
        going = np.flatnonzero(table[:, level] >= 0)
        pairs, edges = np.unique(np.stack([nodes[going], table[going, level]]), axis=1, return_inverse=True)
        edges = edges.ravel() + n_edges
        parents.append(pairs[0])
        words.append(pairs[1])
        paths[going, level], nodes[going] = edges, edges + 1
        n_edges += pairs.shape[1]
    trie = Trie(np.concatenate(parents), np.concatenate(words), paths)
    _check(trie)
    return trie


def _check(trie: Trie) -> None:
    """Every item must have an end of its own."""
    ends, counts = np.unique(trie.leaves, return_counts=True)
    shared = (counts > 1) | np.isin(ends, trie.parents)
    if shared.any():
        row = int(np.flatnonzero(trie.leaves == ends[shared.argmax()])[0])
        raise ValueError(
            f"the spelling of item {row} (from 0) is that of another item, or its beginning; each needs one of its own."
        )
