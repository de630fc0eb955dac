"""Who is near whom: by cosine in the original vectors, where a map's plane would only be an approximation."""

import numpy as np
import pandas as pd


def nearest(vectors: pd.DataFrame, point: tuple[str, str], *, k: int = 10, kind: str | None = None) -> pd.DataFrame:
    """The k points whose vectors have the largest cosine with one point's, nearest first, the point itself left out.

    Args:
        vectors: Embeddings table, index (``kind``, ``id``).
        point: Kind and id of the point to start from.
        k: How many; fewer are given when there are fewer.
        kind: Only neighbours of this kind; all kinds when None.

    Returns:
        Table ``kind``, ``id``, ``cosine`` (-1 to 1; 0 where a vector has no length). Equal ones keep their order.

    Raises:
        KeyError: If the point has no vector.

    Example:
        >>> index = pd.MultiIndex.from_product([["item"], ["a", "b", "c"]], names=["kind", "id"])
        >>> nearest(pd.DataFrame([[1.0, 0.0], [0.0, 2.0], [3.0, 3.0]], index=index), ("item", "b"), k=1)
           kind id    cosine
        0  item  c  0.707107
    """
    if point not in vectors.index:
        raise KeyError(f"{point[0]} {point[1]!r} has no vector here; ids are strings.")
    table = vectors.to_numpy(dtype=np.float32)
    place = vectors.index.get_loc(point)
    lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(table[place])
    cosines = np.divide(table @ table[place], lengths, out=np.zeros(len(table), np.float32), where=lengths > 0)
    allowed = np.ones(len(table), bool) if kind is None else vectors.index.get_level_values("kind") == kind
    allowed = allowed & (np.arange(len(table)) != place)
    best = np.argsort(-cosines, kind="stable")
    best = best[allowed[best]][:k]
    return vectors.index[best].to_frame(index=False).assign(cosine=np.clip(cosines[best], -1, 1))
