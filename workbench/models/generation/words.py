"""A slate word by word, told to whoever watches it grow."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from workbench.catalogs import item_labels
from workbench.models.gpt2 import GPT2Recommender

LOSERS = 4  # words that lost against the chosen one, as they are told


@dataclass(frozen=True)
class Word:
    """One word of a slate, as it is written.

    Attributes:
        place: Place of the item in the slate, from 1.
        text: The word as people read it: a title, a piece of one, or ``code 17``.
        probability: Of this word among those that could stand here, 0 to 1.
        others: The likeliest words that lost, (text, probability).
        item_id: The item, once its last word is written; else empty.
    """

    place: int
    text: str
    probability: float
    others: tuple[tuple[str, float], ...]
    item_id: str = ""


class Teller:
    """Tells the words of slates; knows how items are spelled."""

    def __init__(self, recommender: GPT2Recommender, on_word: Callable[[Word], None]) -> None:
        """Read the catalog.

        Args:
            recommender: Who writes.
            on_word: Who is told.
        """
        vocabulary = recommender.vocabulary
        self._vocabulary, self._tokenizer, self._on_word = vocabulary, recommender.tokenizer, on_word
        self._labels = item_labels(recommender.catalog)
        self._rows = {spelled: row for row, spelled in enumerate(vocabulary.spelled)}

    def item(self, place: int) -> Callable[[int, torch.Tensor], None]:
        """Tells the words of one item; which item it is, is known once the last word is there."""
        so_far: list[int] = []

        def told(word: int, chances: torch.Tensor) -> None:
            likeliest = torch.topk(chances, LOSERS + 1)
            losers = [
                (self._read([*so_far, other]), float(np.exp(score)))
                for score, other in zip(likeliest.values.tolist(), likeliest.indices.tolist(), strict=True)
                if other != word and score > -np.inf
            ]
            so_far.append(word)
            row = self._rows.get(tuple(so_far))
            own = "" if row is None else self._vocabulary.spelling.items[row]
            self._on_word(Word(place, self._read(so_far), float(chances[word].exp()), tuple(losers[:LOSERS]), own))

        return told

    def whole_item(self, place: int, row: int, score: float) -> None:
        """Tells an item at once."""
        own = self._vocabulary.spelling.items[row]
        self._on_word(Word(place, self._labels[row], float(np.exp(score)), (), own))

    def _read(self, words: list[int]) -> str:
        """The last of these words as people read it: the title where it ends an item, else the piece or the code."""
        vocabulary, word = self._vocabulary, words[-1]
        if word < vocabulary.n_text:
            return self._tokenizer.decode([word])
        if word == vocabulary.control("end"):
            return "(end)"
        if tuple(words) in self._rows:
            return self._labels[self._rows[tuple(words)]]
        if vocabulary.first_item <= word < vocabulary.first_mark:
            return f"code {word - vocabulary.first_item}"
        return "(no item)"  # a control word or a mark, off the catalog
