"""Written texts held against the catalog, beside the floor: the text of the most similar other item."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from threading import Event

import numpy as np
import pandas as pd

from workbench.evaluation.texts import Words, copy_nearest, score_texts, split_words, summarize_texts
from workbench.language.wording import COUNTRY_WORDS, GENRE_NOUNS, GENRE_WORDS
from workbench.models import GPT2Recommender
from workbench.models.generation import write_text
from workbench.training.batches import item_texts

FLOOR, RUN = "nearest copy", "This run"
LENGTH = 80  # word pieces of a text that is measured: training reads as many
HOW = {"how": "sample", "temperature": 1.0, "top_p": 0.9}
PLOT = {"family", "kids", "家庭", "儿童", "港"}  # name a genre or a country in a wish; in a story they seldom do


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
        return {name: score_texts(own, catalog, learned["text"], words=spoken()) for name, own in both.items()}

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


def spoken() -> Words:
    """How people say genres and countries, without what in a story seldom means them.

    Example:
        >>> spoken()["genres"]["Sci-Fi"][:2]
        ['science fiction', 'sci-fi']
    """
    said: dict[str, dict[str, list[str]]] = {}
    for column, table in (("genres", GENRE_WORDS), ("country", COUNTRY_WORDS)):
        nouns = GENRE_NOUNS if column == "genres" else {}
        said[column] = {
            value: [word for group in own.values() for word in group if word not in PLOT] + nouns.get(value, [])
            for value, own in table.items()
        }
    return said


def copy_in_language(texts: pd.DataFrame, catalog: pd.DataFrame, learned: pd.DataFrame) -> pd.DataFrame:
    """The floor of each text: what ``copy_nearest`` answers, in the language of the text where there is such a text.

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["Alien", "Aliens", "Heat"]})
        >>> learned = pd.DataFrame({"item_id": ["b", "b", "c", "c"], "text": ["A ship.", "飞船", "A theft.", "盗窃"]})
        >>> texts = pd.DataFrame({"item_id": ["b", "b"], "text": ["Marines.", "异形"]})
        >>> copy_in_language(texts, catalog, learned)["text"].tolist()
        ['A theft.', '盗窃']
    """
    chinese, parts = texts["text"].map(is_chinese), []
    for language in chinese.unique():
        asked = texts.index[chinese == language]
        alike = learned[learned["text"].map(is_chinese) == language]
        alike = alike if alike["item_id"].nunique() > 1 else learned  # a catalog in one language
        parts.append(copy_nearest(catalog, alike, items=texts["item_id"][asked].tolist()).set_axis(asked))
    return pd.concat(parts).loc[texts.index]


def is_chinese(text: str) -> bool:
    """Whether more than half of the words of a text are Chinese characters, each a word.

    Example:
        >>> is_chinese("一部 film"), is_chinese("film noir 黑")
        (True, False)
    """
    words = split_words(text)
    return sum("\u3400" <= word <= "\u9fff" for word in words) > len(words) / 2
