"""Where nobody meets an item twice, items that stand in a prompt take no part in the softmax over what comes next.

A model that has to learn by itself that they do not come again pushes them away from the history they stand in, and
with them all that is like them, which is just what should be recommended (LOG.md). Runs know of it by
``config.each_item_once``. Where items take several words, a word behind which all items were read is ruled out.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from workbench.language import Vocabulary

NEVER = -1e4  # a logit whose exponential is 0, yet a number: where seen items are listed, they stand last


def each_item_once(model: PreTrainedModel) -> bool:
    """Whether the run was begun so that no item comes a second time."""
    return getattr(model.config, "each_item_once", False)


def rule_out_repeats(
    logits: torch.Tensor, prompts: Sequence[Sequence[int]], *, model: PreTrainedModel, vocabulary: Vocabulary
) -> torch.Tensor:
    """Logits of all items after each prompt, (n_prompts, n_items), overwritten for those that cannot come again.

    Args:
        logits: Where each item is one word.
        prompts: Ids.
        model: Whose run it is.
        vocabulary: Of the prompts.
    """
    if each_item_once(model):
        gone = [vocabulary.rows_in(prompt) for prompt in prompts]
        rows = np.repeat(np.arange(len(gone)), [len(own) for own in gone])
        places = np.stack([rows, [item for own in gone for item in own]]).astype(np.int64)
        rows, items = torch.from_numpy(places).to(logits.device)
        logits[rows, items] = NEVER
    return logits


def gone_edges(
    prompts: Sequence[Sequence[int]], *, model: PreTrainedModel, vocabulary: Vocabulary
) -> torch.Tensor | None:
    """Edges of the trie that lead to nothing but items of each prompt, (n_prompts, n_edges) of bool.

    None where items may come again.
    """
    if not each_item_once(model):
        return None
    edges = [torch.from_numpy(vocabulary.trie.blocked(vocabulary.rows_in(prompt))) for prompt in prompts]
    return torch.stack(edges).to(model.device)
