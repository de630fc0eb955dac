"""Groups of users or of items, found in their vectors, and how well they agree with a known grouping.

Found as in BERTopic (Grootendorst 2022, arXiv:2203.05794): UMAP to five dimensions, where density means something, then
HDBSCAN (Campello, Moulavi & Sander 2013), which decides by itself how many groups there are and who is in none. Then,
in the vectors themselves, whoever is in a group moves to the one whose centre is nearest, until nobody moves: k-means
that begins at HDBSCAN's groups. What was found is kept on disk, as maps are.
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.decomposition import TruncatedSVD
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from workbench.evaluation.intervals import percentile_interval
from workbench.insight.maps.alignment import check_finite
from workbench.insight.maps.fitting import all_equal, fit_umap
from workbench.insight.maps.kept import content_key, keep, read_kept
from workbench.models.ranking import Histories, as_histories, item_codes
from workbench.models.vectors import unit_rows
from workbench.training.progress import Notice, ProgressDisplay

GROUPING = 1  # raise it when the same vectors and settings would give other groups
DIMENSIONS, NEIGHBOURS, CORE = 5, 15, 5
NONE = -1  # the group of whoever is in no group
MOST_ROUNDS = 100
REPEATS = 500
SCORES = {"rand": adjusted_rand_score, "information": adjusted_mutual_info_score}


def find_groups(
    vectors: pd.DataFrame, *, smallest: int | None = None, seed: int = 0, folder: str | Path | None = None
) -> pd.DataFrame:
    """Groups of points whose vectors lie close together; one kind at a time.

    Args:
        vectors: Embeddings table of items or of users; what counts is the direction from their mean.
        smallest: Fewest members of a group where it is dense; a fiftieth of all, at least 5, when None. A group may end
            with fewer, as members move to a nearer centre.
        seed: For UMAP.
        folder: Where groups are kept; ``maps`` inside ``runs_folder()`` when None.

    Returns:
        Index (``kind``, ``id``); ``group``: 0 for the largest, -1 for none; ``closeness``: cosine to the group's
        centre, -1 to 1, missing for none. Vectors that are all equal are one group.

    Raises:
        ValueError: If there are several kinds, fewer than 10 vectors, or one is not finite.
    """
    kinds = vectors.index.get_level_values("kind").unique().tolist()
    if len(kinds) != 1 or len(vectors) < 10:
        raise ValueError(
            f"groups need 10 vectors or more of one kind; there are {len(vectors)} of {kinds}. "
            "Find the groups of users and of items one after the other: vectors.loc[['user']]."
        )
    check_finite(vectors)
    smallest = smallest or max(5, len(vectors) // 50)
    libraries = [version("umap-learn"), version("scikit-learn")]
    key = content_key(vectors, groups=GROUPING, libraries=libraries, smallest=smallest, seed=seed)
    if kept := read_kept(key, folder):
        return kept[0]
    show = ProgressDisplay()
    show(Notice(f"Finding groups of {len(vectors):,} {kinds[0]}s; thousands take some seconds."))
    values = vectors.to_numpy(dtype=np.float32)
    if all_equal(values):
        found = pd.DataFrame({"group": 0, "closeness": 1.0}, index=vectors.index)
    else:
        found = _dense_groups(unit_rows(values - values.mean(0)), smallest=smallest, seed=seed).set_axis(vectors.index)
    keep(found, key=key, folder=folder)
    show(Notice("", note=f"{found['group'].max() + 1} groups of {kinds[0]}s found."))
    return found


def count_groups(histories: Histories, *, count: int, dimensions: int = 8, seed: int = 0) -> pd.Series:
    """The floor under groups of users: k-means on the singular vectors of who met what, told how many groups to find.

    Args:
        histories: ``{user_id: [item_id, ...]}`` or an interactions table.
        count: How many groups.
        dimensions: Singular vectors kept.
        seed: For both.

    Returns:
        Group per user, 0 to ``count - 1``, indexed by ``user_id``.
    """
    histories = as_histories(histories)
    items = pd.Index(sorted({item for history in histories.values() for item in history}), dtype=object)
    codes = item_codes(histories, items=items)
    rows = np.repeat(np.arange(len(codes)), [len(row) for row in codes])
    met = sparse.csr_array((np.ones(len(rows)), (rows, np.concatenate(codes))), shape=(len(codes), len(items)))
    low = TruncatedSVD(dimensions, random_state=seed).fit_transform(met)
    groups = KMeans(count, n_init=10, random_state=seed).fit_predict(low)
    return pd.Series(groups, index=pd.Index(list(histories), name="user_id"))


def agree_with(groups: pd.Series, truth: pd.Series, *, floor: pd.Series | None = None, seed: int = 0) -> pd.DataFrame:
    """How well groups agree with a known grouping: 0 as by chance, 1 the same; those in no group count as one group.

    Args:
        groups: Found group per user, -1 for none; compared by user, in whatever order. The index is the users' ids, or
            (``kind``, ``id``) as ``find_groups`` gives it.
        truth: Known group of the same users.
        floor: Another grouping of the same users; adds the row of the difference to it.
        seed: For the bootstrap over users, 500 resamples, 95 % intervals.

    Returns:
        Rows "rand" (adjusted Rand index; Hubert & Arabie 1985) and "information" (adjusted mutual information; Vinh,
        Epps & Bailey 2010), with ``value``, ``low``, ``high`` and, with a floor, ``floor``, ``difference``,
        ``difference_low`` and ``difference_high``, user by user on the same resamples.

    Raises:
        ValueError: If the groupings are not of the same users.

    Example:
        >>> truth = pd.Series([0, 0, 0, 1, 1, 1])
        >>> agree_with(1 - truth, truth)["value"].tolist()
        [1.0, 1.0]
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(truth), size=(REPEATS, len(truth)))
    known, rows = pd.factorize(truth)[0], {}
    users = truth.index.get_level_values(-1)
    found = {"value": _in_order(groups, users)} | ({} if floor is None else {"floor": _in_order(floor, users)})
    for name, score in SCORES.items():
        row, samples = {}, {}
        for column, labels in found.items():
            row[column] = float(score(known, labels))
            samples[column] = np.array([score(known[draw], labels[draw]) for draw in draws])
        row["low"], row["high"] = map(float, percentile_interval(samples["value"]))
        if floor is not None:
            row["difference"] = row["value"] - row["floor"]
            ends = percentile_interval(samples["value"] - samples["floor"])
            row["difference_low"], row["difference_high"] = map(float, ends)
        rows[name] = row
    return pd.DataFrame(rows).T


