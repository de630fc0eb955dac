"""Where nobody meets an item twice, items that stand in a prompt take no part in the softmax over what comes next.

A model that has to learn by itself that they do not come again pushes them away from the history they stand in, and
with them all that is like them, which is just what should be recommended (LOG.md). Runs know of it by
``config.each_item_once``; of spellings of several words none does.
"""

from collections.abc import Sequence

import numpy as np
import torch
from transformers import PreTrainedModel

from workbench.language import Vocabulary
from workbench.models.ranking import cross_out

NEVER = -1e4  # a logit whose exponential is 0, yet a number: where seen items are listed, they stand last


def each_item_once(model: PreTrainedModel) -> bool:
    """Whether the run was begun so that no item comes a second time."""
    return getattr(model.config, "each_item_once", False)


def rows_in(prompt: Sequence[int], vocabulary: Vocabulary) -> list[int]:
    """Catalog rows of the items that stand in a prompt, where each item is one word."""
    words = vocabulary.item_words
    return [word - words.start for word in prompt if words.start <= word < words.stop]


def rule_out_repeats(
    logits: torch.Tensor, prompts: Sequence[Sequence[int]], *, model: PreTrainedModel, vocabulary: Vocabulary
) -> torch.Tensor:
    """Logits of all items after each prompt, (n_prompts, n_items), overwritten for those that cannot come again."""
    if each_item_once(model) and len(prompts):
        gone = [np.array(rows_in(prompt, vocabulary), dtype=np.int64) for prompt in prompts]
        cross_out(logits, gone, value=NEVER)
    return logits


def read_before(words: torch.Tensor, known: torch.Tensor, *, vocabulary: Vocabulary) -> torch.Tensor:
    """Catalog rows of the items up to each place that is asked, -1 elsewhere; (n_asked, n_columns).

    Args:
        words: Ids, (n_rows, n_columns).
        known: Which places are asked, (n_rows, n_columns) of bool.
        vocabulary: Each item is one word of it.

    Example:
        >>> import pandas as pd
        >>> from workbench.models import start_recommender
        >>> catalog = pd.DataFrame({"item_id": ["a", "b"], "title": ["Alien", "Brazil"]})
        >>> vocabulary = start_recommender(catalog, layers=1, width=16).vocabulary
        >>> words = torch.tensor([[vocabulary.control("history"), *vocabulary.spelled[1], *vocabulary.spelled[0]]])
        >>> read_before(words, torch.tensor([[True, True, False]]), vocabulary=vocabulary).tolist()
        [[-1, -1, -1], [-1, 1, -1]]
    """
    row, place = known.nonzero(as_tuple=True)
    items = words - vocabulary.item_words.start
    items = items.masked_fill((items < 0) | (words >= vocabulary.item_words.stop), -1)[row]
    return items.masked_fill(torch.arange(words.shape[1], device=words.device) > place[:, None], -1)
