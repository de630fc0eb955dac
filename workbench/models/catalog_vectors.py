"""Vectors of items before any language model: from the words of the catalog and from who met what in training.

What code words are made of (``workbench.language.spell``): items with alike texts and alike company get alike codes,
and an item nobody has met still has its text.
"""

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer

from workbench.models.ranking import in_time_order
from workbench.models.text import row_text, row_words
from workbench.models.vectors import unit_rows, vector_table

SIZE = 32  # dimensions of each half
WINDOW = 5  # events of one user that count as company


def embed_catalog(catalog: pd.DataFrame, *, train: pd.DataFrame | None = None, seed: int = 0) -> pd.DataFrame:
    """Vectors of all items, catalog order: one half from their texts, one from their company in training histories.

    Both halves are singular vectors: of words weighted by TF-IDF, and of positive pointwise mutual information of
    items within five events of each other (Levy and Goldberg, 2014, section 3.1). Each half has length 1, or 0 where
    nothing is known.

    Args:
        catalog: Catalog table.
        train: Training interactions; None: texts alone.
        seed: Of the singular value decomposition.

    Returns:
        Embeddings table, index (``kind``, ``id``), shape (n_items, at most 64).

    Example:
        >>> catalog = pd.DataFrame({"item_id": ["a", "b", "c"], "title": ["red film", "red film", "blue book"]})
        >>> vectors = embed_catalog(catalog).to_numpy()
        >>> bool(vectors[0] @ vectors[1] > vectors[0] @ vectors[2])
        True
    """
    texts = [row_text(row) for row in catalog.to_dict("records")]
    words = TfidfVectorizer(analyzer=row_words, min_df=1, sublinear_tf=True)
    halves = [_reduced(words.fit_transform(texts) if any(map(row_words, texts)) else None, len(texts), seed)]
    if train is not None:
        halves.append(_reduced(_company(train, catalog["item_id"]), len(texts), seed))
    return vector_table(np.hstack(halves), kind="item", ids=catalog["item_id"].astype(str).tolist())


def _reduced(table: sparse.csr_matrix | None, n_items: int, seed: int) -> np.ndarray:
    """Singular vectors of a table's rows, of length 1, (n_items, at most 32); all zeros of an empty table."""
    if table is None or not table.nnz or min(table.shape) < 3:
        return np.zeros((n_items, 1), dtype=np.float32) if table is None or not table.nnz else table.toarray()
    size = min(SIZE, min(table.shape) - 1)
    return unit_rows(TruncatedSVD(size, random_state=seed).fit_transform(table)).astype(np.float32)


def _company(train: pd.DataFrame, items: pd.Series) -> sparse.csr_matrix:
    """Positive pointwise mutual information of items that stand near each other in a history, (n_items, n_items)."""
    train = in_time_order(train)
    train = train.iloc[np.argsort(pd.factorize(train["user_id"])[0], kind="stable")]
    codes = pd.Index(items.astype(str), dtype=object).get_indexer(train["item_id"])
    users, n = pd.factorize(train["user_id"])[0], len(items)
    counts = sparse.csr_matrix((n, n))
    for gap in range(1, WINDOW + 1):
        near = (users[gap:] == users[:-gap]) & (codes[gap:] >= 0) & (codes[:-gap] >= 0)
        pairs = (codes[:-gap][near], codes[gap:][near])
        counts = counts + sparse.csr_matrix((np.ones(near.sum()), pairs), shape=(n, n))
    counts = (counts + counts.T).tocoo()
    total, often = counts.sum(), np.asarray(counts.sum(axis=1)).ravel()
    values = np.log(counts.data * total / (often[counts.row] * often[counts.col]))
    return sparse.csr_matrix((np.maximum(values, 0), (counts.row, counts.col)), shape=(n, n))
