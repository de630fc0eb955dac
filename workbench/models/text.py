"""Floors for requests in words: what word matching alone can do (BM25) and what a perfect filter would."""

from collections.abc import Mapping
from typing import Self

import bm25s
import numpy as np
import pandas as pd

from workbench.language.tokenizer import normalize
from workbench.models.ranking import Histories, as_histories, top_k

TEXT_COLUMNS = ("title", "title_zh", "genres", "country", "director", "description", "description_zh")


class BM25:
    """Ranks items by how well the words of their catalog row match a request (BM25; Robertson & Zaragoza 2009).

    English is cut into words, Chinese into characters. The year and its decade ("1970s", "70s") count as words. The
    history plays no part beyond what is left out as seen.
    """

    floor = True
    start = "words"

    def fit(self, catalog: pd.DataFrame) -> Self:
        """Index the text columns of the catalog.

        Example:
            >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"], "genres": ["Horror", ""]})
            >>> BM25().fit(catalog).rank({"ann": []}, k=1, request="horror, please")["item_id"].tolist()
            ['a']
        """
        self.items = catalog["item_id"].tolist()
        self._index = bm25s.BM25()
        self._index.index([row_words(row_text(row)) for row in catalog.to_dict("records")], show_progress=False)
        return self

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: list[str] | None = None,
        request: str | Mapping[str, str] | None = None,
    ) -> pd.DataFrame:
        """Rank by BM25 score; without a request all items are equal."""
        histories = as_histories(histories)
        scores = np.zeros((len(histories), len(self.items)), dtype=np.float32)
        for row, user in enumerate(histories):
            wish = request.get(user) if isinstance(request, Mapping) else request
            known = [word for word in row_words(wish or "") if word in self._index.vocab_dict]
            if known:
                scores[row] = self._index.get_scores(known)
        seen = list(histories.values()) if exclude_seen else None
        return top_k(scores, users=list(histories), items=self.items, seen=seen, k=k, candidates=candidates)


def row_text(row: dict) -> str:
    """Everything a catalog row says in words, its year and decade as people say them."""
    text = " ".join(str(row[name]) for name in TEXT_COLUMNS if isinstance(row.get(name), str)).replace("|", " ")
    if not pd.isna(row.get("year", np.nan)):
        decade = int(row["year"]) // 10 * 10
        text += f" {row['year']} {decade}s {decade % 100}s {decade}年代 {decade % 100}年代"
    return text


def row_words(text: str) -> list[str]:
    """Words in lower case; a Chinese character is one."""
    spaced = "".join(f" {char} " if "\u3400" <= char <= "\u9fff" else char if char.isalnum() else " " for char in text)
    return normalize(spaced).lower().split()
