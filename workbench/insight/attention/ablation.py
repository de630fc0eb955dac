"""Ablation: what the model does without some of its heads."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

import pandas as pd
import torch

from workbench.catalogs import Split
from workbench.evaluation import compare, evaluate
from workbench.models import GPT2Recommender


@contextmanager
def ablate_heads(recommender: GPT2Recommender, heads: Sequence[tuple[int, int]]) -> Iterator[None]:
    """Switch heads off for whatever the recommender is asked inside the ``with``: what they would write is zero.

    A hook in front of each layer's output projection zeroes the heads' shares of its input; the projection's bias,
    which belongs to no head, stays. (transformers 5 accepts ``head_mask`` and ignores it.) The lock is held meanwhile,
    so that nobody else is answered by a model without these heads; afterwards, also after an exception, nothing stays.

    Args:
        recommender: Whose heads.
        heads: Pairs (layer, head), counted from 0.

    Raises:
        ValueError: If there is no such head.

    Example:
        >>> import pandas as pd
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> recommender = start_recommender(catalog, layers=1, width=16, heads=2)
        >>> with ablate_heads(recommender, [(0, 0), (0, 1)]):
        ...     ranking = recommender.rank({"ann": ["a"]})
    """
    config = recommender.model.config
    size = config.n_embd // config.n_head
    by_layer: dict[int, list[slice]] = {}
    for layer, head in heads:
        if not (0 <= layer < config.n_layer and 0 <= head < config.n_head):
            raise ValueError(
                f"there is no head {head} in layer {layer}; this model has layers 0 to {config.n_layer - 1} with heads "
                f"0 to {config.n_head - 1}. Name each as (layer, head)."
            )
        by_layer.setdefault(layer, []).append(slice(head * size, (head + 1) * size))
    with recommender.lock, ExitStack() as hooks:
        for layer, shares in by_layer.items():
            projection = recommender.model.transformer.h[layer].attn.c_proj
            hooks.callback(projection.register_forward_pre_hook(partial(_silence, shares)).remove)
        yield


def _silence(shares: list[slice], projection: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
    """The input of an output projection, (n_prompts, n_words, d_model), with some heads' shares at zero."""
    hidden = inputs[0].clone()
    for share in shares:
        hidden[..., share] = 0
    return (hidden,)


def cost_of_heads(recommender: GPT2Recommender, split: Split) -> pd.DataFrame:
    """What the ranking owes to each head: NDCG@10 on the test items with one head off, less NDCG@10 with all on.

    Args:
        recommender: Whose heads.
        split: What was held out.

    Returns:
        Index ``layer``, ``head``; ``ndcg@10`` without the head (0 to 1), ``difference`` with its paired 95 % interval
        ``low`` and ``high``: below 0, the ranking was better with the head.
    """
    whole = evaluate({"on": recommender}, split, k=[10]).attrs["ranks"]["on"]
    config, rows = recommender.model.config, []
    for layer in range(config.n_layer):
        for head in range(config.n_head):
            with ablate_heads(recommender, [(layer, head)]):
                table = evaluate({"off": recommender}, split, k=[10])
            lost = compare(table.attrs["ranks"]["off"], whole, split)
            row = {"layer": layer, "head": head, "ndcg@10": table["ndcg@10"]["off"]}
            rows.append(row | {"difference": lost.mean, "low": lost.low, "high": lost.high})
    return pd.DataFrame(rows).set_index(["layer", "head"])
