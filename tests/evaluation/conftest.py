"""Small splits written by hand, and a ranker that says what it is told to say."""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
import pytest

from workbench.catalogs import Dataset, Split
from workbench.models.ranking import rank_in_blocks


class FixedScores:
    """Ranks by a function from one user's coded history to scores, and remembers what it was asked."""

    def __init__(self, items: list[str], score: Callable[[np.ndarray], np.ndarray]) -> None:
        self.items, self.score, self.asked = items, score, []

    def rank(self, histories, *, k=10, exclude_seen=True, candidates=None):
        self.asked.append((list(histories), k))
        rules = {"k": k, "exclude_seen": exclude_seen, "candidates": candidates}

        def score(block):
            return np.stack([self.score(history) for history in block])

        return rank_in_blocks(score, histories, items=self.items, **rules)


def split_by_hand(
    sequences: Mapping[str, list[str]],
    *,
    items: list[str] | None = None,
    times: Mapping[str, list[int]] | None = None,
    train: pd.DataFrame | None = None,
) -> Split:
    """A leave-one-out split of the sequences; ``times`` are in seconds, ``train`` replaces the train events."""
    rows = [
        (user, item, (times[user][place] if times else place), len(sequence) - place)
        for user, sequence in sequences.items()
        for place, item in enumerate(sequence)
    ]
    events = pd.DataFrame(rows, columns=["user_id", "item_id", "time", "from_end"])
    events["timestamp"] = pd.to_datetime(events.pop("time"), unit="s", utc=True)
    items = items or sorted(events["item_id"].unique())
    catalog = pd.DataFrame({"item_id": items, "title": [f"Title {item}" for item in items]})
    from_end = events.pop("from_end")
    parts = {name: events[from_end == place].reset_index(drop=True) for name, place in (("test", 1), ("validation", 2))}
    train = events[from_end > 2].reset_index(drop=True) if train is None else train
    dataset = Dataset("by hand", catalog, events, card={"version": "1", "cleaning": ["nothing <was> done"]})
    return Split(dataset=dataset, train=train, protocol={"split": "leave_one_out", "ties": "file order"}, **parts)


@pytest.fixture
def make_split() -> Callable[..., Split]:
    return split_by_hand


@pytest.fixture
def fixed_scores() -> type[FixedScores]:
    return FixedScores


@pytest.fixture
def random_split() -> Split:
    """40 users who each met 6 of 30 items in random order; ids are words, so that no number can leak."""
    rng = np.random.default_rng(4)
    items = [f"{a}{b}" for a in "abcdef" for b in "vwxyz"]
    sequences = {f"u{user}": list(rng.choice(items, size=6, replace=False)) for user in range(40)}
    return split_by_hand(sequences, items=items)
