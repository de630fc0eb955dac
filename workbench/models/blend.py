"""Several recommenders as one: GPT-2s that began with different seeds, and a ranker that counts."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd

from workbench.catalogs import Split
from workbench.models.floor import BLOCK, CountingRanker, tuning_blocks, tuning_users
from workbench.models.gpt2 import GPT2Recommender
from workbench.models.ranking import Histories, rank_in_blocks


@dataclass(eq=False)
class Blend:
    """The mean probability of several GPT-2s, times what a counting ranker says, to some power.

    The score of an item is ``log p + weight * log(c / max c + offset)``: p its mean probability, c its count score, of
    which only the share of the user's highest matters. Both settings are chosen by ``tune``.

    Attributes:
        models: GPT-2s of one catalog.
        floor: A fitted counting ranker of all its items; None: the GPT-2s alone.
        weight: Of the counting ranker, 0 or more.
        offset: What an item gets that counting knows nothing of, as a share of the highest.
        tuning: After ``tune``, one row per setting with its validation NDCG@10, the best first.
    """

    grid: ClassVar = {"weight": (0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0), "offset": (0.003, 0.01, 0.03, 0.1, 0.3)}
    start: ClassVar[str] = "its parts'"

    models: Sequence[GPT2Recommender]
    floor: CountingRanker | None = None
    weight: float = 0.3
    offset: float = 0.03
    tuning: pd.DataFrame | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Refuse parts that know different items."""
        self.items = self.models[0].catalog["item_id"].tolist()
        self._index = pd.Index(self.items, dtype=object)
        for part in [*self.models[1:], *([self.floor] if self.floor else [])]:
            own = part.catalog["item_id"].tolist() if isinstance(part, GPT2Recommender) else part.items
            if own != self.items:
                raise ValueError("the parts of a blend know different items; fit all of them on one catalog.")

    @property
    def settings(self) -> dict[str, Any]:
        """What was chosen, and of how many models."""
        chosen = {"weight": self.weight, "offset": self.offset} if self.floor else {}
        return {"models": len(self.models)} | chosen

    def tune(self, split: Split) -> Self:
        """Choose weight and offset with the best NDCG@10 on the validation items; ties keep the smaller weight."""
        if self.floor is None:
            return self
        grid = list(itertools.product(*self.grid.values()))
        gained = np.zeros(len(grid))
        for block in tuning_blocks(split, items=self._index):
            parts = self._parts(block.histories)
            gained += [block.gained(_joined(*parts, weight=weight, offset=offset)) for weight, offset in grid]
        rows = [dict(zip(self.grid, values, strict=True)) for values in grid]
        self.tuning = pd.DataFrame(rows).assign(**{"ndcg@10": gained / len(tuning_users(split))})
        self.tuning = self.tuning.sort_values("ndcg@10", ascending=False, kind="stable", ignore_index=True)
        self.weight, self.offset = map(float, self.tuning.loc[0, ["weight", "offset"]])
        return self

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The k best items for every history; see ``GPT2Recommender.rank``."""

        def score(block: list[np.ndarray]) -> np.ndarray:
            return _joined(*self._parts(block), weight=self.weight, offset=self.offset)

        rules = {"k": k, "exclude_seen": exclude_seen, "candidates": candidates}
        return rank_in_blocks(score, histories, items=self._index, block_size=BLOCK, **rules)

    def _parts(self, block: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray | None]:
        """Log of the mean probability, and count scores as shares of the highest; each (n_users, n_items)."""
        told = {str(row): self._index[codes].tolist() for row, codes in enumerate(block)}
        logs = np.stack([model.log_probabilities(told) for model in self.models])
        mean = np.logaddexp.reduce(logs, axis=0) - np.log(len(logs))
        if self.floor is None:
            return mean, None
        counts = np.maximum(self.floor.scores(told), 0)
        return mean, counts / np.maximum(counts.max(axis=1, keepdims=True), 1e-12)


def _joined(logs: np.ndarray, shares: np.ndarray | None, *, weight: float, offset: float) -> np.ndarray:
    return logs if shares is None or not weight else logs + weight * np.log(shares + offset)
