"""Written texts held against the catalog, beside the floor: the text of the most similar other item."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Event

import numpy as np
import pandas as pd

from workbench.evaluation.texts import score_texts, summarize_texts
from workbench.insight.text_floor import attribute_words, copy_in_language
from workbench.models import GPT2Recommender
from workbench.models.generation import write_text
from workbench.training.text_sentences import item_texts

FLOOR, RUN = "nearest copy", "This run"
LENGTH = 80  # word pieces of a text that is measured: training reads as many
HOW = {"how": "sample", "temperature": 1.0, "top_p": 0.9}


@dataclass(frozen=True, eq=False)
class Measured:
    """How true the descriptions of a run are.

    Attributes:
        table: What ``summarize_texts`` returns for the run and the floor.
        n_texts: How many texts it is of.
        n_asked: How many were asked for; more than ``n_texts`` if Stop ended it.
    """

    table: pd.DataFrame
    n_texts: int
    n_asked: int

    @property
    def verdict(self) -> str:
        """Whether the texts of the run are above the floor or a demonstration only, and what that is of."""
        stopped = f"stopped after {self.n_texts:,} of {self.n_asked:,} texts: " if self.n_texts < self.n_asked else ""
        drawn = f"drawn at temperature {HOW['temperature']:g} and top-p {HOW['top_p']:g}, seeds from 0"
        return f"{self.table.attrs['verdicts'][RUN]} Measured ({stopped}{self.n_texts:,} descriptions, {drawn})."


@dataclass(frozen=True, eq=False)
class TextCheck:
    """Scores texts of a recommender.

    Attributes:
        recommender: Who writes.
        reviews: Table ``item_id``, ``text`` of the reviews it has learned from; None where they are not known.
    """

    recommender: GPT2Recommender
    reviews: pd.DataFrame | None = None

    @cached_property
    def descriptions(self) -> pd.DataFrame:
        """Table ``item_id``, ``text`` of the descriptions that training reads."""
        catalog = self.recommender.catalog
        rows, texts = zip(*item_texts(catalog), strict=True)
        return pd.DataFrame({"item_id": catalog["item_id"].to_numpy()[list(rows)], "text": texts})

    def score(self, texts: pd.DataFrame, *, task: str = "describe") -> dict[str, pd.DataFrame]:
        """What ``score_texts`` says of texts, and of the floor for the same items, which also has ``copied_from``.

        Args:
            texts: Table ``item_id``, ``text``.
            task: "describe" or "review": which texts were learned from, and can be copied.

        Raises:
            ValueError: If no other item has a text.
        """
        catalog = self.recommender.catalog
        learned = self.descriptions if task == "describe" or self.reviews is None else self.reviews
        both = {RUN: texts, FLOOR: copy_in_language(texts, catalog, learned)}
        return {name: score_texts(own, catalog, learned["text"], words=attribute_words()) for name, own in both.items()}

    def measure(self, n_items: int, *, stop: Event, on_text: Callable[[int, int], None]) -> Measured | None:
        """Describe some items and hold all texts against the floor; None if it was stopped before the first.

        Args:
            n_items: How many items, always the same ones; their texts are drawn with the seeds 0, 1, 2, ...
            stop: Ends it at the next piece; the texts that are whole by then are measured.
            on_text: Called with how many texts of how many are there.

        Raises:
            ValueError: If there is nothing to measure, or no floor.
        """
        if n_items < 1:
            raise ValueError(f"texts is {n_items}; let at least 1 be written, and 20 or more for a verdict.")
        recommender = self.recommender
        ids = recommender.catalog["item_id"].to_numpy()
        items = ids[np.sort(np.random.default_rng(0).permutation(len(ids))[:n_items])].tolist()
        room = recommender.model.config.n_positions - recommender.vocabulary.trie.longest - 1
        written: list[str] = []
        for seed, item in enumerate(items):
            on_text(len(written), len(items))
            text = write_text(recommender, "describe", item=item, length=min(LENGTH, room), seed=seed, stop=stop, **HOW)
            if text.stopped:
                break
            written.append(text.text)
        if not written:
            return None
        scores = self.score(pd.DataFrame({"item_id": items[: len(written)], "text": written}))
        return Measured(summarize_texts(scores, floor=FLOOR), len(written), len(items))
