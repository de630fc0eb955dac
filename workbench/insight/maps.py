"""A map: users and items as points in the plane, near each other where their vectors are.

UMAP (McInnes, Healy & Melville 2018) keeps neighbourhoods, not distances; how far a map can be believed is measured
with it and said beside it. A fitted map is kept on disk under a key of everything that decides it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Points in the plane, the vectors they stand for, and how far the picture can be believed.

    Attributes:
        table: Index (``kind``, ``id``), columns ``x`` and ``y``; kind is "item", "user" or "request".
        vectors: The vectors the map was fitted on, same index, float32; nearest means largest cosine here.
        method: "umap" or "pca".
        settings: What decided the picture: seed, neighbours, minimal distance.
        quality: ``trust`` (trustworthiness, 0 to 1), ``overlap`` (share of the nearest neighbours in ``vectors`` that
            are nearest in the plane too, 0 to 1), ``mixing`` (0: users and items apart, 1: mixed as by chance), and on
            how many points each was measured.
        key: Hash of vectors and settings, under which the map is kept.
        cached: Whether it was read from disk.
        seconds: What fitting took, when it was fitted.
    """

    table: pd.DataFrame
    vectors: pd.DataFrame
    method: str
    settings: Mapping[str, Any]
    quality: Mapping[str, float]
    key: str
    cached: bool
    seconds: float
