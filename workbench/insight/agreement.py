"""Attention beside effects: where the model looked, and what it does to the score, in one table."""

from typing import Any

import pandas as pd

from workbench.insight.attention.weights import AttentionMap
from workbench.insight.effects.attribution import Attribution


def weigh_history(
    attention: AttentionMap, attribution: Attribution | None = None, *, unit: int | None = None, **choice: Any
) -> pd.DataFrame:
    """Attention and effect of every item and request word of a prompt.

    Args:
        attention: What ``attend`` returns.
        attribution: What ``attribute`` returns for the same prompt; None for attention alone.
        unit: The unit that reads; None for the last one, where the recommendation is read off. An effect is one on the
            recommendation, so no other place has any.
        **choice: ``layer``, ``head`` or ``rollout``, as for ``AttentionMap.matrix``.

    Returns:
        One row per item that the reader could look at, oldest first, then per request word: ``unit``, ``kind``,
        ``item_id``, ``label``, ``attention`` (0 to 1), ``effect`` (change of the item's log-odds because the word is
        there; missing where not measured).

    Raises:
        ValueError: If there is no such layer, head or unit, or the attribution is one of another prompt or item.
    """
    table = attention.looked_at(unit=unit, **choice)
    end = len(table) - 1
    table = table[(table["kind"] != "control") & (table["unit"] <= (end if unit is None else unit))]
    table = table.reset_index(drop=True)
    if attribution is None or unit not in (None, end):
        return table.assign(effect=float("nan")).drop(columns="position")
    if attribution.item_id != attention.item_id:
        raise ValueError(
            f"attention is about item {attention.item_id!r}, the attribution about {attribution.item_id!r}. Give both "
            "the same item."
        )
    effects = attribution.df
    if (
        effects["position"].tolist() != table["position"].tolist()
        or effects["label"].tolist() != table["label"].tolist()
    ):
        raise ValueError("attention and attribution are of different prompts. Give both the same history and request.")
    return table.assign(effect=effects["effect"].to_numpy(dtype=float)).drop(columns="position")


def agreement(weights: pd.DataFrame, *, k: int = 3) -> str:
    """Whether attention and effect point at the same words: how many are among the k first of both, in one sentence.

    Attention has no sign, so effects count by their size. Plain text; titles must be escaped before they become HTML.

    Args:
        weights: What ``weigh_history`` returns.
        k: How many of the first to compare.

    Example:
        >>> weights = {"label": ["Alien", "Brazil", "Cube"], "attention": [0.5, 0.2, 0.3], "effect": [-2, 1, 0.1]}
        >>> agreement(pd.DataFrame(weights), k=2)
        'Attention and effect agree on 1 of the top 2 here: Alien.'
    """
    weights = weights.reset_index(drop=True).dropna(subset="effect")
    k = min(k, len(weights))
    if not k:
        return "No effect is measured here, so there is nothing to compare attention with."
    looked, moved = weights["attention"].nlargest(k).index, weights["effect"].abs().nlargest(k).index
    both = weights.loc[[row for row in looked if row in moved], "label"]
    named = f": {', '.join(both)}" if len(both) else ""
    return f"Attention and effect agree on {len(both)} of the top {k} here{named}."
