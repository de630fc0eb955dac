"""The vectors a recommender gives: items, users and requests in one space, as one table.

An item's vector is the row that scores its word; a user's is the hidden state at the end of the history, a request's
the one at the end of the request. Their dot product is the logit that ``rank`` sorts by, so all three share a space,
and a user nobody trained on needs no retraining. Any recommender will do, also one that has learned nothing yet
(``start_recommender``): so what fine-tuning changed can be seen.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from workbench.models.gpt2 import GPT2Recommender
from workbench.models.ranking import Histories, as_histories, item_codes


def embed_items(recommender: GPT2Recommender) -> pd.DataFrame:
    """Vectors of all items, catalog order.

    Returns:
        Embeddings table, index (``kind``, ``id``), one float32 column per dimension, shape (n_items, d_model).

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> embed_items(start_recommender(catalog, layers=1, width=16, heads=2)).shape
        (2, 16)
    """
    with recommender.at_rest():
        rows = recommender.item_rows().float().cpu().numpy().copy()
    return vector_table(rows, kind="item", ids=recommender.vocabulary.spelling.items)


def embed_users(recommender: GPT2Recommender, histories: Histories) -> pd.DataFrame:
    """Vectors of users: the hidden state at the end of each history; an empty history is somebody unknown.

    Args:
        recommender: Who reads.
        histories: ``{user_id: [item_id, ...]}``, oldest first, or an interactions table. Of a history longer than the
            prompt (``recommender.template.max_history``) the newest items are read, as in ``rank``.

    Returns:
        Embeddings table, index (``kind``, ``id``), shape (n_users, d_model).

    Raises:
        ValueError: If a history names an item that is not in the catalog.
    """
    histories = as_histories(histories)
    return vector_table(recommender.states(histories), kind="user", ids=list(histories))


def embed_text(recommender: GPT2Recommender, requests: str | Sequence[str]) -> pd.DataFrame:
    """Vectors of requests in words: the hidden state where the recommendation would stand.

    Args:
        recommender: Who reads.
        requests: One or several, in any language. Each is its own ``id``.

    Returns:
        Embeddings table, index (``kind``, ``id``), shape (n_requests, d_model).

    Raises:
        ValueError: If a request is empty or repeated.
    """
    requests = [requests] if isinstance(requests, str) else list(requests)
    if empty := [place for place, request in enumerate(requests) if not request.strip()]:
        raise ValueError(f"request number {empty[0] + 1} is empty; write what somebody might ask for.")
    numbered = {str(place): request for place, request in enumerate(requests)}
    states = recommender.states(dict.fromkeys(numbered, []), request=numbered)
    return vector_table(states, kind="request", ids=requests)


def embed_profiles(items: pd.DataFrame, histories: Histories) -> pd.DataFrame:
    """Vectors of users as the mean of the items they met: who somebody is, where ``embed_users`` says what comes next.

    Args:
        items: Vectors of the items; their directions count, not their lengths.
        histories: ``{user_id: [item_id, ...]}`` or an interactions table. Users with an empty history are left out.

    Returns:
        Embeddings table, index (``kind``, ``id``), shape (n_users, d_model).

    Raises:
        ValueError: If a history names an item that has no vector.
    """
    histories = {user: history for user, history in as_histories(histories).items() if history}
    rows = item_codes(histories, items=pd.Index(items.index.get_level_values("id"), dtype=object))
    directions = unit_rows(items.to_numpy(dtype=np.float32))
    means = np.array([directions[row].mean(axis=0) for row in rows]).reshape(-1, items.shape[1])
    return vector_table(means, kind="user", ids=list(histories))


def likeness(items: pd.DataFrame, listed: Sequence[str]) -> float:
    """How alike the items of a list are: mean cosine of all pairs, -1 to 1, the mean of all items taken away first.

    Args:
        items: Vectors of all items, indexed by (``kind``, ``id``).
        listed: Item ids, at least two.

    Example:
        >>> vectors = vector_table(np.array([[2.0, 1], [2, 1], [0, 1]]), kind="item", ids=["a", "b", "c"])
        >>> round(likeness(vectors, ["a", "b"]), 3), round(likeness(vectors, ["a", "c"]), 3)
        (1.0, -1.0)
    """
    rows = unit_rows((items - items.mean()).loc["item"].loc[list(listed)].to_numpy())
    pairs = np.triu_indices(len(rows), 1)
    return float((rows @ rows.T)[pairs].mean())


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    return values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)


def vector_table(vectors: np.ndarray, *, kind: str, ids: Sequence[str]) -> pd.DataFrame:
    """An embeddings table of one kind.

    Raises:
        ValueError: If an id is repeated.
    """
    index = pd.MultiIndex.from_arrays([[kind] * len(ids), pd.Index(ids, dtype="str")], names=["kind", "id"])
    if not index.is_unique:
        raise ValueError(f"{kind} {index[index.duplicated()][0][1]!r} is there twice; every id needs one vector.")
    return pd.DataFrame(vectors, index=index, columns=[f"d{place}" for place in range(vectors.shape[1])])
