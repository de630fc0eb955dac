"""A map: users and items as points in the plane, near each other where their vectors are.

UMAP (McInnes, Healy & Melville 2018, arXiv:1802.03426) keeps neighbourhoods, not distances; how far a picture can be
believed is measured with it and said beside it. A map is kept on disk under a hash of everything that decides it.
"""

import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from workbench.insight.maps.alignment import SAME, check_directions
from workbench.insight.maps.kept import content_key, keep, read_kept
from workbench.insight.maps.trust import map_quality
from workbench.models.vectors import unit_rows
from workbench.training.progress import Notice, ProgressDisplay

FITTING = threading.Lock()  # numba ends the process when two threads run its parallel loops at once
MAPPING = 1  # raise it when the same vectors and settings would give another picture
FEWEST = 4  # points: UMAP needs more than dimensions


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """Points in the plane, the vectors they stand for, and how far the picture can be believed.

    Attributes:
        table: Index (``kind``, ``id``), columns ``x`` and ``y``; kind is "item", "user" or "request".
        vectors: The vectors the map was fitted on, same index, float32; nearest means largest cosine here.
        method: "umap" or "pca".
        settings: What decided the picture besides the vectors: seed, neighbours, minimal distance.
        quality: See ``map_quality``: trust, overlap, mixing, and on how many points they were measured.
        key: Hash of vectors and settings, under which a UMAP is kept.
        cached: Whether it was read from disk.
        seconds: What fitting took, when it was fitted.
        fitted: The UMAP or PCA object that places new points; None when the map was read from disk.
    """

    table: pd.DataFrame
    vectors: pd.DataFrame
    method: str
    settings: Mapping[str, Any]
    quality: Mapping[str, float]
    key: str
    cached: bool
    seconds: float
    fitted: Any = field(default=None, repr=False)

    @property
    def df(self) -> pd.DataFrame:
        """The points as a plain table, for saving."""
        return self.table

    def __repr__(self) -> str:
        """Return what is on the map and how far it can be believed."""
        kinds = self.table.index.get_level_values("kind").value_counts(sort=False)
        points = ", ".join(f"{count:,} {kind}s" for kind, count in kinds.items())
        came = "read from the cache" if self.cached else f"fitted in {self.seconds:.1f} s"
        found = ", ".join(f"{name} {value:.2f}" for name, value in self.quality.items() if name != "points")
        return f"EmbeddingMap({self.method}: {points}; {found}; {came}; seed {self.settings['seed']})"


def fit_map(
    vectors: pd.DataFrame,
    *,
    method: Literal["umap", "pca"] = "umap",
    neighbours: int = 15,
    min_distance: float = 0.2,
    seed: int = 0,
    folder: str | Path | None = None,
) -> EmbeddingMap:
    """Put vectors on a map: nearest by cosine, near in the plane.

    The same vectors and settings give the same map, on the same machine with the same versions. A UMAP fitted before is
    read from disk; with a seed UMAP works on one core, and the first fit in a process also compiles it (about 10 s).

    Args:
        vectors: Embeddings table; for several kinds on one map, what ``align_kinds`` returns.
        method: "umap", or "pca" for an instant preview, which is not kept. Fewer than four points, too few for UMAP,
            always get "pca", and the map says so.
        neighbours: Neighbours each point is drawn to; lowered when there are fewer points.
        min_distance: How close points may come, 0 to 1.
        seed: For UMAP's start and sampling.
        folder: Where maps are kept; ``maps`` inside ``runs_folder()`` when None.

    Raises:
        ValueError: If there are fewer than two vectors, one is not finite or all zeros, all point the same way, or a
            name is unknown.

    Example:
        >>> index = pd.MultiIndex.from_product([["item"], list("abcd")], names=["kind", "id"])
        >>> corners = pd.DataFrame([[0.0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]], index=index)
        >>> fit_map(corners, method="pca").table.shape
        (4, 2)
    """
    settings = {"seed": seed, "neighbours": min(neighbours, len(vectors) - 1), "min_distance": min_distance}
    check_vectors(vectors, method=method)
    method = method if len(vectors) >= FEWEST else "pca"
    library = version("umap-learn" if method == "umap" else "scikit-learn")
    key = content_key(vectors, map=MAPPING, method=method, library=library, **settings)
    if method == "umap" and (kept := read_kept(key, folder)):
        table, facts = kept
        return EmbeddingMap(table, vectors, method=method, settings=settings, key=key, cached=True, **facts)
    began, show = time.monotonic(), ProgressDisplay()
    show(Notice(f"Fitting a map of {len(vectors):,} points; thousands take seconds, tens of thousands a minute."))
    fitted, places = _fit(vectors, method=method, settings=settings)
    seconds = time.monotonic() - began
    table = pd.DataFrame(places.astype(np.float32), index=vectors.index, columns=["x", "y"])
    facts = {"quality": map_quality(table, vectors, seed=seed), "seconds": seconds}
    if method == "umap":
        keep(table, key=key, folder=folder, **facts)
    show(Notice("", note=f"Map of {len(vectors):,} points fitted in {seconds:.1f} s."))
    return EmbeddingMap(table, vectors, method=method, settings=settings, key=key, cached=False, fitted=fitted, **facts)


