"""Items, users and requests on one footing, so that one map can show them together.

As the model leaves them, the kinds lie apart: all hidden states share a long common part (it says what is popular), all
item rows share another, and the lengths differ by a factor of twenty; by cosine, users are neighbours of users only.
What the model says about a user is however not the vector but the ranking. So items are taken as directions from their
common mean, and each user is put where that ranking is read off by cosine alone: at the direction ``z`` whose softmax
over the items, ``softmax(z . items)``, comes nearest to the model's own in Kullback-Leibler divergence. That is one
small convex problem per user (multinomial logistic regression with ridge), and all it needs to know of the model's
probabilities is the mean direction under them; the model is not trained further.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from workbench.models import GPT2Recommender, embed_items, embed_users
from workbench.models.ranking import Histories, as_histories, top_k

BLOCK = 256  # users solved at once: block x items float32 stay near the cores
RIDGE = 3e-3  # more pulls users towards the items they would like, less keeps more of the ranking
STEPS = 60
SAME = 1e-6  # vectors that differ by less, as a share of their length, differ by rounding only


def align_kinds(vectors: pd.DataFrame) -> pd.DataFrame:
    """Unit vectors in which nearest items by cosine are, nearly, the model's own ranking.

    Args:
        vectors: Embeddings of all items (``embed_items``) and of users or requests of the same recommender, one table.

    Returns:
        Table of the same index and shape, float32, rows of length 1. Items: their rows less the mean row. The others:
        directions in the items' space. Adding or leaving out users hardly moves anybody else: by about 0.001 in cosine.

    Raises:
        ValueError: If there are no items, one of them does not differ from their mean, or a vector is not finite.

    Example:
        >>> index = pd.MultiIndex.from_tuples([("item", "a"), ("item", "b"), ("user", "ann")], names=["kind", "id"])
        >>> vectors = pd.DataFrame([[2.0, 0.0], [0.0, 2.0], [9.0, 1.0]], index=index)
        >>> (align_kinds(vectors) > 0).loc[("user", "ann")].tolist()  # towards a, whose word is the likelier
        [True, False]
    """
    check_finite(vectors)
    is_item = vectors.index.get_level_values("kind") == "item"
    if not is_item.any():
        raise ValueError("there are no items among the vectors; put embed_items(recommender) first, with pd.concat.")
    values = torch.from_numpy(vectors.to_numpy(dtype=np.float32, copy=True))
    rows, states = values[torch.from_numpy(is_item)], values[torch.from_numpy(~is_item)]
    directions = rows - rows.mean(0)
    lengths = directions.norm(dim=1)
    if lengths.min() <= SAME * rows.norm(dim=1).max():
        raise ValueError(
            f"item {vectors.index[is_item][int(lengths.argmin())][1]!r} does not differ from the mean of the "
            f"{len(rows):,} items, so it has no direction; two items or more with different vectors are needed. Is the "
            "recommender trained?"
        )
    directions = torch.nn.functional.normalize(directions, dim=1)
    aligned = np.empty(values.shape, dtype=np.float32)
    aligned[is_item] = directions.numpy()
    places = np.flatnonzero(~is_item)
    for first in range(0, len(places), BLOCK):
        some = slice(first, first + BLOCK)
        chances = torch.softmax(states[some] @ rows.T, dim=1)
        found = directions_with_mean(chances @ directions, directions)
        aligned[places[some]] = torch.nn.functional.normalize(found, dim=1).numpy()
    return pd.DataFrame(aligned, index=vectors.index, columns=vectors.columns)


@dataclass(frozen=True)
class NearestItems:
    """Ranks items by cosine to the user on the aligned vectors: what a map's neighbourhoods know of the ranking.

    ``compare(recommender, NearestItems(recommender), split)`` says what aligning the kinds has cost.
    """

    recommender: GPT2Recommender

    @property
    def start(self) -> str:
        """Where the recommender's weights began."""
        return self.recommender.start

    def rank(
        self,
        histories: Histories,
        *,
        k: int = 10,
        exclude_seen: bool = True,
        candidates: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The k nearest items to every user; ``score`` is the cosine, -1 to 1.

        Raises:
            ValueError: If an item of a history or of ``candidates`` is unknown.
        """
        histories = as_histories(histories)
        users = embed_users(self.recommender, histories)
        aligned = align_kinds(pd.concat([embed_items(self.recommender), users]))
        items = aligned.loc["item"]
        return top_k(
            aligned.to_numpy()[len(items) :] @ items.to_numpy().T,
            users=list(histories),
            items=items.index,
            seen=list(histories.values()) if exclude_seen else None,
            k=k,
            candidates=candidates,
        )


def directions_with_mean(means: torch.Tensor, directions: torch.Tensor) -> torch.Tensor:
    """The vectors whose softmax over the items comes nearest to a distribution with these means, (n_users, d_model).

    Args:
        means: Mean direction under each user's probabilities, ``chances @ directions``, shape (n_users, d_model).
        directions: Unit vectors of the items, shape (n_items, d_model).
    """
    found = torch.zeros_like(means, requires_grad=True)
    solver = torch.optim.LBFGS([found], max_iter=STEPS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        solver.zero_grad()
        # KL divergence up to a constant, as a mean over users, with ridge
        scores = found @ directions.T  # (n_users, n_items)
        cost = (scores.logsumexp(1) - (means * found).sum(1) + RIDGE * found.square().sum(1)).mean()
        cost.backward()
        return cost

    with torch.enable_grad():
        solver.step(loss)
    return found.detach()


def check_directions(vectors: pd.DataFrame) -> None:
    """Refuse vectors that are not finite or all zeros, naming the first row."""
    check_finite(vectors)
    some = vectors.to_numpy().any(axis=1)
    if not some.all():
        kind, name = vectors.index[some.argmin()]
        raise ValueError(f"the vector of {kind} {name!r} is all zeros and has no direction; leave it out.")


def check_finite(vectors: pd.DataFrame) -> None:
    """Refuse vectors that hold NaN or infinity, naming the first row."""
    bad = ~np.isfinite(vectors.to_numpy()).all(axis=1)
    if bad.any():
        kind, name = vectors.index[bad.argmax()]
        raise ValueError(
            f"{bad.sum()} of {len(vectors)} vectors are not finite, the first is {kind} {name!r}. The run diverged; "
            "train it again with a lower learning_rate."
        )
