"""A recommender that looks right and is wrong: what a notebook's closing assertions must notice.

``install("popularity")`` makes ``saved_run`` and ``fine_tune`` train or open the run as always and then replace its
weights. Everything else stays as training left it: type, log, record, saving and loading. So an assertion that goes red
does so because of what the model answers, not because something is missing.
"""

import functools
from collections.abc import Callable

import numpy as np
import torch

from workbench import training
from workbench.catalogs import Split
from workbench.models import GPT2Recommender, start_recommender


@torch.no_grad()
def answer_popularity(recommender: GPT2Recommender, split: Split) -> None:
    """The same answer to everything: how often each item was met in training.

    The last layer norm gives the first unit vector whatever it reads, and the words of items hold the logarithm of the
    counts of their items there, so that with one word per item the softmax is the share of each item.
    """
    words = recommender.vocabulary
    counts = split.train["item_id"].value_counts().reindex(words.spelling.items, fill_value=0).to_numpy() + 0.5
    often = np.full(words.size, 0.5)
    for count, spelled in zip(counts, words.spelled, strict=True):
        often[list(spelled)] += count - 0.5 * (len(words.spelled[0]) == 1)  # with one word, just the item's own count
    last = recommender.model.transformer.ln_f
    last.weight.zero_()
    last.bias.zero_()
    last.bias[0] = 1
    rows = recommender.model.transformer.wte.weight[words.item_words]
    rows.zero_()
    rows[:, 0] = torch.from_numpy(np.log(often[words.item_words])).to(rows)


def answer_at_random(recommender: GPT2Recommender, split: Split) -> None:
    """Random weights of the same shape."""
    shape = recommender.model.config
    fresh = start_recommender(
        split.dataset.catalog,
        spelling=recommender.vocabulary.spelling,
        marks=recommender.vocabulary.marks,
        layers=shape.n_layer,
        width=shape.n_embd,
        heads=shape.n_head,
        max_history=recommender.template.max_history,
        seed=1_000_003,  # a seed no notebook uses
    )
    recommender.model.load_state_dict(fresh.model.state_dict())


@torch.no_grad()
def shuffle_item_rows(recommender: GPT2Recommender, split: Split) -> None:
    """The learned weights, but every item under another item's name; where items share words, every word is another."""
    rows = recommender.model.transformer.wte.weight[recommender.vocabulary.item_words]
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(0)).to(rows.device)
    rows.copy_(rows[order].clone())


SWAPS: dict[str, Callable[[GPT2Recommender, Split], None]] = {
    "popularity": answer_popularity,
    "random weights": answer_at_random,
    "shuffled item rows": shuffle_item_rows,
}


def install(swap: str) -> None:
    """From now on, in this process, training gives recommenders with swapped weights."""
    for name in ("saved_run", "fine_tune"):
        setattr(training, name, swapping(getattr(training, name), SWAPS[swap]))


def swapping(function: Callable[..., GPT2Recommender], swap: Callable) -> Callable[..., GPT2Recommender]:
    """The function, whose answer is swapped before anybody sees it."""

    @functools.wraps(function)
    def swapped(split: Split, **settings: object) -> GPT2Recommender:
        recommender = function(split, **settings)
        with recommender.lock:
            swap(recommender, split)
        return recommender

    return swapped
