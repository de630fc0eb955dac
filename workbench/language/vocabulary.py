"""One vocabulary: pieces of text, then control words, then item words.

Control and item words have no string form. Their ids lie above the tokenizer's length and only code inserts them, so a
title or a request that contains ``<history>`` or ``<item_5>`` is text and nothing else.
"""

from dataclasses import dataclass

import numpy as np

from workbench.language.spelling import Spelling

CONTROLS = ("history", "request", "recommend", "describe", "end")


@dataclass(frozen=True)
class Vocabulary:
    """Where each kind of word sits.

    Attributes:
        n_text: Number of text pieces; their ids are ``0 .. n_text - 1``.
        spelling: How items are written.

    Example:
        >>> from workbench.language.spelling import Spelling
        >>> words = Vocabulary(300, Spelling("atomic", ("a", "b"), ((0,), (1,)), 2))
        >>> words.control("history"), words.first_item, words.size
        (300, 305, 307)
    """

    n_text: int
    spelling: Spelling

    @property
    def first_item(self) -> int:
        """Id of item word 0."""
        return self.n_text + len(CONTROLS)

    @property
    def size(self) -> int:
        """Number of words of all kinds."""
        return self.first_item + self.spelling.n_words

    def control(self, name: str) -> int:
        """Id of a control word, one of ``CONTROLS``."""
        return self.n_text + CONTROLS.index(name)

    def items(self, rows: list[int] | np.ndarray) -> list[int]:
        """Ids of the item words of these catalog rows, one after the other."""
        return [self.first_item + word for row in rows for word in self.spelling.codes[row]]