def place(embedding_map: EmbeddingMap, vectors: pd.DataFrame) -> EmbeddingMap:
    """The map with new points on it; those that were there stay where they are.

    UMAP's own ``transform``. A map read from disk is fitted again first, which takes as long as it took then.

    Args:
        embedding_map: Where to.
        vectors: Embeddings of users, items or requests the map has not seen, from the same space as its own.

    Raises:
        ValueError: If a vector is not finite or all zeros, has other dimensions than the map's, or a point is there
            already.
        RuntimeError: If a map read from disk comes out otherwise when it is fitted again, as on another machine.
    """
    check_directions(vectors)
    if vectors.shape[1] != embedding_map.vectors.shape[1]:
        raise ValueError(
            f"the new vectors have {vectors.shape[1]} dimensions, the map's {embedding_map.vectors.shape[1]}. "
            "Embed and align them with the recommender the map came from."
        )
    if len(there := vectors.index.intersection(embedding_map.table.index)):
        raise ValueError(f"{there[0][0]} {there[0][1]!r} is on the map already; give it another id.")
    fitted = embedding_map.fitted
    if fitted is None:
        fitted, places = _fit(embedding_map.vectors, method=embedding_map.method, settings=embedding_map.settings)
        if not np.allclose(places, embedding_map.table, rtol=0, atol=1e-3):
            raise RuntimeError(
                "the map was read from disk, and fitting it again here gives other places, so nothing new can be "
                "placed on it. Fit it in this session: fit_map(vectors, folder=<an empty folder>)."
            )
    with _umap_alone():
        places = fitted.transform(unit_rows(vectors.to_numpy(dtype=np.float32)))
    added = pd.DataFrame(places.astype(np.float32), index=vectors.index, columns=["x", "y"])
    return replace(
        embedding_map,
        table=pd.concat([embedding_map.table, added]),
        vectors=pd.concat([embedding_map.vectors, vectors]),
        fitted=fitted,
    )


def check_vectors(vectors: pd.DataFrame, *, method: str) -> None:
    """Refuse what no map can be made of; each message says what to do."""
    if method not in ("umap", "pca"):
        raise ValueError(f"method {method!r} is not known; choose 'umap' or 'pca'.")
    if len(vectors) < 2:
        raise ValueError(f"a map needs two points or more; there are {len(vectors)} vectors.")
    check_directions(vectors)
    if all_equal(unit_rows(vectors.to_numpy(dtype=float))):
        raise ValueError(
            f"all {len(vectors)} vectors are equal or point the same way, so there is nothing to show. Is the "
            "recommender trained?"
        )


def all_equal(values: np.ndarray) -> bool:
    """Whether all rows are the same, but for rounding."""
    return bool(np.ptp(values, axis=0).max() <= SAME * np.abs(values).max())


def _fit(vectors: pd.DataFrame, *, method: str, settings: Mapping[str, Any]) -> tuple[Any, np.ndarray]:
    """The fitted object and the places of its own points, (n, 2)."""
    values = unit_rows(vectors.to_numpy(dtype=np.float32))
    if method == "pca":
        fitted = PCA(n_components=min(2, *values.shape), random_state=settings["seed"])
        places = fitted.fit_transform(values)
        return fitted, np.pad(places, [(0, 0), (0, 2 - places.shape[1])])
    return fit_umap(
        values,
        neighbours=settings["neighbours"],
        seed=settings["seed"],
        min_dist=settings["min_distance"],
        init="pca",  # points without ties to the others begin among them, not far away
    )


def fit_umap(
    values: np.ndarray, *, neighbours: int, seed: int, min_dist: float, init: str, dimensions: int = 2
) -> tuple[Any, np.ndarray]:
    """A UMAP that compares by cosine and gives the same answer twice, and the places of its points."""
    import umap  # half a minute the first time on a machine, seconds later

    fitted = umap.UMAP(
        metric="cosine",
        n_components=dimensions,
        n_neighbors=neighbours,
        min_dist=min_dist,
        init=init,
        random_state=seed,
        n_jobs=1,  # what a seed means to UMAP; when it is said here, UMAP does not warn
    )
    with _umap_alone():
        return fitted, fitted.fit_transform(values)


@contextmanager
def _umap_alone() -> Iterator[None]:
    """One UMAP at a time, without its warnings: of small or seeded data it says what our docstrings say already."""
    with FITTING, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module="umap")
        yield
