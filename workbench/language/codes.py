"""Semantic codes: items in a few words that similar items share, from a residual quantisation of their vectors.

The first word names the nearest of a few centres, the second the nearest centre of what the first left over, and so on
(residual k-means; Rajput et al. 2023, "Recommender systems with generative retrieval", section 3.1, where a learned
quantiser does the same). Items that end up with the same words get a last word that counts them; every item has one, so
that all codes have one length.
"""

import numpy as np
import pandas as pd
from sklearn.cluster import KMeans

ENOUGH_CENTRES, MOST_CENTRES = 128, 256  # of a level
PLACES = 6  # of the largest number; what is left over beyond is rounding, and no centre is spent on it


def residual_codes(
    vectors: pd.DataFrame, *, levels: int | None = None, width: int | None = None, seed: int = 0
) -> tuple[tuple[tuple[int, ...], ...], int, dict]:
    """Codes of ``levels`` words and a counting word for every item, all words different from level to level.

    Args:
        vectors: One row per item, (n_items, n_dimensions); made of training data only.
        levels: Words of a code without the counting word; None: two as long as that makes four codes for every item
            (up to 16,384 items), else three.
        width: Centres of a level; None: 128, if there are four items for each, or twice the square root of the
            catalog's size where that is more; 8 to 256. See LOG.md.
        seed: Of k-means.

    Returns:
        The codes, how many different words there are, and a report: ``used`` (share of the centres that an item uses,
        per level), ``shared`` (items that share their code with another before the counting word) and ``most_alike``
        (items of the fullest code).

    Example:
        >>> vectors = pd.DataFrame([[0.0, 0], [0, 0.1], [5, 5], [5, 5.1], [5, 5.1]])
        >>> codes, n_words, report = residual_codes(vectors, levels=1, width=2)
        >>> len({code[0] for code in codes}), [code[-1] - 2 for code in codes], report["most_alike"]
        (2, [0, 1, 0, 1, 2], 3)
    """
    left = vectors.to_numpy(dtype=np.float64)
    left = (left / max(np.abs(left).max(), 1e-12)).round(PLACES)
    levels = levels or (2 if 4 * len(left) <= MOST_CENTRES**2 else 3)
    usual = max(2 * len(left) ** 0.5, min(ENOUGH_CENTRES, len(left) / 4))
    width = min(width or int(np.clip(usual, 8, MOST_CENTRES)), len(left))
    columns, used = [], []
    for level in range(levels):
        k = min(width, len(np.unique(left, axis=0)))
        fitted = KMeans(k, n_init=2, random_state=seed + level).fit(left)
        columns.append(fitted.labels_ + level * width)
        used.append(len(np.unique(fitted.labels_)) / width)
        left = (left - fitted.cluster_centers_[fitted.labels_]).round(PLACES)
    codes = pd.DataFrame(dict(enumerate(columns)))
    alike = codes.groupby(list(codes), sort=False)
    sizes = alike[0].transform("size")
    codes[levels] = alike.cumcount() + levels * width
    n_words = levels * width + int(sizes.max())
    report = {"used": used, "shared": int((sizes > 1).sum()), "most_alike": int(sizes.max())}
    return tuple(map(tuple, codes.to_numpy().tolist())), n_words, report
