"""Histories cut into windows, and rows of different length made into one tensor."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from workbench.catalogs.schema import time_values
from workbench.models.ranking import in_time_order

NO_TARGET = -100
ROUND = 8  # rows are filled up to a multiple of this length


def padded(rows: list[list[int]], fill: int, *, at_most: int) -> torch.Tensor:
    """Rows of different length as one tensor, filled on the right, (n_rows, the longest rounded up, if it may be).

    Few shapes: in bf16 on a CPU, every product of a new shape is first translated into machine code.
    """
    longest = max(map(len, rows))
    size = max(longest, min(-(-longest // ROUND) * ROUND, at_most))
    table = np.full((len(rows), size), fill, dtype=np.int64)
    for place, row in enumerate(rows):
        table[place, : len(row)] = row
    return torch.from_numpy(table)


def read_histories(
    train: pd.DataFrame, *, items: tuple[str, ...]
) -> tuple[list[str], list[np.ndarray], list[np.ndarray]]:
    """Users, and the catalog rows and times of each one's training events, oldest first."""
    train = in_time_order(train)
    codes, users = pd.factorize(train["user_id"])
    order = np.argsort(codes, kind="stable")
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    rows = pd.Index(items, dtype=object).get_indexer(train["item_id"])
    return users.tolist(), np.split(rows[order], cuts), np.split(time_values(train)[order], cuts)


def cut_windows(histories: list[np.ndarray], length: int) -> np.ndarray:
    """Pieces that cover the histories: (n_windows, 4) of user, first and last start, length.

    A history of at most ``length`` is one window, so each of its events is a target once an epoch. A longer one gets as
    many as it takes, each starting at a random place of its own stretch, so that positions and events are not tied
    together; which of its events are left out changes from epoch to epoch.
    """
    rows = []
    for user, history in enumerate(histories):
        spare = len(history) - length
        if spare <= 0:
            rows.append((user, 0, 0, len(history)))
            continue
        n = -(-len(history) // length)
        rows += [(user, spare * i // n, spare * (i + 1) // n, length) for i in range(n)]
    return np.array(rows)


def by_length(lengths: Sequence[int] | np.ndarray, n: int) -> list[np.ndarray]:
    """Places of the shortest n, of the next n, and so on: rows of one batch are filled up to the longest of them."""
    order = np.argsort(lengths, kind="stable")
    return [order[first : first + n] for first in range(0, len(order), n)]
