"""How far a map can be believed: measured on the map itself, and said beside it."""

import numpy as np
import pandas as pd
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

SAMPLE = 3000  # points on which trust and overlap are measured; both compare all pairs
NEAR = 15


def map_quality(table: pd.DataFrame, vectors: pd.DataFrame, *, seed: int = 0) -> dict[str, float]:
    """How much of the vectors' neighbourhoods the plane keeps, and whether kinds mix.

    Args:
        table: Places ``x`` and ``y``, index (``kind``, ``id``).
        vectors: The vectors of the same points; nearest means largest cosine.
        seed: For the sample of at most 3,000 points.

    Returns:
        ``trust``: trustworthiness, 0 to 1 (Venna & Kaski 2001, "Neighborhood preservation in nonlinear projection
        methods"): 1 when no point is among another's 15 nearest in the plane without being near it in the vectors.
        ``overlap``: share of the 15 nearest in the vectors that are among the 15 nearest in the plane, 0 to 1.
        ``mixing``: see ``mixing``; only when there are users and items. ``points``: size of the sample.
    """
    chosen = np.arange(len(table))
    if len(chosen) > SAMPLE:
        chosen = np.sort(np.random.default_rng(seed).choice(len(chosen), SAMPLE, replace=False))
    values, places = vectors.to_numpy()[chosen], table.to_numpy()[chosen]
    near = min(NEAR, (len(chosen) - 1) // 2)  # trustworthiness is defined below half of the points
    quality = {}
    if near:
        quality["trust"] = float(trustworthiness(values, places, n_neighbors=near, metric="cosine"))
        quality["overlap"] = float(_overlap(nearest_rows(values, near, metric="cosine"), nearest_rows(places, near)))
    kinds = table.index.get_level_values("kind")
    if {"item", "user"} <= set(kinds):
        quality["mixing"] = mixing(table.to_numpy(), kinds)
    return quality | {"points": len(chosen)}


def mixing(values: np.ndarray, kinds: pd.Index, *, metric: str = "euclidean") -> float:
    """How much items and users are each other's neighbours: 0 in two clouds, about 1 when mixed as by chance.

    For items, the share of users among the 15 nearest divided by the share of users among all other points; for users
    the same with items; the mean of the two. Other kinds are left out.

    Args:
        values: Places or vectors, shape (n_points, n_dimensions).
        kinds: "item", "user", ... per point.
        metric: "euclidean" for places, "cosine" for vectors.

    Example:
        >>> kinds = pd.Index(["item", "user"] * 20)
        >>> line = np.arange(40.0)[:, None]  # every other one a user
        >>> round(mixing(line, kinds), 1), mixing(line + 1000 * (kinds == "user")[:, None], kinds)
        (1.0, 0.0)
    """
    wanted = kinds.isin(["item", "user"])
    is_user = (kinds[wanted] == "user").astype(float)
    near = nearest_rows(values[wanted], min(NEAR, len(is_user) - 1), metric=metric)
    found = is_user[near].mean(axis=1)  # share of users around each point
    others = len(is_user) - 1
    around_items = found[is_user == 0].mean() / (is_user.sum() / others)
    around_users = (1 - found[is_user == 1]).mean() / ((len(is_user) - is_user.sum()) / others)
    return float((around_items + around_users) / 2)


def nearest_rows(values: np.ndarray, count: int, *, metric: str = "euclidean") -> np.ndarray:
    """Rows of the nearest other points, nearest first, shape (n_points, count)."""
    search = NearestNeighbors(n_neighbors=count, metric=metric, algorithm="brute" if metric == "cosine" else "auto")
    return search.fit(values).kneighbors(return_distance=False)  # without an argument, a point is not its own neighbour


def _overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Share of each row's entries that are in the other's row, averaged."""
    return np.mean([len(np.intersect1d(a, b)) / len(a) for a, b in zip(one, other, strict=True)])
