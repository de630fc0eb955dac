"""How an item is written: a table from items to tuples of words, and the trie over it.

``atomic`` gives every item one word of its own, so a full ranking is one forward pass. ``semantic`` writes an item in a
few code words that similar items share, ``title`` in the pieces of its own title, closed by ``<end>`` because one title
may be the beginning of another; the codes of the other two all have one length and need no end. Training, prompts,
ranking, generation and saving read only this table, never how it came about.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from tokenizers import Tokenizer

from workbench.language.codes import residual_codes
from workbench.language.titles import title_codes

SPELLINGS = ("atomic", "semantic", "title")


@dataclass(frozen=True)
class Spelling:
    """The table item -> words; item words are numbered from 0, the vocabulary places them above text and control words.

    Attributes:
        how: Name of the spelling, one of ``SPELLINGS``.
        items: Item ids in catalog order.
        codes: One tuple of word numbers per item, same order; of ``title``, ids of word pieces without the end.
        n_words: How many different item words there are; 0 where items are written in text.
        report: What is known of how the codes are used, see ``residual_codes``.
    """

    how: str
    items: tuple[str, ...]
    codes: tuple[tuple[int, ...], ...]
    n_words: int
    report: dict = field(default_factory=dict, compare=False)

    @property
    def in_text(self) -> bool:
        """Whether items are written in word pieces and closed by ``<end>``, instead of in words of their own."""
        return self.how == "title"


def spell(
    catalog: pd.DataFrame,
    *,
    how: str = "atomic",
    embeddings: pd.DataFrame | None = None,
    tokenizer: Tokenizer | None = None,
    seed: int = 0,
) -> Spelling:
    """A spelling of every item of the catalog.

    Args:
        catalog: Catalog table with unique ``item_id`` and ``title``.
        how: ``"atomic"``: one new word per item (as in SASRec and GPTRec Top-K). ``"semantic"``: code words from a
            residual quantisation of ``embeddings`` (as in TIGER). ``"title"``: the title in word pieces (as in P5).
        embeddings: Vectors of the items, indexed by (``kind``, ``id``) or by item id, made of training data only: for
            ``"semantic"``, see ``workbench.models.embed_catalog``.
        tokenizer: For ``"title"``: makes the word pieces.
        seed: Of the quantisation.

    Raises:
        ValueError: If ``how`` is not known, the catalog is empty or repeats an id, an item has no vector, or what the
            spelling is made of is missing.

    Example:
        >>> spell(pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})).codes
        ((0,), (1,))
    """
    if how not in SPELLINGS:
        raise ValueError(f"spelling {how!r} is not known; choose one of {list(SPELLINGS)}.")
    items = tuple(catalog["item_id"].astype(str))
    if not items or len(set(items)) != len(items):
        raise ValueError(
            f"the catalog has {len(items)} rows and {len(set(items))} different item_id; ids must be unique."
        )
    if how == "atomic":
        return Spelling(how, items, tuple((row,) for row in range(len(items))), len(items))
    if how == "title":
        if tokenizer is None:
            raise ValueError("the spelling 'title' needs tokenizer=, such as train_tokenizer(catalog['title']).")
        return Spelling(how, items, title_codes(catalog, tokenizer), 0)
    if embeddings is None:
        raise ValueError("the spelling 'semantic' needs embeddings=, such as workbench.models.embed_catalog(catalog).")
    codes, n_words, report = residual_codes(_vectors(embeddings, items), seed=seed)
    return Spelling(how, items, codes, n_words, report)


def _vectors(embeddings: pd.DataFrame, items: tuple[str, ...]) -> pd.DataFrame:
    """The items' vectors in catalog order."""
    if isinstance(embeddings.index, pd.MultiIndex):
        embeddings = embeddings.xs("item", level="kind")
    missing = [item for item in items if item not in embeddings.index]
    if missing:
        raise ValueError(f"embeddings lack {len(missing)} item(s), such as {missing[:3]}; every item needs a vector.")
    if not embeddings.index.is_unique:
        twice = embeddings.index[embeddings.index.duplicated()][0]
        raise ValueError(f"embeddings hold item {twice!r} more than once; every item needs one vector.")
    vectors = embeddings.loc[list(items)]
    unfit = ~np.isfinite(vectors.to_numpy(dtype=float)).all(axis=1)
    if unfit.any():
        raise ValueError(f"the vector of item {vectors.index[unfit.argmax()]!r} holds NaN or infinity.")
    return vectors
