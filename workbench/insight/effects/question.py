"""What every attribution answers: why this item, after this prompt? And the measure all of them share.

The measure is the log-odds of the item against its rivals: every other item that is not in the history. The rivals stay
the same whatever is taken out of the history; otherwise an item that is taken out would itself become a candidate and
take probability from the item that is explained. Places are counted among the same items, as ``rank`` lists them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os.path import commonprefix
from threading import Event

import numpy as np
import pandas as pd
import torch
from torch.nn.utils.rnn import pad_sequence

from workbench.catalogs import item_labels
from workbench.insight.effects.words import PromptWords, read_words
from workbench.insight.prompt_words import item_row
from workbench.models import GPT2Recommender
from workbench.models.marks import carried

BATCH = 32  # prompts read at once


@dataclass(frozen=True, eq=False)
class Question:
    """Why does the recommender give this item its score after this prompt?

    Attributes:
        recommender: Who recommends.
        words: The prompt, as words that may be taken away.
        row: Catalog row of the item.
        rivals: Catalog rows of all other items that are not in the history, ascending.
    """

    recommender: GPT2Recommender
    words: PromptWords
    row: int
    rivals: torch.Tensor

    @property
    def title(self) -> str:
        """The item, as people read it: ``Solaris (1972)``."""
        return item_labels(self.recommender.catalog.iloc[[self.row]])[0]

    def logits(self, read: torch.Tensor) -> torch.Tensor:
        """Scores of all items, up to a constant, (n, n_items), from what was read: see :func:`read_without`."""
        return (read @ self.recommender.item_rows().T).float() if self.recommender.vocabulary.one_word else read

    def log_odds(self, read: torch.Tensor) -> torch.Tensor:
        """Log-odds of the item against its rivals after each prompt, (n,), from what was read; with gradients."""
        logits = self.logits(read)
        return logits[:, self.row] - torch.logsumexp(logits[:, self.rivals], dim=1)

    def places(self, read: torch.Tensor) -> torch.Tensor:
        """Place of the item among its rivals, 1 is best, (n,), from what was read; equal scores in catalog order."""
        logits = self.logits(read)
        own, others = logits[:, [self.row]], logits[:, self.rivals]
        before = (others > own) | ((others == own) & (self.rivals < self.row))
        return 1 + before.sum(1)

    def without(self, rows: Sequence[int]) -> list[int]:
        """The prompt with these rows of ``words.df`` taken out, laid out as if they had never been there."""
        words, gone = self.words, set(rows)
        left = {kind: [words.ids([row]) for row in own if row not in gone] for kind, own in words.rows.items()}
        flat = {kind: [word for own in ids for word in own] for kind, ids in left.items()}
        return self.recommender.template.lay_out(
            self.recommender.vocabulary,
            items=left["item"],
            pieces=flat["request"],
            context=flat["context"],
            profile=flat["profile"],
        )


@dataclass(frozen=True, eq=False)
class Scores:
    """What the item scores under several changes of the prompt: ``log_odds`` and ``places``, each (n_changes,)."""

    log_odds: np.ndarray
    places: np.ndarray


def ask(
    recommender: GPT2Recommender,
    history: Sequence[str],
    item: str,
    *,
    request: str | None = None,
    context: Mapping[str, str] | None = None,
    profile: Mapping[str, str] | None = None,
) -> Question:
    """The question why an item stands where it does.

    Raises:
        TypeError: If the history is a string.
        ValueError: If the item or one of the history is not in the catalog, the prompt has no word to take away, or
            every other item is in the history.
    """
    row = item_row(recommender, item)
    words = read_words(recommender, history, request=request, context=context, profile=profile)
    if words.df.empty:
        raise ValueError("history and request are both empty: nothing can be taken away. Give an item or a word.")
    out = pd.Index(recommender.vocabulary.spelling.items, dtype=object).isin(list(history))
    out[row] = True  # an item of the history can be asked about; it stands beside those that are not
    if out.all():
        raise ValueError(f"every other item is in the history: {item!r} has no rival to be compared with. Shorten it.")
    return Question(recommender, words, row, torch.tensor(np.flatnonzero(~out), device=recommender.device))


def score_without(question: Question, absences: Sequence[Sequence[int]]) -> Scores:
    """Scores after each removal: ``absences`` names the rows of ``words.df`` that are taken out together."""
    with question.recommender.at_rest():
        return score_states(question, read_without(question, absences))


def read_without(
    question: Question, absences: Sequence[Sequence[int]], *, stop: Event | None = None
) -> torch.Tensor | None:
    """What is read after each removal; whatever item is asked about, it is the same.

    Args:
        question: The item and the prompt.
        absences: For each removal the rows of ``words.df`` that are taken out together; at least one removal.
        stop: Ends it at the next batch; where items take several words, at the next removal.

    Returns:
        Hidden states, (n_changes, d_model), where every item is one word; else the items' log-probabilities,
        (n_changes, n_items). None if it was stopped.
    """
    recommender, prompts = question.recommender, [question.without(rows) for rows in absences]
    read, size = partial(_read_variants, recommender), BATCH
    if not recommender.vocabulary.one_word:
        read, size = recommender.item_scores, 1  # each reads all forks of the catalog's trie, which can take a second
    order = sorted(range(len(prompts)), key=prompts.__getitem__)  # neighbours share the longest beginnings
    parts = []
    with recommender.at_rest():
        for first in range(0, len(order), size):
            if stop is not None and stop.is_set():
                return None
            parts.append(read([prompts[i] for i in order[first : first + size]]))
        return torch.cat(parts)[torch.tensor(order, device=recommender.device).argsort()]


def score_states(question: Question, read: torch.Tensor) -> Scores:
    """Scores from what was read after each change."""
    with question.recommender.at_rest():
        return Scores(question.log_odds(read).cpu().numpy().astype(float), question.places(read).cpu().numpy())


def score_masked(question: Question, presence: np.ndarray) -> Scores:
    """Scores with some words hidden behind the neutral one: ``presence`` is 1 or 0, shape (n_changes, n_rows)."""
    with question.recommender.at_rest():
        hide = Hiding(question)
        present = torch.as_tensor(presence, dtype=torch.float32, device=question.recommender.device)
        return score_states(question, torch.cat([hide.states(some) for some in present.split(BATCH)]))


class Hiding:
    """The prompt as vectors, in which words can be hidden; made and used while the model is at rest.

    A hidden word keeps its place, but its embedding becomes a neutral one: the mean of all item rows for an item, the
    mean of all rows of text for a word of the request, of all marks of its part (context, profile) for a mark. A
    neutral mark is still added to its item, as any mark is (``workbench.models.marks``). ``<history>``, ``<request>``
    and ``<recommend>`` always stay.

    Attributes:
        vectors: Embeddings of the prompt, (1, n_words, d_model).
        neutral: The same with every row of ``words.df`` hidden, (1, n_words, d_model).
    """

    def __init__(self, question: Question) -> None:
        """Look up the embeddings.

        Raises:
            ValueError: If items take several words.
        """
        recommender, words = question.recommender, question.words
        if not recommender.vocabulary.one_word:
            how = recommender.vocabulary.spelling.how
            raise ValueError(
                f"words can be hidden where an item is one word; items are spelled {how!r}: use occlusion."
            )
        table = recommender.model.transformer.wte.weight.detach()
        means = {
            "item": recommender.item_rows().detach().mean(0),
            "request": table[: recommender.vocabulary.n_text].mean(0),
        }
        for part in {"context", "profile"} & set(words.df["kind"]):
            own = [n for n, mark in enumerate(recommender.vocabulary.marks) if mark[0] == part]
            means[part] = table[recommender.vocabulary.first_mark :][own].mean(0)
        self.model = recommender.model
        self.ids = torch.tensor([words.prompt], device=table.device)  # (1, n_words)
        self.vectors = table[self.ids].clone()
        self.neutral = self.vectors.clone()
        owner = np.full(len(words.prompt), -1)
        for row, (kind, places) in enumerate(zip(words.df["kind"], words.places, strict=True)):
            self.neutral[0, places.start : places.stop] = means[kind]
            owner[places.start : places.stop] = row
        self.owner = torch.tensor(owner, device=table.device)  # row of words.df that a place belongs to, or -1

    def states(self, present: torch.Tensor) -> torch.Tensor:
        """Hidden states at the end of the prompt with only these rows shown: (n, n_rows) to (n, d_model)."""
        always = torch.ones(len(present), 1, dtype=present.dtype, device=present.device)
        shown = torch.cat([present, always], dim=1)[:, self.owner, None]  # (n, n_words, 1); -1 picks the column of ones
        return self.read(shown * self.vectors + (1 - shown) * self.neutral)

    def read(self, vectors: torch.Tensor) -> torch.Tensor:
        """Hidden states at the end of prompts that are given as vectors: (n, n_words, d_model) to (n, d_model)."""
        vectors = carried(self.model, vectors, self.ids.expand(vectors.shape[:-1]))
        return self.model.transformer(inputs_embeds=vectors, use_cache=False).last_hidden_state[:, -1]


def _read_variants(recommender: GPT2Recommender, prompts: list[list[int]]) -> torch.Tensor:
    """Hidden states at the end of a batch of prompts that have a long beginning in common, (n_prompts, d_model).

    Attention looks back only, so what all of them begin with is read once.
    """
    device, read = recommender.device, recommender.model.transformer
    shared = min(len(commonprefix(prompts)), min(map(len, prompts)) - 1)  # the last word of each is always read
    while shared and recommender.vocabulary.marks and prompts[0][shared - 1] not in recommender.vocabulary.closing:
        shared -= 1  # an item is read together with the marks before it
    ends = torch.tensor([len(prompt) - 1 - shared for prompt in prompts], device=device)
    words = pad_sequence([torch.tensor(prompt[shared:]) for prompt in prompts], batch_first=True)
    cache = None
    if shared:
        cache = read(torch.tensor([prompts[0][:shared]], device=device), use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(prompts))
    hidden = read(words.to(device), past_key_values=cache, use_cache=shared > 0).last_hidden_state
    return hidden[torch.arange(len(prompts), device=device), ends]
