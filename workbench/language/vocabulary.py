"""One vocabulary: pieces of text, then control words, then item words, then marks of context and profile.

Control words, item words and marks have no string form. Their ids lie above the tokenizer's length and only code
inserts them, so a title or a request that contains ``<history>`` or ``<item_5>`` is text and nothing else.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from workbench.language.spelling import Spelling
from workbench.language.trie import Trie, build_trie

CONTROLS = ("history", "request", "recommend", "describe", "end")
Mark = tuple[str, str, str]  # part of the prompt, column, value: ("context", "time_of_day", "evening")


@dataclass(frozen=True)
class Vocabulary:
    """Where each kind of word sits.

    Attributes:
        n_text: Number of text pieces; their ids are ``0 .. n_text - 1``.
        spelling: How items are written.
        marks: What a prompt can say of context and of who somebody is, beyond items and text.

    Example:
        >>> from workbench.language.spelling import Spelling
        >>> words = Vocabulary(300, Spelling("atomic", ("a", "b"), ((0,), (1,)), 2))
        >>> words.control("history"), words.first_item, words.size
        (300, 305, 307)
    """

    n_text: int
    spelling: Spelling
    marks: tuple[Mark, ...] = ()

    @property
    def first_item(self) -> int:
        """Id of item word 0."""
        return self.n_text + len(CONTROLS)

    @property
    def first_mark(self) -> int:
        """Id of mark 0."""
        return self.first_item + self.spelling.n_words

    @property
    def size(self) -> int:
        """Number of words of all kinds."""
        return self.first_mark + len(self.marks)

    @property
    def item_words(self) -> slice:
        """Ids of the words that items are written in."""
        return slice(0, self.first_item) if self.spelling.in_text else slice(self.first_item, self.first_mark)

    def control(self, name: str) -> int:
        """Id of a control word, one of ``CONTROLS``."""
        return self.n_text + CONTROLS.index(name)

    @cached_property
    def spelled(self) -> tuple[tuple[int, ...], ...]:
        """Ids of the words of every item, catalog order; none is the beginning of another."""
        if self.spelling.in_text:
            return tuple((*code, self.control("end")) for code in self.spelling.codes)
        return tuple(tuple(self.first_item + word for word in code) for code in self.spelling.codes)

    @property
    def one_word(self) -> bool:
        """Whether every item is one word, so that all are scored at once."""
        return self.trie.longest == 1 and not self.spelling.in_text

    @property
    def mean_length(self) -> float:
        """Words of an item, on average."""
        return sum(map(len, self.spelled)) / len(self.spelled)

    @cached_property
    def closing(self) -> frozenset[int]:
        """Ids of the words behind which something new begins: the last word of each item, and control words."""
        controls = range(self.n_text, self.first_item)
        return frozenset((*controls, *(own[-1] for own in self.spelled)))

    def task(self, name: str) -> int:
        """Id of the mark that asks for a text, such as ``"review"``.

        Raises:
            ValueError: If the model has not learned to write one.
        """
        mark = ("task", "write", name)
        if mark not in self.marks:
            raise ValueError(f"this recommender has not learned to write a {name}; train with {name}s= above 0.")
        return self.first_mark + self.marks.index(mark)

    @cached_property
    def trie(self) -> Trie:
        """All items as paths of word ids."""
        return build_trie(self.spelled)

    def items(self, rows: Iterable[int] | np.ndarray) -> list[int]:
        """Ids of the words of these catalog rows, one after the other."""
        return [word for row in rows for word in self.spelled[row]]

    def mark_ids(self, part: str, said: Mapping[str, str] | None) -> list[int]:
        """Ids of what is said of a part of the prompt; columns in the order in which the model learned them.

        Args:
            part: ``"context"`` or ``"profile"``.
            said: ``{column: value}``; an empty value says nothing.

        Raises:
            ValueError: If the model has not learned such a column or value.
        """
        said = {column: str(value) for column, value in (said or {}).items() if value not in (None, "")}
        known = self.known_marks(part)
        for column, value in said.items():
            if value not in known.get(column, ()):
                knows = f"it knows {known}" if known else f"name the columns in TrainingConfig({part}=) and train again"
                raise ValueError(f"this recommender has not learned the {part} {column} = {value!r}; {knows}.")
        chosen = [(part, column, said[column]) for column in known if column in said]
        return [self.first_mark + self.marks.index(mark) for mark in chosen]

    def known_marks(self, part: str) -> dict[str, tuple[str, ...]]:
        """What can be said of a part of the prompt: ``{column: values}``."""
        known: dict[str, tuple[str, ...]] = {}
        for own, column, value in self.marks:
            if own == part:
                known[column] = (*known.get(column, ()), value)
        return known