def _in_order(groups: pd.Series, users: pd.Index) -> np.ndarray:
    """The group of each of these users; refuse a grouping of others."""
    mine = groups.index.get_level_values(-1)  # of (kind, id), the id
    if not (users.is_unique and mine.is_unique and set(mine) == set(users)):
        raise ValueError(
            f"the groupings are not of the same users: {len(mine):,} against {len(users):,}, such as "
            f"{list(mine[:2])} and {list(users[:2])}. Give each the same users once as its index."
        )
    return groups.to_numpy()[mine.get_indexer(users)]


def _dense_groups(centred: np.ndarray, *, smallest: int, seed: int) -> pd.DataFrame:
    """The group of each unit vector, -1 for none, and the cosine to its centre."""
    near, core = min(NEIGHBOURS, len(centred) - 1), min(CORE, len(centred) // 4)
    _, low = fit_umap(centred, neighbours=near, seed=seed, min_dist=0.0, init="spectral", dimensions=DIMENSIONS)
    search = HDBSCAN(min_cluster_size=smallest, min_samples=core, copy=False)
    groups = _settle(centred, search.fit_predict(low.astype(np.float64)))
    closeness = np.full(len(groups), np.nan)
    for group in range(groups.max() + 1):
        members = centred[groups == group]
        closeness[groups == group] = members @ unit_rows(members.mean(0, keepdims=True))[0]
    return pd.DataFrame({"group": groups, "closeness": closeness})


def _settle(centred: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Move members to the nearest centre until nobody moves, and number the groups by size; -1 stays -1."""
    members = groups >= 0
    for _ in range(MOST_ROUNDS if members.any() else 0):
        names, places = np.unique(groups[members], return_inverse=True)
        centres = unit_rows(np.stack([centred[members][places == place].mean(0) for place in range(len(names))]))
        moved = names[(centred[members] @ centres.T).argmax(1)]
        if (moved == groups[members]).all():
            break
        groups[members] = moved
    by_size = pd.Series(groups[members]).value_counts().index
    number = {group: place for place, group in enumerate(by_size)} | {NONE: NONE}
    return np.array([number[group] for group in groups])
