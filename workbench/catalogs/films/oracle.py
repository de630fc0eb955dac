"""The oracle: a ranker that knows the truth, the ceiling every films table can be read against."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from workbench.catalogs.films.truth import Films


@dataclass(frozen=True)
class OracleRanker:
    """Ranks by the true probability: the best any ranker can do without knowing when the viewer watches next.

    A simulated viewer's own taste is known to it, the context of the next film is not (it is averaged over). For a
    user who is no simulated viewer the taste is inferred from the history.
    """

    films: Films

    def rank(
        self,
        histories: Mapping[str, Sequence[str]] | pd.DataFrame,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Rankings table: `user_id`, `item_id`, `rank` (1 = best), `score` (the true probability, 0 to 1).

        Args:
            histories: ``{user_id: [item_id, ...]}`` or an interactions table, oldest first.
            k: Length of each list, at least 1; shorter where fewer candidates are left.
            exclude_seen: Leave out what is in the history (its true probability is 0).
            candidates: Item ids to rank; every film when None.
        """
        if k < 1:
            raise ValueError(f"k is {k}: ask for at least one place.")
        if isinstance(histories, pd.DataFrame):
            histories = {user: list(rows) for user, rows in histories.groupby("user_id", sort=False)["item_id"]}
        films = self.films
        pool = np.unique(films.positions(candidates)) if candidates is not None else np.arange(len(films.catalog))
        known = set(films.taste_groups["user_id"])
        item_ids = films.catalog["item_id"].astype(str).to_numpy()
        tables = []
        for user, history in histories.items():
            scores = films.probabilities(history, viewer=user if user in known else None).astype(np.float32)
            kept = np.setdiff1d(pool, films.positions(history)) if exclude_seen else pool
            best = kept[np.argsort(-scores[kept], kind="stable")[:k]]
            ranks = np.arange(1, len(best) + 1)
            tables.append(
                pd.DataFrame({"user_id": user, "item_id": item_ids[best], "rank": ranks, "score": scores[best]})
            )
        columns = ["user_id", "item_id", "rank", "score"]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
