"""Attention: where the model looked while it read a prompt, word by word. Never why: see attribution for effects.

transformers' fused attention returns no weights, and says nothing about it. So ``attend`` switches the model to eager
attention, which computes the same and can be read, for one call, under the model's lock, and checks what came out.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from workbench.catalogs import item_labels
from workbench.insight.prompt_words import item_row, read_prompt
from workbench.models import GPT2Recommender

TOLERANCE = 1e-4  # of a row's sum, and of weight on words that come later


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """The attention of every layer and head while one prompt was read, and the item it was read for.

    The prompt is read before any item is scored: the weights are the same for every recommended item. What belongs to
    the item is its probability and its rank after this prompt.

    Layers, heads and positions count from 0. A *unit* is what people read as one thing, an item or a word of the
    request, however many words of the vocabulary it takes.

    Attributes:
        weights: Shape (n_layers, n_heads, n_words, n_words), float32; row = the word that reads, column = the word it
            looks at. Rows sum to one; a word never looks ahead.
        words: One row per word of the prompt, see :func:`workbench.insight.prompt_words.read_prompt`.
        n_history: Items in the history that was given; the prompt reads the newest of them, see ``n_read``.
        item_id: The recommended item.
        title: Its title and year; plain text, like the labels of ``words``.
        probability: Of the item after this prompt, 0 to 1, among all items.
        rank: Its place, 1 is best, among the items outside the history (and itself, should it stand there).
        source: What the model learned from, where its weights began, seed and device, in words.
    """

    weights: np.ndarray
    words: pd.DataFrame
    n_history: int
    item_id: str
    title: str
    probability: float
    rank: int
    source: str

    @property
    def units(self) -> pd.DataFrame:
        """One row per unit: ``unit``, ``position`` of its first word, ``kind``, ``item_id``, ``label``."""
        firsts = self.words[self.words["part"] == 1]
        return firsts[["unit", "position", "kind", "item_id", "label"]].reset_index(drop=True)

    @property
    def n_read(self) -> int:
        """Items of the history that the prompt holds."""
        return int((self.units["kind"] == "item").sum())

    @property
    def df(self) -> pd.DataFrame:
        """Every weight that can differ from zero: ``layer``, ``head``, ``position``, ``looked_at``, ``weight``."""
        rows, columns = np.tril_indices(len(self.words))
        layers, heads = self.weights.shape[:2]
        one = pd.DataFrame({"position": rows, "looked_at": columns})
        table = pd.concat([one] * (layers * heads), ignore_index=True)
        table.insert(0, "layer", np.repeat(np.arange(layers), heads * len(one)))
        table.insert(1, "head", np.tile(np.repeat(np.arange(heads), len(one)), layers))
        return table.assign(weight=self.weights[:, :, rows, columns].ravel())

    def matrix(self, *, layer: int | None = None, head: int | None = None, rollout: bool = False) -> np.ndarray:
        """Weights between units, shape (n_units, n_units); rows sum to one.

        Args:
            layer: One layer; None for the mean over layers.
            head: One head of that layer; None for the mean over heads.
            rollout: Follow attention through all layers instead, see :func:`roll_out`.

        Raises:
            ValueError: If there is no such layer or head, or a head comes without its layer, or rollout with either.
        """
        layers, heads = self.weights.shape[:2]
        if rollout and (layer is not None or head is not None):
            raise ValueError("rollout goes through all heads and layers; leave out layer and head.")
        if head is not None and layer is None:
            raise ValueError(f"head {head} of which layer? Give layer= 0 to {layers - 1} as well.")
        for name, chosen, n in (("layer", layer, layers), ("head", head, heads)):
            if chosen is not None and not 0 <= chosen < n:
                raise ValueError(f"{name} is {chosen}; this model has {name}s 0 to {n - 1}.")
        if rollout:
            return group(roll_out(self.weights), units=self.words["unit"])
        chosen = self.weights[slice(None) if layer is None else [layer]]
        chosen = chosen[:, slice(None) if head is None else [head]]
        return group(chosen.mean(axis=(0, 1)), units=self.words["unit"])

    def looked_at(
        self, *, layer: int | None = None, head: int | None = None, rollout: bool = False, unit: int | None = None
    ) -> pd.DataFrame:
        """How much one place of the prompt looked at each unit.

        Args:
            layer: As for ``matrix``, like ``head`` and ``rollout``.
            head: See there.
            rollout: See there.
            unit: The unit that reads; None for the last one, where the recommendation is read off.

        Returns:
            ``units`` with ``attention`` (0 to 1, sums to one).

        Raises:
            ValueError: If there is no such layer, head or unit.
        """
        units, weights = self.units, self.matrix(layer=layer, head=head, rollout=rollout)
        if unit is not None and not 0 <= unit < len(units):
            raise ValueError(f"unit is {unit}; this prompt has units 0 to {len(units) - 1}.")
        return units.assign(attention=weights[-1 if unit is None else unit])

    def history_weights(
        self, *, layer: int | None = None, head: int | None = None, rollout: bool = False, unit: int | None = None
    ) -> pd.DataFrame:
        """The items among ``looked_at``, oldest first; the rest of the sum of one went to control words and request."""
        table = self.looked_at(layer=layer, head=head, rollout=rollout, unit=unit)
        return table[table["kind"] == "item"].drop(columns="kind").reset_index(drop=True)


def attend(
    recommender: GPT2Recommender, history: Sequence[str], *, item: str | None = None, **said: Any
) -> AttentionMap:
    """Where the model looked while it read a history, a request, or both; one forward pass over the whole prompt.

    Args:
        recommender: Who reads; its model is switched to eager attention for this call only.
        history: Item ids, oldest first. Of a history longer than the prompt the newest are read. With neither history
            nor request, the prompt is ``<history>`` alone, which can only look at itself.
        item: The recommended item that the map is about; None takes the first of the ranking.
        said: ``request``, ``context`` and ``profile``, as ``recommender.rank`` takes them for one user.

    Raises:
        TypeError: If the history is a string.
        ValueError: If the history or ``item`` names an item that is not in the catalog, or the history holds the whole
            catalog, so that nothing is left to recommend, and no item is given.
        RuntimeError: If the model gives no attention weights, or none that can be right.

    Example:
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"], "year": [1979, 1985]})
        >>> attention = attend(start_recommender(catalog, layers=1, width=16, heads=2), ["a"])
        >>> attention.weights.shape, attention.words["label"].tolist(), attention.title
        ((1, 2, 2, 2), ['<history>', 'Alien (1979)'], 'Brazil (1985)')
    """
    ids, words = read_prompt(recommender, history, **said)
    with recommender.lock:
        scores = recommender.log_probabilities({"somebody": history}, **said)[0]
        with eager_attention(recommender):
            prompt = torch.tensor([ids], device=recommender.device)
            layers = recommender.model.transformer(prompt, use_cache=False, output_attentions=True).attentions
            weights = attention_weights(layers, recommender=recommender, shape=(1, len(ids)))[0]
    row, rank = _place(recommender, scores, history=history, item=item)
    return AttentionMap(
        weights=weights,
        words=words,
        n_history=len(history),
        item_id=recommender.vocabulary.spelling.items[row],
        title=item_labels(recommender.catalog)[row],
        probability=float(np.exp(scores[row])),
        rank=rank,
        source=recommender.source,
    )


@contextmanager
def eager_attention(recommender: GPT2Recommender) -> Iterator[None]:
    """The model at rest, with attention that can be read; afterwards as before, also after an exception."""
    with recommender.at_rest():
        before = recommender.model.config._attn_implementation
        recommender.model.set_attn_implementation("eager")
        try:
            yield
        finally:
            recommender.model.set_attn_implementation(before)


def attention_weights(
    layers: Sequence[torch.Tensor], *, recommender: GPT2Recommender, shape: tuple[int, int]
) -> np.ndarray:
    """The weights of all layers of some prompts, float32, shape (n_prompts, n_layers, n_heads, n_words, n_words).

    Args:
        layers: ``attentions`` as transformers returns them.
        recommender: Whose they are.
        shape: (n_prompts, n_words).

    Raises:
        RuntimeError: If layers are missing or of another shape, rows do not sum to one, or a word looks ahead.
    """
    config, (n_prompts, n_words) = recommender.model.config, shape
    expected = [(n_prompts, config.n_head, n_words, n_words)] * config.n_layer
    if (got := [tuple(layer.shape) for layer in layers]) != expected:
        raise RuntimeError(
            f"the model returned attention of the shapes {got[:2]} ({len(got)} layers), expected were {config.n_layer} "
            f"of {expected[0]}. Fused attention returns none: call attend, which switches to eager attention."
        )
    weights = torch.stack(list(layers), dim=1).float().cpu().numpy()
    worst = np.abs(weights.sum(-1) - 1).max()
    ahead = np.abs(np.triu(weights, 1)).max()
    if not (worst <= TOLERANCE and ahead <= TOLERANCE):  # so that NaN fails too
        raise RuntimeError(
            f"these are no attention weights: rows miss a sum of one by up to {worst:.2g}, words look ahead by up to "
            f"{ahead:.2g}. Are there NaN in the weights of the model? recommender.rank would say so."
        )
    return weights


def roll_out(weights: np.ndarray) -> np.ndarray:
    """Attention rollout: how much of each word reaches each place through all layers; rows sum to one.

    The product over layers of 0.5 A + 0.5 I, where A is the mean over heads and I stands for the residual connection
    (Abnar and Zuidema, 2020, "Quantifying attention flow in transformers", section 3). It knows nothing of what the
    values carry, nor of the feed-forward layers.

    Args:
        weights: Shape (n_layers, n_heads, n_words, n_words).

    Returns:
        Shape (n_words, n_words).

    Example:
        >>> roll_out(np.array([[[[1, 0], [1, 0]]]], dtype=float))
        array([[1. , 0. ],
               [0.5, 0.5]])
    """
    whole = np.eye(weights.shape[-1], dtype=weights.dtype)
    for layer in weights.mean(axis=1):
        whole = (0.5 * layer + 0.5 * np.eye(len(layer), dtype=weights.dtype)) @ whole
    return whole


def group(matrix: np.ndarray, *, units: Sequence[int]) -> np.ndarray:
    """From words to units: what a unit's last word looked at, summed over the words of each unit it looked at.

    Args:
        matrix: Shape (..., n_words, n_words); where rows sum to one, they still do.
        units: The unit of each word, 0, 1, ..., ascending, shape (n_words,).

    Returns:
        Shape (..., n_units, n_units).

    Example:
        >>> group(np.array([[1, 0, 0], [0.5, 0.5, 0], [0.2, 0.3, 0.5]]), units=[0, 1, 1])
        array([[1. , 0. ],
               [0.2, 0.8]])
    """
    firsts = np.flatnonzero(np.diff(units, prepend=-1))
    lasts = np.append(firsts[1:], len(units)) - 1
    return np.add.reduceat(matrix, firsts, axis=-1)[..., lasts, :]


def _place(
    recommender: GPT2Recommender, scores: np.ndarray, *, history: Sequence[str], item: str | None
) -> tuple[int, int]:
    """Catalog row and rank of the item, or of the first of the ranking."""
    items = pd.Index(recommender.vocabulary.spelling.items, dtype=object)
    unseen = ~items.isin(list(history))
    if item is None and not unseen.any():
        raise ValueError("the history holds every item, so nothing is left to recommend. Name an item with item=.")
    row = int(np.where(unseen, scores, -np.inf).argmax()) if item is None else item_row(recommender, item)
    better = (scores > scores[row]) | ((scores == scores[row]) & (np.arange(len(items)) < row))
    return row, 1 + int((better & unseen).sum())
