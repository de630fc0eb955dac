"""How an item is written: a table from items to tuples of item words.

``atomic`` gives every item one word of its own, so a full ranking is one forward pass and nothing outside the catalog
can be written at all. Training, prompts and saving read only this table, never how it came about.
"""

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True)
class Spelling:
    """The table item -> item words, numbered from 0; the vocabulary places them above text and control words.

    Attributes:
        how: Name of the spelling, ``"atomic"``.
        items: Item ids in catalog order.
        codes: One tuple of word numbers per item, same order.
        n_words: How many different item words there are.
    """

    how: str
    items: tuple[str, ...]
    codes: tuple[tuple[int, ...], ...]
    n_words: int


def spell(catalog: pd.DataFrame, *, how: str = "atomic") -> Spelling:
    """A spelling of every item of the catalog.

    Args:
        catalog: Catalog table with unique ``item_id``.
        how: ``"atomic"``: one new word per item (as in SASRec and GPTRec Top-K).

    Raises:
        ValueError: If ``how`` is not known, or the catalog is empty or repeats an id.

    Example:
        >>> spell(pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})).codes
        ((0,), (1,))
    """
    if how != "atomic":
        raise ValueError(f"spelling {how!r} is not known; this version spells items 'atomic' (one word per item).")
    items = tuple(catalog["item_id"].astype(str))
    if not items or len(set(items)) != len(items):
        raise ValueError(
            f"the catalog has {len(items)} rows and {len(set(items))} different item_id; ids must be unique."
        )
    return Spelling("atomic", items, tuple((row,) for row in range(len(items))), len(items))
